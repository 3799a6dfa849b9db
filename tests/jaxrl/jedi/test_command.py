"""The command line: a run from beginning to report, signals, sudden death, and bad input."""

import dataclasses
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from jaxrl.jedi.__main__ import parse
from jaxrl.jedi.presets import atari100k, options_for
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi import small_run
from tests.jaxrl.jedi.command import SMALL, Watched, call, environment, inside, start
from tests.jaxrl.jedi.compare import assert_same, assert_same_rows, final_state
from tests.jaxrl.jedi.training.test_failing_games import failing


def wait_for_line(process, beginning):
    """Read the output up to a line that begins so; the lines read."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(beginning):
            return lines
    raise AssertionError(
        f"the process ended without {beginning!r}: {lines}, {process.stderr.read()}"
    )


def test_train_ends_with_the_report(finished):
    folder, out = finished
    assert out.splitlines()[-1] == f"report: {folder / 'report' / 'index.html'}"
    page = (folder / "report" / "index.html").read_text()
    sentence = out.splitlines()[-2]
    assert "random play" in sentence and sentence in page
    assert (
        'src="data:image/gif;base64,' in page
        and "--preset atari100k" in page
        and "http://" not in page
        and "https://" not in page
    )
    assert {p.name for p in (folder / "report").iterdir()} == {
        "index.html",
        "curves.png",
        "monitors.png",
        "losses.png",
        "time.png",
        "film.png",
        "imagined.gif",
    }
    assert json.loads((folder / "config.json").read_text())["env"] == "catch"
    assert len(read_metrics(folder)) == 4


def test_evaluate_and_imagine(finished, tmp_path):
    folder = finished.folder
    scores = tmp_path / "scores.json"
    status, out, err = inside("evaluate", "--run-dir", folder, "--episodes", 8, "--out", scores)
    assert status == 0 and "mean return" in out, err
    recorded = json.loads(scores.read_text())
    assert len(recorded["returns"]) == 8 and sum(recorded["returns"]) / 8 == pytest.approx(
        recorded["return"]
    )
    shown = tmp_path / "a.gif"  # .png and .npz: test_look.py
    status, out, err = inside(
        "imagine", "--run-dir", folder, "--out", shown, "--actions", 0, 1, 2, 2
    )
    assert status == 0 and "4 steps" in out, err
    assert shown.stat().st_size > 100


def test_the_same_command_on_a_finished_run_only_writes_the_report(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    shutil.rmtree(folder / "report")
    status, _, err = inside("train", *SMALL, "--run-dir", folder)
    assert status == 0, err
    assert (folder / "report" / "index.html").exists()
    assert read_metrics(folder) == read_metrics(finished.folder)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            ("--schedule.env-steps", 96, "--evaluation.final-episodes", 3),
            "112 steps; evaluation.final_episodes, schedule.env_steps have no effect, and "
            "config.json stays: --schedule.env-steps above 112 continues it",
        ),
        (("--program", "run"), "112 steps; program has no effect, and config.json stays: "),
        ((), "112 steps: --schedule.env-steps above 112 continues it"),
    ],
)
def test_a_finished_run_says_so_and_takes_no_other_settings(changes, sentence, finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    status, out, err = inside("train", *SMALL, *changes, "--run-dir", folder)
    assert status == 0, err
    assert out.startswith(f"{folder} is already finished at {sentence}")
    for name in ("config.json", "metrics.jsonl"):
        assert (folder / name).read_bytes() == (finished.folder / name).read_bytes()


def test_a_cut_line_of_the_metrics_is_named_and_the_others_are_reported(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    file = folder / "metrics.jsonl"
    file.write_bytes(file.read_bytes()[:-100])
    status, _, err = inside("train", *SMALL, "--run-dir", folder)
    assert status == 0 and err.count("\n") == 1
    assert err.startswith(f"warning: {file}, line 4, is not JSON ") and "are left out" in err
    assert len(read_metrics(folder)) == 3 and (folder / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c | {"my_note": "x"}, ": the stored configuration was changed, or written by "),
        (lambda c: c | {"game": 5}, ": the stored configuration was changed: field game is 5, "),
    ],
)
def test_a_config_that_was_changed_is_named(change, sentence, finished, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(change(json.loads((finished.folder / "config.json").read_text()))))
    for command in (("train", *SMALL), ("report",), ("evaluate",)):
        status, _, err = inside(*command, "--run-dir", tmp_path)
        assert status == 2 and err.startswith(f"error: {file}{sentence}"), err


def test_checkpoints_without_their_config_are_not_taken_for_those_of_the_command(
    finished, tmp_path
):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    (folder / "config.json").unlink()
    status, _, err = inside("train", *SMALL, "--env", "catch-drift", "--run-dir", folder)
    assert status == 2 and f"{folder} holds checkpoints but no config.json" in err
    assert not (folder / "config.json").exists()


def test_options_written_for_a_configuration_give_it_again():
    assert parse(["train", *SMALL]).config == small_run.CONFIG
    other = dataclasses.replace(atari100k("Pong"), seed=3)
    assert parse(["train", *options_for(other)]).config == other


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_saves_and_the_same_command_continues(number, finished, tmp_path):
    arguments = ("train", *SMALL, "--run-dir", tmp_path)
    status, out, err = inside(
        *arguments, out=Watched("epoch 2/", lambda: signal.raise_signal(number))
    )
    assert status == 128 + number, err
    assert "saved; the same command continues" in out
    rows = len(read_metrics(tmp_path))
    assert rows < 4
    status, out, err = inside(*arguments)
    assert status == 0 and out.startswith(f"resuming at epoch {rows + 1}, "), err
    assert_same_rows(read_metrics(tmp_path), read_metrics(finished.folder))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_gets_a_signal_saves_and_the_same_command_continues(number, tmp_path):
    arguments = ("train", *SMALL, "--schedule.env-steps", 100_000, "--run-dir", tmp_path)
    process = start(*arguments)
    wait_for_line(process, "epoch 2/")
    process.send_signal(number)
    out, err = process.communicate()
    assert process.returncode == 128 + number, err
    assert "saved; the same command continues" in out
    rows = len(read_metrics(tmp_path))
    process = start(*arguments)
    lines = wait_for_line(process, "epoch ")
    process.kill()
    process.communicate()
    assert lines[0].startswith("resuming at epoch") and lines[-1].startswith(f"epoch {rows + 1}/")


COMPILING = """
import threading, time
from jaxrl.jedi.__main__ import leave
threading.Thread(target=time.sleep, args=(100,)).start()
print("stopped by SIGTERM, saved")
leave(143)
"""


def test_after_a_signal_the_process_does_not_wait_for_its_threads():
    command = [sys.executable, "-c", COMPILING]
    done = subprocess.run(command, env=environment(), capture_output=True, timeout=60, text=True)
    assert done.returncode == 143 and done.stdout == "stopped by SIGTERM, saved\n"


@pytest.mark.slow
def test_after_a_signal_the_process_does_not_wait_for_its_compilers(tmp_path):
    """Nothing is compiled yet, and compiling takes minutes; the process is gone in seconds."""
    settings = environment() | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "none")}
    process = start("train", *SMALL, "--run-dir", tmp_path / "run", env=settings)
    wait_for_line(process, "starting")
    time.sleep(2)
    process.send_signal(signal.SIGTERM)
    wait_for_line(process, "stopped by SIGTERM, saved")
    saved = time.monotonic()
    process.communicate(timeout=60)
    assert time.monotonic() - saved < 5
    assert process.returncode == 143


HOLD = """
import sys, time
from pathlib import Path
from jaxrl.app.lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_two_trainings_in_one_folder_are_refused(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "run")
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    status, _, err = inside("train", *SMALL, "--run-dir", folder)
    process.kill()
    process.communicate()
    assert status == 2 and str(process.pid) in err and err.count("\n") == 1
    assert "error: " in err and str(folder) in err
    assert (folder / ".lock").exists()  # left behind by the dead, so it is stale
    assert inside("train", *SMALL, "--run-dir", folder)[0] == 0


