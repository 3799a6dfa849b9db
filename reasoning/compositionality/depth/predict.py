"""Depth by recursion: inputs that act through one number are merged into one, until one is left."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from reasoning.compositionality.depth.separability import (
    INSIDE,
    OUTSIDE,
    Box,
    draws_of,
    influence_of_output,
    scores_of_output,
)
from reasoning.compositionality.depth.steps import (
    DIRECTIONS,
    LEAST_OTHERS,
    MORE_DRAWS,
    MOST_CALLS,
    POINTS,
    balls_of,
    calls_out,
    check_defined,
    has_jumps,
    influence_of_steps,
    scores_of_steps,
)
from reasoning.compositionality.depth.tree import Tree, join, leaf

MOST_INPUTS = 24
"""With more, triples alone are more than two thousand subsets per round."""
EXACT = 5e-3
"""Tolerance for functions that are known exactly."""
TRAINED = 0.05
"""Our choice: for trained networks, whose inner functions are learned only approximately."""


class Prediction(NamedTuple):
    """Prediction for a function."""

    depth: int
    """D, in nodes, of the deepest output; 0 for a constant."""
    layers: int
    """Hidden layers of a network: `layers_per_node * depth`."""
    ambiguous: bool
    """Overlapping sets of inputs are separable (sums and products are): many trees fit, and this is
    one of least depth.
    """
    trees: tuple[Tree | None, ...]
    """Per output; None for a constant."""
    ignored: tuple[int, ...]
    """Inputs without influence on any output."""
    left_over: int
    """Groups that the root of some output had to take together since nothing separated, at most; 2
    or less is a complete tree.
    """
    nearest: float
    """The least distance of any decisive score from the threshold: small values mean a doubtful
    answer.
    """
    jumps: tuple[int, ...] = ()
    """Outputs with jumps. Their trees are estimates from averages over balls, not from gradients:
    choices among three inputs and votes of several steps are known to be read wrong.
    """


@dataclass(frozen=True)
class Search:
    """Settings of a prediction."""

    tolerance: float = EXACT
    """Largest distance of s below 1: `EXACT` for functions, `TRAINED` for networks."""
    most_arity: int = 3
    """Largest subsets that are tried, in groups, at least 2."""
    layers_per_node: int = 1
    """Layers that a network needs for one node: 1 if a node is one unit, 2 if it needs a hidden
    layer.
    """
    seed: int = 0
    """Seed of the draws."""
    negligible: float = 1e-2
    """Inputs with an influence below this share of the largest are ignored."""
    draws: tuple[int, int] = (INSIDE, OUTSIDE)
    """Points of x_A and of x_B."""

    def __post_init__(self):
        """Refuse settings that mean nothing."""
        if self.most_arity < 2:
            raise UserError(f"most_arity is {self.most_arity}: it must be at least 2")
        if not 0 < self.tolerance < 1:
            raise UserError(
                f"tolerance is {self.tolerance}: it must lie between 0 and 1, both exclusive"
            )


def predict_depth(
    f: Callable, inputs: int, *, data=None, low=-1.0, high=1.0, **settings
) -> Prediction:
    """Predict the depth of a function from its gradients.

    Groups begin as single inputs. Repeat: of all pairs of groups those with s > 1 - tolerance are
    merged, shallowest first; if there are none, triples and so on; if nothing separates, all that
    remain are one node.

    Args:
      f: `x [n] -> [] or [m]`, differentiable by JAX; with `data`, `f(data, x)`, and calls with
        other data of the same shapes (another trained network) need no new compilation.
      inputs: n, at most `MOST_INPUTS`.
      data: parameters of f.
      low: end of the box of inputs, a number or `[n]`.
      high: the other.
      **settings: fields of `Search`, such as tolerance=0.05.

    Functions with jumps (steps, rounding, comparisons) are judged by finite differences over
    several scales instead of gradients, which do not see a jump, and with a tolerance of at least
    `TRAINED`.

    Raises:
      UserError: more inputs than the limit, f does not take them, or f is not finite in all of the
        box (the share is given).
    """
    if not 1 <= inputs <= MOST_INPUTS:
        raise UserError(
            f"the function has {inputs} inputs, the predictor takes 1 to {MOST_INPUTS}: fix some "
            "of them, or group them"
        )
    search, box = Search(**settings), _box(low, high, inputs)
    call, scaled = _standard(f, data), (data, jnp.float32(1))
    outputs = _outputs(call, scaled, inputs)
    key = jax.random.key(search.seed)
    # Thresholds below are of functions whose values differ by about 1: so 1e-12 f is judged as f.
    dear = calls_out(call, scaled, inputs)
    half = check_defined(call, (data, jnp.ones(outputs)), key, box, 512 if dear else POINTS)
    data = (data, half)
    jumps = has_jumps(call, data, key, box)
    tolerance = max(search.tolerance, TRAINED) if jumps.any() else search.tolerance
    felt = np.stack(
        [
            np.asarray(
                influence_of_steps(call, data, o, key, box, 32 if dear else 1024)
                if jumps[o]
                else influence_of_output(call, data, o, key, box)
            )
            for o in range(outputs)
        ]
    )
    if not np.isfinite(felt).all():
        output, wrong = np.argwhere(~np.isfinite(felt))[0]
        raise UserError(
            f"the derivative of output {output} with respect to input {wrong} is not finite in the "
            "box: narrow it with low and high"
        )
    found = []
    for output, strength in enumerate(felt):
        alive = (
            [i for i in range(inputs) if strength[i] > search.negligible * strength.max()]
            if strength.max() > 1e-9
            else []
        )

        def score(subsets, o=output):
            subsets, (inside, outside) = jnp.asarray(subsets), search.draws
            if not jumps[o]:
                points = draws_of(key, box, (inside, outside))
                return np.asarray(scores_of_output(call, data, o, subsets, points))
            usual = (MORE_DRAWS * inside, max(LEAST_OTHERS, outside), DIRECTIONS)
            balls = balls_of(key, box, MOST_CALLS if dear else usual)
            return np.asarray(scores_of_steps(call, data, o, subsets, balls))

        found.append(_grow([leaf(i) for i in alive], score, inputs, tolerance, search.most_arity))
    depth = max(tree.depth if tree else 0 for tree, *_ in found)
    used = {i for tree, *_ in found if tree for i in tree.inputs}
    return Prediction(
        depth,
        search.layers_per_node * depth,
        any(a for _, a, *_ in found),
        tuple(tree for tree, *_ in found),
        tuple(i for i in range(inputs) if i not in used),
        max(left for *_, left, _ in found),
        min(near for *_, near in found),
        tuple(np.flatnonzero(jumps).tolist()),
    )


def _box(low, high, inputs: int) -> Box:
    box = Box(*(jnp.broadcast_to(jnp.asarray(end, jnp.float32), (inputs,)) for end in (low, high)))
    if not bool((jnp.isfinite(box.low) & jnp.isfinite(box.high) & (box.low < box.high)).all()):
        raise UserError(
            f"the box of inputs goes from {box.low.min()} to {box.high.max()}: low must be below "
            "high, and both finite"
        )
    return box


_WRAPPED: dict[tuple[Callable, bool], Callable] = {}


def _standard(f, data) -> Callable:
    """`((data, scale), x) -> [m]`, over the scale; the same object for the same f, so that compiled
    programs are found again.
    """
    alone = data is None
    if (f, alone) not in _WRAPPED:
        if len(_WRAPPED) > 64:
            _WRAPPED.clear()

        def call(d, x):
            found = jnp.atleast_1d(f(x) if alone else f(d[0], x))
            # What is not real is refused by its type, which a quotient would change.
            return found / d[1] if jnp.issubdtype(found.dtype, jnp.floating) else found

        _WRAPPED[f, alone] = call
    return _WRAPPED[f, alone]


def _outputs(call, data, inputs) -> int:
    try:
        result = jax.eval_shape(call, data, jax.ShapeDtypeStruct((inputs,), jnp.float32))
    except (
        jax.errors.TracerArrayConversionError,
        jax.errors.ConcretizationTypeError,
        jax.errors.TracerBoolConversionError,
    ) as error:
        raise UserError(
            f"the function cannot be differentiated by JAX ({_first_line(error)}): write it with "
            "jax.numpy, without if or float() on inputs"
        ) from error
    except Exception as error:  # whatever a user's function raises
        raise UserError(
            f"the function fails on an array of {inputs} inputs ({_first_line(error)}): correct "
            "it, or --inputs"
        ) from error
    if len(result.shape) != 1 or not jnp.issubdtype(result.dtype, jnp.floating):
        raise UserError(
            f"the function returns an array of shape {result.shape} and type {result.dtype}: it "
            "must return one real number or a vector"
        )
    _check_reads(call, data, inputs)
    return result.shape[0]


def _check_reads(call, data, inputs) -> None:
    """Refuse a function that reads past its inputs: JAX gives it the last one, NumPy an error."""
    try:
        with np.errstate(all="ignore"):  # a pole at zero is no news
            call(data, np.zeros(inputs, np.float32))
    except IndexError as error:
        raise UserError(
            f"the function reads more than {inputs} inputs ({_first_line(error)}): correct --inputs"
        ) from error
    except Exception:  # what works on JAX arrays alone; indices were not what failed
        return


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _grow(groups: list[Tree], score: Callable, inputs: int, tolerance: float, most: int):
    """`(tree or None, ambiguous, groups left over at the root, nearest score to the threshold)` of
    one output.
    """
    ambiguous, nearest, rows = False, 1.0, _row_count(len(groups), most)
    if not groups:
        return None, False, 0, nearest
    while len(groups) > 2:
        merged = False
        scored = _scored(groups, score, inputs, most, rows)
        for size in range(2, min(most, len(groups) - 1) + 1):
            mine = [(s, chosen) for s, chosen in scored if len(chosen) == size]
            nearest = min([nearest, *(abs(s - 1 + tolerance) for s, _ in mine)])
            good = [(s, chosen) for s, chosen in mine if s > 1 - tolerance]
            if good:
                ambiguous |= any(set(a) & set(b) for (_, a), (_, b) in combinations(good, 2))
                groups, merged = _merge(groups, good), True
                break
        if not merged:
            break
    left = len(groups)
    return (groups[0] if left == 1 else join(tuple(groups))), ambiguous, left, nearest


def _scored(groups, score, inputs, most, rows) -> list[tuple[float, tuple[int, ...]]]:
    """Scores of all subsets of 2 to `most` groups, always computed as the same number of rows."""
    chosen = [
        c
        for size in range(2, min(most, len(groups) - 1) + 1)
        for c in combinations(range(len(groups)), size)
    ]
    subsets = np.zeros((rows, inputs), bool)
    for row, members in enumerate(chosen):
        subsets[row, [i for m in members for i in groups[m].inputs]] = True
    return list(zip(score(subsets)[: len(chosen)].tolist(), chosen, strict=True))


def _row_count(groups: int, most: int) -> int:
    """Subsets of the first round, which has the most, rounded up to a multiple of 8."""
    count = sum(
        len(list(combinations(range(groups), size)))
        for size in range(2, min(most, max(groups - 1, 2)) + 1)
    )
    return -(-max(count, 1) // 8) * 8


def _merge(groups, good) -> list[Tree]:
    """Merge disjoint separable sets, shallowest first, then the best separated; sets that overlap
    an earlier one wait.
    """

    def depth(chosen):
        return sorted((groups[m].depth for m in chosen), reverse=True)

    taken: set[int] = set()
    new = []
    for s, chosen in sorted(good, key=lambda item: (depth(item[1]), -item[0])):
        if not taken & set(chosen):
            taken |= set(chosen)
            new.append(join(tuple(groups[m] for m in chosen), s))
    return [g for i, g in enumerate(groups) if i not in taken] + new
