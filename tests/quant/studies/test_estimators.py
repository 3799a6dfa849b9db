"""The estimator study on toy data: training equals the loop, files, resuming, refusals; and one
small learning test.
"""

import csv
import dataclasses
import functools
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.app.errors import UserError
from quant.data.loaders import Data, Split, from_arrays
from quant.estimators import decoupled_st_gs
from quant.studies.estimators import config as configs
from quant.studies.estimators import run as study
from quant.studies.estimators.__main__ import main, parse
from quant.studies.estimators.config import (
    Autoencoder,
    Gates,
    Measure,
    Network,
    StudyConfig,
    Training,
    Vae,
    check,
)
from quant.studies.estimators.tasks import make_task
from quant.studies.estimators.training import Runs, train_runs

BRIEF = Training(steps=3, batch=4, learning_rate=0.05)
NETS = {"autoencoder": Autoencoder(3, (4,), training=BRIEF), "vae": Vae(2, 2, (4,), BRIEF)}
NETS |= {"network": Network((3,), BRIEF), "gates": Gates((6,), BRIEF)}
SMALL = StudyConfig(
    taus=(0.5, 2.0),
    rows=("reinmax", "identity"),
    row_taus=(0.7, 1.0),
    fidelity=Measure(1, 16, 4, ("rloo",)),
    seeds=3,
    test_draws=1,
    **NETS,
)


