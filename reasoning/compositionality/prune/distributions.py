"""From scores to masks: how a density is spread over layers and units.

Scores are a dictionary of kernels `[..., J]`, J units. Ties go to the lower flat index. Densities
may be traced, so one program serves all. `present` says, per kernel, whether it counts (a traced
bool; all by default): kernels that do not are kept whole and take no share.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune.kernels import Layout, joined, split

Scores = dict[str, jax.Array]
Distribution = Literal["fan_in", "uniform", "erk", "global"]


SHORT = 32
"""Lengths up to which places are counted by comparing all pairs: many tiny sorts are slow
(measured: half of a renewal's time).
"""


def ranks(scores: jax.Array, axis: int = 0) -> jax.Array:
    """Place of every score in descending order along an axis, 0 for the highest, ties by index, NaN
    last: int32.
    """
    scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)
    if scores.shape[axis] <= SHORT:
        rows = jnp.moveaxis(scores, axis, 0)
        index = jnp.arange(len(rows)).reshape(-1, *[1] * (rows.ndim - 1))
        found = jnp.zeros(rows.shape, jnp.int32)
        for number, other in enumerate(rows):
            before = jnp.where(index > number, other[None] >= rows, other[None] > rows)
            found = found + before.astype(jnp.int32)
        return jnp.moveaxis(found, 0, axis)
    order = jnp.argsort(scores, axis=axis, descending=True, stable=True)
    return jnp.argsort(order, axis=axis, stable=True)


def number(density: jax.Array, of: int | jax.Array) -> jax.Array:
    """`round(density * of)`, halves up, at least 1."""
    return jnp.maximum(jnp.floor(jnp.asarray(density) * of + 0.5), 1)


def top_per_unit(scores: jax.Array, density: jax.Array) -> jax.Array:
    """The same number of inputs for every unit: mask like `scores`, bool."""
    rows = scores.reshape(-1, scores.shape[-1])
    return (ranks(rows) < number(density, rows.shape[0])).reshape(scores.shape)


def top_of_layer(scores: jax.Array, density: jax.Array) -> jax.Array:
    """The highest of a whole kernel: mask like `scores`, bool."""
    return (ranks(scores.reshape(-1)) < number(density, scores.size)).reshape(scores.shape)


def fan_in(scores: Scores, density: jax.Array, present: dict | None = None) -> Scores:
    """Fixed fan-in: every unit keeps its `round(density * inputs)` best, at least one."""
    return _kept({name: top_per_unit(s, density) for name, s in scores.items()}, present)


def uniform(scores: Scores, density: jax.Array, present: dict | None = None) -> Scores:
    """Every kernel keeps the same share of its weights."""
    return _kept({name: top_of_layer(s, density) for name, s in scores.items()}, present)


def erk(scores: Scores, density: jax.Array, present: dict | None = None) -> Scores:
    """Every kernel keeps a share by `erk_densities`."""
    each = erk_densities({name: s.shape for name, s in scores.items()}, density, present)
    return _kept({name: top_of_layer(s, each[name]) for name, s in scores.items()}, present)


def global_(scores: Scores, density: jax.Array, present: dict | None = None) -> Scores:
    """The best of all kernels together; the best of each is always kept."""
    counts = {name: _counts(present, name) for name in scores}
    flat = jnp.concatenate(
        [jnp.where(counts[name], s.reshape(-1), -jnp.inf) for name, s in scores.items()]
    )
    total = sum(jnp.where(counts[name], s.size, 0) for name, s in scores.items())
    kept, found, start = ranks(flat) < number(density, total), {}, 0
    for name, s in scores.items():
        best = ranks(s.reshape(-1)) == 0
        found[name] = (kept[start : start + s.size] | best).reshape(s.shape)
        start += s.size
    return _kept(found, present)


def erk_densities(
    shapes: dict[str, tuple[int, ...]], density: jax.Array, present: dict | None = None
) -> dict[str, jax.Array]:
    """Erdős-Rényi-Kernel (Mocanu et al. 2018, Evci et al. 2020): density of a kernel in proportion
    to sum(shape) / prod(shape).

    Kernels that would get more than all their weights are kept whole, and the others share the
    rest.
    """
    names = list(shapes)
    size = jnp.stack([jnp.where(_counts(present, n), _size(shapes[n]), 0) for n in names]).astype(
        jnp.float32
    )
    raw = jnp.asarray([sum(shapes[n]) / _size(shapes[n]) for n in names], jnp.float32)
    whole, wanted = jnp.zeros(len(names), bool), density * size.sum()
    for _ in names:
        rest = wanted - jnp.where(whole, size, 0).sum()
        factor = rest / jnp.maximum(jnp.where(whole, 0, raw * size).sum(), 1e-9)
        whole = whole | (raw * factor > 1)
    found = jnp.where(whole, 1.0, jnp.clip(raw * factor, 0.0, 1.0))
    return dict(zip(names, found, strict=True))


DISTRIBUTIONS: dict[str, Callable] = {
    "fan_in": fan_in,
    "uniform": uniform,
    "erk": erk,
    "global": global_,
}


def masks_from_scores(
    scores: Scores,
    density: jax.Array | float,
    distribution: Distribution = "fan_in",
    present=None,
    layouts: dict[str, Layout] | None = None,
) -> Scores:
    """Masks (bool) like the scores.

    Args:
      scores: by path.
      density: share that is kept.
      distribution: how it is spread.
      present: see above.
      layouts: of kernels whose axes are not inputs and one axis of units; every layer of a stack
        counts as a kernel of its own.

    Raises:
      UserError: an unknown distribution, or a density (if it is a number) outside (0, 1] or so
        small that a kernel would be empty.
    """
    if distribution not in DISTRIBUTIONS:
        raise UserError(
            f"distribution is {distribution!r}: choose one of {', '.join(DISTRIBUTIONS)}"
        )
    if isinstance(density, int | float):
        check_density(density, {name: s.shape for name, s in scores.items()})
    unusual = {
        name: layout._replace(groups=1)  # columns are units with inputs of their own anyway
        for name, layout in (layouts or {}).items()
        if name in scores and (layout.stack, layout.units) != (0, 1)
    }
    if not unusual:
        return DISTRIBUTIONS[distribution](scores, density, present)
    parts, origin = {}, {}
    for name, score in scores.items():
        each = split(score, unusual[name]) if name in unusual else score[None]
        for number, part in enumerate(each):
            parts[f"{name}[{number}]"], origin[f"{name}[{number}]"] = part, name
    there = None if present is None else {part: present[name] for part, name in origin.items()}
    masks, found = DISTRIBUTIONS[distribution](parts, density, there), {}
    for name, score in scores.items():
        mine = jnp.stack([masks[part] for part, whole in origin.items() if whole == name])
        found[name] = joined(mine, unusual[name], score.shape) if name in unusual else mine[0]
    return found


def check_density(density: float, shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a density that is none, or that leaves less than one weight in some kernel."""
    if not 0 < density <= 1:
        raise UserError(f"density is {density}: it must be above 0 and at most 1")
    smallest = min(shapes, key=lambda name: _size(shapes[name]), default=None)
    if smallest is not None and density * _size(shapes[smallest]) < 1:
        least = 1 / _size(shapes[smallest])
        raise UserError(
            f"density {density:g} would empty kernel {smallest} of shape {shapes[smallest]}: "
            f"choose at least {least:.2g}"
        )


def _counts(present, name):
    return jnp.asarray(True if present is None else present[name])


def _kept(masks, present) -> Scores:
    return {name: mask | ~_counts(present, name) for name, mask in masks.items()}


def _size(shape) -> int:
    total = 1
    for axis in shape:
        total *= axis
    return total
