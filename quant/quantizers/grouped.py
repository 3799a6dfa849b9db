"""Grouped quantization: parts of the features, each with a quantizer of its own (grouped residual
VQ, grouped FSQ or LFQ), behind a linear projection if asked for (several codebooks of a wide
input).
"""

from dataclasses import dataclass
from typing import Any, Unpack

import jax
import jax.numpy as jnp

from quant.codebooks.init import random_projections
from quant.errors import require, tuple_field
from quant.quantizers.dispatch import functions_of, index_axes
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, Options, call, decoding, encode_by
from quant.types import Params, Quantized


@dataclass(frozen=True)
class GroupedConfig:
    """Quantizers next to one another. Static under jit."""

    groups: tuple[Any, ...]
    """Configuration of each; the features are cut into as many parts of their `dim`."""
    width: int | None = None
    """D, features of the input and the output, if there are projections between it and the groups'
    features.
    """

    def __post_init__(self):
        for config in tuple_field(self, "groups", "a configuration for each"):
            functions_of(config)
        require(self.width is None or self.width >= 1, f"width is {self.width}: at least one")
        axes = {index_axes(group) for group in self.groups}
        require(len(axes) == 1, "groups with and without levels have no common shape of indices")

    @property
    def inner(self) -> int:
        """Features of all groups together."""
        return sum(group.dim for group in self.groups)

    @property
    def dim(self) -> int:
        """D, features of the input and the output."""
        return self.inner if self.width is None else self.width

    @property
    def index_axes(self) -> int:
        """Axes of a row's indices."""
        return 1 + index_axes(self.groups[0])

    @property
    def num_codes(self) -> int:
        """Largest number of codes of a group."""
        return max(group.num_codes for group in self.groups)


def init(
    key: jax.Array, config: GroupedConfig, sample: jax.Array | None = None
) -> tuple[dict[str, Any], tuple]:
    """Parameters {"group_<g>": ..., "project_in": `[D, inner]`, "project_out": `[inner, D]`} and a
    tuple of states.
    """
    sample = check_sample(sample, config.dim)
    key_in, key_out, key = jax.random.split(key, 3)
    params: dict[str, Any] = {}
    if config.width is not None:
        params |= random_projections(key_in, key_out, config.dim, config.inner)
    parts = [None] * len(config.groups)
    if sample is not None:
        parts = _parts(_project(params, "in", sample.reshape(-1, config.dim)), config)
    states = []
    for number, (group, part) in enumerate(zip(config.groups, parts, strict=True)):
        made, state = functions_of(group).init(jax.random.fold_in(key, number), group, part)
        params |= {f"group_{number}": made} if made else {}
        states.append(state)
    return params, tuple(states)


def quantize(
    params: Params, state: tuple, x: jax.Array, config: GroupedConfig, **options: Unpack[Options]
) -> tuple[Quantized, tuple]:
    """Every group's value in its place, projected back.

    Args:
      params: from `init`; gradients reach those of the groups, and the projections.
      state: states of the groups, from `init` or the last step.
      x: float `[..., D]`.
      config: the same as at `init`.
      **options: see `Options`; a key is needed where a group needs one.

    Returns:
      A `Quantized` with indices `[..., groups]`, or `[..., groups, levels]` if every group has
      levels; losses and metrics are means over the groups that have them; and the states.

    Raises:
      QuantError: as `interface.call`; what a group refuses.
    """
    return call(_groups, params, state, x, config, options)


def _groups(
    params: dict[str, Any], state: tuple, batch: Batch, config: GroupedConfig
) -> tuple[Found, tuple]:
    z = _project(params, "in", batch.z)
    keys = [None] * len(config.groups)
    if batch.key is not None:
        keys = list(jax.random.split(batch.key, len(config.groups)))
    made = [
        functions_of(group).quantize(
            params.get(f"group_{number}", {}),
            state[number],
            part,
            group,
            key=key,
            train=batch.train,
            mask=batch.usable,
            axis_name=batch.axis_name,
        )
        for number, (group, part, key) in enumerate(
            zip(config.groups, _parts(z, config), keys, strict=True)
        )
    ]
    outs = [out for out, _ in made]
    value = jnp.concatenate([out.quantized for out in outs], -1)
    found = Found(
        _project(params, "out", value),
        jnp.stack([out.indices for out in outs], 1),
        mean_by_name([out.losses for out in outs]),
        mean_by_name([out.metrics for out in outs]),
    )
    return found, tuple(after for _, after in made)


def mean_by_name(each: list[dict[str, jax.Array]]) -> dict[str, jax.Array]:
    """Mean of every number over the dictionaries that have it."""
    names = dict.fromkeys(name for one in each for name in one)
    held = {name: [one[name] for one in each if name in one] for name in names}
    return {name: jnp.stack(values).mean() for name, values in held.items()}


def _parts(rows: jax.Array, config: GroupedConfig) -> list[jax.Array]:
    """Rows `[N, inner]` cut into the groups' features."""
    ends, parts = 0, []
    for group in config.groups:
        parts.append(rows[:, ends : ends + group.dim])
        ends += group.dim
    return parts


def _project(params: dict[str, Any], side: str, rows: jax.Array) -> jax.Array:
    name = f"project_{side}"
    if name in params:
        rows = jnp.matmul(rows, params[name], precision="highest")
    return rows + params[f"{name}_bias"][None] if f"{name}_bias" in params else rows


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: indices only, int32 `[..., groups]` or `[..., groups,
levels]`.
"""


@decoding
def decode(params: dict, state: tuple, indices: jax.Array, config: GroupedConfig) -> jax.Array:
    """Values of indices, float32 `[..., D]`.

    Args:
      params: from `init`, with an entry for each group that has parameters.
      state: states of the groups, in their order.
      indices: int32 `[..., groups]` or `[..., groups, levels]`.
      config: the same as at `init`.

    Raises:
      QuantError: indices of another number of groups.
    """
    axis = config.index_axes
    require(
        indices.ndim >= axis and indices.shape[-axis] == len(config.groups),
        f"indices have shape {indices.shape}: axis {-axis} must have the {len(config.groups)} "
        "groups",
    )
    each = jnp.moveaxis(indices, -axis, 0)
    value = jnp.concatenate(
        [
            functions_of(group).decode(
                params.get(f"group_{number}", {}), state[number], each[number], group
            )
            for number, group in enumerate(config.groups)
        ],
        -1,
    )
    flat = _project(params, "out", value.reshape(-1, config.inner))
    return flat.reshape(*value.shape[:-1], config.dim)
