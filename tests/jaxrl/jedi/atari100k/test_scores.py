"""Scores files of all kinds, and collecting them from runs."""

import json

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.envs.atari100k import GAMES
from jaxrl.jedi.atari100k.run_log import note
from jaxrl.jedi.atari100k.runs import Run
from jaxrl.jedi.atari100k.scores import Collect, collect, read_scores
from tests.golden import Golden
from tests.jaxrl.jedi.atari100k.folder import lines, write_run

FULL = {game: [float(i), i + 1.0] for i, game in enumerate(GAMES)}


def written(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_plain_file_in_any_order_and_spelling(tmp_path):
    shuffled = {game.lower(): FULL[game] for game in reversed(GAMES)}
    scores = read_scores(written(tmp_path, shuffled))
    assert (
        scores.games == GAMES
        and scores.seeds == 2
        and scores.by_game == FULL
        and scores.remarks == ()
    )


def test_normalized_as_in_the_golden_file(tmp_path):
    golden = Golden("rl/diamond_hns")
    table = {
        game: list(column)
        for game, column in zip(golden.config["games"], golden["in/raw_scores"].T, strict=True)
    }
    scores = read_scores(written(tmp_path, table))
    order = [golden.config["games"].index(game) for game in scores.games]
    np.testing.assert_allclose(scores.human_normalized(), golden["out/hns"][:, order], atol=1e-6)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "must map games to lists .* holds a list"),
        ("{}", "an object without games"),
        ("null", "holds null"),
        ({"Tennis": [1.0]}, "'Tennis', which is not one of the 26"),
        ({"Pong": [1.0], "pong": [2.0]}, "names Pong twice"),
        ({"Pong": 3.0}, "Pong must have a list of finite numbers"),
        ({"Pong": []}, "Pong must have a list"),
        ({"Pong": [[1.0]]}, "Pong must have a list"),
        ({"Pong": [True]}, "Pong must have a list"),
        ('{"Pong": [NaN]}', "Pong must have a list"),
        ({"Pong": ["1"]}, "Pong must have a list"),
        ({game: FULL[game] for game in GAMES[:24]}, "no scores of Seaquest, UpNDown: .* --partial"),
        (
            FULL | {"Pong": [1.0], "Hero": [2.0]},
            r"fewer than 2 seeds of Pong \(1\), Hero \(1\)|Hero \(1\), Pong \(1\)",
        ),
    ],
)
def test_bad_files_are_refused(tmp_path, content, sentence):
    with pytest.raises(UserError, match=sentence):
        read_scores(written(tmp_path, content))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        read_scores(tmp_path / "none.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_scores(tmp_path)


def test_partial_takes_the_first_seeds_of_the_games_there_and_says_so(tmp_path):
    scores = read_scores(
        written(tmp_path, {"Pong": [1.0, 2.0, 3.0], "Alien": [300.0, 400.0]}), partial=True
    )
    assert scores.by_game == {"Alien": [300.0, 400.0], "Pong": [1.0, 2.0]}
    assert (
        "Pong" not in scores.remarks[0]
        and "Alien (2)" in scores.remarks[0]
        and "Amidar" in scores.remarks[0]
    )
    assert "first 2 seed" in scores.remarks[1] and "2 of 26 games" in scores.remarks[2]


# ---- collecting
# ------------------------------------------------------------


@pytest.fixture
def suite(tmp_path):
    """Two seeds of all games, finished, score 10 x seed + place of the game."""
    for place, game in enumerate(GAMES):
        for seed in range(2):
            write_run(tmp_path, game, seed, lines(7, score=10.0 * seed + place))
            note(tmp_path, Run(game, seed), "started", commit="abc")
            note(tmp_path, Run(game, seed), "started", commit="def" if game == "Pong" else "abc")
    return tmp_path


def test_collect_writes_what_table_reads(suite):
    path = collect(Collect(out=suite, seeds=2))
    assert path == suite / "scores.json" and not list(suite.glob(".*tmp"))
    recorded, scores = json.loads(path.read_text()), read_scores(path)
    assert scores.by_game == {
        game: [float(place), 10.0 + place] for place, game in enumerate(GAMES)
    }
    assert (
        recorded["commits"] == ["abc", "def"]
        and recorded["env_steps"] == [600]
        and recorded["seeds"]["Pong"] == [0, 1]
    )
    assert recorded["config"]["schedule.final_epochs"] == 2 and "seed" not in recorded["config"]
    assert len(recorded["runs"]) == 52 and recorded["runs"][0]["hours"] == pytest.approx(0.07)
    assert scores.remarks == ("Not Atari 100k: 600 environment steps.",)


def test_collect_names_what_is_missing(suite):
    (suite / "Pong" / "seed1" / "metrics.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in lines(4))
    )
    note(suite, Run("Alien", 2), "failed", status=1, sentence="x")
    with pytest.raises(UserError) as refusal:
        collect(Collect(out=suite, seeds=2))
    assert "Pong seed 1 (not finished); finish them" in str(refusal.value) and "Alien" not in str(
        refusal.value
    )
    assert not (suite / "scores.json").exists()
    with pytest.raises(UserError, match=r"Alien seed 2 \(failed\), Amidar seed 2 \(not begun\)"):
        collect(Collect(out=suite, seeds=3))
    path = collect(Collect(out=suite, seeds=2, partial=True))
    with pytest.raises(UserError, match=r"fewer than 2 seeds of Pong \(1\)"):
        read_scores(path)
    assert any("Pong seed 1" in remark for remark in read_scores(path, partial=True).remarks)


def test_collect_some_games_and_other_seeds(suite):
    path = collect(
        Collect(
            out=suite,
            games=("pong", "alien"),
            seeds=1,
            first_seed=1,
            scores=suite / "new" / "two.json",
        )
    )
    assert json.loads(path.read_text())["scores"] == {
        "Pong": [10.0 + GAMES.index("Pong")],
        "Alien": [10.0],
    }


def test_runs_of_other_settings_are_remarked(suite):
    write_run(suite / "x", "Pong", 0, lines(7), agent={"precision": "float32"})
    write_run(suite / "x", "Pong", 1, lines(7), agent={"precision": "bfloat16"})
    recorded = json.loads(collect(Collect(out=suite / "x", games=("Pong",), seeds=2)).read_text())
    assert "The runs differ in agent.precision." in recorded["remarks"]


def test_games_cut_short_are_remarked(tmp_path):
    rows = lines(7)
    rows[-1] |= {"evaluate/cut": 3, "evaluate/episodes": 8}
    write_run(tmp_path, "Pong", 0, rows, evaluation={"max_steps": 60})
    recorded = json.loads(collect(Collect(out=tmp_path, games=("Pong",), seeds=1)).read_text())[
        "remarks"
    ]
    assert recorded[1:] == [
        "Final evaluations of 8 games; the custom is 100.",
        "3 of the evaluated games were cut after 60 steps; their returns count as they stood.",
    ]


def test_nothing_to_collect(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        collect(Collect(out=tmp_path / "none"))
    with pytest.raises(UserError, match="no run in .* has made its final evaluation"):
        collect(Collect(out=tmp_path, games=("Pong",)))
    schedule = {"env_steps": 200, "initial_steps": 200, "steps_per_epoch": 100, "final_epochs": 0}
    write_run(tmp_path, "Pong", 0, [lines(1)[0]], schedule)
    with pytest.raises(UserError, match=r"Pong seed 0 \(finished without one\)"):
        collect(Collect(out=tmp_path, games=("Pong",), seeds=1))
