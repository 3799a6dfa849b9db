"""Seeds trained together equal seeds trained alone; they stop, go on and fail like single runs."""

import html
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.agent import init
from jaxrl.jedi.cli.plan import made_up_replay
from jaxrl.jedi.learn import batched_loops
from jaxrl.jedi.learn.loops import PHASES, run_phase
from jaxrl.jedi.report.seeds import different_lengths, sentence, write_seeds_report
from jaxrl.jedi.training import many_runs as seeding
from jaxrl.jedi.training.loop import train
from jaxrl.jedi.training.many_runs import seed_folders, train_seeds
from jaxrl.jedi.training.run import close
from jaxrl.jedi.training.setup import open_session
from jaxrl.train import parallel
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi import small_agent, small_run


def silent(line):
    return None


CONFIG = small_run.until(small_run.CONFIG, 80)


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=2e-4), a, b)


def agent_of(config, folder):
    session = open_session(config, folder)
    close(session)
    return jax.device_get(
        (session.agent.world.params, session.agent.reward_end.params, session.agent.policy.params)
    )


OTHER = replace(CONFIG, seed=1)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """An ordinary run of seed 1: its folder. Seed 0 is `finished`, which went on for longer."""
    folder = tmp_path_factory.mktemp("alone1")
    assert train(OTHER, folder, say=silent).finished
    return folder


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The two together."""
    folder = tmp_path_factory.mktemp("both")
    assert all(result.finished for result in train_seeds(CONFIG, folder, 2, say=silent))
    return folder


@pytest.mark.slow
def test_together_they_learn_what_each_learns_alone(finished, alone, both):
    assert [path.name for path in seed_folders(both)] == ["seed0", "seed1"]
    first, mine = agent_of(CONFIG, both / "seed0"), agent_of(OTHER, both / "seed1")
    assert_close(mine, agent_of(OTHER, alone))
    for seed, folder in enumerate((finished.folder, alone)):
        rows, own = read_metrics(both / f"seed{seed}"), read_metrics(folder)[:2]
        assert len(rows) == len(own) == 2
        for row, other in zip(rows, own, strict=True):
            for name in ("env_steps", "updates", "world_model/updates", "behavior/updates"):
                assert row[name] == other[name]
            for name in (
                "world_model/loss",
                "reward_end/loss",
                "behavior/loss",
                "monitor/latent_std",
            ):
                assert row[name] == pytest.approx(other[name], rel=1e-3, abs=1e-4)
    leaves = zip(jax.tree.leaves(first), jax.tree.leaves(mine), strict=True)
    assert any(np.abs(a - b).max() > 1e-2 for a, b in leaves)  # the seeds differ


@pytest.mark.slow
def test_stopped_anywhere_they_go_on(both, tmp_path, monkeypatch):
    """A stop after every stage: as many calls as it takes."""
    calls = 0
    advance = seeding.advance

    def one_stage(group, members, stop, say):
        advance(group, members, stop, say)
        stop.signal = 15

    monkeypatch.setattr(seeding, "advance", one_stage)
    while not all(r.finished for r in train_seeds(CONFIG, tmp_path, 2, say=silent)):
        calls += 1
        assert calls < 40
    assert calls > 8
    for seed in (0, 1):
        config = replace(CONFIG, seed=seed)
        assert_close(
            agent_of(config, tmp_path / f"seed{seed}"), agent_of(config, both / f"seed{seed}")
        )


@pytest.mark.slow
def test_a_seed_that_lags_behind_catches_up(alone, both, tmp_path):
    """One folder is whole already, the other new."""
    shutil.copytree(alone, tmp_path / "seed1")
    assert all(result.finished for result in train_seeds(CONFIG, tmp_path, 2, say=silent))
    assert_close(agent_of(CONFIG, tmp_path / "seed0"), agent_of(CONFIG, both / "seed0"))


@pytest.mark.slow
def test_frames_on_the_host_give_the_same(both, tmp_path):
    config = replace(CONFIG, replay=replace(CONFIG.replay, storage="host"))
    train_seeds(config, tmp_path, 2, say=silent)
    for seed in (0, 1):
        own = replace(config, seed=seed)
        assert_close(
            agent_of(own, tmp_path / f"seed{seed}"),
            agent_of(replace(CONFIG, seed=seed), both / f"seed{seed}"),
        )


@pytest.mark.slow
@pytest.mark.parametrize("how", ["vmap", "map"])
def test_one_program_of_two_agents_equals_two_programs(how, monkeypatch):
    monkeypatch.setattr(batched_loops, "over_members", lambda f: parallel.over_members(f, how))
    phase, key = PHASES["world_model"], jax.random.key(5)
    agents = [
        init(small_agent.CONFIG, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(seed))
        for seed in (0, 1)
    ]
    replays = [made_up_replay(small_run.CONFIG, small_agent.ACTIONS, small_agent.FRAME)] * 2
    keys = jax.random.split(key, 2)
    starts, stops = jnp.array([0, 2]), jnp.array([3, 3])
    run = jax.jit(lambda *args: batched_loops.run_phase_of_seeds(phase, *args))
    found, tally = run(batched_loops.stack(agents), tuple(replays), keys, starts, stops)
    single = jax.jit(run_phase, static_argnums=0)
    for i in range(2):
        wanted, own = single(phase, agents[i], replays[i], keys[i], starts[i], stops[i])
        mine, counted = batched_loops.unstack((found, tally), 2)[i]
        assert int(mine.world.updates) == (3, 1)[i]
        assert_close(mine.world.params, wanted.world.params)
        assert_close(counted, own)


def test_a_finished_seed_says_so_and_takes_no_other_settings(finished, tmp_path):
    folder, said = shutil.copytree(finished.folder, tmp_path / "seed0"), []
    (result,) = train_seeds(CONFIG, tmp_path, 1, say=said.append)
    assert result.finished and said[0].startswith(
        f"{folder} is already finished at 112 steps; schedule.env_steps has no effect"
    )
    assert len(said) == 1
    stored = (folder / "config.json").read_bytes()
    assert stored == (finished.folder / "config.json").read_bytes()


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="seeds is 0: at least one"):
        train_seeds(CONFIG, tmp_path, 0, say=silent)
    with pytest.raises(UserError, match="2 seeds on 4 devices: "):
        train_seeds(replace(CONFIG, devices=4), tmp_path, 2, say=silent)


def test_the_interval_is_students(tmp_path):
    half = 4.302653 * np.std([1.0, 2.0, 4.0], ddof=1) / np.sqrt(3)  # t(0.975, 2) from a table
    assert sentence([1.0, 2.0, 4.0]).startswith(f"{7 / 3:.2f} +- {half:.2f} (95 % interval")
    assert sentence([3.0]) == "3.00 over 1 seed"
    with pytest.raises(UserError, match="holds no run and no seeds"):
        write_seeds_report(tmp_path)


def test_seeds_of_different_lengths_are_named():
    assert different_lengths([80, 80]) == ""
    assert different_lengths([112, 80, 96]).startswith(" The seeds have made 80 to 112 environment")


@pytest.mark.slow
def test_the_report_of_seeds_leads_to_each(both):
    page = write_seeds_report(both).read_text()
    assert "catch: 2 seeds" in page and 'href="../seed1/report/index.html"' in page
    assert (both / "report" / "returns.png").read_bytes().startswith(b"\x89PNG")
    last = [read_metrics(both / f"seed{seed}")[-1]["evaluate/return"] for seed in (0, 1)]
    assert sentence(last) in html.unescape(page)
