"""Whole quantizers of other libraries, with the same indices here: residual, grouped, finite scalar
and lookup-free ones of vector-quantize-pytorch, those of descript-audio-codec and EnCodec.

Every function takes the arrays of a `state_dict` (see `read_arrays`) and a prefix of their names,
and returns parameters, state and configuration. Rows are `[..., D]` and indices `[..., levels]`
here: move the channels of audio and images to the end first.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from quant.errors import require
from quant.quantizers import fsq, lfq, rvq, simvq, stack
from quant.quantizers.grouped import GroupedConfig
from quant.quantizers.import_codebooks import (
    from_vector_quantize_pytorch,
    needed,
    projections,
    state_of,
    under,
)
from quant.quantizers.vq import VQConfig

Arrays = dict[str, np.ndarray]
Made = tuple[Any, Any, Any]
"""Result of every function here: parameters, state, configuration."""


def residual_vq(arrays: Arrays, prefix: str = "", **changes) -> Made:
    """`ResidualVQ`. One with projections becomes a group of one behind them, whose indices are
    `[..., 1, levels]`.

    Args:
      arrays: of the module.
      prefix: of its names, such as "quantizer.".
      **changes: fields of `VQConfig` that the arrays do not show, such as metric="cosine".

    Raises:
      QuantError: no layers, layers of different sizes, or parts that are not taken over (an
        implicit neural codebook).
    """
    own = under(arrays, prefix)
    _refuse(own, prefix, ("mlps.", "layers.", "project_", "rvqs."), ("mlps.",))
    count = _count(own, "layers", prefix)
    made = [
        from_vector_quantize_pytorch(own, f"layers.{n}.", changes=changes) for n in range(count)
    ]
    params, state, config = _stacked(made, prefix)
    outside = projections(own, prefix)
    if not outside:
        return params, state, config
    width = outside["project_in"].shape[0]
    inner = {"group_0": params} if params else {}
    return outside | inner, (state,), GroupedConfig((config,), width)


def grouped_residual_vq(arrays: Arrays, prefix: str = "", **changes) -> Made:
    """`GroupedResidualVQ`: indices `[..., groups, levels]`; see `residual_vq`."""
    own = under(arrays, prefix)
    made = [residual_vq(own, f"rvqs.{n}.", **changes) for n in range(_count(own, "rvqs", prefix))]
    return (
        {f"group_{n}": params for n, (params, _, _) in enumerate(made) if params},
        tuple(state for _, state, _ in made),
        GroupedConfig(tuple(config for *_, config in made)),
    )


def sim_vq(arrays: Arrays, prefix: str = "") -> Made:
    """`SimVQ` with its linear map.

    Raises:
      QuantError: another map than one matrix.
    """
    own = under(arrays, prefix)
    strange = sorted(set(own) - {"frozen_codebook", "code_transform.weight"})
    require(
        not strange and len(own) == 2,
        f"{prefix}: a SimVQ has frozen_codebook and code_transform.weight, not "
        f"{', '.join(strange or sorted(own)) or 'nothing'}",
    )
    weight = jnp.asarray(own["code_transform.weight"].T)
    frozen = jnp.asarray(own["frozen_codebook"])
    config = simvq.SimVQConfig(frozen.shape[0], weight.shape[1], frozen_dim=frozen.shape[1])
    return {"map": weight}, {"frozen": frozen}, config


def from_fsq(
    arrays: Arrays, levels: tuple[int, ...], prefix: str = "", codebooks: int = 1, **changes
) -> Made:
    """`FSQ`, whose levels are not among its arrays; indices `[..., codebooks]` where there are
    projections or several codebooks.

    Args:
      arrays: of the module; empty without projections.
      levels: as given to it.
      prefix: of its names.
      codebooks: its `num_codebooks`.
      **changes: fields of `FSQConfig`: symmetric=True for `preserve_symmetry`.
    """
    return _behind(
        under(arrays, prefix), prefix, (fsq.FSQConfig(tuple(levels), **changes),) * codebooks
    )


def residual_fsq(arrays: Arrays, levels: tuple[int, ...], depth: int, prefix: str = "") -> Made:
    """`ResidualFSQ(levels=..., num_quantizers=depth)`; behind projections the indices are
    `[..., 1, depth]`.

    Args:
      arrays: of the module; empty without projections.
      levels: as given to it.
      depth: its `num_quantizers`.
      prefix: of the arrays' names.

    Returns:
      Parameters, state and configuration.
    """
    own = under(arrays, prefix)
    made = _behind(own, prefix, (stack.residual_fsq(tuple(levels), depth),))
    return made if "project_in.weight" in own else ({}, ({},) * depth, made[2].groups[0])


def from_lfq(arrays: Arrays, prefix: str = "", codebooks: int = 1, **changes) -> Made:
    """`LFQ`: indices `[..., codebooks]`.

    Args:
      arrays: of the module.
      prefix: of its names.
      codebooks: its `num_codebooks`.
      **changes: fields of `LFQConfig`: spherical, scale and the weights of its losses.

    Raises:
      QuantError: no `mask` among the arrays, which gives the number of bits.
    """
    own = under(arrays, prefix)
    require("mask" in own, f"there is no {prefix}mask among the arrays: is it a LFQ?")
    rest = {name: array for name, array in own.items() if name != "mask"}
    return _behind(rest, prefix, (lfq.LFQConfig(own["mask"].shape[0], **changes),) * codebooks)


def descript_audio_codec(arrays: Arrays, prefix: str = "quantizer.") -> Made:
    """`ResidualVectorQuantize` of descript-audio-codec: nearest by cosine in a few features, codes
    as they are on the way out. Weight normalization is multiplied out.

    Raises:
      QuantError: no quantizers, or ones of different sizes.
    """
    own = under(arrays, prefix)
    made = []
    for number in range(_count(own, "quantizers", prefix)):
        level, name = under(own, f"quantizers.{number}."), f"{prefix}quantizers.{number}."
        codes = needed(level, "codebook.weight", name).astype(np.float32)
        params = {"codes": jnp.asarray(codes)[None]}
        for side in ("in", "out"):
            params[f"project_{side}"] = jnp.asarray(_weight(level, f"{side}_proj", name).T)
            params[f"project_{side}_bias"] = jnp.asarray(needed(level, f"{side}_proj.bias", name))
        config = VQConfig(
            *(codes.shape[0], params["project_in"].shape[0]),
            code_dim=codes.shape[1],
            metric="cosine",
            unnormalized=True,
            update="gradient",
        )
        made.append((params, state_of(codes[None], np.ones((1, len(codes))), codes[None]), config))
    return _stacked(made, prefix)


def encodec(arrays: Arrays, prefix: str = "quantizer.vq.") -> Made:
    """`ResidualVectorQuantization` of EnCodec, also as transformers writes it (prefix
    "quantizer.").

    Raises:
      QuantError: no layers, or layers of different sizes.
    """
    own = {
        name.replace("_codebook.", "codebook."): array
        for name, array in under(arrays, prefix).items()
    }
    made = []
    for number in range(_count(own, "layers", prefix)):
        level = under(own, f"layers.{number}.codebook.")
        where = f"{prefix}layers.{number}.codebook."
        codes, count, total = (
            needed(level, name, where).astype(np.float32)[None]
            for name in ("embed", "cluster_size", "embed_avg")
        )
        config = VQConfig(codes.shape[1], codes.shape[2], decay=0.99, commitment=1.0)
        made.append(({}, state_of(codes, count, total), config))
    return _stacked(made, prefix)


def _behind(own: Arrays, prefix: str, groups: tuple) -> Made:
    """Quantizers without parameters behind the projections among the arrays."""
    params = projections(own, prefix)
    strange = sorted(name for name in own if not name.startswith("project_"))
    require(not strange, f"{prefix}{strange[0] if strange else ''} is not taken over")
    width = params["project_in"].shape[0] if params else None
    config = GroupedConfig(groups, width)
    if params:
        require(
            params["project_in"].shape[1] == config.inner,
            f"{prefix}project_in gives {params['project_in'].shape[1]} features, the quantizers "
            f"take {config.inner}: check levels and codebooks",
        )
    states = tuple(
        ({},) * len(group.levels) if isinstance(group, stack.StackConfig) else {}
        for group in groups
    )
    return params, states, config


def _stacked(made: list[Made], prefix: str) -> Made:
    """Levels of `rvq` from those of `vq`."""
    configs = {config for *_, config in made}
    require(
        len(configs) == 1,
        f"{prefix}: levels have different sizes, which rvq does not stack: build a StackConfig",
    )
    trees = [(params, state) for params, state, _ in made]
    params, state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
    config = rvq.ResidualConfig(configs.pop(), len(made), straight_through_all=True)
    return params, state, config


def _count(own: Arrays, part: str, prefix: str) -> int:
    numbers = {name.split(".")[1] for name in own if name.startswith(f"{part}.")}
    require(
        bool(numbers) and numbers == {str(n) for n in range(len(numbers))},
        f"there are no {prefix}{part}.0 and so on among the arrays: check the prefix",
    )
    return len(numbers)


def _refuse(own: Arrays, prefix: str, known: tuple[str, ...], refused: tuple[str, ...]) -> None:
    strange = [n for n in own if not n.startswith(known) or n.startswith(refused)]
    require(not strange, f"{prefix}{strange[0] if strange else ''} is not taken over")


def _weight(level: Arrays, name: str, prefix: str) -> np.ndarray:
    """Matrix `[out, in]` of a convolution over one place, plain or weight-normalized."""
    if f"{name}.weight" in level:
        return level[f"{name}.weight"][..., 0]
    ends = ("weight_g", "weight_v")
    if f"{name}.weight_g" not in level:
        ends = ("parametrizations.weight.original0", "parametrizations.weight.original1")
    length, direction = (needed(level, f"{name}.{end}", prefix)[..., 0] for end in ends)
    return length * direction / np.linalg.norm(direction, axis=1, keepdims=True)
