"""Names of version 0.1 work until 0.3, and warn once."""

import subprocess
import sys
import warnings
from dataclasses import replace

import pytest

import jaxrl.jedi
from jaxrl.app import old_names
from jaxrl.app.progress import warn
from jaxrl.jedi import config
from jaxrl.jedi.cli.options import Learn, parse, with_present_options
from jaxrl.jedi.config import (
    AgentConfig,
    BehaviorLearning,
    RewardEndLearning,
    Schedule,
    Updates,
    WorldModelLearning,
)
from jaxrl.jedi.old_names import present_names
from jaxrl.train.config import from_dict, to_dict
from tests.jaxrl.jedi import small_agent

RENAMED = {"update_heads": "update_reward_end", "update_behaviour": "update_actor_critic"}


@pytest.mark.parametrize("old, new", list(RENAMED.items()))
def test_an_old_name_warns_once(old, new):
    old_names._warned.discard(f"jaxrl.jedi.{old}")
    with pytest.warns(DeprecationWarning, match=f"{old} is jaxrl.jedi.{new} now"):
        found = getattr(jaxrl.jedi, old)
    assert found is getattr(jaxrl.jedi, new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert getattr(jaxrl.jedi, old) is found


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'update_heart'"):
        getattr(jaxrl.jedi, "update_" + "heart")


def test_stored_fields_are_found_by_their_old_names():
    old = to_dict(Schedule(first_epoch=Updates(1), per_epoch=Updates(2)))
    old |= {"first": old.pop("first_epoch"), "steady": old.pop("per_epoch")}
    assert from_dict(Schedule, old) == Schedule(first_epoch=Updates(1), per_epoch=Updates(2))
    old = to_dict(BehaviorLearning(num_reset_starts=3))
    old["spare" + "_starts"] = old.pop("num_reset_starts")
    assert from_dict(BehaviorLearning, old).num_reset_starts == 3
    now = AgentConfig(
        reward_end_learning=RewardEndLearning(length=7), behavior=BehaviorLearning(gamma=0.5)
    )
    old = to_dict(now)
    old |= {"heads": old.pop("reward_end_learning"), "behaviour": old.pop("behavior")}  # old name
    old["world_model"]["heads_gradient"] = old["world_model"].pop("reward_end_gradient")
    assert from_dict(AgentConfig, old) == now
    assert from_dict(Updates, {"heads": 3, "behaviour": 4}) == Updates(  # old name
        reward_end=3, behavior=4
    )


def test_a_removed_field_is_left_out_with_a_warning_if_it_did_something(capsys):
    warn.cache_clear()
    now = RewardEndLearning(length=7)
    assert from_dict(RewardEndLearning, to_dict(now) | {"carry_sampled": False}) == now
    assert capsys.readouterr().err == ""
    assert from_dict(RewardEndLearning, to_dict(now) | {"carry_sampled": True}) == now
    assert "has carry_sampled, which was removed since" in capsys.readouterr().err


def test_old_settings_are_taken_and_shown_with_a_warning():
    taken = {
        "heads": (AgentConfig(), "reward_end_learning", RewardEndLearning(length=7)),
        "behaviour": (Updates(), "behavior", 7),  # old name
        "heads_gradient": (WorldModelLearning(), "reward_end_gradient", 0.5),
        "first": (Schedule(), "first_epoch", Updates(1)),
    }
    for old, (before, new, value) in taken.items():
        old_names._warned.discard(f"{type(before).__name__}.{old}")
        with pytest.warns(DeprecationWarning, match=f"is {type(before).__name__}.{new} now"):
            now = replace(before, **{old: value})
        assert now == replace(before, **{new: value}) != before
        assert getattr(now, old) == value
    state = small_agent.agent()
    old_names._warned.discard("AgentState.heads")
    with pytest.warns(DeprecationWarning, match="is AgentState.reward_end now"):
        assert state.heads is state.reward_end


def test_metrics_of_old_runs_have_present_names():
    old = {"heads/loss": 1, "behaviour/loss": 2, "time/judge": 3, "gate/open": 4}  # old name
    wanted = {"reward_end/loss": 1, "behavior/loss": 2, "time/gate": 3, "gate/open": 4}
    assert present_names(old) == wanted
    assert present_names({"sums": {"heads": {"loss": 1}}}) == {"sums": {"reward_end": {"loss": 1}}}


def test_a_class_is_found_by_its_old_name():
    with pytest.warns(DeprecationWarning, match="is jaxrl.jedi.config.BehaviorLearning now"):
        assert getattr(config, "Behaviour" + "Learning") is BehaviorLearning  # old name


def test_old_options_are_taken_with_a_warning(capsys):
    found = with_present_options(
        ["train", "--schedule.first.probe", "3", "--schedule.steady.world_model=4", "--seed", "1"]
    )
    assert found == [
        *("train", "--schedule.first-epoch.probe", "3"),
        *("--schedule.per-epoch.world_model=4", "--seed", "1"),
    ]
    assert capsys.readouterr().err.count("warning: ") == 2
    old = {
        "--agent.heads.length": "--agent.reward-end-learning.length",
        "--agent.behaviour.spare-starts": "--agent.behavior.num-reset-starts",  # old name
        "--agent.behaviour.gamma": "--agent.behavior.gamma",  # old name
        "--schedule.first.heads": "--schedule.first-epoch.reward-end",
        "--updates.behaviour": "--updates.behavior",  # old name
    }
    assert with_present_options(list(old)) == list(old.values())


def test_importing_warns_of_nothing():
    run = [sys.executable, "-W", "error", "-c", "import jaxrl.jedi"]
    assert subprocess.run(run, capture_output=True).returncode == 0


def test_the_command_learn_is_called_train_offline():
    options = ["--preset", "tiny", "--data", "episodes", "--seed", "3"]
    found = parse(["train-offline", *options])
    assert isinstance(found, Learn) and found == parse(["learn", *options])
    assert found.config.data == "episodes" and found.config.seed == 3
