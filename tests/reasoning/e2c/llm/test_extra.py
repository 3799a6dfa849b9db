"""Without the extra, everything that needs it names it; rewards and tags work without."""

import importlib

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.__main__ import main
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import RLTraining
from reasoning.e2c.llm.rl import reward_function
from reasoning.e2c.llm.tags import add_tags, markers, tag_ids


@pytest.fixture
def absent(monkeypatch):
    """As if the extra were not installed."""
    real = importlib.import_module

    def load(name, *rest):
        if name.split(".")[0] in ("tunix", "transformers", "qwix"):
            raise ModuleNotFoundError(name, name=name.split(".")[0])
        return real(name, *rest)

    monkeypatch.setattr(extra.importlib, "import_module", load)


def test_the_extra_is_named(absent):
    with pytest.raises(UserError, match=r"latentax\[llm\]"):
        extra.load("tunix.sft.peft_trainer")
    assert extra.load("json").__name__ == "json"


@pytest.mark.parametrize("command", ["sft", "ef-sft", "rl"])
def test_commands_of_local_models_refuse_without_it(absent, command, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "m.safetensors").write_bytes(b"")
    assert main([command, "--model.path", str(tmp_path), "--run-dir", str(tmp_path / "run")]) == 2
    assert "latentax[llm]" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_a_model_must_be_named(capsys):
    assert main(["sft"]) == 2
    assert "--model.path" in capsys.readouterr().err


class Words:
    """A tokenizer of words that knows some tags."""

    def __init__(self, known):
        self.known = list(known)

    def encode(self, text, add_special_tokens=True):
        return [100 + self.known.index(text)] if text in self.known else [ord(c) for c in text]

    def add_special_tokens(self, named):
        new = [tag for tag in named["additional_special_tokens"] if tag not in self.known]
        self.known += new
        return len(new)


def test_tags_are_looked_up_added_and_refused():
    tokenizer = Words(["<EXECUTION>"])
    with pytest.raises(UserError, match="</EXPLORATION>"):
        tag_ids(tokenizer)
    assert add_tags(tokenizer) == 3 and add_tags(tokenizer) == 0
    assert tag_ids(tokenizer)["<EXECUTION>"] == 100 and markers(tokenizer) == (102, 100)


def test_rewards_as_the_learner_calls_them(monkeypatch):
    reward = reward_function(RLTraining(stage=1, overlong_buffer=0), Words([]))
    assert reward(["p", "p"], ["\\boxed{3}", "none"], answer=["3", "3"]) == [1.0, 0.0]
    from reasoning.e2c.llm import rl

    monkeypatch.setattr(rl, "reward", lambda *_: float("nan"))
    with pytest.raises(UserError, match="response 0 is nan"):
        reward(["p"], ["x"], answer=["3"])
