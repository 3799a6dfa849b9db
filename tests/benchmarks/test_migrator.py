"""The benchmark of Migrator: one scenario measured in every way, claims that can fail."""

import pytest

pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
pytest.importorskip("z3")
from benchmarks.migrator import Settings, catch, claims, learn, refuse, search, solve, summary
from benchmarks.migrator_scenarios.mutants import MUTANTS
from benchmarks.migrator_scenarios.refused import REFUSED
from benchmarks.migrator_scenarios.textbook import MOVE, RENAME


def test_a_scenario_is_measured():
    run = solve(RENAME, 0, Settings())
    assert (
        run["solved"]
        and run["agrees"]
        and run["bound"] == 3
        and run["seconds"] > 0
        and run["functions"] == 5
    )
    line = summary(RENAME, [run, run | {"seconds": 9.0, "solved": False}])
    assert (line["solved"], line["runs"], line["seconds"]["max"]) == (1, 2, 9.0)


def test_refusals_mutants_learning_and_searches_are_measured():
    assert refuse(REFUSED[0])["refused"] and not refuse(RENAME)["refused"]
    assert catch(MUTANTS[8])["caught"]
    assert learn(RENAME, 0, "mfi", 5.0)["solved"]
    line = search(MOVE, 5)
    assert line["found"] >= 2 and line["same_losses"]


def test_claims_take_the_worst():
    line = {
        "solved": 7,
        "runs": 7,
        "complete": 7,
        "agrees": True,
        "synthesis": {"median": 0.5, "max": 3.0},
        "cpu_seconds": {"median": 4.0, "max": 9.0},
    }
    other = line | {"solved": 6, "complete": 5, "synthesis": {"median": 2.5, "max": 70.0}}
    wrong = line | {"agrees": False}
    found = claims(
        [line, other, wrong], [{"caught": True}, {"caught": False}], [{"refused": True}], 7
    )
    assert [claim.measured for claim in found] == [1, 0.5, 70.0, 4.0, 2, 1, 0]
    assert [claim.holds for claim in found] == [False, True, False, True, False, False, True]