def test_one_run_and_the_runs_of_several_seeds_stay_apart(finished, tmp_path):
    one, several = tmp_path / "one", tmp_path / "several"
    for folder in (one, several / "seed0"):
        folder.mkdir(parents=True)
        shutil.copy(finished.folder / "config.json", folder)
    status, _, said = inside("train", *SMALL, "--run-dir", several)
    assert status == 2 and "holds the runs of several seeds: name one of them" in said
    status, _, said = inside("train", *SMALL, "--run-dir", one, "--seeds", "2")
    assert status == 2 and "holds one run, not those of several seeds" in said
    assert [path.name for path in several.iterdir()] == ["seed0"]
    assert [path.name for path in one.iterdir()] == ["config.json"]


def test_a_seed_without_an_epoch_does_not_hide_the_others(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "seed0")
    (tmp_path / "seed1").mkdir()
    shutil.copy(finished.folder / "config.json", tmp_path / "seed1")
    (tmp_path / "seed2" / "checkpoints").mkdir(parents=True)
    assert inside("report", "--run-dir", tmp_path)[0] == 0
    page = (tmp_path / "report" / "index.html").read_text()
    assert "catch: 1 seed<" in page and "Left out, without a finished epoch: seed1." in page
    assert "Left out, without config.json: seed2." in page


