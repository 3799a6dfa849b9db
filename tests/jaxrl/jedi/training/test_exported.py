"""Agents as .safetensors files, and the command line's way to them."""

import jax
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.make import make
from jaxrl.jedi import pretrained
from jaxrl.jedi.cli.options import parse
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.exported import FILE, paths_of, read_agent, write_agent
from jaxrl.jedi.training.run import fresh_agent
from tests.jaxrl.jedi import small_run

CONFIG = small_run.CONFIG


@pytest.fixture(scope="module")
def fresh():
    return fresh_agent(CONFIG, make(CONFIG.env, CONFIG.game.frame_size))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, fresh):
    """An exported agent whose moving average is not its encoder."""
    moved = jax.tree.map(lambda p: p + 0.5, fresh.target)
    probe = fresh.probe.replace(updates=fresh.probe.updates + 7)
    path = tmp_path_factory.mktemp("exported") / "mine"
    write_agent(path, fresh.replace(target=moved, probe=probe), CONFIG, 112)
    return path


def test_a_round_trip_keeps_what_acts_and_imagines(folder, fresh):
    agent, env_steps = restore_agent(folder, CONFIG, make(CONFIG.env, CONFIG.game.frame_size))
    assert env_steps == 112 and int(agent.probe.updates) > 0
    pairs = [
        (agent.world.params["denoiser"], fresh.world.params["denoiser"]),
        (agent.reward_end.params, fresh.reward_end.params),
        (agent.policy.params, fresh.policy.params),
        (agent.probe.params, fresh.probe.params),
        (agent.target, jax.tree.map(lambda p: p + 0.5, fresh.target)),
        (agent.world.params["encoder"], agent.target),
    ]
    for found, expected in pairs:
        assert paths_of(found).keys() == paths_of(expected).keys()
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-3, 1e-6), found, expected)
        assert {str(leaf.dtype) for leaf in jax.tree.leaves(found)} == {"float32"}


@pytest.mark.parametrize("change", ["cut", "empty", "other networks"])
def test_a_damaged_file_is_refused_with_its_name(folder, fresh, tmp_path, change):
    content = (folder / FILE).read_bytes()
    (tmp_path / FILE).write_bytes({"cut": content[:-9], "empty": b""}.get(change, content))
    if change == "other networks":
        fresh = fresh.replace(reward_end=fresh.reward_end.replace(params={}))
    with pytest.raises(UserError, match=FILE):
        read_agent(tmp_path, fresh)


def test_the_command_line_finds_pretrained_agents(folder, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrained, "FOLDER", folder.parent)
    assert pretrained.pretrained_names() == ["mine"]
    assert parse(["evaluate", "--pretrained", "mine"]).run_dir == str(folder)
    both = parse(["imagine", "--pretrained", "mine", "--run-dir", "other"])
    assert both.run_dir == (str(folder), "other")
    for arguments, reason in [
        (["evaluate"], "--run-dir, or an agent"),
        (["play", "--pretrained", "mine", "--run-dir", "x"], "leave one out"),
        (["evaluate", "--pretrained", "other"], "there are mine"),
        (["horizon", "--pretrained", "mine"], "--out"),
        (["evaluate", "--pretrained", "../mine"], "no pretrained agent"),
    ]:
        with pytest.raises(UserError, match=reason):
            parse(arguments)


def test_every_agent_that_comes_with_the_package_is_small_and_has_its_score():
    for name in pretrained.pretrained_names():
        path = pretrained.pretrained_folder(name)
        assert (path / FILE).stat().st_size < 5 * 2**20
        assert (path / pretrained.SCORE).exists()
