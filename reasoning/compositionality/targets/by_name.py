"""Targets by the names that the command line takes."""

import functools

from jaxrl.app.errors import UserError
from reasoning.compositionality.targets import boolean, controls, cppn, genome, symbolic, trees
from reasoning.compositionality.targets.graph import Target

FAMILIES = {
    "tanh_tree": trees.tanh_tree,
    "mix_tree": trees.mix_tree,
    "chain": trees.chain,
    "reuse": trees.reuse,
    "boolean": boolean.boolean_graph,
    "cmsp": boolean.cmsp,
    "cppn": cppn.random_cppn,
    "nondecomposable": controls.nondecomposable,
}
"""Families whose arguments are integers, besides `symbolic:NAME`, `genome:FILE`, `permuted:TARGET`
and `distractor:TARGET`.
"""


def target_by_name(name: str) -> Target:
    """A target such as "tanh_tree:3", "mix_tree:2", "chain:4", "reuse:3", "boolean:3", "cmsp",
    "cppn:0", "symbolic:distance", "genome:skull.zip", "nondecomposable:4", "permuted:tanh_tree:2",
    "distractor:tanh_tree:2".

    Raises:
      UserError: there is no such family, or its arguments do not fit.
    """
    # A genome's file may change between two calls; all other names stand for one target.
    return _build(name) if "genome:" in name else _cached(name)


def _build(name: str) -> Target:
    family, _, rest = name.partition(":")
    if family == "symbolic":
        return symbolic.symbolic(rest)
    if family == "genome":
        return genome.read_genome(rest)
    if family in ("permuted", "distractor"):
        return getattr(controls, family)(target_by_name(rest))
    if family not in FAMILIES:
        raise UserError(
            f"there is no target {name!r}: choose {', '.join(FAMILIES)}, symbolic, genome, "
            "permuted or distractor, as in tanh_tree:3"
        )
    try:
        return FAMILIES[family](*(int(word) for word in rest.split(":") if word))
    except (TypeError, ValueError):
        raise UserError(
            f"target {name!r}: {family} takes integers after colons, as in tanh_tree:3"
        ) from None


_cached = functools.lru_cache(maxsize=64)(_build)
"""The same object for the same name, so that programs compiled for a target are found again."""
