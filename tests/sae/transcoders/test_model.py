"""Transcoders of every kind: shapes, limits, folding, training and what is refused."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.transcoders import baselines, losses, model, train_step
from sae.transcoders.flax_module import Transcoder
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig

SHAPE = TranscoderConfig(5, 3, 12, k=4, encoder_norm=1.0)
KINDS = {
    "relu": replace(SHAPE, activation="relu"),
    "topk": replace(SHAPE, activation="topk"),
    "batchtopk": replace(SHAPE, rescale=True),
    "jumprelu": replace(SHAPE, activation="jumprelu", bandwidth=0.5),
    "gated": replace(SHAPE, activation="gated"),
    "groupmax": replace(SHAPE, activation="groupmax"),
    "step": replace(SHAPE, activation="step"),
    "skip": replace(SHAPE, activation="topk", skip=True),
    "matryoshka": replace(SHAPE, activation="topk", prefixes=(3, 6, 12)),
    "separate": replace(
        SHAPE, activation="topk", prefixes=(3, 6, 12), block_ks=(1, 1, 2), separate=True
    ),
    "autoencoder": TranscoderConfig(5, 5, 12, "topk", 4, centered=True, encoder_norm=1.0),
}


QUICK = ("batchtopk", "jumprelu", "matryoshka", "skip")


@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS],
)
def test_one_update_of_every_kind_lowers_the_loss_and_keeps_shapes(kind):
    config = KINDS[kind]
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (64, config.d_in))
    y = x if config.centered else jax.nn.relu(x @ jax.random.normal(keys[1], (5, 3)))
    loss = LossConfig(l1=1e-3, aux_k=4, l0=1e-3 if kind == "jumprelu" else 0.0)
    how = LearnConfig(1e-2, 0, 0.0, dead_after=64, unit_rows=kind != "separate")
    params = model.init(keys[2], config, y.mean(0))
    learner, hparam = train_step.start(params, how), train_step.hparams(config, loss, how)

    def many(learner):
        def step(state, _):
            return train_step.update(state, hparam, x, y, config, loss, how, 40)

        return jax.lax.scan(step, learner, None, 40)

    after, found = jax.jit(many)(learner)
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, learner)
    assert found.total[-1] < 0.9 * found.total[0]
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(after.params))
    if how.unit_rows:
        np.testing.assert_allclose(model.row_norms(after.params), 1, rtol=1e-5)
    if kind == "jumprelu":  # below 0 latents would be negative in training, but not in use
        assert (after.params["threshold"] >= 0).all() and (after.params["threshold"] == 0).any()
    used = train_step.trained(after, hparam, config)
    z = model.encode(used, x, config)
    assert z.shape == (64, 12) and (z >= 0).all()
    alone = model.encode(used, x[7], config)
    np.testing.assert_allclose(alone, z[7], atol=1e-5)  # in use every example is by itself
    if kind in ("topk", "skip", "separate", "autoencoder", "groupmax"):
        assert int((z > 0).sum(-1).max()) <= 4


@pytest.mark.parametrize(
    "kind", ["relu", "topk", "batchtopk", "jumprelu", "gated", "groupmax", "skip"]
)
def test_folding_row_lengths_leaves_the_function(kind):
    config = (
        replace(KINDS[kind], rescale=False) if kind in ("topk", "groupmax", "skip") else KINDS[kind]
    )
    params = model.init(jax.random.key(1), config)
    params |= {
        "W_dec": params["W_dec"] * jnp.linspace(0.5, 3, 12)[:, None],
        "b_enc": jnp.linspace(-1, 1, 12),
    }
    if kind in (
        "topk",
        "groupmax",
        "skip",
    ):  # which are the largest must not depend on lengths: give all the same
        params["W_dec"] = 2.5 * model.unit(params["W_dec"])
    if kind == "batchtopk":
        params["threshold"] = jnp.float32(0.4)
    x = jax.random.normal(jax.random.key(2), (50, 5))
    folded = model.fold_norms(params, config.rescale)
    np.testing.assert_allclose(model.row_norms(folded), 1, rtol=1e-5)
    np.testing.assert_allclose(
        model.reconstruct(folded, x, config), model.reconstruct(params, x, config), atol=1e-5
    )


def test_permuting_latents_changes_nothing():
    config, order = KINDS["topk"], np.random.default_rng(0).permutation(12)
    params = model.init(jax.random.key(1), config)
    other = params | {
        "W_enc": params["W_enc"][:, order],
        "b_enc": params["b_enc"][order],
        "W_dec": params["W_dec"][order],
    }
    x = jax.random.normal(jax.random.key(2), (20, 5))
    np.testing.assert_allclose(
        model.reconstruct(other, x, config), model.reconstruct(params, x, config), atol=1e-6
    )


def test_nested_estimates_are_those_of_cut_transcoders():
    config = KINDS["matryoshka"]
    params = model.init(jax.random.key(1), config)
    z = jax.random.uniform(jax.random.key(2), (4, 12))
    for width, estimate in zip(config.prefixes, model.nested(params, z, config), strict=True):
        expected = np.asarray(z)[:, :width] @ np.asarray(params["W_dec"])[:width]
        np.testing.assert_allclose(estimate, expected, atol=1e-5)
    own = model.init(jax.random.key(1), KINDS["separate"])
    own["levels"]["3"]["W_dec"] = jnp.ones((3, 3))
    first = model.nested(own, z, KINDS["separate"])[0]
    np.testing.assert_allclose(
        first, np.broadcast_to(np.asarray(z)[:, :3].sum(1, keepdims=True), (4, 3)), atol=1e-5
    )


def test_nobody_asleep_costs_nothing_and_shapes_stay():
    config = KINDS["topk"]
    params = model.init(jax.random.key(1), config)
    pre, rest = jax.random.normal(jax.random.key(2), (8, 12)), jnp.ones((8, 3))
    of = jax.jit(
        lambda dead: losses.auxiliary(params, pre, rest, dead, config, LossConfig(aux_k=4))
    )
    assert of(jnp.zeros(12, bool)) == 0
    half = of(jnp.arange(12) < 2)  # two of four dead: half the weight
    chosen = np.maximum(np.asarray(pre)[:, :2], 0) @ np.asarray(params["W_dec"])[:2]
    np.testing.assert_allclose(half, 0.5 * np.square(1 - chosen).sum(1).mean(), rtol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "autoencoder"])
def test_scaling_is_folded_away(kind):
    config = KINDS[kind]
    keys = jax.random.split(jax.random.key(0), 5)
    x, y = 3 + 5 * jax.random.normal(keys[0], (40, 5)), 0.01 * jax.random.normal(keys[1], (40, 3))
    scale = train_step.scaling(x, y)
    np.testing.assert_allclose(
        jnp.square((x - scale.shift_x[None]) * scale.scale_x).sum(-1).mean(), 5, rtol=1e-4
    )
    params = model.init(keys[2], config)
    params |= {
        name: 0.3 * jax.random.normal(keys[3], params[name].shape)
        for name in ("b_enc", "gate_bias")
        if name in params
    }
    if config.skip:
        params["W_skip"] = jax.random.normal(keys[3], (5, 3))
    if config.activation == "gated":
        params["gate_scale"] = 0.3 * jax.random.normal(keys[4], (12,))
    if config.activation == "batchtopk":
        params["threshold"] = jnp.float32(0.05)
    small, folded = (
        (x - scale.shift_x[None]) * scale.scale_x,
        train_step.fold_scaling(params, scale, config.rescale),
    )
    z = model.encode(params, small, config)
    assert 0 < (z > 0).mean() < 1
    np.testing.assert_allclose(model.encode(folded, x, config), z, atol=1e-4)
    estimates = model.nested(params, z, config, small), model.nested(folded, z, config, x)
    for scaled, raw in zip(*estimates, strict=True):
        np.testing.assert_allclose(raw, scaled / scale.scale_y, rtol=1e-4, atol=1e-6)


def test_folding_row_lengths_keeps_every_level_of_its_own():
    config = replace(KINDS["separate"], activation="relu", block_ks=())
    params = model.init(jax.random.key(1), config)
    params["W_dec"] *= jnp.linspace(0.5, 3, 12)[:, None]
    x = jax.random.normal(jax.random.key(2), (9, 5))

    def every(p):
        return model.nested(p, model.encode(p, x, config), config)

    for mine, other in zip(every(params), every(model.fold_norms(params)), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_latents_that_a_member_lacks_get_no_gradient():
    config = KINDS["jumprelu"]
    params = model.init(jax.random.key(1), config)
    x, there = jax.random.normal(jax.random.key(2), (30, 5)), jnp.arange(12) < 7

    def of(p):
        return losses.parts(
            p, x, x[:, :3], jnp.zeros(12, bool), config, LossConfig(l0=1.0), active=there
        ).total

    grads = jax.grad(of)(params)
    assert (grads["threshold"][7:] == 0).all() and (grads["threshold"][:7] != 0).any()
    assert (grads["W_enc"][:, 7:] == 0).all()


@pytest.mark.parametrize("name", baselines.PRESETS)
def test_presets_are_trainable(name):
    setting = baselines.resized(baselines.PRESETS[name](), 64, 8)
    config = replace(setting.transcoder, d_in=6, d_out=6)
    model.check(config)
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), config))
    rows = jax.ShapeDtypeStruct((16, 6), jnp.float32)
    found = jax.eval_shape(
        lambda p, x, y: losses.parts(p, x, y, jnp.zeros(64, bool), config, setting.loss),
        params,
        rows,
        rows,
    )
    assert found.total.shape == ()


def test_the_module_is_the_functions():
    config = KINDS["topk"]
    module, x = Transcoder(config), jax.random.normal(jax.random.key(0), (4, 5))
    variables = module.init(jax.random.key(1), x)
    estimate, z = module.apply(variables, x)
    expected = model.reconstruct(variables["params"]["weights"], x, config)
    np.testing.assert_allclose(estimate, expected, atol=1e-6)
    assert z.shape == (4, 12)


def test_warm_up_plateau_and_decay():
    how = LearnConfig(warmup=10, decay=0.2)
    factors = [
        float(train_step.rate_factor(jnp.int32(i), 100, how)) for i in (0, 5, 10, 79, 90, 100)
    ]
    np.testing.assert_allclose(factors, [0, 0.5, 1, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (dict(k=13), "k is 13"),
        (dict(k=0), "k is 0"),
        (dict(centered=True), "d_in = d_out"),
        (dict(activation="groupmax", k=5), "no multiple"),
        (dict(prefixes=(6, 3)), "must grow"),
        (dict(latents=0), "at least 1"),
        (dict(activation="topk", k=0.5), "whole latents"),
        (dict(activation="groupmax", k=2.5), "no multiple"),
        (dict(activation="relu", rescale=True), "rescale is about"),
        (dict(prefixes=(0, 12)), "from at least 1"),
        (dict(separate=True), "belong to prefixes"),
        (dict(prefixes=(6, 12), block_ks=(1, 2)), "need activation topk"),
    ],
)
def test_impossible_shapes_are_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        model.init(jax.random.key(0), replace(SHAPE, **change))


def test_a_loss_that_does_not_fit_is_refused():
    with pytest.raises(UserError, match="prefix_weights has 2 entries for 3 prefixes"):
        losses.check(LossConfig(prefix_weights=(0.5, 0.5)), KINDS["matryoshka"])
    with pytest.raises(UserError, match="l0_target is 0"):
        losses.check(LossConfig(l0_form="target", l0_target=0), SHAPE)


def test_the_count_of_silent_examples_never_overflows():
    how, loss = LearnConfig(1e-3, 0, 0.0), LossConfig()
    learner = train_step.start(model.init(jax.random.key(0), SHAPE), how)
    dead = learner._replace(silent=jnp.full(12, 2**31 - 5, jnp.int32))
    x, y = jnp.zeros((64, 5)), jnp.ones((64, 3))  # with zero inputs and biases nothing fires
    hparam = train_step.hparams(SHAPE, loss, how)
    after, _ = train_step.update(dead, hparam, x, y, SHAPE, loss, how, 10)
    assert (after.silent > how.dead_after).all()
