"""The training loop: exact resume, the same results however it is cut into programs, no
recompilation, refusals.
"""

import json
import shutil
import signal
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.catch import catch
from jaxrl.envs.single import SingleGame
from jaxrl.jedi.cli.plan import plan
from jaxrl.jedi.training import loop as training
from jaxrl.jedi.training import stages
from jaxrl.jedi.training.loop import train
from jaxrl.jedi.training.many_runs import train_seeds
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi import small_run
from tests.jaxrl.jedi.compare import assert_same, assert_same_rows, final_state


def silent(line):
    return None


@pytest.fixture(scope="module")
def whole(finished):
    """A run from beginning to end: folder, final state, counters, metrics."""
    folder = finished.folder
    return folder, *final_state(small_run.CONFIG, folder), read_metrics(folder)


def test_it_runs_the_schedule(whole):
    _, state, counters, rows = whole
    assert [row["env_steps"] for row in rows] == [64, 80, 96, 112]
    assert (
        rows[0]["world_model/updates"] == 3
        and rows[1]["reward_end/updates"] == 2
        and rows[1]["behavior/updates"] == 2
    )
    assert counters.updates == sum(
        row[f"{p}/updates"]
        for row in rows
        for p in ("world_model", "reward_end", "behavior", "probe")
    )
    assert state["['agent'].world.updates"] == sum(row["world_model/updates"] for row in rows)
    assert 0 < rows[0]["time/processor"] < rows[1]["time/processor"]
    for row in rows:
        assert {
            "monitor/latent_std",
            "monitor/participation_ratio",
            "monitor/context_gain",
            "monitor/probe ball x",
        } <= row.keys()
        assert {
            "gate/end_recall",
            "evaluate/return",
            "time/collect",
            "time/world_model",
            "replay/episodes",
        } <= row.keys()


def test_two_and_two_epochs_equal_four(whole, tmp_path):
    _, state, _, rows = whole
    half = rows[1]["env_steps"]
    assert train(small_run.until(small_run.CONFIG, half), tmp_path, say=silent).finished
    assert len(read_metrics(tmp_path)) == len(rows) - 2
    train(small_run.CONFIG, tmp_path, say=silent)
    assert_same(state, final_state(small_run.CONFIG, tmp_path)[0])
    assert_same_rows(read_metrics(tmp_path)[-1:], rows[-1:])


