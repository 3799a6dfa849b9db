"""Migrator on twenty refactorings with known kinds and sizes, five that must be refused, and wrong
programs that must be found.

`python -m benchmarks.migrator` rewrites every scenario of `benchmarks.migrator_scenarios` on
several seeds, compares the results of the textbook ones with answers written by hand, completes
shuffled sketches with minimum failing inputs and with whole assignments blocked, and looks for
correspondences by k-best search and by MaxSAT.
"""

import itertools
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

from benchmarks.migrator_scenarios import REFUSED, SCENARIOS
from benchmarks.migrator_scenarios.mutants import MUTANTS, Mutant
from benchmarks.migrator_scenarios.scenario import Scenario
from benchmarks.recording import Claim, record
from reasoning.synthesis import migrator
from reasoning.synthesis.migrator.correspondence.maxsat import assignments_by_maxsat
from reasoning.synthesis.migrator.correspondence.problem import make_problem
from reasoning.synthesis.migrator.correspondence.required_columns import read_places
from reasoning.synthesis.migrator.correspondence.search import assignments
from reasoning.synthesis.migrator.equivalence.initial_states import related_starts


@dataclass(frozen=True)
class Settings:
    """Extent of the measurements."""

    seeds: int = 7
    """Seeds of test databases and ties, for every scenario."""
    budget: float = 300.0
    """Seconds for one scenario."""
    learning: float = 3.0
    """Seconds for one completion of shuffled sketches; 0: left out."""
    assignments: int = 20
    """Correspondences asked of both searches; 0: left out."""
    only: tuple[str, ...] = ()
    """Scenarios by the beginning of their names; none: all."""
    name: str = "migrator"
    """Name of the result."""


def solve(scenario: Scenario, seed: int, settings: Settings) -> dict[str, Any]:
    """One scenario with one seed: seconds by the clock and of this process, and what was
    claimed.
    """
    before = time.process_time()
    found = migrator.refactor(
        scenario.program,
        scenario.source,
        scenario.target,
        migrator.Options(budget=settings.budget, seed=seed),
    )
    spent = time.process_time() - before
    effort = found.effort
    line = {
        "solved": isinstance(found, migrator.Refactoring),
        "seconds": effort.seconds,
        "cpu_seconds": spent,
        "synthesis": spent - effort.phases.get("check", 0.0) - effort.phases.get("verify", 0.0),
        "iterations": effort.iterations,
        "correspondences": effort.correspondences,
        "candidates": effort.candidates,
        "calls": effort.tests,
        "states": effort.sequences,
        "phases": effort.phases,
    }
    if isinstance(found, migrator.Refactoring):
        line |= {
            "rewritten": len(found.rewritten),
            "functions": len(found.new.functions),
            "bound": found.checked.bound,
            "verified": found.verified,
            "agrees": agrees(scenario, found),
        }
    return line


def agrees(scenario: Scenario, found: migrator.Refactoring) -> bool | None:
    """Test if the answer written by hand and the one found show no difference within bound 2; None
    if none was written.
    """
    if not scenario.golden:
        return None
    golden = migrator.parse_program(scenario.golden, found.target)
    starts = related_starts(found.old, found.source, found.target)
    by_hand = migrator.Comparison(found.old, found.source, golden, found.target, starts).run(
        2, lambda: True
    )
    return by_hand.failure is None


def catch(mutant: Mutant) -> dict[str, Any]:
    """Test if a wrong program is found: by our tests, and by sequences of two updates with one
    value for each parameter.
    """
    scenario = mutant.scenario
    source, target = migrator.read_tables(scenario.source), migrator.read_tables(scenario.target)
    old, new = (
        migrator.parse_program(scenario.program, source),
        migrator.parse_program(mutant.program, target),
    )
    starts = related_starts(old, source, target)
    ours = migrator.Comparison(old, source, new, target, starts).run(3, lambda: True)
    single = migrator.Comparison(old, source, new, target, values=1).run(
        2, lambda: True, longer=False
    )
    return {
        "scenario": scenario.name,
        "wrong": mutant.wrong,
        "caught": ours.failure is not None,
        "caught_by_single_values": single.failure is not None,
        "scenario_calls": len(ours.failure.calls) if ours.failure else None,
    }


def refuse(scenario: Scenario) -> dict[str, Any]:
    """Test if a refactoring without an answer is refused for the right reason."""
    found = migrator.refactor(
        scenario.program, scenario.source, scenario.target, migrator.Options(budget=60.0)
    )
    right = isinstance(found, migrator.NoProgram) and scenario.refused in found.reason
    return {
        "scenario": scenario.name,
        "refused": right,
        "reason": getattr(found, "reason", ""),
        "seconds": found.effort.seconds,
    }


def learn(scenario: Scenario, seed: int, learning: str, budget: float) -> dict[str, Any]:
    """Synthesize with options in random order, and count proposals until sketches are completed.

    Args:
      scenario: the refactoring.
      seed: seed of the order.
      learning: "mfi" or "whole", what a failing input rules out.
      budget: limit, seconds.
    """
    options = migrator.Options(
        budget=budget,
        seed=seed,
        learning=learning,
        ranked=False,
        bound=1,
        verify="off",
        most_correspondences=1,
    )
    found = migrator.refactor(scenario.program, scenario.source, scenario.target, options)
    return {
        "solved": isinstance(found, migrator.Refactoring),
        "iterations": found.effort.iterations,
        "seconds": found.effort.seconds,
    }


