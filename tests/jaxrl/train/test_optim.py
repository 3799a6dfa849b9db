"""The optimizer against AdamW written out in float64: decay, its mask, warm-up, clipping."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.train.optim import OptimConfig, adamw, decay_mask
from jaxrl.train.state import apply_gradients, init_learner

PARAMS = {
    "dense": {"kernel": np.array([[1.0, -2.0], [0.5, 3.0]]), "bias": np.array([1.0, -1.0])},
    "norm": {"scale": np.array([2.0])},
}


def gradients(updates):
    rng = np.random.default_rng(0)
    return [jax.tree.map(lambda p: rng.normal(size=p.shape), PARAMS) for _ in range(updates)]


def slow_adamw(config, grads):
    """Loshchilov and Hutter, algorithm 2, after clipping by the global norm."""
    p = jax.tree.map(lambda a: a.copy(), PARAMS)
    m, v = jax.tree.map(np.zeros_like, p), jax.tree.map(np.zeros_like, p)
    for t, g in enumerate(grads):
        norm = np.sqrt(sum((leaf**2).sum() for leaf in jax.tree.leaves(g)))
        g = jax.tree.map(lambda leaf, norm=norm: leaf * min(1, config.clip_norm / norm), g)
        rate = config.learning_rate * (min(1, t / config.warmup) if config.warmup else 1)
        m = jax.tree.map(lambda m, g: config.beta1 * m + (1 - config.beta1) * g, m, g)
        v = jax.tree.map(lambda v, g: config.beta2 * v + (1 - config.beta2) * g**2, v, g)
        for layer, name in (("dense", "kernel"), ("dense", "bias"), ("norm", "scale")):
            m_hat = m[layer][name] / (1 - config.beta1 ** (t + 1))
            v_hat = v[layer][name] / (1 - config.beta2 ** (t + 1))
            decay = config.weight_decay * p[layer][name] if name == "kernel" else 0
            p[layer][name] = p[layer][name] - rate * (
                m_hat / (np.sqrt(v_hat) + config.epsilon) + decay
            )
    return p


def train(config, grads):
    optimizer = adamw(config)
    learner = init_learner(jax.tree.map(jnp.float32, PARAMS), optimizer)
    update = jax.jit(functools.partial(apply_gradients, optimizer=optimizer))
    norms = []
    for g in grads:
        learner, norm = update(learner, jax.tree.map(jnp.float32, g))
        norms.append(float(norm))
    return learner, norms


@pytest.mark.parametrize(
    "config",
    [
        OptimConfig(learning_rate=0.1, weight_decay=0.3, clip_norm=1.0, warmup=3),
        OptimConfig(
            learning_rate=0.1,
            weight_decay=0.0,
            clip_norm=100.0,
            warmup=0,
            beta1=0.8,
            beta2=0.9,
            epsilon=0.01,
        ),
    ],
    ids=["clipped, decayed, warmed up", "plain"],
)
def test_five_updates_equal_adamw_written_out(config):
    learner, _ = train(config, gradients(5))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5),
        learner.params,
        slow_adamw(config, gradients(5)),
    )
    assert int(learner.updates) == 5


def test_the_first_update_of_a_warm_up_moves_nothing_and_the_second_does():
    config = OptimConfig(learning_rate=0.1, warmup=4)
    first, _ = train(config, gradients(1))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, np.float32(b)), first.params, PARAMS)
    second, _ = train(config, gradients(2))
    assert (np.abs(second.params["dense"]["kernel"] - PARAMS["dense"]["kernel"]) > 1e-3).all()


def test_the_reported_norm_is_that_before_clipping():
    grads = gradients(1)
    _, norms = train(OptimConfig(clip_norm=1e-3), grads)
    np.testing.assert_allclose(
        norms[0], np.sqrt(sum((g**2).sum() for g in jax.tree.leaves(grads[0]))), rtol=1e-6
    )


def test_only_weights_of_layers_decay():
    tree = {
        "a": {"kernel": 0, "bias": 0},
        "lstm": {"kernel_ih": 0, "kernel_hh": 0, "bias_ih": 0, "bias_hh": 0},
        "norm": {"scale": 0, "bias": 0},
        "table": {"embedding": 0},
        "noise": {"frequencies": 0},
    }
    assert decay_mask(tree) == {
        "a": {"kernel": True, "bias": False},
        "lstm": {"kernel_ih": True, "kernel_hh": True, "bias_ih": False, "bias_hh": False},
        "norm": {"scale": False, "bias": False},
        "table": {"embedding": False},
        "noise": {"frequencies": False},
    }


def test_without_gradient_only_weights_shrink():
    zeros = jax.tree.map(np.zeros_like, PARAMS)
    learner, _ = train(OptimConfig(learning_rate=0.1, weight_decay=0.5, warmup=0), [zeros, zeros])
    np.testing.assert_allclose(
        learner.params["dense"]["kernel"], PARAMS["dense"]["kernel"] * 0.95**2, rtol=1e-6
    )
    np.testing.assert_array_equal(learner.params["dense"]["bias"], PARAMS["dense"]["bias"])
    np.testing.assert_array_equal(learner.params["norm"]["scale"], PARAMS["norm"]["scale"])
