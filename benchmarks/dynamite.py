"""Dynamite on 28 migrations with known answers, and its migrations on millions of rows.

`python -m benchmarks.dynamite` learns every scenario of `benchmarks.dynamite_scenarios` from one
example per seed, answers its questions from the golden program, and judges the result on data never
seen. Plain enumeration of candidates runs next to it. Then mappings are run on DuckDB from Parquet
to Parquet. `benchmarks.dynamite_real_scenarios` has forty tasks more, and
`benchmarks.dynamite_refusals` the time to refuse a damaged example of any of them.
"""

import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dynamite_scenarios import SCENARIOS
from benchmarks.dynamite_scenarios.scenario import Scenario, records
from benchmarks.recording import Claim, record
from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.dynamite.questions.ambiguity import next_question
from reasoning.synthesis.dynamite.synthesize import Timeout, synthesize_mapping
from reasoning.synthesis.engines import memory
from reasoning.synthesis.errors import need
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.schema import Schema
from reasoning.synthesis.syntax import parse_program


@dataclass(frozen=True)
class Settings:
    """Amount that is measured."""

    seeds: int = 7
    """Examples, each with its own data and order of search, for every scenario."""
    budget: float = 60.0
    """Seconds for one synthesis."""
    enumeration: float = 3.0
    """Seconds for one synthesis by plain enumeration; 0: left out."""
    rounds: int = 12
    """Questions answered at most."""
    rows: tuple[int, ...] = (100_000, 1_000_000, 10_000_000)
    """Sizes of the migrations; none: left out."""
    name: str = "dynamite"
    """Name of the result."""


def learn(scenario: Scenario, seed: int, settings: Settings) -> dict[str, Any]:
    """One scenario with one seed: the first synthesis, the questions, and the judgment."""
    examples = [scenario.example(seed)]
    options = Options(budget=settings.budget, seed=seed)
    worked = time.process_time()
    first = found = synthesize_mapping(scenario.source, scenario.target, examples, options)
    worked = time.process_time() - worked
    asked, largest = 0, 0
    while isinstance(found, Mapping) and asked < settings.rounds:
        question = next_question(
            found, scenario.generate(random.Random(f"pool {seed}"), 8), seconds=10.0
        )
        if question is None:
            break
        asked, largest = asked + 1, max(largest, records(question.source))
        examples.append((question.source, scenario.answer(question.source)))
        found = synthesize_mapping(scenario.source, scenario.target, examples, options)
    return {
        "solved": isinstance(found, Mapping),
        "agreement_first": agreement(scenario, first),
        "agreement": agreement(scenario, found),
        "seconds": first.statistics["seconds"],
        "processor_seconds": worked,
        "candidates": first.statistics["candidates"],
        "questions": asked,
        "largest_question": largest,
        "example_records": records(examples[0][0]),
        "extra_atoms": extra_atoms(scenario, found),
    }


def agreement(scenario: Scenario, found) -> float:
    """The share of target collections that are the golden program's on all of three held-out
    databases.
    """
    if not isinstance(found, Mapping):
        return 0.0
    same: dict[str, bool] = {}
    for number in range(3):
        facts = to_facts(scenario.source, scenario.held_out(number))
        made, right = (
            memory.run(p, scenario.source, scenario.target, facts)
            for p in (found.program, scenario.golden)
        )
        for path, rows in right.items():
            same[path] = same.get(path, True) and made[path] == rows
    return sum(same.values()) / len(same)


def extra_atoms(scenario: Scenario, found) -> int | None:
    """Body atoms beyond the golden program's; negative: fewer."""
    if not isinstance(found, Mapping):
        return None
    return sum(len(rule.body) for rule in found.program.rules) - sum(
        len(rule.body) for rule in scenario.golden.rules
    )


def enumerate_plainly(scenario: Scenario, seed: int, settings: Settings) -> dict[str, Any]:
    """The same first synthesis, but nothing is learned from a wrong candidate except not to try it
    again.
    """
    options = Options(budget=settings.enumeration, seed=seed, learning="enumerate")
    found = synthesize_mapping(scenario.source, scenario.target, [scenario.example(seed)], options)
    return {
        "solved": not isinstance(found, Timeout),
        "seconds": found.statistics["seconds"],
        "candidates": found.statistics["candidates"],
    }


KEYS = (
    *("seconds", "processor_seconds", "candidates", "questions", "largest_question"),
    "example_records",
)
"""Figures of a run of which the table has the median and the range."""


def summary(scenario: Scenario, runs: list[dict], plain: list[dict]) -> dict[str, Any]:
    """One line of the table: medians and ranges over the seeds."""

    def spread(key, rows):
        return {
            "median": statistics.median(r[key] for r in rows),
            "min": min(r[key] for r in rows),
            "max": max(r[key] for r in rows),
        }

    line = {key: spread(key, runs) for key in KEYS}
    line |= {
        "solved": sum(r["solved"] for r in runs),
        "agree_after_questions": sum(r["agreement"] == 1 for r in runs),
    }
    line |= {
        "agree_without_questions": sum(r["agreement_first"] == 1 for r in runs),
        "runs": len(runs),
    }
    line |= {
        "extra_atoms": max(r["extra_atoms"] or 0 for r in runs),
        "golden_atoms": sum(len(r.body) for r in scenario.golden.rules),
    }
    if plain:
        line["enumeration"] = {
            "solved": sum(r["solved"] for r in plain),
            **{k: spread(k, plain) for k in ("seconds", "candidates")},
        }
    return {"scenario": scenario.name, **line}


# Migrations of many rows: a flat copy with new names, a join, and documents with children inside.

