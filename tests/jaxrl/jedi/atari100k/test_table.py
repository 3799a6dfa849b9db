"""The command line of the suite: boards, comparisons, pictures, and bad input."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jaxrl.envs.atari100k import GAMES, SCORES
from jaxrl.jedi.__main__ import main, parse
from jaxrl.jedi.atari100k.comparison import aggregate_table, per_game
from jaxrl.jedi.atari100k.progress_board import Board, cell, failures, summary
from jaxrl.jedi.atari100k.run_log import note
from jaxrl.jedi.atari100k.runs import Run, State, states
from jaxrl.jedi.atari100k.scores import Scores, read_scores
from tests.golden import Golden
from tests.jaxrl.jedi.atari100k.folder import lines, write_run

GOLDEN = Golden("rl/diamond_hns")
DIAMOND = {
    game: list(column)
    for game, column in zip(GOLDEN.config["games"], GOLDEN["in/raw_scores"].T, strict=True)
}


@pytest.fixture
def diamond(tmp_path):
    """DIAMOND's published single runs as a scores file."""
    path = tmp_path / "diamond.json"
    path.write_text(json.dumps(DIAMOND))
    return path


def column(rows, head):
    place = rows.heads.index(head)
    return {row[0].rstrip("*"): row[place] for row in rows.body}


def test_diamonds_runs_have_diamonds_published_aggregates(diamond):
    rows = aggregate_table(read_scores(diamond), "again", 500)
    for head in ("mean", "median", "IQM", "optimality gap", "games >= human"):
        values = column(rows, head)
        estimate, ends = values["again"].split(" [")
        assert estimate == values["DIAMOND"]
        low, high = map(float, ends.rstrip("]").split(", "))
        assert low <= float(estimate) <= high and low < high
    assert column(rows, "AO mean")["again"].startswith("2.791") and column(rows, "HO mean")[
        "again"
    ].startswith("0.127")


def test_games_beside_the_references(diamond):
    rows = per_game(read_scores(diamond), "again")
    assert [row[0].rstrip("*") for row in rows.body] == list(GAMES) and sum(
        row[0].endswith("*") for row in rows.body
    ) == 13
    assert column(rows, "again")["Alien"] == "744.1" and column(rows, "sd")["Alien"] == "123.9"
    ours, theirs = (
        np.array(list(map(float, column(rows, head).values()))) for head in ("again HNS", "DIAMOND")
    )
    np.testing.assert_allclose(ours, theirs, atol=4e-3)
    assert column(rows, "EfficientZero")["Breakout"] == "14.319"


def test_random_and_human_play_as_methods():
    for place, (mean, gap, sym) in enumerate(
        (("0.000", "1.000", "0.000"), ("1.000", "0.000", "1.000"))
    ):
        scores = Scores({game: [SCORES[game][place]] for game in GAMES})
        first = aggregate_table(scores, "x", 500).body[0]  # one seed: no intervals
        assert (first[1], first[4], first[8], first[-1]) == (mean, gap, sym, "1 seed")


def test_some_games_compare_with_the_same_games_of_others(diamond):
    scores = Scores({game: DIAMOND[game] for game in ("Boxing", "Alien")})
    rows = aggregate_table(scores, "x", 0)
    assert (
        column(rows, "mean")["x"]
        == column(rows, "mean")["DIAMOND"]
        == f"{(7.233 + 0.0748) / 2:.3f}"
    )
    others = [float(row[1]) for row in rows.body[1:]]
    assert others == sorted(others, reverse=True)
    assert column(rows, "IQM")["DIAMOND"] == "-" and "SimPLe" not in column(rows, "mean")