@pytest.mark.slow
def test_seeds_of_different_lengths_are_not_averaged_in_silence(finished, tmp_path):
    for seed in (0, 1):
        shutil.copytree(finished.folder, tmp_path / f"seed{seed}")
    assert inside("report", "--run-dir", tmp_path)[0] == 0
    page = tmp_path / "report" / "index.html"
    assert "catch: 2 seeds<" in page.read_text() and "same age" not in page.read_text()
    metrics = tmp_path / "seed1" / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:2]))
    assert inside("report", "--run-dir", tmp_path)[0] == 0
    assert "The seeds have made 80 to 112 environment steps" in page.read_text()


def test_levels_that_do_not_fit_are_named():
    status, _, said = inside("plan", *SMALL, "--agent.denoiser.widths", "8", "8", "8")
    assert status == 2 and "denoiser.depths and denoiser.widths need as many levels" in said


@pytest.mark.slow
def test_killed_while_saving_it_resumes_from_the_last_complete_checkpoint(
    finished, tmp_path, monkeypatch
):
    """A process that dies leaves what is on disk at that moment. Here the folder is copied before
    files and folders get their final names; training continues in the copies.
    """
    copies, folder, rename = [], tmp_path / "run", os.rename

    def copy_first(source, target, **options):
        if str(folder) in str(target) and "checkpoints" in str(target):
            copies.append(shutil.copytree(folder, tmp_path / f"copy{len(copies)}"))
        rename(source, target, **options)

    monkeypatch.setattr(os, "rename", copy_first)
    status, _, err = inside("train", *SMALL, "--run-dir", folder)
    assert status == 0, err
    monkeypatch.setattr(os, "rename", rename)
    unfinished = [c for c in copies if any("tmp" in p.name for p in c.glob("checkpoints/*"))]
    assert len(unfinished) >= 4
    for copy in (unfinished[0], unfinished[-1]):
        status, out, err = inside("train", *SMALL, "--run-dir", copy)
        assert status == 0, err
        assert out.startswith("resuming at epoch 4" if copy == unfinished[-1] else "starting")
        assert not any("tmp" in path.name for path in copy.glob("checkpoints/*"))
        assert_same_rows(read_metrics(copy), read_metrics(finished.folder))
        theirs = final_state(small_run.CONFIG, finished.folder)[0]
        assert_same(final_state(small_run.CONFIG, copy)[0], theirs)


