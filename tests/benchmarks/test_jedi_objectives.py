"""The objectives' formulas by hand numbers and NumPy, and their composition."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import jedi_objectives as objectives
from jaxrl.jedi.agent import init
from jaxrl.jedi.learn.world_model import jedi_loss
from jaxrl.jedi.presets import cpu
from jaxrl.replay.segment import Segment


@functools.cache
def directions(count, size):
    drawn = np.random.default_rng(5).normal(size=(count, size))
    return jnp.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True))


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_covariance_by_hand():
    x = jnp.asarray([[1.0, 2.0], [-1.0, -2.0], [9.0, 9.0]])
    weight = jnp.asarray([1.0, 1.0, 0.0])  # the third does not count
    # covariance (1*2 + 1*2) / (2 - 1) = 4, twice squared, over two dimensions
    assert objectives.covariance_loss(x, weight) == pytest.approx(16.0)
    independent = jnp.asarray([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert objectives.covariance_loss(independent, jnp.ones(4)) == 0


def test_covariance_as_numpy_has_it():
    x = np.asarray(normal(50, 6) @ normal(6, 6, seed=1))
    covariance = np.cov(x.T)
    expected = (covariance**2).sum() - (np.diag(covariance) ** 2).sum()
    found = objectives.covariance_loss(jnp.asarray(x), jnp.ones(50))
    assert found == pytest.approx(expected / 6, rel=1e-4)


def test_sigreg_as_a_slow_sum_has_it():
    x, a, total = np.asarray(normal(7, 3)), np.asarray(directions(4, 3)), []
    t = np.linspace(-5, 5, 17)
    for one in a:
        empirical = np.mean([np.exp(1j * t * (one @ row)) for row in x], axis=0)
        distance = np.abs(empirical - np.exp(-(t**2) / 2)) ** 2 * np.exp(-(t**2) / 2)
        total.append(7 * np.sum((distance[1:] + distance[:-1]) / 2) * (t[1] - t[0]))
    weighed = jnp.concatenate([jnp.asarray(x), 100 + normal(2, 3)])
    weight = jnp.asarray([1.0] * 7 + [0.0] * 2)
    found = objectives.sigreg_loss(weighed, weight, jnp.asarray(a, jnp.float32))
    assert found == pytest.approx(np.mean(total), rel=1e-4)


def test_sigreg_knows_a_normal_sample_from_a_collapsed_one():
    ones, a = jnp.ones(256), directions(16, 8)
    good = objectives.sigreg_loss(normal(256, 8), ones, a)
    collapsed = objectives.sigreg_loss(jnp.full((256, 8), 0.3), ones, a)
    narrow = objectives.sigreg_loss(0.3 * normal(256, 8), ones, a)
    assert good < 2 < 20 < narrow < collapsed


def test_barlow_of_equal_uncorrelated_views_is_zero():
    x = 30 * jnp.asarray([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert objectives.barlow_loss(x, x, jnp.ones(4)) == pytest.approx(0, abs=1e-6)
    # opposite views: (1 + 1)^2 in each dimension
    assert objectives.barlow_loss(x, -x, jnp.ones(4)) == pytest.approx(4, rel=1e-4)
    # equal dimensions: the diagonal is right, both others are 1
    equal = x[:, :1] * jnp.ones((1, 2))
    found = objectives.barlow_loss(equal, equal, jnp.ones(4), off_diagonal=0.5)
    assert found == pytest.approx(0.5, rel=1e-4)


def test_barlow_as_numpy_has_it():
    x, y = np.asarray(normal(40, 5)), np.asarray(normal(40, 5, seed=1))
    c = np.corrcoef(x.T, y.T)[:5, 5:]
    expected = ((1 - np.diag(c)) ** 2).sum() + 0.1 * (c**2).sum() - 0.1 * (np.diag(c) ** 2).sum()
    found = objectives.barlow_loss(jnp.asarray(x), jnp.asarray(y), jnp.ones(40), 0.1)
    assert found == pytest.approx(expected / 5, rel=1e-3)


def test_positions_do_not_mix():
    z = normal(9, 2, 3, 4)
    each = [objectives.covariance_loss(z[:, i, j], jnp.ones(9)) for i in range(2) for j in range(3)]
    found = objectives.by_position(lambda x: objectives.covariance_loss(x, jnp.ones(9)), z)
    assert found == pytest.approx(np.mean(each), rel=1e-5)


@pytest.fixture(scope="module")
def problem():
    agent = cpu("Breakout").agent
    agent = replace(
        agent,
        denoiser=replace(agent.denoiser, widths=(16,), cond_width=16),
        encoder=replace(agent.encoder, widths=(8, 8, 8), channels=4),
        world_model=replace(agent.world_model, autoregressive_steps=3),
        sampler=replace(agent.sampler, steps=2),
    )
    state = init(agent, 3, (16, 16, 3), jax.random.key(0))
    generator = np.random.default_rng(0)
    frame = generator.integers(0, 255, (4, 5, 16, 16, 3)).astype(np.uint8)
    seen = np.ones((4, 5), bool)
    seen[0, :2] = False  # padding
    nothing = np.zeros((4, 5), bool)
    action = generator.integers(0, 3, (4, 5)).astype(np.int32)
    batch = Segment(frame, action, np.zeros((4, 5), np.float32), nothing, nothing, seen, seen)
    batch = jax.tree.map(jnp.asarray, batch)
    # A fresh denoiser's last layer is zero: move all parameters, so that outputs depend on them.
    leaves, tree = jax.tree.flatten(state.world.params)
    moved = [leaf + 0.1 * normal(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)]
    params = jax.tree.unflatten(tree, moved)
    return state.replace(world=state.world.replace(params=params)), batch


def test_the_plain_objective_is_the_library_s(problem):
    state, batch = problem
    key, change = jax.random.key(1), jnp.ones(state.spec.latent_shape)
    found, (metrics, same) = objectives.plain(state.world.params, state, batch, key, change)
    expected, _ = jedi_loss(state.world.params, state, batch, key)
    assert found == pytest.approx(float(expected), rel=1e-6)
    assert metrics["loss"] == found and (same == change).all()


def test_weights_of_one_change_nothing(problem):
    state, batch = problem
    parts = objectives.parts_of(state.world.params, state, batch, jax.random.key(1))
    weight = jnp.ones(state.spec.latent_shape)
    found = objectives.weighted_denoising(state, parts, weight)
    assert found == pytest.approx(float(objectives.denoising_of(parts)), rel=1e-5)


def test_the_running_variance_of_change_by_hand(problem):
    state, batch = problem
    parts = objectives.parts_of(state.world.params, state, batch, jax.random.key(1))
    z = np.concatenate([parts.z[:, -1:], parts.targets], axis=1)
    steps = (z[:, 1:] - z[:, :-1]) ** 2
    real = [(b, s) for b in range(4) for s in range(3) if b or s]  # the first step leaves padding
    expected = 0.99 * 2.0 + 0.01 * np.mean([steps[b, s] for b, s in real], axis=0)
    before = jnp.full(state.spec.latent_shape, 2.0)
    np.testing.assert_allclose(objectives.running_change(parts, before), expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name", ["vicreg", "sigreg", "barlow", "change_weighted", "change_normalized"]
)
def test_an_objective_differs_from_the_plain_one_and_trains_the_encoder(name, problem):
    state, batch = problem
    change, key = jnp.square(normal(*state.spec.latent_shape)), jax.random.key(1)

    def loss(objective, params):
        return objective(params, state, batch, key, change)[0]

    params = state.world.params
    plain, grads = jax.value_and_grad(functools.partial(loss, objectives.plain))(params)
    other, changed = jax.value_and_grad(functools.partial(loss, getattr(objectives, name)))(params)
    assert np.isfinite(other) and abs(other - plain) > 1e-4
    a, b = (jax.flatten_util.ravel_pytree(g["encoder"])[0] for g in (grads, changed))
    assert np.isfinite(b).all() and np.abs(a - b).max() > 1e-5


def test_sampled_context_keeps_the_first_step_and_changes_the_later_ones(problem):
    state, batch = problem
    key, change = jax.random.key(1), jnp.ones(state.spec.latent_shape)
    plain, _ = objectives.plain(state.world.params, state, batch, key, change)
    grads, (metrics, _) = jax.grad(objectives.sampled_context, has_aux=True)(
        state.world.params, state, batch, key, change
    )
    assert np.isfinite(metrics["loss"]) and metrics["loss"] != plain
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))
