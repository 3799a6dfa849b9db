"""What the emulator benchmark claims from finished runs, and from missing ones."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from benchmarks import jedi_atari


def run(random, *points):
    curve = [{"env_steps": 100 * i, "minutes": m, "return": r} for i, (m, r) in enumerate(points)]
    return {"cpu": "c", "commit": "x", "random_return": random, "curve": curve}


def test_the_interval_is_the_t_interval_of_the_games():
    games = np.array([3.0, 5.0, 4.0, 8.0, 1.0])
    expected = stats.t.interval(0.95, 4, games.mean(), stats.sem(games))[0]
    assert jedi_atari.lower_end(games.mean(), games.std(), 5) == pytest.approx(expected)


def test_claims_of_whole_runs():
    runs = {
        "UpNDown-jedi": {"0": run(500, (5, 600), (10, 1100)), "1": run(500, (5, 700), (12, 1200))},
        "UpNDown-pixel": {"0": run(500, (9, 800), (30, 2000))},
    }
    finals = {
        "UpNDown-jedi": {
            "0": {"return": 1100, "std": 100, "episodes": 30},
            "1": {"return": 520, "std": 400, "episodes": 30},
        }
    }
    for seed in ("0", "1"):
        runs["UpNDown-jedi"][seed]["constant_return"] = 900.0
    above, multiple, simple, ahead = jedi_atari.claims_of(runs, finals, "UpNDown")
    assert above.measured == 1 and not above.holds
    json.dumps([above.measured, multiple.measured, ahead.measured])  # a record is JSON
    assert multiple.measured == pytest.approx(810 / 500)
    assert simple.measured == 0.9 and not simple.holds
    # within 10 minutes: jedi (1100 + 700) / 2, pixel 800
    assert ahead.measured == pytest.approx(100)


def test_a_baseline_without_an_evaluation_in_its_time_counts_as_random_play():
    runs = {
        "Freeway-jedi": {"0": run(4, (8, 20), (17, 22)), "1": run(2, (8, 18), (14, 21))},
        "Freeway-pixel": {"0": {"curve": [], "stopped_minutes": 14.0, "uniform_return": 0.25}},
    }
    finals = {"Freeway-jedi": {s: {"return": 21, "std": 1, "episodes": 30} for s in ("0", "1")}}
    assert jedi_atari.claims_of(runs, finals, "Freeway")[3].measured == 20.5 - 0.25


def test_a_missing_seed_or_game_claims_nothing():
    runs = {"Boxing-jedi": {"0": run(-1, (5, 3))}}
    finals = {"Boxing-jedi": {"0": {"return": 3, "std": 1, "episodes": 30}}}
    for env in ("Boxing", "Assault"):
        assert [c.measured for c in jedi_atari.claims_of(runs, finals, env)] == [None] * 4


def test_the_last_evaluation_is_read_from_the_log(tmp_path):
    rows = [
        {"epoch": 1, "evaluate/return": 1.0, "evaluate/std": 2.0, "evaluate/episodes": 4},
        {"epoch": 2, "evaluate/return": 7.0, "evaluate/std": 3.0, "evaluate/episodes": 30},
        {"epoch": 3},
    ]
    assert jedi_atari.final(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert jedi_atari.final(tmp_path) == {"return": 7.0, "std": 3.0, "episodes": 30.0}


def test_the_final_evaluation_has_thirty_games_and_the_figure_is_drawn(tmp_path):
    config = jedi_atari.config_for("tiny", "UpNDown", "jedi", 4096)
    assert config.evaluation.final_episodes == 30 and config.schedule.env_steps == 4096
    runs = {"UpNDown-jedi": {"0": run(500, (5, 600), (10, 1100))}}
    jedi_atari.draw(runs, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000


def test_the_best_single_action_is_found_among_all(monkeypatch):
    class Game:
        num_actions = 3

        def reset(self, seed):
            self.left = 5

        def step(self, action):
            self.left -= 1
            return SimpleNamespace(reward=[0.0, 2.0, 1.0][action], game_over=self.left == 0)

    monkeypatch.setattr(jedi_atari, "make_game", lambda config: Game())
    config = jedi_atari.config_for("tiny", "UpNDown", "jedi", 4096)
    assert jedi_atari.constant_play(config) == 10.0
    assert 0 < jedi_atari.uniform_play(config) < 10
