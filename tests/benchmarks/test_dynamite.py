"""The benchmark of Dynamite: shorthand by hand, one scenario and one migration measured, claims
that can fail.
"""

import pytest

pytest.importorskip("pysat")
pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
from benchmarks.dynamite import Settings, claims, enumerate_plainly, learn, migrations, summary
from benchmarks.dynamite_scenarios import SCENARIOS
from benchmarks.dynamite_scenarios.shorthand import golden, schema
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.syntax import show_program

NEURONS = next(scenario for scenario in SCENARIOS if scenario.name == "neurons graph-rel")


def test_shorthand_by_hand():
    source = parse_schema(
        {"collections": {"f": {"fields": {"a": "int", "b": "str", "c": {"fields": {"d": "str"}}}}}}
    )
    target = schema("document", t="x:int! u{y}")
    assert (
        target.collections[0].attrs[0].nullable is False
        and target.collections[0].children[0].attrs[0].type == "str"
    )
    program = golden(
        't(x=a) :- f(a).\nt?u(t.x=a, y=d) :- f(a, b="k", __id=i), f?c(__parent=i, d).',
        source,
        target,
    )
    assert show_program(program) == (
        't(a, _t) :- f(a, _, _), _t = id(a).\nt(a, _t), t?u(_t, d) :- f(a, "k", i), f?c(i, d), _t '
        "= id(a).\n"
    )


def test_a_scenario_is_measured():
    run = learn(NEURONS, 0, Settings())
    assert run["solved"] and run["agreement"] == 1 and run["candidates"] >= 2 and run["seconds"] > 0
    plain = enumerate_plainly(NEURONS, 0, Settings())
    assert plain["candidates"] >= 1
    line = summary(NEURONS, [run, run | {"agreement": 0.5, "seconds": 9.0}], [plain])
    assert (line["agree_after_questions"], line["runs"], line["seconds"]["max"]) == (1, 2, 9.0)


def test_migrations_are_measured(tmp_path):
    found = migrations(2_000, tmp_path)
    assert [line["kind"] for line in found] == ["flat", "join", "nested"]
    assert all(line["rows_per_second"] == pytest.approx(2_000 / line["seconds"]) for line in found)


def test_claims_take_the_worst():
    line = {"runs": 7, "agree_after_questions": 7, "processor_seconds": {"median": 0.5, "max": 3.0}}
    moved = [
        {"kind": kind, "source_rows": rows, "rows_per_processor_second": rate}
        for kind, rows, rate in (
            ("flat", 100_000, 1.0),
            ("flat", 1_000_000, 2e6),
            ("flat", 10_000_000, 9e5),
            ("join", 1_000_000, 5.0),
        )
    ]
    found = claims(
        [
            line,
            line | {"agree_after_questions": 6, "processor_seconds": {"median": 2.5, "max": 40.0}},
        ],
        moved,
        7,
    )
    assert [claim.measured for claim in found] == [1, pytest.approx(100 * 13 / 14), 1.5, 40.0, 9e5]
    assert [claim.holds for claim in found] == [False, False, True, False, False]
