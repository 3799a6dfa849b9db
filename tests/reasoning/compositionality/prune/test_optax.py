"""Pruning inside and outside the transformations of optax: pruned weights are zero, state keeps its
shapes, and a chain that goes on behind a pruning is refused.
"""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune import OneShot, magnitude_pruning
from reasoning.compositionality.prune.placement import mask_state

PARAMS = {
    "a": {"kernel": jax.random.normal(jax.random.key(0), (130, 130)), "bias": jnp.zeros(130)},
    "b": {"kernel": jax.random.normal(jax.random.key(1), (130, 4)), "bias": jnp.zeros(4)},
}
KERNELS = jax.tree.map(lambda leaf: leaf.ndim == 2, PARAMS)
LABELS = jax.tree.map(lambda leaf: "t" if leaf.ndim == 2 else "f", PARAMS)
LR = 1e-2

INSIDE = {
    **{
        name: getattr(optax, name)(LR)
        for name in (
            *("adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw"),
            *("adamw", "amsgrad", "fromage", "lamb", "lars", "lion", "nadam", "nadamw"),
            *("novograd", "radam", "rmsprop", "rprop", "sgd", "sign_sgd", "sm3", "yogi"),
        )
    },
    "noisy_sgd": optax.noisy_sgd(LR, key=0),
    "adan": optax.adan(LR),
    "optimistic": optax.optimistic_gradient_descent(LR),
    "small moments": optax.adam(LR, mu_dtype=jnp.bfloat16),
    "muon": optax.contrib.muon(LR),
    "prodigy": optax.contrib.prodigy(),
    "ademamix": optax.contrib.ademamix(LR),
    "dadapt": optax.contrib.dadapt_adamw(),
    "dowg": optax.contrib.dowg(),
    "schedule free": optax.contrib.schedule_free_adamw(LR),
    "hyperparameters": optax.inject_hyperparams(optax.adam)(learning_rate=LR),
    "clipped": optax.chain(optax.clip_by_global_norm(1.0), optax.adam(LR)),
    "masked": optax.masked(optax.adam(LR), KERNELS),
    "partition": optax.multi_transform({"t": optax.adam(LR), "f": optax.set_to_zero()}, LABELS),
    "averaged": optax.chain(optax.adam(LR), optax.ema(0.9)),
    "steps": optax.MultiSteps(optax.adam(LR), 2).gradient_transformation(),
    "finite": optax.apply_if_finite(optax.adam(LR), 3),
}


def prune(inner):
    return magnitude_pruning(inner, density=0.5, schedule=OneShot(at=2))


OUTSIDE = {
    "chain": optax.chain(optax.clip_by_global_norm(1.0), prune(optax.adam(LR))),
    "named chain": optax.named_chain(("clip", optax.clip(1.0)), ("prune", prune(optax.sgd(LR)))),
    "masked": optax.masked(prune(optax.adam(LR)), KERNELS),
    "partition": optax.multi_transform({"t": prune(optax.adam(LR)), "f": optax.sgd(LR)}, LABELS),
    "steps": optax.MultiSteps(prune(optax.adam(LR)), 2).gradient_transformation(),
    "finite": optax.apply_if_finite(prune(optax.adam(LR)), 3),
}
CASES = {f"inside {n}": prune(tx) for n, tx in INSIDE.items()} | {
    f"outside {n}": tx for n, tx in OUTSIDE.items()
}


@pytest.mark.parametrize("name", CASES)
def test_half_of_the_weights_stay_zero(name):
    tx = CASES[name]
    params = jax.tree.map(jnp.copy, PARAMS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some states cannot be donated
        state = tx.init(params)
        shapes = jax.tree.map(jnp.shape, state)

        @jax.jit
        def step(params, state):
            grads = jax.tree.map(lambda leaf: leaf + 0.1, params)
            updates, state = tx.update(grads, state, params)
            return optax.apply_updates(params, updates), state

        for _ in range(8):
            params, state = step(params, state)
    assert jax.tree.map(jnp.shape, state) == shapes
    for layer in params.values():
        assert float((layer["kernel"] == 0).mean()) == pytest.approx(0.5, abs=0.02)
        assert bool(jnp.isfinite(layer["kernel"]).all())


@pytest.mark.parametrize(
    "make",
    [
        lambda tx: optax.chain(tx, optax.add_decayed_weights(1e-3)),
        lambda tx: optax.chain(optax.clip(1.0), tx, optax.scale(0.5)),
        lambda tx: optax.named_chain(("prune", tx), ("decay", optax.add_decayed_weights(1e-3))),
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
    found = mask_state(state, masks)
    assert np.asarray(found["mu"]["kernel"]).tolist() == [[1, 0]]
    assert np.asarray(found["mu"]["inner"]["kernel"]).tolist() == [[0, 1]]
    assert np.asarray(found["elsewhere"]).tolist() == [[1, 1]]
    assert found["row"]["inner"]["kernel"].shape == (2,)
