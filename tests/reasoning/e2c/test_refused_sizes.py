"""Sizes and files that make no sense are refused before a model is asked or loaded."""

import json
from dataclasses import replace

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.__main__ import main
from reasoning.e2c.answers import exact
from reasoning.e2c.benchmarks import Task
from reasoning.e2c.evaluate import Evaluation, evaluate
from reasoning.e2c.llm import rl, sft
from reasoning.e2c.llm.config import LocalModel, RLTraining, SFTTraining
from reasoning.e2c.policies.settings import Settings

ASKED = Evaluation("greedy", Settings(), exact)
TASKS = [Task("q", "1")]


@pytest.mark.parametrize(
    ("tasks", "asked", "out", "stated"),
    [
        ([], ASKED, "o.json", "0 problems, samples 1 and batch 16"),
        (TASKS, replace(ASKED, samples=0), "o.json", "samples 0"),
        (TASKS, replace(ASKED, batch=0), "o.json", "batch 0"),
        (TASKS, ASKED, "o.jsonl", "would hold the outcomes and the summary"),
    ],
)
def test_an_evaluation_of_nothing_is_refused(tmp_path, tasks, asked, out, stated):
    with pytest.raises(UserError, match=stated):
        evaluate(tasks, None, asked, tmp_path / out)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["0", "-1"])
def test_a_limit_below_one_is_refused(tmp_path, limit, capsys):
    file = tmp_path / "p.jsonl"
    file.write_text(json.dumps({"question": "q", "answer": "#### 1"}) + "\n")
    assert main(["tts", "--bench", "gsm8k", "--file", str(file), "--limit", limit]) == 2
    assert f"--limit is {limit}: it must be at least 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "stated"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"base_share": -1.0}, "base_share is -1.0: it is a share"),
    ],
)
def test_a_training_of_nothing_is_refused(tmp_path, changed, stated):
    with pytest.raises(UserError, match=stated):
        sft.check(SFTTraining(data=tmp_path / "rows.jsonl", **changed))


@pytest.mark.parametrize(("text", "stated"), [(None, "is not there"), ("", "has no rows")])
def test_data_is_read_before_the_model_and_no_folder_is_left(tmp_path, monkeypatch, text, stated):
    def loaded(local):
        raise AssertionError("the model is loaded first")

    monkeypatch.setattr(rl, "load_model", loaded)
    monkeypatch.setattr(rl.extra, "load", lambda module: None)
    file = tmp_path / "rows.jsonl"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UserError, match=stated):
        rl.train(LocalModel(path=tmp_path), RLTraining(data=file), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_server_under_the_same_name_is_said(tmp_path, capsys):
    """Servers move, so a file may go on; but two models under one name would be mixed silently."""
    from reasoning.e2c.records import warn_of_other_servers

    records = [{"problem": 0, "server": "http://one/v1"}, {"problem": 1}]
    warn_of_other_servers(records, "http://one/v1", tmp_path)
    assert not capsys.readouterr().out
    warn_of_other_servers(records, "http://two/v1", tmp_path)
    assert (
        "continues what http://one/v1 answered, now with http://two/v1" in capsys.readouterr().out
    )


def test_a_family_that_the_checkpoint_is_not_of_is_refused(tmp_path):
    from reasoning.e2c.llm.load import model_config

    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(UserError, match="'llama', and the family asked for is 'qwen3'"):
        model_config(tmp_path, LocalModel(path=tmp_path, family="qwen3"))
