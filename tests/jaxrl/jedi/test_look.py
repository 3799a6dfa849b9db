"""The commands `imagine` and `horizon` on several runs: what they write, and what they refuse."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from jaxrl.diffusion.sample import Churn
from jaxrl.jedi.__main__ import main
from jaxrl.jedi.config import GameConfig, SamplerConfig
from jaxrl.jedi.diagnostics.open_loop import Stretch
from jaxrl.jedi.diagnostics.sampler import SamplerChoice
from jaxrl.jedi.report.imagine import imagine_runs
from jaxrl.jedi.report.run import over_the_horizon
from jaxrl.jedi.training.validate import check
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run
from tests.jaxrl.jedi import small_run, untrained_run

CONFIG = small_run.CONFIG


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders: two runs of catch, one whose probe never learned, and only the configurations of one
    of another size and one of another game.
    """
    home = tmp_path_factory.mktemp("runs")

    def write(name, config, probe=1):
        return untrained_run.write(home / name, config, probe)

    return {
        "a": write("a", CONFIG),
        "b": write("b", dataclasses.replace(CONFIG, seed=1)),
        "blind": write("blind", CONFIG, 0),
        "large": open_run(
            home / "large",
            to_dict(dataclasses.replace(CONFIG, game=GameConfig(frame_size=32, num_envs=4))),
        ),
        "bricks": open_run(home / "bricks", to_dict(dataclasses.replace(CONFIG, env="bricks"))),
    }


