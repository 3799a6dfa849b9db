"""Ensembles: a member in company is the member alone, devices do not matter, grids, a planted
dictionary, resumption.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train.parallel import data_mesh
from sae import metrics
from sae.patterns import catalogue
from sae.patterns.matching import MatchConfig
from sae.pipeline.train_ensemble import Devices, Examples, train_ensemble
from sae.transcoders import ensemble, model, train_step
from sae.transcoders.ensemble import EnsembleConfig
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig, Setting

SHAPE = TranscoderConfig(8, 6, 16, k=3)
LOSS, HOW = LossConfig(aux_k=2), LearnConfig(3e-3, 10, dead_after=500)
SETTING = Setting(SHAPE, LOSS, HOW)
CONFIG = EnsembleConfig(members=4, updates=100, batch=32, chunk=100, ks=(2.0, 3.0), widths=(16, 12))


@pytest.fixture(scope="module")
def rows():
    keys = jax.random.split(jax.random.key(5), 2)
    x = jax.random.normal(keys[0], (300, 8))
    return np.asarray(x), np.asarray(jax.nn.relu(x @ jax.random.normal(keys[1], (8, 6))))


def trained(config, rows, mesh=None, form="jit", at_once=None):
    store, scale = ensemble.store_of(*rows, SHAPE)
    hparams, keys = ensemble.grid(config, SHAPE, LOSS, HOW), ensemble.member_keys(config)
    run = ensemble.program(config, SETTING, mesh, form, at_once)
    learners = ensemble.start(config, SHAPE, HOW, store.y.mean(0))
    learners, trace = run(learners, (hparams, keys), (store, jnp.int32(0)))
    return ensemble.finish(learners, hparams, SHAPE, scale), trace


@pytest.fixture(scope="module")
def whole(rows):
    return trained(CONFIG, rows)


def test_a_member_in_company_is_the_member_alone(rows, whole):
    params, trace = whole
    store, scale = ensemble.store_of(*rows, SHAPE)
    key = ensemble.member_keys(CONFIG)[3]
    every = ensemble.grid(CONFIG, SHAPE, LOSS, HOW)
    hparam = jax.tree.map(lambda a: a[3], every)
    assert float(hparam.k) == 3 and int(hparam.width) == 12
    learner = train_step.start(model.init(jax.random.fold_in(key, 0), SHAPE, store.y.mean(0)), HOW)

    @jax.jit
    def one(learner, number):
        seen = ensemble.rows_for(key, CONFIG, number, len(store.x))
        return train_step.update(
            learner, hparam, store.x[seen], store.y[seen], *SETTING, CONFIG.updates
        )[0]

    for number in range(100):
        learner = one(learner, number)
    alone = train_step.fold_scaling(train_step.trained(learner, hparam, SHAPE), scale)
    for name, array in alone.items():
        np.testing.assert_allclose(params[name][3], array, atol=1e-5, err_msg=name)
    assert (np.asarray(params["W_dec"][3][12:]) == 0).all()
    assert trace.fvu[-1].max() < 0.7 * trace.fvu[0].max()


@pytest.mark.parametrize("sampling", ["shared", "bootstrap"])
def test_members_in_turn_are_members_at_once(rows, sampling):
    config = replace(CONFIG, sampling=sampling, updates=40, chunk=40)
    (params, trace), (others, other_trace) = (
        trained(config, rows, at_once=at_once) for at_once in (False, True)
    )
    for name, array in params.items():
        np.testing.assert_allclose(others[name], array, atol=1e-5, err_msg=name)
    assert trace.fvu.shape == (40, 4)
    np.testing.assert_allclose(other_trace.fvu, trace.fvu, rtol=1e-4)


@pytest.mark.parametrize(
    ("devices", "form"), [(2, "jit"), pytest.param(4, "jit", marks=pytest.mark.slow), (4, "pmap")]
)
def test_devices_do_not_matter(rows, whole, devices, form):
    params, trace = trained(CONFIG, rows, data_mesh(devices), form)
    for name, array in whole[0].items():
        np.testing.assert_allclose(params[name], array, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(trace.fvu, whole[1].fvu, rtol=1e-4)


def test_members_see_different_examples_and_all_of_them_the_same_if_shared():
    keys = ensemble.member_keys(CONFIG)

    def seen(config, m, update):
        return np.asarray(ensemble.rows_for(keys[m], config, jnp.int32(update), 1000))

    assert (seen(CONFIG, 0, 0) != seen(CONFIG, 1, 0)).any()
    assert (seen(CONFIG, 0, 0) != seen(CONFIG, 0, 1)).any()
    shared = replace(CONFIG, sampling="shared")
    np.testing.assert_array_equal(seen(shared, 0, 5), seen(shared, 1, 5))


def test_a_bootstrap_leaves_out_its_share_of_examples():
    config = replace(CONFIG, batch=4000)
    key = ensemble.member_keys(config)[0]
    drawn = np.concatenate(
        [np.asarray(ensemble.rows_for(key, config, jnp.int32(i), 500)) for i in range(4)]
    )
    assert len(np.unique(drawn)) == pytest.approx(500 * (1 - np.exp(-1)), rel=0.06)
    small = replace(config, fraction=0.1)
    assert len(np.unique(ensemble.rows_for(key, small, jnp.int32(0), 500))) <= 50


def test_a_part_of_the_examples_is_resampled_evenly():
    config = replace(CONFIG, batch=30_000, fraction=0.6)
    key = ensemble.member_keys(config)[0]
    own = jax.random.fold_in(key, 2)
    entries = jax.vmap(lambda j: jax.random.randint(jax.random.fold_in(own, j), (), 0, 500))(
        jnp.arange(300)
    )
    often = np.bincount(np.asarray(entries), minlength=500)
    drawn = np.bincount(
        np.asarray(ensemble.rows_for(key, config, jnp.int32(0), 500)), minlength=500
    )
    np.testing.assert_allclose(drawn[often > 0] / often[often > 0], 100, rtol=0.5)


def test_members_use_the_k_that_they_were_trained_with(rows):
    shape = replace(SHAPE, activation="topk", k=5)
    config = replace(CONFIG, updates=2, chunk=2, widths=())
    store, scale = ensemble.store_of(*rows, shape)
    hparams = ensemble.grid(config, shape, LOSS, HOW)
    params = ensemble.finish(
        ensemble.start(config, shape, HOW, store.y.mean(0)), hparams, shape, scale
    )
    active = np.asarray((ensemble.encode_all(params, jnp.asarray(rows[0]), shape) > 0).sum(-1))
    assert active.max(1).tolist() == [2, 3, 2, 3]


def test_modalities_are_hidden_from_members(rows):
    config = replace(CONFIG, updates=5, chunk=5, widths=(), ks=())
    masks = np.array([[1, 1, 1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 1, 1, 1, 1]])
    hparams = ensemble.grid(config, SHAPE, LOSS, HOW, masks)
    learners = ensemble.start(config, SHAPE, HOW, jnp.zeros(6))
    _, scale = ensemble.store_of(*rows, SHAPE)
    params = ensemble.finish(learners, hparams, SHAPE, scale)
    assert (np.asarray(params["W_enc"][0, 4:]) == 0).all() and (
        np.asarray(params["W_enc"][1, :4]) == 0
    ).all()


def test_training_resumes_exactly_where_it_was_stopped(rows, tmp_path):
    config = replace(CONFIG, members=2, updates=40, chunk=10, ks=(), widths=())

    def make(folder, stop=lambda: False):
        return train_ensemble(folder, Examples(*rows), config, SETTING, stop=stop)

    whole = make(tmp_path / "whole")
    calls = iter([False, True])
    assert make(tmp_path / "parts", lambda: next(calls)) is None
    again = make(tmp_path / "parts")
    jax.tree.map(np.testing.assert_array_equal, whole, again)
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 4 and "fvu_worst" in lines[-1]


def test_concatenated_members_are_their_mean(rows, whole):
    params, _ = whole
    x = jnp.asarray(rows[0][:20])
    mean = jax.vmap(lambda member: model.reconstruct(member, x, SHAPE))(params).mean(0)
    one = ensemble.concatenated(params)
    wide = replace(SHAPE, latents=64, activation="jumprelu")
    np.testing.assert_allclose(model.reconstruct(one, x, wide), mean, atol=1e-5)


def planted(examples=4096, features=32, d_in=32, d_out=16, active=2):
    """Sparse causes with a direction at either end."""
    generator = np.random.default_rng(0)

    def unit(a):
        return a / np.linalg.norm(a, axis=1, keepdims=True)

    here, there = (
        unit(generator.standard_normal((features, d_in))),
        unit(generator.standard_normal((features, d_out))),
    )
    strength = (generator.random((examples, features)) < active / features) * generator.uniform(
        0.5, 1.5, (examples, features)
    )
    return (strength @ here).astype(np.float32), (strength @ there).astype(np.float32), there


@pytest.mark.slow
def test_a_planted_dictionary_is_found_by_every_member_and_catalogued_once():
    x, y, there = planted()
    shape = TranscoderConfig(32, 16, 48, "topk", 4)
    config = EnsembleConfig(members=3, updates=1500, batch=256, chunk=1500, sampling="own")
    how = LearnConfig(4e-3, 50, dead_after=2560)
    store, scale = ensemble.store_of(x, y, shape)
    hparams, keys = ensemble.grid(config, shape, LossConfig(), how), ensemble.member_keys(config)
    learners = ensemble.start(config, shape, how, store.y.mean(0))
    learners, trace = ensemble.program(config, Setting(shape, LossConfig(), how))(
        learners, (hparams, keys), (store, jnp.int32(0))
    )
    params = ensemble.finish(learners, hparams, shape, scale)
    for member in np.asarray(params["W_dec"]):
        found = metrics.recovery(member, there)
        assert found.mcc >= 0.98 and found.share >= 0.95
    assert float(trace.fvu[-1].max()) < 0.1
    z = np.asarray(ensemble.encode_all(params, jnp.asarray(x[:2000]), shape))
    wanted = catalogue.CatalogueConfig(MatchConfig(0.9, 0.5), support=1.0)
    made = catalogue.build(z, np.asarray(params["W_dec"]), np.ones((16, 1), np.float32), wanted)
    assert len(made.patterns) == 32
    assert all(pattern.support == 1.0 for pattern in made.patterns)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (dict(ks=(20.0,)), "k is 20"),
        (dict(widths=(17,)), "widths"),
        (dict(widths=(2,), ks=(3.0,)), "k is 3"),
        (dict(fraction=0.0), "fraction"),
        (dict(members=0), "at least 1"),
    ],
)
def test_impossible_ensembles_are_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        ensemble.check(replace(CONFIG, **change), SHAPE)


def test_bad_rows_and_devices_are_refused(rows, tmp_path):
    x, y = rows
    with pytest.raises(UserError, match=r"shape \(300, 7\)"):
        ensemble.store_of(x[:, :7], y, SHAPE)
    broken = x.copy()
    broken[[17, 40]] = np.nan
    with pytest.raises(UserError, match="2 rows of x hold NaN or infinity, the first at row 17"):
        ensemble.store_of(broken, y, SHAPE)
    with pytest.raises(UserError, match="cannot share equally"):
        train_ensemble(tmp_path, Examples(x, y), replace(CONFIG, members=3), SETTING, Devices(2))


def test_a_checkpoint_of_another_shape_is_refused(rows, tmp_path):
    config = replace(CONFIG, members=2, updates=2, chunk=1, ks=(), widths=())
    calls = iter([True])
    train_ensemble(tmp_path, Examples(*rows), config, SETTING, stop=lambda: next(calls))
    with pytest.raises(UserError, match="checkpoint"):
        train_ensemble(
            tmp_path, Examples(*rows), config, Setting(replace(SHAPE, latents=20), LOSS, HOW)
        )