def search(scenario: Scenario, number: int) -> dict[str, Any]:
    """Seconds of both searches for the likeliest correspondences, and whether they lose
    the same.
    """
    source, target = migrator.read_tables(scenario.source), migrator.read_tables(scenario.target)
    problem = make_problem(
        source,
        target,
        frozenset(read_places(migrator.parse_program(scenario.program, source), source)),
    )
    line: dict[str, Any] = {"scenario": scenario.name, "columns": len(problem.columns)}
    losses = []
    for name, method in (("k_best", assignments), ("rc2", assignments_by_maxsat)):
        started = time.perf_counter()
        found = [one[0] for one in itertools.islice(method(problem), number) if one is not None]
        line[f"{name}_seconds"] = time.perf_counter() - started
        losses.append(found)
    return line | {"found": len(losses[0]), "same_losses": losses[0] == losses[1]}


def summary(scenario: Scenario, runs: list[dict]) -> dict[str, Any]:
    """One line of the table: medians and ranges over the seeds."""

    def spread(key):
        return {
            "median": statistics.median(r[key] for r in runs),
            "min": min(r[key] for r in runs),
            "max": max(r[key] for r in runs),
        }

    line = {
        key: spread(key)
        for key in (
            "seconds",
            "cpu_seconds",
            "synthesis",
            "iterations",
            "correspondences",
            "candidates",
            "calls",
            "states",
        )
    }
    solved = [run for run in runs if run["solved"]]
    line |= {
        "solved": len(solved),
        "runs": len(runs),
        "phases": runs[0]["phases"],
        "complete": sum(r["bound"] == 3 for r in solved),
    }
    line |= (
        {key: solved[0][key] for key in ("functions", "rewritten", "verified", "agrees")}
        if solved
        else {}
    )
    return {"scenario": scenario.name, **line}


def claims(table: list[dict], mutants: list[dict], refused: list[dict], seeds: int) -> list[Claim]:
    """Hold the goals against the measurements.

    Args:
      table: lines of the scenarios.
      mutants: lines of the wrong programs; none: not run.
      refused: lines of the refactorings to refuse; none: not run.
      seeds: seeds per scenario.
    """
    right = sum(line["solved"] == line["runs"] and line["agrees"] is not False for line in table)
    found = [
        Claim("Migrator: scenarios solved on every seed, of 20", 20, ">=", right, seeds),
        Claim(
            "Migrator: synthesis of the median scenario, processor s",
            4,
            "<=",
            statistics.median(x["synthesis"]["median"] for x in table),
            seeds,
        ),
        Claim(
            "Migrator: slowest synthesis of all runs, processor s",
            15,
            "<=",
            max(x["synthesis"]["max"] for x in table),
            seeds,
        ),
        Claim(
            "Migrator: median scenario with sequences and solver, processor s",
            15,
            "<=",
            statistics.median(x["cpu_seconds"]["median"] for x in table),
            seeds,
        ),
        Claim(
            "Migrator: scenarios with all sequences of three updates, of 20",
            20,
            ">=",
            sum(x["complete"] == x["runs"] for x in table),
            seeds,
        ),
    ]
    if mutants:
        missed = sum(not line["caught"] for line in mutants)
        found.append(
            Claim(f"Migrator: wrong programs not found, of {len(mutants)}", 0, "<=", missed)
        )
    if refused:
        kept = sum(not line["refused"] for line in refused)
        found.append(
            Claim(
                f"Migrator: refactorings without an answer not refused, of {len(refused)}",
                0,
                "<=",
                kept,
            )
        )
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure everything and write the result."""
    import tyro

    arguments = sys.argv[1:] if arguments is None else arguments
    settings = tyro.cli(
        Settings, args=arguments, prog="python -m benchmarks.migrator", description=__doc__
    )
    chosen = [s for s in SCENARIOS if not settings.only or s.name.startswith(tuple(settings.only))]
    # Once in advance: what is imported late is not part of any scenario's time.
    migrator.read_tables(chosen[0].source)
    table = []
    for scenario in chosen:
        table.append(
            line := summary(
                scenario, [solve(scenario, seed, settings) for seed in range(settings.seeds)]
            )
        )
        print(
            f"{scenario.name}: {line['solved']}/{line['runs']}, {line['seconds']['median']:.2f} s, "
            f"processor {line['cpu_seconds']['median']:.2f} s, of these synthesis "
            f"{line['synthesis']['median']:.2f} s",
            flush=True,
        )
    refused = [refuse(scenario) for scenario in REFUSED]
    mutants = [catch(mutant) for mutant in MUTANTS]
    print(
        f"refused {sum(r['refused'] for r in refused)}/{len(refused)}, "
        f"wrong programs found {sum(m['caught'] for m in mutants)}/{len(mutants)}, "
        f"with single values {sum(m['caught_by_single_values'] for m in mutants)}",
        flush=True,
    )
    blocking = [
        {
            "scenario": s.name,
            "learning": learning,
            "runs": [learn(s, seed, learning, settings.learning) for seed in range(settings.seeds)],
        }
        for s in (chosen if settings.learning else ())
        for learning in ("mfi", "whole")
    ]
    searches = [search(s, settings.assignments) for s in (chosen if settings.assignments else ())]
    found = claims(table, mutants, refused, settings.seeds)
    for claim in found:
        print(f"{claim.claim}: {claim.measured:,.2f} (goal {claim.direction} {claim.goal:g})")
    figures = {
        "budget": settings.budget,
        "scenarios": table,
        "refused": refused,
        "mutants": mutants,
        "blocking": blocking,
        "searches": searches,
    }
    print(record(settings.name, figures, found))


if __name__ == "__main__":
    main()
