"""A run folder that version 0.1 wrote opens, plays and continues.

`data/run_of_version_0_1` was made by 0.1 from tests/jaxrl/jedi/small_run.py, ending at 96 steps.
"""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxrl.envs.catch import catch
from jaxrl.jedi.cli.evaluate import EvaluateConfig, evaluate_run
from jaxrl.jedi.offline.config import any_config
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.jedi.training.loop import train
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi import small_agent, small_run

STORED = Path(__file__).parent / "data" / "run_of_version_0_1"


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(STORED, tmp_path / "run")
    return tmp_path / "run"


def test_its_configuration_is_that_of_today(folder):
    fields = json.loads((folder / "config.json").read_text())
    assert "temperature" not in fields["game"]  # it is an old one
    config = any_config(folder)
    today = replace(small_run.CONFIG.agent, behavior=small_agent.CONFIG.behavior)  # newer settings
    assert config.game == small_run.CONFIG.game and config.agent == today
    assert config.schedule == small_run.until(small_run.CONFIG, 96).schedule


def test_its_agent_is_restored(folder):
    config = any_config(folder)
    agent, env_steps = restore_agent(folder, config, catch(16))
    assert env_steps == 96 and int(agent.world.updates) == 9 and int(agent.reward_end.updates) == 7
    leaves = jax.tree.leaves(agent.world.params)
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    summary = evaluate_run(folder, config, EvaluateConfig(8))
    assert summary["env_steps"] == 96 and -1 <= summary["return"] <= 1


@pytest.mark.slow
def test_it_continues(folder):
    before = (folder / "metrics.jsonl").read_text()
    result = train(small_run.until(any_config(folder), 112), folder, say=lambda line: None)
    assert result.finished
    assert (folder / "metrics.jsonl").read_text().startswith(before)
    assert [row["env_steps"] for row in read_metrics(folder)] == [64, 80, 96, 112]