@pytest.mark.slow
def test_killed_ten_times_at_random_it_ends_as_if_undisturbed(finished, tmp_path):
    """kill -9 after a random time; a run that got no further is given twice as long."""
    arguments = ("train", *SMALL, "--run-dir", tmp_path)
    rng, longest, kills = random.Random(7), 10.0, 0
    while kills < 10:
        before = len(read_metrics(tmp_path))
        process = start(*arguments)
        try:
            process.communicate(timeout=rng.uniform(0, longest))
            break
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
        kills += 1
        if len(read_metrics(tmp_path)) == before:
            longest *= 1.3
    assert kills > 2
    status, _, err = call(*arguments)
    assert status == 0, err
    assert_same_rows(read_metrics(tmp_path), read_metrics(finished.folder))
    theirs = final_state(small_run.CONFIG, finished.folder)[0]
    assert_same(final_state(small_run.CONFIG, tmp_path)[0], theirs)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("train", "--preset", "tiny", "--env", "Brekout"), "did you mean Breakout"),
        (("train", "--preset", "tiny", "--env", "CartPole-v1"), "not images"),
        (("train", "--preset", "tiny", "--env", "MyGame-v0"), "Gymnasium cannot make MyGame-v0"),
        (("train", *SMALL, "--replay.capacity", "8"), "raise it to 40"),
        (("train", *SMALL, "--run-dir", "/proc/nothing/run"), "choose another folder"),
        (("evaluate", "--run-dir", "nowhere"), "holds no run"),
        (("imagine", "--run-dir", "nowhere", "--out", "x.mp4"), "must end in .gif, .png or .npz"),
        (("report", "--run-dir", "nowhere"), "holds no run"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence):
    status, out, err = inside(*arguments)
    assert status == 2, (out, err)
    (line,) = [line for line in err.splitlines() if line]
    assert line.startswith("error: ") and sentence in line


def test_a_process_ends_with_the_status_and_the_sentence():
    """In a locale without UTF-8 and with a home that cannot be written, too."""
    env = environment() | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env |= {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    process = start("evaluate", "--run-dir", "nirgends-ü", env=env)
    out, err = process.communicate()
    assert process.returncode == 2 and out == "" and err.count("\n") == 1, err
    assert err.startswith("error: nirgends-") and "holds no run" in err


@pytest.mark.slow
def test_training_works_without_utf8_and_without_a_home(tmp_path):
    env = environment() | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    env |= {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "", "MPLCONFIGDIR": ""}
    env.pop("JAX_COMPILATION_CACHE_DIR", None)
    process = start("train", *SMALL, "--run-dir", tmp_path / "run", env=env)
    err = process.communicate()[1]
    assert process.returncode == 0 and "Traceback" not in err, err
    assert len(read_metrics(tmp_path / "run")) == 4


def fails(frame_size):
    """A game that goes away in its second play, for the command line."""
    return failing({20})()


def test_a_game_that_fails_ends_the_command_with_its_message(tmp_path):
    game = (*SMALL, "--env", "tests.jaxrl.jedi.test_command:fails", "--run-dir", tmp_path)
    status, _, err = inside("train", *game)
    (line,) = [line for line in err.splitlines() if line]
    assert status == 2 and line.startswith("error: ") and "simulator went away" in line
    assert "everything played before is saved in" in line


@pytest.mark.parametrize(
    "arguments",
    [("train", "--preset", "tinny"), ("train", "--agent.contxt", "3"), ("train", "--seed", "x")],
)
def test_a_wrong_name_or_type_of_an_option_is_refused_by_the_parser(arguments):
    status, _, err = inside(*arguments)
    assert status == 2 and arguments[-2] in err and "Traceback" not in err


def test_another_configuration_in_the_folder_names_the_field(finished):
    status, _, err = inside(
        "train", *SMALL, "--run-dir", finished.folder, "--agent.behavior.gamma", "0.9"
    )
    assert status == 2 and "agent.behavior.gamma is 0.985 there and 0.9 here" in err


def test_actions_outside_the_game_are_refused(finished, tmp_path):
    status, _, err = inside(
        "imagine", "--run-dir", finished.folder, "--out", tmp_path / "x.gif", "--actions", 7
    )
    assert status == 2 and "actions 0 to 2" in err and not (tmp_path / "x.gif").exists()