SHOP = from_ddl(
    "CREATE TABLE item (id bigint PRIMARY KEY, name text, price float, shop int);"
    "CREATE TABLE shop (sid int PRIMARY KEY, title text)"
)
RULES = {
    "flat": (
        "CREATE TABLE goods (code bigint PRIMARY KEY, label text, cost float)",
        "goods(i, n, p) :- item(i, n, p, _).\n",
    ),
    "join": (
        "CREATE TABLE goods (code bigint PRIMARY KEY, label text, seller text)",
        "goods(i, n, t) :- item(i, n, _, s), shop(s, t).\n",
    ),
}
NESTED = (
    "seller(t, v) :- shop(_, t), v = id(t).\nseller(t, v), seller?goods(v, i, n) :- shop(s, "
    "t), item(i, n, _, s), v = id(t).\n"
)


def nested_target() -> Schema:
    """Shops with their items inside."""
    from reasoning.synthesis.describe import parse_schema

    return parse_schema(
        {
            "collections": {
                "seller": {
                    "fields": {"title": "str", "goods": {"fields": {"code": "int", "label": "str"}}}
                }
            }
        }
    )


def migrations(rows: int, folder: Path) -> list[dict[str, Any]]:
    """Source rows per second, from opening the source to the last row written; the report
    afterwards is not counted.
    """
    source = folder / f"source{rows}"
    source.mkdir()
    with need("duckdb").connect() as base:
        shops = max(10, rows // 100)
        base.execute(
            f"COPY (SELECT range AS sid, 'shop ' || range AS title FROM range({shops})) TO "
            f"'{source}/shop.parquet'"
        )
        item = (
            "SELECT range AS id, 'item ' || range AS name, range / 7 AS price, (range * 7919) "
            f"% {shops} AS shop FROM range({rows})"
        )
        base.execute(f"COPY ({item}) TO '{source}/item.parquet'")
    targets = {kind: (from_ddl(ddl), text) for kind, (ddl, text) in RULES.items()} | {
        "nested": (nested_target(), NESTED)
    }
    found = []
    for kind, (schema, text) in targets.items():
        mapping = Mapping(SHOP, schema, parse_program(text))
        started = time.monotonic()
        report = migrate(Plan(mapping, str(source), f"parquet:///{folder}/{kind}{rows}"))
        assert not report.problems, report.problems
        whole = time.monotonic() - started
        found.append(
            {
                "kind": kind,
                "source_rows": rows,
                "seconds": report.seconds,
                "rows_per_second": rows / report.seconds,
                "rows_per_processor_second": rows / report.processor_seconds,
                "seconds_with_report": whole,
            }
        )
    return found


def claims(table: list[dict], moved: list[dict], seeds: int) -> list[Claim]:
    """The goals, each with what was measured."""
    runs = sum(line["runs"] for line in table)
    found = []
    if table:
        agree = sum(line["agree_after_questions"] == line["runs"] for line in table)
        medians = [line["processor_seconds"]["median"] for line in table]
        found = [
            Claim(
                "Dynamite: scenarios solved with full held-out agreement on every seed, of 28",
                28,
                ">=",
                agree,
                seeds,
            ),
            Claim(
                "Dynamite: share of runs that agree on all held-out data, questions answered, %",
                100,
                ">=",
                100 * sum(line["agree_after_questions"] for line in table) / runs,
                seeds,
            ),
            Claim(
                "Dynamite: median synthesis of a scenario, s of processor time",
                2,
                "<=",
                statistics.median(medians),
                seeds,
            ),
            Claim(
                "Dynamite: slowest synthesis of all runs, s of processor time",
                30,
                "<=",
                max(line["processor_seconds"]["max"] for line in table),
                seeds,
            ),
        ]
    flat = [
        line["rows_per_processor_second"]
        for line in moved
        if line["kind"] == "flat" and line["source_rows"] >= 1_000_000
    ]
    if flat:
        found.append(
            Claim(
                "Dynamite: migration by a flat rule on DuckDB, worst of 1e6 rows and more, rows "
                "per second of processor time",
                1e6,
                ">=",
                min(flat),
            )
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure everything and write the result."""
    import tyro

    arguments = sys.argv[1:] if arguments is None else arguments
    settings = tyro.cli(
        Settings, args=arguments, prog="python -m benchmarks.dynamite", description=__doc__
    )
    table, moved = [], []
    with tempfile.TemporaryDirectory() as folder:
        for rows in settings.rows:
            moved += migrations(rows, Path(folder))
            print(
                f"{rows:,} rows: "
                + ", ".join(
                    f"{m['kind']} {m['rows_per_second']:,.0f} rows/s, "
                    f"{m['rows_per_processor_second']:,.0f} per second of processor time"
                    for m in moved[-3:]
                ),
                flush=True,
            )
    for scenario in SCENARIOS if settings.seeds else ():
        runs = [learn(scenario, seed, settings) for seed in range(settings.seeds)]
        plain = (
            [enumerate_plainly(scenario, seed, settings) for seed in range(settings.seeds)]
            if settings.enumeration
            else []
        )
        table.append(line := summary(scenario, runs, plain))
        print(
            f"{scenario.name}: agree {line['agree_after_questions']}/{line['runs']}, "
            f"{line['processor_seconds']['median']:.2f} s of processor time",
            flush=True,
        )
    found = claims(table, moved, settings.seeds)
    for claim in found:
        print(f"{claim.claim}: {claim.measured:,.2f} (goal {claim.direction} {claim.goal:g})")
    figures = {
        "budget": settings.budget,
        "enumeration_budget": settings.enumeration,
        "scenarios": table,
        "migrations": moved,
    }
    print(record(settings.name, figures, found))


if __name__ == "__main__":
    main()
