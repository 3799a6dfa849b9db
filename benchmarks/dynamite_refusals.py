"""Time that Dynamite takes to refuse: the 28 and 40 tasks with examples that no program makes.

`python -m benchmarks.dynamite_refusals` damages the target example of every task in two ways, once
with a record left out and once with two cells exchanged, and learns from it. Some damage can still
be learned (by another program), which counts as well: what matters is the time to an answer.
"""

import copy
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.dynamite_real_scenarios.__main__ import target_of
from benchmarks.dynamite_real_scenarios.domains import SOURCES, schema_of
from benchmarks.dynamite_real_scenarios.tasks import TASKS
from benchmarks.dynamite_scenarios import SCENARIOS
from benchmarks.recording import Claim, record
from reasoning.synthesis.dynamite.mapping import Options
from reasoning.synthesis.dynamite.synthesize import synthesize_mapping
from reasoning.synthesis.engines import memory
from reasoning.synthesis.facts import from_facts, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema

GOAL = 2.0
"""Seconds of processor time for one refusal."""


@dataclass(frozen=True)
class Settings:
    """Amount that is measured."""

    only: str = ""
    """Tasks whose names hold this text; empty: all."""
    budget: float = 120.0
    """Seconds for one synthesis."""
    name: str = "dynamite_refusals"
    """Name of the result; empty: nothing is recorded."""


def tasks() -> Iterator[tuple[str, Schema, Schema, Instance, Instance]]:
    """Name, schemas and the right example of every task."""
    for scenario in SCENARIOS:
        yield (scenario.name, scenario.source, scenario.target, *scenario.example(0))
    for name, (domain, text) in TASKS.items():
        source, (target, golden) = schema_of(domain), target_of(text)
        facts = to_facts(source, SOURCES[domain])
        wanted = from_facts(target, memory.evaluate(golden, facts, target))
        yield name, source, target, SOURCES[domain], wanted


def left_out(wanted: Instance) -> Instance | None:
    """The example without the first record of its first collection of several records."""
    bad = copy.deepcopy(wanted)
    rows = next((rows for rows in bad.values() if len(rows) > 1), None)
    if rows is None:
        return None
    rows.pop(0)
    return bad


def exchanged(wanted: Instance) -> Instance | None:
    """The example with two unequal cells of one column exchanged: the last column that has them."""
    bad = copy.deepcopy(wanted)
    for rows in bad.values():
        names = [k for k, v in rows[0].items() if not isinstance(v, list | dict)] if rows else []
        for name in reversed(names):
            for i, one in enumerate(rows):
                for other in rows[:i]:
                    # With one column, or all others equal, the exchange would only reorder.
                    rest = {k: v for k, v in one.items() if k != name}
                    same = rest == {k: v for k, v in other.items() if k != name}
                    if one[name] != other[name] and not same:
                        one[name], other[name] = other[name], one[name]
                        return bad
    return None


DAMAGES = {"left out": left_out, "exchanged": exchanged}


def main(arguments: list[str] | None = None) -> None:
    """Measure everything and write the result."""
    import tyro

    arguments = sys.argv[1:] if arguments is None else arguments
    settings = tyro.cli(
        Settings, args=arguments, prog="python -m benchmarks.dynamite_refusals", description=__doc__
    )
    lines: list[dict[str, Any]] = []
    for name, source, target, data, wanted in tasks():
        for damage, spoil in DAMAGES.items():
            bad = spoil(wanted) if settings.only in name else None
            if bad is None:
                continue
            worked = time.process_time()
            found = synthesize_mapping(source, target, [(data, bad)], Options(settings.budget))
            worked = time.process_time() - worked
            answer = type(found).__name__
            lines.append(
                {"task": name, "damage": damage, "answer": answer, "processor_seconds": worked}
            )
            print(f"{name}, {damage}: {answer}, {worked:.2f} s of processor time", flush=True)
    times = [line["processor_seconds"] for line in lines]
    print(f"{len(lines)} examples, {sum(t > GOAL for t in times)} above {GOAL:g} s")
    if settings.name and lines:
        claim = (
            "Dynamite: slowest answer to an example of the 28 and 40 tasks that was damaged, s of "
            "processor time"
        )
        print(record(settings.name, {"examples": lines}, [Claim(claim, GOAL, "<=", max(times))]))


if __name__ == "__main__":
    main()