def images(seed=0, count=20):
    """Stripes: vertical or horizontal."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    stripes = np.stack([np.tile([1.0, 0.0], (4, 2)), np.tile([[1.0], [0.0]], (2, 4))])
    return from_arrays((stripes[y] * 0.9)[..., None].astype(np.float32), y, "stripes")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr(study, "load", lambda name, data_dir: images())


def test_a_run_of_the_program_is_the_loop_written_out():
    """Setting 1, seed 8, of task vae: the same parameters and test loss as from a plain loop of
    updates.
    """
    task = make_task("vae", SMALL, images())
    settings = {
        "tau_f": jnp.array([1.0, 0.5]),
        "tau_b": jnp.array([1.0, 2.0]),
        "normalize_backward": jnp.array([False, True]),
    }

    def make(setting):
        return functools.partial(decoupled_st_gs, **setting)

    runs = train_runs(task, make, settings, range(7, 10), 2)
    estimator = functools.partial(decoupled_st_gs, tau_f=0.5, tau_b=2.0, normalize_backward=True)
    key, adam = jax.random.key(8), optax.adam(0.05)
    update = jax.jit(
        jax.value_and_grad(lambda p, batch, k: task.loss(p, batch, k, estimator), has_aux=True)
    )
    params = jax.jit(task.init)(jax.random.fold_in(key, 0))
    inner, losses = adam.init(params), []
    for number in range(3):
        rows, draw = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, 1), number))
        batch = (jnp.asarray(task.train[0])[jax.random.randint(rows, (4,), 0, len(task.train[0]))],)
        (loss, _), gradient = update(params, batch, draw)
        change, inner = adam.update(gradient, inner, params)
        params = optax.apply_updates(params, change)
        losses.append(loss)
    draws = jax.random.split(jax.random.fold_in(key, 2), 2)
    test_loss = np.mean([update(params, task.test, k)[0][0] for k in draws])
    jax.tree.map(
        lambda many, one: np.testing.assert_allclose(many[1, 1], one, rtol=1e-3, atol=1e-5),
        runs.params,
        params,
    )
    np.testing.assert_allclose(runs.test_loss[1, 1], test_loss, rtol=1e-4)
    np.testing.assert_allclose(runs.train_loss[1, 1], losses[-1], rtol=1e-4)
    assert runs.test_loss.shape == (3, 2) and len(np.unique(runs.test_loss)) == 6


def test_settings_of_the_grid_stand_where_the_report_looks_for_them(monkeypatch):
    """`[S, scale, tau_f, tau_b]`; the training is replaced by one whose loss names its setting."""
    seen = {}
    monkeypatch.setattr(
        study, "train_runs", lambda task, make, settings, *rest: seen.update(settings)
    )
    study.train_grid(SMALL, make_task("vae", SMALL, images()), range(3))
    shaped = {name: np.asarray(a).reshape(2, 2, 2) for name, a in seen.items()}
    assert not shaped["normalize_backward"][0].any() and shaped["normalize_backward"][1].all()
    np.testing.assert_array_equal(shaped["tau_f"][:, 1], 2.0)
    np.testing.assert_array_equal(shaped["tau_b"][..., 0], 0.5)


def pretended(task, make, settings, seeds, *_):
    """Losses 100 seed + setting instead of a training."""
    count = jax.tree.leaves(settings)[0].shape[0]
    losses = 100.0 * np.array(list(seeds))[:, None] + np.arange(count)[None]
    return Runs(losses, losses, {}, {})


def test_the_study_writes_its_files_and_goes_on_where_it_was(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(study, "train_runs", pretended)
    config = dataclasses.replace(SMALL, tasks=("vae", "gates"), fidelity=Measure(0))
    report = study.run(config, tmp_path / "run")
    text = report.read_text()
    assert "on the diagonal: unequal temperatures gain -1" in text and "| reinmax | 100 |" in text
    lines = list(
        csv.DictReader(io.StringIO((tmp_path / "run" / "report" / "grid.csv").read_text()))
    )
    assert len(lines) == 2 * 2 * 3 * 4
    cell = {
        "task": "gates",
        "gradients": "normalized",
        "seed": "1",
        "tau_f": "2.0",
        "tau_b": "0.5",
        "test_loss": "106.0",
    }
    assert cell in lines
    rows = list(csv.DictReader(io.StringIO((tmp_path / "run" / "report" / "rows.csv").read_text())))
    assert {
        "task": "vae",
        "estimator": "reinmax",
        "tau": "1.0",
        "seed": "2",
        "test_loss": "201.0",
    } in rows
    assert (tmp_path / "run" / "report" / "vae.png").read_bytes().startswith(b"\x89PNG")
    results = tmp_path / "run" / "results"
    (results / "gates.json").unlink()
    (results / "parts" / "gates-reinmax.json").unlink()
    again = []
    monkeypatch.setattr(
        study, "train_runs", lambda task, *rest: again.append(task.name) or pretended(task, *rest)
    )
    assert study.run(config, tmp_path / "run").read_text() == text
    assert again == ["gates"]  # the part that was lost, and no other
    with pytest.raises(UserError, match="another configuration"):
        study.run(dataclasses.replace(config, seed=1), tmp_path / "run")


@pytest.mark.slow
def test_fidelity_is_measured_in_the_trained_network(toy, tmp_path):
    text = study.run(dataclasses.replace(SMALL, tasks=("vae",)), tmp_path).read_text()
    assert "| rloo |" in text and "| reinmax | 1.0 |" in text
    found = json.loads((tmp_path / "results" / "vae.json").read_text())["fidelity"]
    assert found["rows"]["rloo"][""]["gap_z"] == [None] and set(found["rows"]["reinmax"]) == {
        "0.7",
        "1.0",
    }
    assert (
        np.array(found["grid"]["std_rel"]).shape == (2, 2)
        and (np.array(found["grid"]["std_rel"]) > 0).all()
    )
    assert (tmp_path / "report" / "fidelity.png").exists() and (
        tmp_path / "report" / "fidelity.csv"
    ).exists()


@pytest.mark.slow
def test_all_tasks_run_to_the_end(toy, tmp_path):
    text = study.run(SMALL, tmp_path).read_text()
    assert all(f"## {name}" in text for name in SMALL.tasks)


def test_logic_gates_learn_stripes():
    """Two classes that differ in single pixels: cross-entropy of the chosen gates far
    below ln 2.
    """
    config = dataclasses.replace(SMALL, gates=Gates((40, 20), Training(60, 16, learning_rate=0.1)))
    task = make_task("gates", config, images(count=60))
    settings = {"tau_f": jnp.array([0.5]), "tau_b": jnp.array([1.0])}
    runs = train_runs(
        task, lambda setting: functools.partial(decoupled_st_gs, **setting), settings, range(3), 1
    )
    assert runs.test_loss.mean() < 0.35 and runs.parts["accuracy"].mean() > 0.9


@pytest.mark.parametrize(
    "change, complaint",
    [
        (dict(seeds=2), "--seeds is 2"),
        (dict(taus=(1.0, 1.0)), "two or more different"),
        (dict(row_taus=(0.0,)), "above 0"),
        (dict(tasks=()), "must not be empty"),
        (dict(vae=Vae(12, 16)), "too many configurations"),
        (dict(vae=Vae(training=Training(steps=0))), "--vae.training needs steps"),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        check(dataclasses.replace(SMALL, **change))


def test_presets_can_work():
    for preset in configs.PRESETS.values():
        check(preset())


VECTORS = Data("points", Split(np.zeros((9, 2), np.float32)), Split(np.zeros((9, 2), np.float32)))


@pytest.mark.parametrize(
    "name, change, data, complaint",
    [
        ("vae", {}, VECTORS, "needs images"),
        ("vae", {"vae": Vae(2, 2, (4,), Training(batch=50))}, images(), "fewer than one batch"),
        ("gates", {}, images()._replace(test=Split(images().test.x)), "has none"),
        ("gates", {"gates": Gates((7,), BRIEF)}, images(), "cannot be shared out to 2 classes"),
        (
            "autoencoder",
            {"autoencoder": Autoencoder(3, (4, 4, 4), True)},
            images(),
            "cannot be halved 3 times",
        ),
    ],
)
def test_data_that_do_not_fit_are_refused(name, change, data, complaint):
    with pytest.raises(UserError, match=complaint):
        make_task(name, dataclasses.replace(SMALL, **change), data)


def test_the_command_line_changes_a_preset():
    command = parse(
        [
            "--preset",
            "small",
            "--seeds",
            "7",
            "--vae.training.steps",
            "5",
            "--tasks",
            "vae",
            "gates",
        ]
    )
    assert command.config == dataclasses.replace(
        configs.small(),
        seeds=7,
        tasks=("vae", "gates"),
        vae=dataclasses.replace(
            configs.small().vae, training=dataclasses.replace(configs.small().vae.training, steps=5)
        ),
    )


def test_a_refusal_is_a_sentence_and_code_2(tmp_path, capsys):
    assert main(["--data", "no_such_set", "--run-dir", str(tmp_path / "run")]) == 2
    assert "error: there is no data set 'no_such_set'" in capsys.readouterr().err