def test_the_command_writes_tables_and_pictures(diamond, tmp_path, capsys):
    assert (
        main(["suite", "table", "--scores", str(diamond), "--name", "again", "--repetitions", "50"])
        == 0
    )
    said, folder = capsys.readouterr().out, tmp_path / "comparison"
    text = (folder / "comparison.md").read_text()
    for sentence in (
        "| Breakout* |",
        "| EfficientZero |",
        "1.459",
        "a split that we reconstructed",
        "none of them run by us",
    ):
        assert sentence in said and sentence in text
    names = {"comparison.md", "games.png", "index.html", "profile.png"}
    assert {path.name for path in folder.iterdir()} == names
    page = (folder / "index.html").read_text()
    assert "again on Atari 100k" in page and page.count("data:image/png") == 2
    for name in ("games.png", "profile.png"):
        picture = np.asarray(Image.open(io.BytesIO((folder / name).read_bytes())).convert("RGB"))
        assert min(picture.shape[:2]) > 500 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_collect_and_table_on_a_folder(tmp_path, capsys):
    out = str(tmp_path)
    write_run(tmp_path, "Pong", 0, lines(7, score=20.4))
    write_run(tmp_path, "Alien", 0, lines(3))
    note(tmp_path, Run("Alien", 0), "failed", status=2, sentence="error: [red]no[/red]")
    assert main(["suite", "table", "--out", out]) == 0
    said = capsys.readouterr().out
    for part in ("1 of 2 runs done", "done 20.4", "failed", "no scores yet"):
        assert part in said
    assert f"Alien/seed0 failed: error: [red]no[/red]  ({tmp_path}/Alien/seed0.log)" in said
    assert main(["suite", "collect", "--out", out, "--seeds", "1", "--partial"]) == 0
    capsys.readouterr()
    assert main(["suite", "table", "--out", out]) == 2
    assert "no scores of Alien, Amidar" in capsys.readouterr().err
    assert main(["suite", "table", "--out", out, "--partial", "--repetitions", "0"]) == 0
    assert "1 of 26 games" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("table", "--out", "nowhere"), "holds no runs of a suite"),
        (("table", "--scores", "nowhere.json"), "there is no file nowhere.json"),
        (("table", "--repetitions", "-1"), "--repetitions is -1"),
        (("collect", "--out", "nowhere"), "there is no folder nowhere"),
        (("collect", "--games", "Tennis", "--out", "."), "'Tennis', which is not one of the 26"),
        (("launch", "--games", "Tennis"), "'Tennis', which is not one of the 26"),
        (("launch", "--env", "Pong"), "--env is set by launch"),
        (
            ("launch", "--dry-run", "--out", "gs://bucket/suite"),
            "gs://bucket/suite is no folder of this machine",
        ),
        (
            ("collect", "--out", "gs://bucket/suite"),
            "gs://bucket/suite is no folder of this machine",
        ),
        (
            ("table", "--scores", "gs://bucket/scores.json"),
            "gs://bucket/scores.json is no folder of this machine",
        ),
        (("launch", "--replay.capacity", "0"), "replay.capacity is 0"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, capsys):
    assert main(["suite", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and sentence in line


@pytest.mark.parametrize(
    "arguments", [("--no-such-option",), ("Pong",), ("--agent.contxt", "3"), ("--seeds", "x")]
)
def test_launch_refuses_what_neither_it_nor_train_knows(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(["suite", "launch", "--dry-run", *arguments])
    assert left.value.code == 2 and arguments[0] in capsys.readouterr().err


def test_options_of_train_are_told_from_those_of_launch():
    suite = parse(
        [
            "suite",
            "launch",
            "--games",
            "Pong",
            "--agent.encoder.widths",
            "32",
            "64",
            "64",
            "--jobs",
            "3",
            "--dry-run",
        ]
    )
    assert suite.options == ("--agent.encoder.widths", "32", "64", "64")
    assert (suite.command.jobs, suite.command.games, suite.command.dry_run) == (3, ("Pong",), True)


def test_what_the_board_says():
    assert (
        cell(State("waiting")) == "[dim]waiting[/dim]"
        and cell(State("waiting"), running=True) == "[bold]0/?[/bold]"
    )
    assert (
        cell(State("begun", 3, 9)) == "3/9"
        and cell(State("done", 9, 9, 900, 1234.56)) == "[green]done[/green] 1,234.6"
    )
    assert cell(State("failed", 3, 9), running=True) == "[bold]3/9[/bold]"
    known = {
        Run("Pong", 0): State("begun", 1, 9),
        Run("Pong", 1): State("failed", sentence="x"),
        Run("Alien", 0): State("waiting"),
    }
    assert summary(known, [Run("Pong", 0)]).startswith(
        "0 of 3 runs done, 1 running, 1 waiting, 1 failed"
    )
    assert len(failures(known, Path("o"))) == 1


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_the_board_on_a_terminal_and_in_a_file(stream, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jaxrl.jedi.atari100k.progress_board.REDRAW", 0.0)
    monkeypatch.setattr("jaxrl.jedi.atari100k.progress_board.HEARTBEAT", -1.0)
    runs, out = [Run("Pong", 0), Run("Alien", 0)], stream()
    with Board(runs, tmp_path, out) as board:
        write_run(tmp_path, "Pong", 0, lines(2))
        board.show([runs[0]])
        board.say("a line [that] stays")
    said = out.getvalue() + capsys.readouterr().out
    assert "2/7" in said and "a line [that] stays" in said and "1 running" in said
    assert board.known == states(runs, tmp_path)