def test_there_is_no_best_checkpoint_without_an_evaluation(runs, capsys):
    assert main(["evaluate", "--run-dir", str(runs["a"]), "--checkpoint", "best"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "has no evaluated checkpoint yet" in line


def test_several_runs_imagine_the_same_stretch(runs, tmp_path, capsys):
    out = tmp_path / "both.npz"
    assert (
        main(
            [
                "imagine",
                "--run-dir",
                str(runs["a"]),
                "--run-dir",
                str(runs["b"]),
                "--out",
                str(out),
                "--actions",
                "left*2",
                "STAY",
                "2",
            ]
        )
        == 0
    )
    first, *lines = capsys.readouterr().out.splitlines()
    assert (
        first == str(out)
        and [line.split(":")[0].strip() for line in lines] == ["a", "b"]
        and "4 steps" in lines[0]
    )
    with np.load(out) as saved:
        np.testing.assert_array_equal(saved["action"], [0, 0, 1, 2])
        assert saved["real"].shape == saved["a.imagined"].shape == (5, 16, 16, 3)
        assert not np.array_equal(saved["a.imagined"], saved["b.imagined"])
    strip = tmp_path / "both.png"
    imagine_runs([runs["a"], runs["b"]], strip, actions=["left*4"])
    with Image.open(strip) as sheet:
        assert sheet.height > 3 * 96


def test_imagination_that_begins_again_is_that_of_shorter_stretches(runs, tmp_path):
    """With a horizon of 1, every frame is one step from a real one; the first is that of a long
    dream.
    """
    found = {}
    for horizon in (None, 1, 3):
        stretch, actions = Stretch(horizon=horizon), ["left", "stay*3", "right"]
        imagine_runs([runs["a"]], tmp_path / "x.npz", stretch, actions)
        with np.load(tmp_path / "x.npz") as saved:
            found[horizon] = dict(saved)
    for one in found.values():
        assert one["imagined"].shape == (6, 16, 16, 3) and one["imagined_reward"].shape == (5,)
        np.testing.assert_array_equal(one["real"], found[None]["real"])

    def same(a, b):
        return (
            np.abs(found[a]["imagined"].astype(int) - found[b]["imagined"].astype(int)).max(
                (1, 2, 3)
            )
            <= 1
        )

    assert not same(1, None)[2:].all() and not same(3, None)[4:].all()


def test_a_sampler_can_be_chosen(runs, tmp_path):
    said = imagine_runs(
        [runs["a"]], tmp_path / "x.png", actions=["left*3"], choice=SamplerChoice(1, 2, churn=0.3)
    )
    assert said.endswith("(1 Heun step from 5 to 5, churn 0.3)")


@pytest.mark.slow
def test_horizon_writes_table_figure_and_json(runs, capsys):
    small = ["--games", "3", "--game-steps", "12", "--starts", "20", "--epsilon", "1"]
    assert (
        main(["horizon", "--run-dir", str(runs["a"]), "--run-dir", str(runs["blind"]), *small]) == 0
    )
    out = capsys.readouterr().out
    recorded = json.loads((runs["a"] / "report" / "horizon.json").read_text())
    assert (
        recorded["horizon"] == 9
        and recorded["counted"][0] == 20 == recorded["starts"]
        and recorded["counted"] == sorted(recorded["counted"])[::-1]
    )
    mine, blind = recorded["runs"]["a"]["figures"], recorded["runs"]["blind"]["figures"]
    assert "frame_error" in mine and "frame_error" not in blind and "no pictures" in out
    assert mine["latent_error"] == blind["latent_error"], "the same agent, games, starts and noise"
    low, mean, high = (np.array(mine["latent_error"][key]) for key in ("low", "mean", "high"))
    assert (low <= mean).all() and (mean <= high).all() and mean.shape == (9,)
    with Image.open(runs["a"] / "report" / "horizon.png") as picture:
        assert picture.size == (1300, 640)
    pictures = {"horizon.png": (runs["a"] / "report" / "horizon.png").read_bytes()}
    assert "a after 0 environment steps" in over_the_horizon(runs["a"], pictures)
    assert out.count("\n   9 ") == 2 or out.count("   9  ") >= 2


CASES = {
    "horizon 0": ("imagine", ["a"], ["--horizon", "0"], "--horizon is 0"),
    "steps 0": ("imagine", ["a"], ["--steps", "0"], "steps must be at least 1"),
    "order": ("imagine", ["a"], ["--order", "3"], "--order is 3: it must be 1 (Euler) or 2 (Heun)"),
    "passes": ("imagine", ["a"], ["--denoising-steps", "0"], "--denoising-steps is 0"),
    "churn": ("imagine", ["a"], ["--churn", "-1"], "--churn is -1.0"),
    "action": (
        "imagine",
        ["a"],
        ["--actions", "fire"],
        "named left, stay, right; --actions holds 'fire'",
    ),
    "blind": ("imagine", ["a", "blind"], [], "blind was trained without the probe decoder"),
    "sizes": ("imagine", ["a", "large"], [], "frames have 16 pixels in a and 32 in large"),
    "games": ("imagine", ["a", "bricks"], [], "a plays catch and bricks plays bricks"),
    "twice": ("imagine", ["a", "a"], [], "is given twice"),
    "none": ("imagine", [], [], "name a run with --run-dir, or an agent with --pretrained"),
    "warm-up": ("imagine", ["a"], ["--warm-up", "50"], "the real game was over after 9 steps"),
    "too long": (
        "horizon",
        ["a"],
        ["--steps", "10", "--games", "2"],
        "no game lasted for more than 9 steps",
    ),
    "no steps": ("horizon", ["a"], ["--steps", "0"], "--steps is 0: it must be at least 1"),
    "one game": (
        "horizon",
        ["a"],
        ["--games", "1"],
        "at least 2: the bands come from comparing games",
    ),
    "no starts": ("horizon", ["a"], ["--starts", "0"], "--starts is 0"),
    "epsilon": ("horizon", ["a"], ["--epsilon", "2"], "--epsilon is 2.0: it is a share"),
    "ending": ("horizon", ["a"], ["--out", "x.pdf"], "must end in .png"),
    "no folder": (
        "horizon",
        ["a"],
        ["--out", "none/x.png"],
        "lies in a folder that does not exist",
    ),
    "no run": ("horizon", [], [], "name a run with --run-dir, or an agent with --pretrained"),
}


def test_training_refuses_negative_churn():
    churned = dataclasses.replace(CONFIG.agent, sampler=SamplerConfig(churn=Churn(s_churn=-1.0)))
    with pytest.raises(
        UserError, match=r"agent.sampler.churn.s_churn is -1.0: it must be at least 0"
    ):
        check(dataclasses.replace(CONFIG, agent=churned))


@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence(case, runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command, names, options, sentence = CASES[case]
    assert (
        main(
            [
                command,
                *(word for name in names for word in ("--run-dir", str(runs[name]))),
                *options,
            ]
        )
        == 2
    )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and sentence in line
    assert not list(tmp_path.iterdir())
