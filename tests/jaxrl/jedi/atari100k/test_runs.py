"""Where a run stands, from folders made by hand with the training loop's rule."""

import json

import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.atari100k import GAMES
from jaxrl.jedi.atari100k.run_log import note, noted
from jaxrl.jedi.atari100k.runs import Run, games_named, runs_in, runs_of, state, states
from tests.jaxrl.jedi.atari100k.folder import SCHEDULE, lines, write_run

RUN = Run("Pong", 0)


def test_names_of_games():
    assert games_named([], "x") == GAMES and len(GAMES) == 26
    assert games_named(["ms_pacman", "PONG", "pong"], "x") == ("MsPacman", "Pong")
    with pytest.raises(UserError, match="'Brekout'.*did you mean Breakout"):
        games_named(["Brekout"], "--games")
    with pytest.raises(UserError, match="'Tennis'.*Atari 100k"):
        games_named(["Tennis"], "--games")


def test_all_games_come_before_the_next_seed():
    assert [str(run) for run in runs_of(("Pong", "Alien"), 2, 3)] == [
        "Pong/seed3",
        "Alien/seed3",
        "Pong/seed4",
        "Alien/seed4",
    ]
    for seeds, first in ((0, 0), (1, -1)):
        with pytest.raises(UserError, match="at least one seed"):
            runs_of(("Pong",), seeds, first)


@pytest.mark.parametrize("epochs", range(8))
def test_a_run_is_done_exactly_after_its_last_epoch(tmp_path, epochs):
    """7 epochs in all; an eighth line never comes."""
    write_run(tmp_path, "Pong", 0, lines(min(epochs, 7), score=20.5))
    found = state(RUN, tmp_path)
    assert (found.kind, found.epoch, found.epochs) == (
        "done" if epochs >= 7 else "begun",
        min(epochs, 7),
        7,
    )
    assert found.score == (20.5 if epochs >= 7 else None)


@pytest.mark.parametrize(
    ("schedule", "first", "epochs"),
    [
        (
            {},
            260,
            1 + 4 + 2,
        ),  # more random steps because rewards were rare; 640 is reached instead of 600
        ({"final_epochs": 0}, None, 5),
        ({"env_steps": 200}, None, 1 + 2),
        ({"env_steps": 150, "final_epochs": 0}, None, 1),
        ({"env_steps": 650}, None, 1 + 5 + 2),
    ],
)
def test_the_last_epoch_of_other_schedules(tmp_path, schedule, first, epochs):
    schedule = SCHEDULE | schedule
    for count in range(1, epochs + 1):
        folder = write_run(
            tmp_path / str(count), "Pong", 0, lines(count, schedule=schedule, first=first), schedule
        )
        found = state(RUN, tmp_path / str(count))
        assert (found.kind, found.epochs) == ("done" if count == epochs else "begun", epochs), (
            folder,
            count,
        )


def test_a_finished_run_made_longer_is_begun_again(tmp_path):
    """Its idle epochs lie in the middle and count: 7 epochs, then two more with play."""
    longer = SCHEDULE | {"env_steps": 800}
    rows = lines(7)
    write_run(tmp_path, "Pong", 0, rows, longer)
    assert (state(RUN, tmp_path).kind, state(RUN, tmp_path).epochs) == ("begun", 9)
    more = [
        rows[-1] | {"epoch": 7, "env_steps": 700},
        rows[-1] | {"epoch": 8, "env_steps": 800, "evaluate/return": 3.0},
    ]
    write_run(tmp_path / "after", "Pong", 0, [*rows, *more], longer)
    found = state(RUN, tmp_path / "after")
    assert (found.kind, found.epoch, found.epochs, found.score) == ("done", 9, 9, 3.0)


def test_waiting_started_failed_and_done_after_all(tmp_path):
    assert state(RUN, tmp_path).kind == "waiting"
    note(tmp_path, RUN, "started", commit=None)
    assert states([RUN], tmp_path)[RUN].kind == "begun"
    note(tmp_path, RUN, "failed", status=2, sentence="error: no")
    found = states([RUN], tmp_path)[RUN]
    assert (found.kind, found.sentence) == ("failed", "error: no")
    write_run(tmp_path, "Pong", 0, lines(3))
    assert states([RUN], tmp_path)[RUN].kind == "failed"
    note(tmp_path, RUN, "started", commit=None)
    assert states([RUN], tmp_path)[RUN].kind == "begun"
    assert [entry["event"] for entry in noted(tmp_path)["Pong/seed0"]] == [
        "started",
        "failed",
        "started",
    ]


def test_damaged_remarks_are_passed_over(tmp_path):
    (tmp_path / "launches.jsonl").write_text('{"run": "Pong/seed0", "ev\n[1]\n{}\n')
    note(tmp_path, RUN, "finished")
    assert list(noted(tmp_path)) == ["Pong/seed0"]


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no runs of a suite"):
        runs_in(tmp_path)
    (tmp_path / "Pong" / "seed0").mkdir(parents=True)
    (tmp_path / "Pong" / "seed0" / "config.json").write_text(json.dumps({"model": 1}))
    with pytest.raises(UserError, match="holds no run that this version"):
        states(runs_in(tmp_path), tmp_path)


def test_runs_of_a_folder_are_those_begun_and_those_waiting(tmp_path):
    write_run(tmp_path, "Pong", 1, [])
    write_run(tmp_path, "Tennis", 0, [])
    note(tmp_path, Run("Alien", 0), "waiting")
    (tmp_path / "Pong" / "seed1.log").touch()
    assert runs_in(tmp_path) == [Run("Alien", 0), Run("Pong", 1)]
