"""The commands: a dataclass for each, and what it does. `__main__.py` makes the command line of
them.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reasoning.synthesis.connect.json_stream import read_instance
from reasoning.synthesis.describe import read_schema
from reasoning.synthesis.dynamite.cli.asking import FOUND, IMPOSSIBLE, SPENT, WRONG, read_sample
from reasoning.synthesis.dynamite.lineage import sources_behind
from reasoning.synthesis.dynamite.mapping import Mapping, Options, load_mapping, save_mapping
from reasoning.synthesis.dynamite.migration.migrate import CHUNK, Plan, migrate
from reasoning.synthesis.dynamite.migration.report import Report
from reasoning.synthesis.dynamite.migration.verify import verify
from reasoning.synthesis.dynamite.output.explain import explain
from reasoning.synthesis.dynamite.output.page import write_page
from reasoning.synthesis.dynamite.sketch.typed import typed_alike, typed_as_wanted
from reasoning.synthesis.dynamite.synthesize import Timeout, Unsat, synthesize_mapping
from reasoning.synthesis.engines.compile import shown_names
from reasoning.synthesis.errors import UserError, write_whole
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import Instance, infer_schema, loosened, without_places
from reasoning.synthesis.schema import Schema, columns
from reasoning.synthesis.shapes import texts
from reasoning.synthesis.syntax import show_program


@dataclass(frozen=True)
class Learn:
    """Learn a mapping from one small source instance and what it should become. Exit code 3: no
    program exists; 4: out of time.
    """

    source_example: Path
    """An instance file: a JSON object from names of collections to lists of records."""
    target_example: Path
    """The instance that the source example should become, written by hand."""
    out: Path
    """The mapping, as JSON."""
    source_schema: Path | None = None
    """SQL DDL, JSON Schema, a graph description or our own form; inferred from the example if
    absent.
    """
    target_schema: Path | None = None
    """Schema of the target, likewise."""
    budget: float = 60.0
    """Seconds."""
    seed: int = 0
    """Seed of the choice between programs of equal price."""
    constants: tuple[str, ...] = ()
    """Values that a rule may compare a column with, or fill a target column with that has no
    source, as JSON: '"actor"', 3, true. Columns with few values give theirs for comparing by
    themselves.
    """
    max_rules: int = 1
    """Rules for one collection where one is not enough."""
    effort: float = 1.0
    """Work on one collection before it counts as without a rule, as a multiple of the default."""


@dataclass(frozen=True)
class Explain:
    """Say what a mapping does, in words or as a page."""

    mapping: Path
    """The mapping file that `learn` wrote."""
    html: Path | None = None
    """Write a page with a drawing there instead."""
    sample: str | None = None
    """Path or URL of a small source instance to look for open questions in; made up if absent."""
    questions: bool = True
    """Look for open questions."""


@dataclass(frozen=True)
class Run:
    """Migrate all the data. The source is only read; the target appears when all of it is there."""

    mapping: Path
    """The mapping file that `learn` wrote."""
    source: str
    """A path or URL: instance .json, .xml, .db, .duckdb, a folder of CSV, Parquet or JSON lines,
    postgresql://...
    """
    target: str
    """Path or URL of the target, likewise; a folder gets JSON lines or CSV,
    parquet://FOLDER Parquet, a .cypher file statements.
    """
    engine: Literal["duckdb", "sqlite", "memory"] = "duckdb"
    """The engine that applies the rules; sqlite and memory hold all data in memory."""
    resume: bool = False
    """Continue a run that was stopped."""
    overwrite: bool = False
    """Replace a target that is there."""
    childless: Literal["keep", "flag"] = "keep"
    """Parents without children are kept; flag: and listed."""
    chunk: int = CHUNK
    """Rows between two points to resume from."""
    memory: str | None = None
    """The most that DuckDB may hold, e.g. 2GB; beyond that it uses the disk."""
    report: Path | None = None
    """Write the report as JSON, too."""
    dry_run: bool = False
    """Write no target: show counts, first records, and what would be refused."""
    since: tuple[str, ...] = ()
    """Incremental: COLLECTION.ATTRIBUTE=VALUE of the source, an attribute that only grows. The
    target gets the records that those up to VALUE do not make.
    """
    marks: Path | None = None
    """Incremental: a JSON file with such values, read if it is there and written after the run;
    --since COLLECTION.ATTRIBUTE names what to keep in it.
    """
    unread: Literal["list", "refuse"] = "list"
    """Fields and columns of the source that its schema does not name are listed with their number;
    refuse: nothing is written where there are any.
    """


@dataclass(frozen=True)
class Verify:
    """Compare a target with what the mapping makes of the source, record by record. Exit code 1:
    they differ.
    """

    mapping: Path
    """The mapping file that `learn` wrote."""
    source: str
    """Path or URL of the data it was made from."""
    target: str
    """Path or URL of the migrated data."""
    round_trip: bool = False
    """Learn the way back, too, and try it."""


@dataclass(frozen=True)
class Show:
    """Print the mapping as SQL or Datalog."""

    mapping: Path
    """The mapping file that `learn` wrote."""
    dialect: Literal["datalog", "duckdb", "sqlite", "postgres", "spark"] = "datalog"
    """Nested collections become lists of structs or JSON, as the dialect has it."""


def learn(command: Learn) -> int:
    """Learn, say what was found, and write it."""
    source, target = read_instance(command.source_example), read_instance(command.target_example)
    source_schema = _schema(command.source_schema, source, command.source_example, target)
    target_schema = without_places(
        _schema(command.target_schema, target, command.target_example, source)
    )
    retyped: list[str] = []
    if command.target_schema is None:
        facts = to_facts(source_schema, source, str(command.source_example), loose=True)
        target_schema, retyped = typed_alike(target_schema, target, source_schema, facts)
    elif command.source_schema is None:
        facts = to_facts(target_schema, target, "target example", loose=True)
        source_schema, retyped = typed_as_wanted(source_schema, source, target_schema, facts)
    for sentence in retyped:
        print(f"note: {sentence}", file=sys.stderr)
    constants = tuple(map(_constant, command.constants))
    options = Options(command.budget, command.seed, constants, command.max_rules, command.effort)
    found = synthesize_mapping(source_schema, target_schema, [(source, target)], options)
    if isinstance(found, Unsat):
        print(f"no program: {found.reason}", file=sys.stderr)
        return IMPOSSIBLE
    if isinstance(found, Timeout):
        print(
            f"out of time at {found.path} after {command.budget:g} s; the best so far, not right:",
            file=sys.stderr,
        )
        print(show_program(found.best), end="")
        return SPENT
    save_mapping(found, command.out)
    print(found.datalog, end="")
    print(
        f"{found.statistics['candidates']} candidates, {found.statistics['conflicts']} conflicts, "
        f"{found.statistics['seconds']:.2f} s: {command.out}",
        file=sys.stderr,
    )
    _say_doubts(found)
    return FOUND


def _say_doubts(mapping: Mapping):
    """Print the number of open questions and the first; notes that are none before them."""
    opened = [note for note in mapping.notes if note.startswith("open: ")]
    opened += open_choices(mapping)
    for note in mapping.notes:
        if not note.startswith("open: "):
            print(f"note: {note}", file=sys.stderr)
    if opened:
        first = opened[0].removeprefix("open: ")
        more = "; `ask` and `explain` show more" if len(opened) > 1 else "; see `ask`"
        print(f"{len(opened)} open question(s), the first: {first}{more}", file=sys.stderr)


def open_choices(mapping: Mapping) -> list[str]:
    """Target columns that two source columns of one record fill alike in every example."""
    found, facts = [], mapping.source_facts()
    for path, n, relation, column in sources_behind(mapping):
        names = [c.name for c in columns(mapping.source, relation)]
        kinds = {c.name: c.type for c in columns(mapping.source, relation)}
        mine = names.index(column)
        rivals = [
            name
            for p, name in enumerate(names)
            if name != column
            and kinds[name] == kinds[column]
            and any(rows[relation] for rows in facts)
            and all(f[p] == f[mine] and f[p] is not None for rows in facts for f in rows[relation])
        ]
        if rivals:
            shown = shown_names(mapping.target, path)[n]
            found.append(
                f"{path}.{shown} is made of {relation}.{column}, and {relation}.{rivals[0]} has "
                "the same values in the example"
            )
    return found


def _schema(path: Path | None, instance: Instance, where: Path, other: Instance) -> Schema:
    if path:
        unread: list[str] = []
        schema = read_schema(path, unread)
        for sentence in unread:
            print(f"note: {sentence}", file=sys.stderr)
        return schema
    return loosened(infer_schema(instance, where=str(where), hints=texts(other)))


def _constant(text: str) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    if isinstance(value, dict | list) or value is None:
        raise UserError(f"--constants: {text} is no text, number, true or false")
    return value


def run_explain(command: Explain) -> int:
    """Print the explanation, or write the page."""
    mapping, data = load_mapping(command.mapping), read_sample(command.sample, command.mapping)
    if command.html:
        print(write_page(mapping, command.html, data, command.questions))
    else:
        print(explain(mapping, data, command.questions), end="")
    return FOUND


def run(command: Run) -> int:
    """Migrate and print the report; 1 if it names problems."""
    plan = Plan(
        load_mapping(command.mapping),
        command.source,
        command.target,
        command.engine,
        command.resume,
        command.overwrite,
        command.childless,
        command.chunk,
        command.memory,
        dry_run=command.dry_run,
        since=command.since,
        marks=command.marks,
        unread=command.unread,
    )
    report = migrate(plan, lambda line: print(line, file=sys.stderr))
    status = _shown_report(report)
    if command.report:
        write_whole(command.report, json.dumps(vars(report), indent=1, default=str) + "\n")
    return status


def run_verify(command: Verify) -> int:
    """Compare and print the report; 1 if the target is not what it should be."""
    return _shown_report(
        verify(load_mapping(command.mapping), command.source, command.target, command.round_trip)
    )


def _shown_report(report: Report) -> int:
    print(report.text())
    if report.lost:
        return SPENT
    return WRONG if report.problems else FOUND


def show(command: Show) -> int:
    """Print the program."""
    mapping = load_mapping(command.mapping)
    if command.dialect == "datalog":
        print(mapping.datalog, end="")
    else:
        print(
            "\n\n".join(
                f"-- {name}\n{query};" for name, query in mapping.to_sql(command.dialect).items()
            )
        )
    return FOUND