def test_a_run_of_a_version_with_fewer_fields_goes_on(whole, tmp_path):
    folder, state, _, rows = whole
    shutil.copytree(folder, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    del config["agent"]["encode_chunk"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    assert train(small_run.CONFIG, tmp_path / "run", say=silent).finished
    assert_same(state, final_state(small_run.CONFIG, tmp_path / "run")[0])
    assert len(read_metrics(tmp_path / "run")) == len(rows)


@pytest.mark.parametrize(
    "epochs", [(1,), pytest.param((0, 1, 2, 3), marks=pytest.mark.slow)], ids=["one", "all"]
)
def test_stopping_anywhere_changes_nothing(epochs, whole, tmp_path, monkeypatch):
    """In these epochs every stage is one call of one update, and a stop request comes after each of
    them.
    """
    _, state, _, rows = whole
    monkeypatch.setattr(stages, "call_size", lambda session, phase: 1)
    original = training.run_stage

    def stopping(session, stop, say):
        stop_after = session.counters.done
        if session.counters.epoch not in epochs:
            original(session, stop, say)
            return

        class AfterOne:
            """True once one update was made."""

            def __bool__(self):
                return session.counters.done > stop_after

        original(session, AfterOne(), say)
        stop.signal = signal.SIGTERM

    monkeypatch.setattr(training, "run_stage", stopping)
    sessions_needed = 0
    while not train(small_run.CONFIG, tmp_path, say=silent).finished:
        sessions_needed += 1
        assert sessions_needed < 100
    assert sessions_needed > 8 * len(epochs)
    assert_same(state, final_state(small_run.CONFIG, tmp_path)[0])
    assert [r["env_steps"] for r in read_metrics(tmp_path)] == [r["env_steps"] for r in rows]


@pytest.mark.slow
def test_a_whole_epoch_in_one_program_gives_the_same(whole, tmp_path):
    _, state, _, rows = whole
    config = replace(small_run.CONFIG, program="epoch")
    train(config, tmp_path, say=silent)
    ours = final_state(config, tmp_path)[0]
    for name in state:
        np.testing.assert_allclose(ours[name], state[name], rtol=2e-3, atol=2e-4, err_msg=name)
    assert read_metrics(tmp_path)[-1]["behavior/updates"] == rows[-1]["behavior/updates"]


@pytest.mark.slow
def test_play_and_learning_in_one_program_give_the_same(whole, tmp_path):
    """From the second epoch on, all in one call; then two seeds in one."""
    _, state, _, rows = whole
    evaluation = replace(small_run.CONFIG.evaluation, every=0)
    config = replace(small_run.CONFIG, program="run", evaluation=evaluation)
    train(config, tmp_path / "one", say=silent)
    ours = final_state(config, tmp_path / "one")[0]
    for name in state:
        np.testing.assert_allclose(ours[name], state[name], rtol=2e-3, atol=2e-4, err_msg=name)
    mine = read_metrics(tmp_path / "one")
    assert len(mine) == len(rows) == 4
    for ours_row, row in zip(mine, rows, strict=True):
        for name in ("env_steps", "updates", "collect/games", "gate/open", "behavior/updates"):
            assert ours_row[name] == row[name], name
        for name in ("world_model/loss", "behavior/loss", "gate/end_recall"):
            np.testing.assert_allclose(ours_row[name], row[name], rtol=2e-3, atol=2e-4)
    assert "evaluate/return" in mine[-1] and "evaluate/return" not in mine[-2]

    assert all(result.finished for result in train_seeds(config, tmp_path / "two", 2, say=silent))
    again = final_state(config, tmp_path / "two" / "seed0")[0]
    for name in state:
        np.testing.assert_allclose(again[name], state[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_a_whole_program_needs_a_game_in_jax(tmp_path):
    config = replace(small_run.CONFIG, program="run")
    with pytest.raises(UserError, match="--program run compiles .* catch is not a game in JAX"):
        train(config, tmp_path, lambda: SingleGame(catch(16)), silent)
    host = replace(config, replay=replace(config.replay, storage="host"))
    with pytest.raises(UserError, match="frames are on the host: choose --program auto"):
        train(host, tmp_path / "host", say=silent)


@pytest.mark.slow
def test_frames_on_the_host_give_the_same(whole, tmp_path):
    _, state, _, _ = whole
    config = replace(small_run.CONFIG, replay=replace(small_run.CONFIG.replay, storage="host"))
    train(config, tmp_path, say=silent)
    ours = final_state(config, tmp_path)[0]
    for name in state:
        np.testing.assert_allclose(ours[name], state[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_no_compilation_after_the_first_steady_epoch(whole):
    *_, rows = whole
    assert rows[0]["compile/count"] > 0
    assert [row["compile/count"] for row in rows[2:]] == [0] * len(rows[2:])


def test_another_seed_gives_another_run(whole, tmp_path):
    _, state, _, _ = whole
    config = replace(small_run.until(small_run.CONFIG, 64), seed=1)
    train(config, tmp_path, say=silent)
    other = final_state(config, tmp_path)[0]
    assert (other["['frames']"] != state["['frames']"]).any()


def test_the_best_evaluated_checkpoint_is_kept(whole):
    folder, _, counters, rows = whole
    assert counters.best == max(row["evaluate/return"] for row in rows)
    from jaxrl.train.checkpoint import Checkpoints

    checkpoints = Checkpoints(folder / "checkpoints")
    assert checkpoints.record(checkpoints.best())["counters"]["best"] == counters.best
    checkpoints.close()


def test_a_loss_that_is_not_finite_stops_with_its_batch(tmp_path, monkeypatch):
    def poison(session, say):
        world = session.agent.world
        bad = jax.tree.map(lambda a: a.at[(0,) * a.ndim].set(jnp.inf), world.params["denoiser"])
        session.agent = session.agent.replace(
            world=world.replace(params=world.params | {"denoiser": bad})
        )

    monkeypatch.setattr(training, "announce", poison)
    config = small_run.CONFIG
    with pytest.raises(
        UserError,
        match=r"training of world_model .* update \d+ of epoch 1 .*new --run-dir with a lower "
        r"agent.world_model.optim.learning_rate",
    ):
        train(config, tmp_path, say=silent)
    (story,) = tmp_path.glob("failure-*.json")
    recorded = json.loads(story.read_text())
    assert recorded["phase"] == "world_model" and recorded["update"] == 0
    batch = np.load(story.with_suffix(".npz"))
    assert batch["frame"].shape == (4, 4, 16, 16, 3) and batch["frame"].any()


def with_replay_every(agent, every):
    """The agent, whose value learns from the segments of every so many starts."""
    return replace(agent, behavior=replace(agent.behavior, replay_every=every))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: replace(c, replay=replace(c.replay, capacity=20)),
            "segments of 5.*raise it to 40",
        ),
        (
            lambda c: replace(c, schedule=replace(c.schedule, initial_steps=16)),
            "smaller than one segment of 5",
        ),
        (
            lambda c: replace(c, schedule=replace(c.schedule, steps_per_epoch=15)),
            "multiple of game.num_envs",
        ),
        (lambda c: replace(c, env="cach"), "did you mean catch"),
        (lambda c: replace(c, game=replace(c.game, frame_size=18)), "cannot be halved 2 times"),
        (lambda c: replace(c, devices=9), "only 4"),
        (
            lambda c: replace(c, agent=replace(c.agent, precision="fp16")),
            "precision is 'fp16': choose auto, float32 or bfloat16",
        ),
        (
            lambda c: replace(c, devices=3),
            "agent.world_model.batch is 4, which 3 devices cannot share equally",
        ),
        (
            lambda c: replace(c, devices=2, parallel="pmap", agent=with_replay_every(c.agent, 4)),
            "agent.behavior.batch / agent.behavior.replay_every is 1, which 2 devices cannot share",
        ),
        (
            lambda c: replace(c, agent=with_replay_every(c.agent, 0)),
            "agent.behavior.replay_every is 0: it must be at least 1",
        ),
        (
            lambda c: replace(c, game=replace(c.game, num_envs=0)),
            "game.num_envs is 0: it must be at least 1",
        ),
        (
            lambda c: replace(
                c,
                replay=replace(c.replay, capacity=100),
                schedule=replace(c.schedule, steps_per_epoch=64),
            ),
            "twice what is played at once",
        ),
        (
            lambda c: replace(c, agent=replace(c.agent, edm=replace(c.agent.edm, sigma_data=1.0))),
            "sigma_data must be 0.5",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(change, message, tmp_path):
    with pytest.raises(UserError, match=message):
        train(change(small_run.CONFIG), tmp_path / "run", say=silent)
    assert not (tmp_path / "run").exists()


def test_the_plan_refuses_sizes_that_do_not_fit():
    with pytest.raises(UserError, match="cannot be halved 2 times"):
        plan(replace(small_run.CONFIG, game=replace(small_run.CONFIG.game, frame_size=18)))


def test_a_folder_of_another_configuration_is_refused(whole):
    folder, *_ = whole
    other = replace(small_run.CONFIG, agent=replace(small_run.CONFIG.agent, context=1))
    with pytest.raises(UserError, match=r"agent.context is 2 there and 1 here"):
        train(other, folder, say=silent)


def test_a_damaged_checkpoint_is_refused_and_the_one_before_still_serves(whole, tmp_path):
    import shutil

    folder = tmp_path / "copy"
    shutil.copytree(whole[0], folder)
    steps = sorted(int(p.name) for p in (folder / "checkpoints").iterdir() if p.name.isdigit())
    for file in (folder / "checkpoints" / str(steps[-1]) / "arrays").rglob("*"):
        if file.is_file():
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(UserError, match=f"damaged.*continue from step {steps[-2]}"):
        train(small_run.CONFIG, folder, say=silent)
    shutil.rmtree(folder / "checkpoints" / str(steps[-1]))
    assert train(small_run.CONFIG, folder, say=silent).finished
    assert_same(whole[1], final_state(small_run.CONFIG, folder)[0])


def test_no_file_outlives_the_checkpoints_that_need_it(whole):
    folder, *_ = whole
    steps = [path.name for path in (folder / "checkpoints").iterdir() if path.name.isdigit()]
    games = sorted(
        path.stem.removeprefix("games-") for path in (folder / "replay").glob("games-*.npz")
    )
    assert games == sorted(steps)


LATE = replace(
    small_run.CONFIG,
    gate=replace(small_run.CONFIG.gate, end_recall=2.0, latest_epoch=1),
    evaluation=replace(small_run.CONFIG.evaluation, episodes=3, final_episodes=5),
)
"""The gate opens late, and the last evaluation has another size."""


def test_a_game_on_the_host_resumes_exactly_and_compiles_nothing_late(tmp_path):
    def make_env():
        return SingleGame(catch(16))

    train(LATE, tmp_path / "whole", make_env, silent)
    for until in (80, 112):
        train(small_run.until(LATE, until), tmp_path / "halves", make_env, silent)
    rows, halves = read_metrics(tmp_path / "whole"), read_metrics(tmp_path / "halves")
    assert [row["gate/open"] for row in rows] == [0, 1, 1, 1] and rows[1]["gate/forced"] == 1
    assert [row["compile/count"] for row in rows[2:]] == [0, 0]
    assert_same_rows(halves[-1:], rows[-1:])
    assert rows[-1]["evaluate/episodes"] == 5 and rows[-1]["monitor/latent_std"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"parallel": "pmap"},
        {"parallel": "pmap", "program": "epoch"},
        {"parallel": "pmap", "storage": "host"},
    ],
    ids=lambda changes: "-".join(changes.values()) or "jit",
)
def test_four_devices_give_the_same(whole, tmp_path, changes):
    changes = dict(changes)
    replay = replace(small_run.CONFIG.replay, storage=changes.pop("storage", "auto"))
    config = replace(small_run.until(small_run.CONFIG, 80), devices=4, replay=replay, **changes)
    train(config, tmp_path, say=silent)
    ours, theirs = read_metrics(tmp_path), whole[3]
    for name in (
        "world_model/loss",
        "reward_end/loss",
        "behavior/loss",
        "probe/loss",
        "monitor/latent_std",
        "monitor/context_gain",
    ):
        np.testing.assert_allclose(
            ours[1][name], theirs[1][name], rtol=5e-3, atol=1e-4, err_msg=name
        )
    assert ours[1]["compile/count"] <= 5
