"""The step on active latents is the dense one: gradients, terms and parameters after updates."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sae.transcoders import activations, losses, model, sparse, train_step
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig

SHAPE = TranscoderConfig(6, 6, 40, "topk", 3, centered=True, decoder_norm=1.0)
KINDS = {
    "topk": SHAPE,
    "batchtopk": replace(SHAPE, activation="batchtopk", k=2.5),
    "rescale": replace(SHAPE, activation="batchtopk", rescale=True),
    "transcoder": replace(SHAPE, d_out=4, centered=False, skip=True),
}


def rows(config, batch=32):
    keys = jax.random.split(jax.random.key(1), 2)
    x = jax.random.normal(keys[0], (batch, config.d_in))
    return x, x if config.centered else x @ jax.random.normal(keys[1], (6, config.d_out))


def params_of(config):
    """Rows of different lengths and biases, so that no term is 0."""
    made = model.init(jax.random.key(0), config)
    return made | {
        "W_dec": made["W_dec"] * jnp.linspace(0.5, 2, config.latents)[:, None],
        "b_enc": 0.1 * jax.random.normal(jax.random.key(3), (config.latents,)),
        "b_dec": 0.1 * jax.random.normal(jax.random.key(4), (config.d_out,)),
    }


@pytest.mark.parametrize("kind", KINDS)
def test_updates_on_active_latents_are_the_dense_ones(kind):
    config, loss = KINDS[kind], LossConfig(aux=1 / 32, aux_k=4)
    x, y = rows(config)
    after = []
    for step in ("dense", "sparse"):
        how = LearnConfig(1e-3, 0, 0.0, dead_after=64, step=step, unit_rows=False)
        assert losses.is_sparse(config, loss, losses.Given(), step) == (step == "sparse")
        learner = train_step.start(params_of(config), how)
        hparam = train_step.hparams(config, loss, how)

        def many(learner, hparam=hparam, how=how):
            def one(state, _):
                return train_step.update(state, hparam, x, y, config, loss, how, 40)

            return jax.lax.scan(one, learner, None, 6)

        after.append(jax.jit(many)(learner))
    (dense, terms), (found, others) = after
    for name, array in dense.params.items():
        np.testing.assert_allclose(found.params[name], array, atol=5e-6, err_msg=name)
    np.testing.assert_array_equal(found.silent, dense.silent)
    np.testing.assert_allclose(found.threshold, dense.threshold, rtol=1e-5)
    for name, value in terms._asdict().items():
        np.testing.assert_allclose(getattr(others, name), value, rtol=2e-5, err_msg=name)
    assert float(terms.aux[-1]) > 0 and float(terms.aux[0]) == 0  # both branches were taken


@pytest.mark.parametrize("kind", ["topk", "batchtopk"])
def test_every_gradient_is_that_of_the_dense_function(kind):
    config = KINDS[kind]
    x, _ = rows(config)
    params, pull = params_of(config), jax.random.normal(jax.random.key(5), x.shape)
    active, complete = sparse.choose(params, x, config)
    assert bool(complete)

    def dense(params, x):
        z = model.activate(params, model.pre_activations(params, x, config), config)
        return (model.decode(params, z) * pull).sum()

    def listed(params, x):
        return (sparse.reconstruct(config.centered, params, x, active) * pull).sum()

    wanted, found = jax.grad(dense, (0, 1))(params, x), jax.grad(listed, (0, 1))(params, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), wanted, found)


def test_an_example_with_many_active_latents_takes_the_dense_step():
    config = replace(KINDS["batchtopk"], k=2.0)
    params = params_of(config) | {"b_enc": jnp.zeros(40), "b_dec": jnp.zeros(6)}
    x, _ = rows(config)
    lone = 1e-3 * x.at[3].multiply(1e4)  # nearly everything that is active belongs to one example
    _, complete = sparse.choose(params, lone, config)
    assert not bool(complete)
    dead, given = jnp.zeros(40, bool), losses.Given()
    for inputs in (x, lone):
        grads = [
            losses.gradients(
                params, (inputs, inputs), dead, losses.Setting(config, LossConfig(), step), given
            )[0]
            for step in ("dense", "sparse")
        ]
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), *grads)


def test_places_of_the_largest_are_found_under_vmap():
    stacked = jax.random.normal(jax.random.key(0), (3, 5, 20))
    values, places = jax.vmap(lambda rows: activations.largest_of_rows(rows, 4))(stacked)
    np.testing.assert_array_equal(values, -np.sort(-np.asarray(stacked), -1)[..., :4])
    np.testing.assert_array_equal(np.take_along_axis(np.asarray(stacked), places, -1), values)


def test_few_latents_keep_the_dense_step():
    wide = replace(SHAPE, latents=sparse.LEAST_RATIO * 3)
    for config, expected in ((wide, True), (replace(wide, latents=wide.latents - 1), False)):
        assert losses.is_sparse(config, LossConfig(), losses.Given()) == expected
    asked = losses.is_sparse(wide, LossConfig(l1=1.0), losses.Given(), "sparse")
    assert not asked and not losses.is_sparse(wide, LossConfig(), losses.Given(k=2.0), "sparse")
