"""Pruning inside and outside every transformation of optax: pruned weights are zero, state keeps
its shapes, is donated and comes back from a checkpoint; what would move pruned weights is refused.
"""

import functools
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune import OneShot, magnitude_pruning, rigl, saliency_pruning
from reasoning.compositionality.prune.placement import TRANSPARENT, mask_state

sys.path.insert(0, str(Path(__file__).parent))
import optax_catalog as catalog
from optax_catalog import LR, PARAMS, WRAPPERS

OPAQUE = sorted(WRAPPERS.keys() - set(TRANSPARENT))
"""Transformations that do not apply the updates of one inside them as they are."""


def prune(inner):
    return magnitude_pruning(inner, density=0.5, schedule=OneShot(at=1))


VARIANTS = {
    "small moments": optax.adam(LR, mu_dtype=jnp.bfloat16),
    "averaged": optax.chain(optax.adam(LR), optax.ema(0.9)),
    "frozen": optax.multi_transform(
        {"t": optax.adam(LR), "f": optax.set_to_zero()}, catalog.LABELS
    ),
}
CASES = {
    **{f"inside {name}": name for name in catalog.names()},
    **{f"behind {name}": name for name in catalog.names()},
    **{f"inside {name}": name for name in WRAPPERS if name != "lookahead"},
    **{f"outside {name}": name for name in WRAPPERS if name not in OPAQUE},
    **{f"inside {name}": name for name in VARIANTS},
}
QUICK = (
    *("inside adafactor", "inside muon", "inside sm3", "inside cocob", "inside lbfgs"),
    *("inside masked", "inside frozen", "inside MultiSteps", "inside schedule_free"),
    *("inside dpsgd", "behind adam", "outside chain", "outside masked", "outside multi_transform"),
    *("outside MultiSteps", "outside apply_if_finite"),
)
"""Cases of the default tests; the others compile for as long, and are slow ones."""


def transformation(case):
    side, name = case.split()[0], CASES[case]
    if side == "outside":
        return WRAPPERS[name](prune(optax.adam(LR)))
    if name in VARIANTS:
        return prune(VARIANTS[name])
    inner = WRAPPERS[name](optax.adam(LR)) if name in WRAPPERS else catalog.make(name)
    return prune(inner) if side == "inside" else optax.chain(inner, prune(optax.identity()))


@functools.cache
def trained(case):
    """Shapes of the state before, and `(params, state)` after some updates, jitted and donated."""
    name, params = CASES[case], jax.tree.map(jnp.copy, PARAMS)
    with warnings.catch_warnings(), jax.numpy_rank_promotion("allow"):  # optax promotes ranks
        warnings.simplefilter("ignore")  # some states cannot be donated
        tx = transformation(case)
        update = optax.with_extra_args_support(tx).update
        state = tx.init(params)
        shapes = jax.tree.map(jnp.shape, state)
        if not case.startswith("inside"):  # optax's own states may share arrays with parameters
            state = jax.tree.map(lambda a: jnp.copy(a) if isinstance(a, jax.Array) else a, state)

        @functools.partial(jax.jit, donate_argnums=(0, 1))
        def step(params, state):
            grads = jax.tree.map(lambda leaf: leaf + 0.1, params)
            more = catalog.arguments(name, params, grads)
            if name in catalog.PER_EXAMPLE:
                grads = jax.tree.map(lambda leaf: jnp.stack([leaf, 0.9 * leaf]), grads)
            updates, state = update(grads, state, params, **more)
            return optax.apply_updates(params, updates), state

        for _ in range(5):
            params, state = step(params, state)
    return shapes, params, state


def marked(cases):
    return [pytest.param(c, marks=[] if c in QUICK else [pytest.mark.slow]) for c in cases]


@pytest.mark.parametrize("case", marked(CASES))
def test_half_of_the_weights_stay_zero(case):
    shapes, params, state = trained(case)
    if CASES[case] not in catalog.UNSTEADY:
        assert jax.tree.map(jnp.shape, state) == shapes
    for layer in params.values():
        assert float((layer["kernel"] == 0).mean()) == pytest.approx(0.5, abs=0.02)
        assert bool(jnp.isfinite(layer["kernel"]).all())


