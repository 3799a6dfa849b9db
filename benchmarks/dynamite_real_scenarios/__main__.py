"""Dynamite on forty migrations after real schemas: learned from one example, judged by the bags of
records on data with duplicates, NULLs and rows without a partner.

`python -m benchmarks.dynamite_real_scenarios`
"""

import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

from benchmarks.dynamite_real_scenarios.domains import SOURCES, schema_of
from benchmarks.dynamite_real_scenarios.tasks import TASKS
from benchmarks.recording import Claim, record
from reasoning.synthesis.datalog import Program
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.questions.samples import made_up
from reasoning.synthesis.dynamite.synthesize import synthesize_mapping
from reasoning.synthesis.engines import duck, memory
from reasoning.synthesis.facts import Facts, from_facts, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Attr, Collection, Schema, columns, walk
from reasoning.synthesis.syntax import parse_program

TYPES = {"i": "int", "s": "str", "f": "float"}
STRAY = 0.15
"""Share of references that name nothing, and of values that are NULL."""


@dataclass(frozen=True)
class Settings:
    """Amount that is measured."""

    records: int = 12
    """Records of each collection of the held-out databases."""
    databases: int = 3
    """Held-out databases."""
    name: str = "dynamite_real"
    """Name of the result."""


def target_of(text: str) -> tuple[Schema, Program]:
    """The target and the rules that are meant: "name(attr type, child(attr type)) | rules"."""
    shape, _, rules = text.partition("|")

    def collection(part: str) -> Collection:
        name, _, inside = part.strip().partition("(")
        attrs, children, inside = [], [], inside.strip()[:-1]
        while inside:
            stop = inside.find(",")
            stop = len(inside) if stop < 0 else stop
            if "(" in inside[:stop]:
                stop = inside.index(")") + 1
                children.append(collection(inside[:stop]))
            else:
                attr, kind = inside[:stop].split()
                attrs.append(Attr(attr, TYPES[kind]))  # type: ignore[arg-type]
            inside = inside[stop:].lstrip(", ")
        return Collection(name, tuple(attrs), tuple(children))

    top = collection(shape)
    kind = "document" if top.children else "relational"
    return Schema(kind, (top,)), parse_program(rules)


def held_out(schema: Schema, example: Facts, rng: random.Random, records: int) -> Facts:
    """A database that the example does not show: made up, then with NULLs, stray references, and
    rows that repeat where no key forbids it.

    Args:
      schema: schema of the data.
      example: facts of the example, as a pattern of the values.
      rng: random numbers.
      records: records of every collection; twice as many of nested ones.
    """
    facts = made_up(schema, (example,), rng, records)
    for path, collection in walk(schema):
        keys = {"_id", *collection.key}
        plan = columns(schema, path)
        nullable = {a.name for a in collection.attrs if a.nullable} - keys
        found = []
        for fact in facts[path]:
            cells = list(fact)
            for n, column in enumerate(plan):
                if column.name in nullable and rng.random() < STRAY:
                    stray = rng.random() < 0.5 and column.type == "int"
                    cells[n] = 900 + rng.randrange(9) if stray else None
            found.append(tuple(cells))
        if not collection.key and not collection.children:
            found += [fact for fact in found if rng.random() < STRAY]
        facts[path] = found
    return facts


def judge(name: str, settings: Settings) -> dict[str, Any]:
    """Learn one task and compare with what is meant."""
    domain, text = TASKS[name]
    source, data = schema_of(domain), SOURCES[domain]
    target, golden = target_of(text)
    facts = to_facts(source, data)
    wanted: Instance = from_facts(target, memory.evaluate(golden, facts, target))
    started, worked = time.monotonic(), time.process_time()
    found = synthesize_mapping(source, target, [(data, wanted)], Options())
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    agree = isinstance(found, Mapping)
    for number in range(settings.databases if agree else 0):
        rng = random.Random(f"{name} {number}")
        other = held_out(source, facts, rng, settings.records)
        other = other if domain not in ("northwind", "redmine") else _known(golden, other)
        right, made, again = (
            bags(program, source, target, other)
            for program, bags in (
                (golden, memory.bags),
                (found.program, memory.bags),
                (found.program, duck.bags),
            )
        )
        agree = agree and right == made == again
    shown = found.datalog if isinstance(found, Mapping) else repr(found)
    times = {"seconds": seconds, "processor_seconds": worked}
    return {"task": name, "agrees": agree, **times, "program": shown}


def _known(golden: Program, facts: Facts) -> Facts:
    """Values that a table of values does not hold are an error of the data: left out here."""
    held: dict[tuple[str, int], set] = {}
    for rule in golden.rules:
        for head in rule.heads:
            for term in head.terms:
                if getattr(term, "name", "") == "table":
                    var, *pairs = term.args  # type: ignore[union-attr]
                    for atom in rule.body:
                        if var in atom.terms:
                            place = (atom.relation, atom.terms.index(var))
                            held[place] = {p.value for p in pairs[::2]} | {None}
    return {
        path: [
            fact
            for fact in found
            if all(fact[p] in ok for (where, p), ok in held.items() if where == path)
        ]
        for path, found in facts.items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Measure everything and write the result."""
    import tyro

    arguments = sys.argv[1:] if arguments is None else arguments
    settings = tyro.cli(
        Settings,
        args=arguments,
        prog="python -m benchmarks.dynamite_real_scenarios",
        description=__doc__,
    )
    lines = []
    for name in TASKS:
        lines.append(line := judge(name, settings))
        mark = "agrees" if line["agrees"] else "DIFFERS\n" + line["program"]
        print(f"{name}: {line['processor_seconds']:.2f} s of processor time, {mark}", flush=True)
    agree = Counter(line["agrees"] for line in lines)[True]
    claims = [
        Claim("Dynamite: tasks after real schemas with equal bags, of 40", 40, ">=", agree),
        Claim(
            "Dynamite: slowest synthesis of a task after a real schema, s of processor time",
            2,
            "<=",
            max(line["processor_seconds"] for line in lines),
        ),
    ]
    print(record(settings.name, {"tasks": lines}, claims))


if __name__ == "__main__":
    main()
