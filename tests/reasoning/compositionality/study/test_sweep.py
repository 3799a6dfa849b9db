"""The sweep: chunks are kept and found, a network does not depend on its neighbors, masks are
those of `prune`, the page answers.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app import html
from reasoning.compositionality import network
from reasoning.compositionality.__main__ import main
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.kernels import any_matrix
from reasoning.compositionality.prune.moments import Activation
from reasoning.compositionality.prune.transform import prune_once
from reasoning.compositionality.study import sweep as running
from reasoning.compositionality.study.config import SweepConfig
from reasoning.compositionality.study.masks import merge, renew
from reasoning.compositionality.study.pruners import PRUNERS, setting_of
from reasoning.compositionality.study.results import chunks, read_rows
from reasoning.compositionality.study.run import run
from reasoning.compositionality.study.sweep import run_chunk, sweep
from reasoning.compositionality.study.train import Cells, Phase, Task, batch_of, begin, loss, train
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import Examples

SMALL = SweepConfig(
    targets=("tanh_tree:2",),
    depths=(1, 2),
    densities=(1.0, 0.5),
    pruners=("share", "oracle"),
    seeds=2,
    width=6,
    batch=32,
    steps=30,
    finetune=30,
    probe=64,
    chunk=4,
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    sweep(SMALL, folder)
    return folder


def test_every_network_has_its_row(study):
    rows = read_rows(study, SMALL)
    wanted = [cell for name in SMALL.targets for cell in SMALL.cells(name)]
    assert [(r["target"], r["pruner"], r["density"], r["depth"], r["seed"]) for r in rows] == [
        tuple(c) for c in wanted
    ]
    assert all(r["score"] == 0 or r["fits"] for r in rows)


@pytest.mark.slow
def test_the_page_has_its_answers_and_all_figures_and_other_configurations_are_not_mixed_in(
    tmp_path, capsys
):
    page, answer = run(SMALL, tmp_path)
    text = page.read_text()
    lead = text[text.index('<p class="lead">') :]
    assert lead.startswith(f'<p class="lead">{answer}</p>') and answer.startswith("Sweet spot in")
    html.check_page(text)
    for phrase in (
        "Is there a sweet spot in depth?",
        "Is there one in connectivity",
        "Do the predictors find it?",
    ):
        assert phrase in text
    assert all(f"<figcaption>{number}. " in text for number in range(1, 9))
    assert main(["sweep", "--run-dir", str(tmp_path)]) == 2
    assert "another configuration" in capsys.readouterr().err


def test_a_second_start_trains_nothing_and_a_lost_chunk_only(study, monkeypatch):
    before = read_rows(study, SMALL)
    lost = study / "tanh_tree-2-001.json"
    lost.unlink()
    called = []
    real = running.run_chunk
    monkeypatch.setattr(running, "run_chunk", lambda *a: called.append(a[1]) or real(*a))
    sweep(SMALL, study)
    assert called == ["tanh_tree:2"] and json.dumps(read_rows(study, SMALL)) == json.dumps(before)


def test_a_network_does_not_depend_on_its_neighbors():
    config = dataclasses.replace(SMALL, targets=("tanh_tree:2",))
    chunk = chunks(config, "tanh_tree:2")[1]
    whole, _ = run_chunk(config, "tanh_tree:2", chunk)
    alone, _ = run_chunk(config, "tanh_tree:2", chunk[2:3])
    assert alone[0].mse == pytest.approx(whole[2].mse, rel=1e-3)


@pytest.fixture(scope="module")
def cells():
    target = target_by_name("tanh_tree:2")
    here = setting_of(SMALL, target, None)
    shape = SMALL.shape(target)
    return here, begin(here.keys, jnp.array([0, 1, 1]), jnp.array([1, 2, 2]), shape)


def test_training_many_is_a_loop_over_one_with_adam_by_hand(cells):
    here, batch = cells
    steps, rate = 5, 0.01

    def copy(tree):
        return jax.tree.map(jnp.copy, tree)

    task = Task(here.target, 16, None)
    many = train(copy(batch.params), batch, here.keys, Phase(3, steps, rate, 0.01), task)
    params = jax.tree.map(lambda a: np.asarray(a[1], np.float64), batch.params)
    m, v = (jax.tree.map(np.zeros_like, params) for _ in range(2))
    masks = jax.tree.map(lambda a: a[1], batch.masks)
    slope = jax.jit(jax.grad(loss))
    for t in range(steps):
        data = batch_of(task, here.keys, jnp.int32(3 + t))
        g = slope(
            jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params),
            masks,
            2,
            Examples(data.x[1], data.y[1]),
            0.01,
        )
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * np.asarray(g), m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * np.asarray(g) ** 2, v, g)
        now = rate * (0.05 + 0.95 * 0.5 * (1 + np.cos(np.pi * t / steps)))
        params = jax.tree.map(
            lambda p, m, v, t=t, now=now: (
                p - now * (m / (1 - 0.9 ** (t + 1))) / (np.sqrt(v / (1 - 0.999 ** (t + 1))) + 1e-8)
            ),
            params,
            m,
            v,
        )
    for name in params:
        assert np.asarray(many[name][1]) == pytest.approx(params[name], abs=3e-4)


def test_masks_of_cells_are_those_of_the_transformation(cells):
    """Layer by layer through `prune_once`, for scores by activations and one by gradients."""
    here, batch = cells
    grads = here.gradients(batch, 0)
    for score in (scoring.share, scoring.edge, scoring.saliency):
        density = jnp.full(3, 0.5)
        found = renew(batch, grads, here.probe, jax.random.key(0), density, here.how(score))
        one = jax.tree.map(lambda a: a[1], batch.params)
        x = here.probe[1]
        maps = network.forward(one, x, 2)
        flat = {"win": one["win"], "wh0": one["wh"][0], "wo": one["wo"]}
        known = {
            "win": Activation(x, maps.z[0], maps.h[0]),
            "wh0": Activation(maps.h[0], maps.z[1], maps.h[1]),
            "wo": Activation(maps.h[1], maps.y, maps.y),
        }
        slopes = {"win": grads["win"][1], "wh0": grads["wh"][1, 0], "wo": grads["wo"][1]}
        masks = prune_once(flat, known, 0.5, score, grads=slopes, prunable=any_matrix)[1]
        assert (np.asarray(found["win"][1]) == np.asarray(masks["win"])).all()
        assert (np.asarray(found["wh"][1, 0]) == np.asarray(masks["wh0"])).all()
        assert (np.asarray(found["wo"][1]) == np.asarray(masks["wo"])).all()


def test_merging_copies_of_units_changes_no_output(cells):
    here, batch = cells

    def double(p):
        return p | {
            "win": p["win"].at[:, 3].set(p["win"][:, 0]),
            "b": p["b"].at[:, 3].set(p["b"][:, 0]),
            "wh": p["wh"].at[:, :, 3].set(p["wh"][:, :, 0]),
        }

    params = jax.vmap(double)(batch.params)
    merged, masks = merge(batch._replace(params=params), here.probe, jnp.full(3, (5 / 6) ** 2))
    assert int(network.live_units(jax.tree.map(lambda a: a[1], masks), 2).sum()) == 10
    x = here.probe[1]
    for cell, depth in ((0, 1), (1, 2)):
        before = network.outputs(jax.tree.map(lambda a, c=cell: a[c], params), x, depth)
        after = network.outputs(
            network.masked(*(jax.tree.map(lambda a, c=cell: a[c], t) for t in (merged, masks))),
            x,
            depth,
        )
        assert np.asarray(after) == pytest.approx(np.asarray(before), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("pruner", PRUNERS)
def test_every_pruner_trains_sparse_networks(pruner):
    config = dataclasses.replace(
        SMALL,
        targets=("tanh_tree:1",),
        pruners=("share",) if pruner == "dense" else (pruner,),
        finetune=60,
        steps=60,
    )
    chunk = [c for c in config.cells("tanh_tree:1") if c.pruner == pruner][:4]
    found, shown = run_chunk(config, "tanh_tree:1", chunk)
    assert all(np.isfinite(m.mse) for m in found)
    kept = np.mean([shown[f"mask_{n}"][0].mean() for n in ("win", "wo")])
    assert kept < 1 or pruner == "dense"


def test_the_command_refuses(tmp_path, capsys):
    assert main(["sweep", "--seeds", "0", "--run-dir", str(tmp_path)]) == 2
    assert "seeds is 0" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_cells_are_pytrees(cells):
    _, batch = cells
    assert isinstance(batch, Cells) and len(jax.tree.leaves(batch)) == 10


@pytest.mark.parametrize("layers", [1, 2])
def test_masks_do_not_depend_on_how_many_networks_are_scored_at_once(layers):
    config = SweepConfig(depths=(layers,), seeds=2, width=4, batch=8)
    here = setting_of(config, target_by_name("chain:2"), None)
    which, depth = jnp.arange(19) % 2, jnp.full(19, layers, jnp.int32)
    cells = begin(here.keys, which, depth, config.shape(here.target))
    density, key = jnp.linspace(0.2, 0.9, 19), jax.random.key(0)

    def masks(first, end):
        some, kept = jax.tree.map(lambda a: a[first:end], (cells, density))
        return renew(some, some.params, here.probe, key, kept, here.how(scoring.share))

    parts = [masks(0, 7), masks(7, 19)]
    for name, found in masks(0, 19).items():
        np.testing.assert_array_equal(found, np.concatenate([part[name] for part in parts]))