@pytest.mark.parametrize("cases", [QUICK, pytest.param(tuple(CASES), marks=pytest.mark.slow)])
def test_states_come_back_from_a_checkpoint(cases, tmp_path):
    """Orbax saves no arrays without elements, and galore's own state has some."""
    states = {case: trained(case)[2] for case in cases}
    empty = {
        case for case in cases if any(leaf.size == 0 for leaf in jax.tree.leaves(states[case]))
    }
    assert all("galore" in case for case in empty)
    states = {str(n): states[case] for n, case in enumerate(cases) if case not in empty}
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "states", states)
        checkpointer.wait_until_finished()
        found = checkpointer.restore(tmp_path / "states", states)
    assert jax.tree.structure(found) == jax.tree.structure(states)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(states), strict=True):
        assert one.dtype == other.dtype and bool((one == other).all())


@pytest.mark.parametrize("name", OPAQUE)
def test_a_transformation_that_changes_its_updates_is_refused(name):
    with pytest.raises(UserError, match=f"optax's {name} does not apply"):
        WRAPPERS[name](prune(optax.sgd(LR))).init(PARAMS)


def test_two_copies_of_the_weights_are_refused():
    tx = prune(optax.lookahead(optax.sgd(LR), 2, 0.5))
    with pytest.raises(UserError, match="keeps two copies of the weights"):
        tx.init(optax.LookaheadParams.init_synced(PARAMS))


@pytest.mark.parametrize("pruning", [saliency_pruning, rigl])
def test_gradients_of_every_example_are_no_score(pruning):
    """They would be seen without the noise of differential privacy."""
    private = optax.contrib.differentially_private_aggregate(1.0, 0.1, key=0)
    tx = pruning(private, density=0.5)
    grads = jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), PARAMS)
    with pytest.raises(UserError, match="needs gradients of its shape"):
        tx.update(grads, tx.init(PARAMS), PARAMS)


def test_a_weight_that_comes_back_starts_as_at_the_beginning():
    """Adagrad's accumulators do not begin at zero."""
    tx = prune(optax.adagrad(LR, initial_accumulator_value=0.25))
    state, params, update = tx.init(PARAMS), PARAMS, jax.jit(tx.update)
    for _ in range(2):
        updates, state = update(PARAMS, state, params)
        params = optax.apply_updates(params, updates)
    found = state.inner_state[0].sum_of_squares["a"]["kernel"]
    pruned = state.masks["a"]["kernel"] == 0
    assert bool((found[pruned] == 0.25).all()) and bool((found[~pruned] > 0.25).all())


MATRICES = jax.tree.map(lambda leaf: leaf.ndim == 2, PARAMS)


@pytest.mark.parametrize(
    "make",
    [
        lambda tx: optax.chain(tx, optax.add_decayed_weights(1e-3)),
        lambda tx: optax.chain(optax.clip(1.0), tx, optax.scale(0.5)),
        lambda tx: optax.named_chain(("prune", tx), ("decay", optax.add_decayed_weights(1e-3))),
        # of the same kind as what holds the pruning
        lambda tx: optax.chain(optax.chain(optax.clip(1.0), tx), optax.adamw(1e-2)),
        lambda tx: optax.chain(
            optax.masked(tx, MATRICES), optax.masked(optax.add_decayed_weights(0.1), MATRICES)
        ),
        lambda tx: optax.chain(
            optax.named_chain(("prune", tx)), optax.named_chain(("decay", optax.scale(0.5)))
        ),
        lambda tx: optax.chain(tx, prune(optax.trace(0.9))),
        lambda tx: optax.chain(tx, tx),
    ],
)
def test_a_chain_that_goes_on_behind_it_is_refused(make):
    with pytest.raises(UserError, match="stand behind the pruning"):
        make(prune(optax.sgd(0.1))).init(PARAMS)


def test_only_leaves_with_shape_and_place_of_a_kernel_are_masked():
    masks = {"kernel": jnp.array([[1, 0]]), "inner": {"kernel": jnp.array([[0, 1]])}}
    ones = jnp.ones((1, 2))
    state = {
        "mu": {"kernel": ones, "inner": {"kernel": ones}},
        "row": {"kernel": jnp.ones(1), "inner": {"kernel": jnp.ones(2)}},
        "elsewhere": ones,
    }
    found = mask_state(state, masks, jax.tree.map(jnp.zeros_like, state))
    assert np.asarray(found["mu"]["kernel"]).tolist() == [[1, 0]]
    assert np.asarray(found["mu"]["inner"]["kernel"]).tolist() == [[0, 1]]
    assert np.asarray(found["elsewhere"]).tolist() == [[1, 1]]
    assert found["row"]["inner"]["kernel"].shape == (2,)
