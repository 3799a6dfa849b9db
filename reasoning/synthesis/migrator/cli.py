"""The commands: a dataclass for each, and what it does. `__main__.py` makes the command line of
them.
"""

import ast
import json
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reasoning.synthesis.errors import UserError, need, write_all, write_whole
from reasoning.synthesis.migrator.correspondence.mapping import DataMapping
from reasoning.synthesis.migrator.correspondence.problem import same_tables
from reasoning.synthesis.migrator.correspondence.undecided import Undecided, decided
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.equivalence.initial_states import related
from reasoning.synthesis.migrator.equivalence.strength import (
    not_compared,
    other_ends,
    remarks,
    unread,
)
from reasoning.synthesis.migrator.equivalence.z3_check import verify_program
from reasoning.synthesis.migrator.merging.find import merged
from reasoning.synthesis.migrator.merging.rules import apart_of, held_references, left_out
from reasoning.synthesis.migrator.output.counterexample_sql import scenario_script
from reasoning.synthesis.migrator.output.data_migration import migration_sql
from reasoning.synthesis.migrator.output.downgrade import downgrade_of
from reasoning.synthesis.migrator.output.dry_run import dry_run, dry_run_sql, in_columns, values_of
from reasoning.synthesis.migrator.output.explain import explain
from reasoning.synthesis.migrator.output.exports import alembic_file, dynamite_json
from reasoning.synthesis.migrator.result import NoProgram, Options, OutOfTime, Refactoring
from reasoning.synthesis.migrator.sketch.order import late_functions
from reasoning.synthesis.migrator.sql.parameters import named
from reasoning.synthesis.migrator.sql.parse import KEPT, UNREAD, parse_program
from reasoning.synthesis.migrator.sql.program import Program
from reasoning.synthesis.migrator.sql.tables import Tables, read_tables, read_text
from reasoning.synthesis.migrator.sql.unparse import show_function, show_program
from reasoning.synthesis.migrator.synthesize import refactor
from reasoning.synthesis.migrator.testing.actions import other_references, without_new_actions
from reasoning.synthesis.migrator.testing.aligned_keys import aligned_programs

FOUND, DIFFERENT, WRONG, IMPOSSIBLE, SPENT = 0, 1, 2, 3, 4
"""Exit codes: done, programs differ, bad input, no equivalent program, out of time."""
Dialect = Literal["sqlite", "postgres", "mysql", "duckdb"]
Verify = Literal["auto", "on", "off"]


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The schemas, and options of every command."""

    source_schema: Path
    """CREATE TABLE statements of the old schema."""
    target_schema: Path
    """CREATE TABLE statements of the new schema."""
    dialect: Dialect = "sqlite"
    """Dialect of all SQL read and written."""
    budget: float = 60.0
    """Seconds in all."""


@dataclass(frozen=True, kw_only=True)
class Explain(Inputs):
    """Say where the columns go, which functions must change and how the data is moved, without
    writing anything.
    """

    program: Path
    """Named queries over the old schema."""
    seed: int = 0
    """Seed of the test databases and of the choice between ties."""
    constant: tuple[str, ...] = ()
    """Constants of old tables that become one, as old_table=value; else their names decide."""
    rename: tuple[str, ...] = ()
    """Places of old columns that names do not show, each table.column=new_table.new_column."""
    drop: tuple[str, ...] = ()
    """Old columns to be dropped though the program writes them, each table.column."""
    renumber: bool = False
    """Let the data script give other keys where merged tables share some; whoever knows a key from
    outside the database must learn the new one.
    """


@dataclass(frozen=True, kw_only=True)
class Synthesize(Explain):
    """Rewrite a program for a new schema. Exit code 3: there is no equivalent program; 4: out of
    time.
    """

    out: Path
    """Path of the rewritten program."""
    bound: int = 3
    """Sequences of up to so many updates are compared at the end."""
    verify: Verify = "auto"
    """Bounded verification by Z3, for all arguments; auto: small programs."""
    strict: bool = False
    """Refuse functions outside the fragment instead of passing them through, marked."""
    keep_by_hand: bool = False
    """Done anyway without --strict; for older command lines."""
    allow_untested: bool = False
    """Accept functions that failed, or changed nothing, on every try; they are named."""
    report: Path | None = None
    """Write an HTML page: every function before and after, the correspondence, what was checked."""
    data: Path | None = None
    """Write the script that takes the data along: DDL and INSERT ... SELECT."""
    downgrade: Path | None = None
    """Write the script back, where every old row can be made again."""
    dry_run: Path | None = None
    """Write a query that counts what the data script would do, changing nothing."""
    database: str | None = None
    """A database of the old schema (file or postgresql://...), read for counts to be printed."""
    mapping: Path | None = None
    """Write the data mapping for `python -m reasoning.synthesis.dynamite run --mapping`."""
    alembic: Path | None = None
    """Write the data's migration as an Alembic file."""
    down_revision: str | None = None
    """Alembic's revision before this one."""
    quiet: bool = False
    """Do not print progress."""


@dataclass(frozen=True, kw_only=True)
class Check(Inputs):
    """Compare two programs over two schemas; a difference is printed as a SQL script. Exit code 1:
    they differ.
    """

    source_program: Path
    """The old program."""
    target_program: Path
    """The new program: functions of the same names."""
    bound: int = 3
    """Updates before the query."""
    verify: Verify = "auto"
    """Z3, for all arguments."""
    allow_untested: bool = False
    """Accept functions that failed, or changed nothing, on every try."""
    rename: tuple[str, ...] = ()
    """Places of old columns in the databases that the comparison begins with, each
    table.column=new_table.new_column.
    """
    script: Path | None = None
    """Write the failing scenario there, too."""


def synthesize(command: Synthesize) -> int:
    """Search, print what was found, and write it."""
    from reasoning.synthesis.migrator.output.report import page  # --help stays quick without NumPy

    tell = (
        (lambda line: None)
        if command.quiet
        else (lambda line: print(line, file=sys.stderr, flush=True))
    )
    options = Options(
        command.dialect,
        command.bound,
        command.budget,
        seed=command.seed,
        verify=command.verify,
        keep_by_hand=not command.strict,
        constants=command.constant,
        renumber=command.renumber,
        keep_keys=command.downgrade is not None and not command.renumber,
        renames=command.rename,
        drops=command.drop,
    )
    try:
        if command.downgrade:
            _refuse_early(command, options)
        found = _found(command, options, tell)
    except Undecided as problem:
        raise UserError(_counted(command, problem)) from problem
    if isinstance(found, NoProgram):
        print(f"no equivalent program: {found.reason}", file=sys.stderr)
        return IMPOSSIBLE
    if isinstance(found, OutOfTime):
        print(f"out of time after {command.budget:g} s: {found.reason}", file=sys.stderr)
        if found.best is not None:
            write_whole(
                command.out,
                f"-- Not finished; missing: {', '.join(found.missing)}\n\n"
                + show_program(found.best),
            )
            print(
                f"the best so far is in {command.out}; missing: {', '.join(found.missing)}",
                file=sys.stderr,
            )
        return SPENT
    if not command.allow_untested:
        idle = [name for name in found.idle if name in found.rewritten]
        _refuse_unseen(found.never, idle, "; nothing was written")
    texts = [(command.out, program_text(found))]
    texts += [(command.data, migration_sql(found.mapping, command.dialect))] if command.data else []
    texts += (
        [(command.dry_run, dry_run_sql(found.mapping, command.dialect))] if command.dry_run else []
    )
    back, no_way_back = _way_back(found)
    if command.downgrade:
        if back is None:
            raise UserError(f"{no_way_back}; leave out --downgrade")
        texts.append((command.downgrade, migration_sql(back, command.dialect)))
    counts = dry_run(found.mapping, command.dialect, command.database) if command.database else []
    texts += [(command.mapping, dynamite_json(found.mapping))] if command.mapping else []
    texts += (
        [
            (
                command.alembic,
                alembic_file(
                    found.mapping,
                    command.dialect,
                    command.alembic.stem,
                    command.down_revision,
                    back or no_way_back,
                ),
            )
        ]
        if command.alembic
        else []
    )
    texts += [(command.report, page(found, counts))] if command.report else []
    check_files(texts, found)
    write_all(texts)  # all texts are made before the first is written
    print(summary(found))
    if counts:
        print(in_columns(counts))
    return FOUND


def _refuse_early(command: Synthesize, options: Options) -> None:
    """Refuse a downgrade that is impossible before the checks, which take most of the time.

    Raises:
      UserError: there is no way back.
    """
    quick = _found(command, replace(options, bound=0, verify="off"), lambda line: None)
    if isinstance(quick, Refactoring):
        back, reason = _way_back(quick)
        if back is None:
            raise UserError(f"{reason}; leave out --downgrade")


def _counted(command: Synthesize, problem: Undecided) -> str:
    """The reason, with the number of values that would be lost if a database is given."""
    if command.database is None:
        return f"{problem} (--database counts its values)"
    count = values_of(problem.column, command.dialect, command.database)
    return f"{problem} ({count} rows have a value there)"


def _refuse_unseen(never: Sequence[str], idle: Sequence[str], also: str) -> None:
    """Refuse a claim on updates of which nothing was seen.

    Raises:
      UserError: one failed on every try, or changed nothing though it is another one now.
    """
    for names, what in ((never, "failed"), (idle, "changed nothing")):
        if names:
            raise UserError(
                f"not verified: {', '.join(names)} {what} on every try, so nothing was seen of "
                f"{'it' if len(names) == 1 else 'them'}: add a function that inserts the rows that "
                f"{'it needs' if len(names) == 1 else 'they need'}, or accept with "
                f"--allow-untested{also}"
            )


def _way_back(found: Refactoring) -> tuple[DataMapping | None, str]:
    """The mapping back, or why there is none."""
    try:
        return downgrade_of(found.mapping), ""
    except UserError as reason:
        return None, str(reason)


def check_files(texts: list[tuple[Path, str]], found: Refactoring) -> None:
    """Parse everything that is to be written.

    Raises:
      UserError: a text does not parse; nothing was written.
    """
    sqlglot = need("sqlglot")
    unread = [f.name for f in found.new.functions if UNREAD in f.outside]
    for number, (path, text) in enumerate(texts):
        # Blocks of the old program that are no SQL stay as they are.
        if path.suffix == ".sql" and not (number == 0 and unread):
            _parsed(path, text, found.new.dialect)
        if path.suffix == ".json":
            json.loads(text)
        if path.suffix == ".py":
            try:
                ast.parse(text)
            except SyntaxError as error:
                raise UserError(
                    f"{path} would not be Python ({error}): nothing was written"
                ) from error
    for function in found.new.functions:
        text, _ = named(show_function(function, found.new.dialect, found.new.schemas))
        if function.name in found.rewritten:
            try:
                sqlglot.parse(text, read=found.new.dialect)
            except sqlglot.errors.SqlglotError as error:
                raise UserError(f"{function.name} does not parse: nothing was written") from error


def _parsed(path: Path, text: str, dialect: str) -> None:
    """Parse a script.

    Raises:
      UserError: a statement is none; commands that sqlglot takes as they are count as parsed.
    """
    sqlglot = need("sqlglot")
    plain, _ = named(text)
    try:
        sqlglot.parse(plain, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        first = (getattr(error, "errors", None) or [{"line": "?", "description": str(error)}])[0]
        raise UserError(
            f"{path} would not parse in line {first['line']} ({first['description']}): nothing was "
            "written"
        ) from error


def program_text(found: Refactoring) -> str:
    """The new program's file; functions to be rewritten by hand say so."""
    text = show_program(found.new)
    for name in found.by_hand:
        reason = found.old.named(name).outside
        said = f"{KEPT}, not rewritten ({' '.join(reason.split())})\n"
        header = re.compile(rf"^(?=-- name: {re.escape(name)}(?!\w))", re.MULTILINE)
        text = header.sub(lambda _, said=said: said, text)  # sqlc's headers list no parameters
    for name, references in late(found).items():
        header = re.compile(rf"^-- name: {re.escape(name)}(?!\w).*$", re.MULTILINE)
        said = f"\n-- Needs DEFERRABLE INITIALLY DEFERRED: {references}"
        text = header.sub(lambda seen, said=said: seen[0] + said, text)
    return text


def late(found: Refactoring) -> dict[str, str]:
    """The rewritten functions that may break references of the new schema before their last
    statement, and which.
    """
    edges = late_functions([found.new.named(name) for name in found.rewritten], found.target)
    return {
        name: ", ".join(f"{e.table}({', '.join(e.columns)})" for e in some)
        for name, some in edges.items()
    }


def summary(found: Refactoring) -> str:
    """Summary of the work and of the checks, in lines."""
    effort = found.effort
    lines = [
        f"{len(found.new.functions)} functions, {len(found.rewritten)} rewritten, "
        f"{effort.correspondences} correspondences, "
        f"{effort.iterations} proposals, {effort.seconds:.2f} s",
        f"one by one from related databases: no difference in {found.related} calls",
        f"sequences: {found.checked.text()}",
        f"solver: {found.verified}",
    ]
    lines += [
        f"{name} needs references that are checked at the end of a transaction: {which}"
        for name, which in late(found).items()
    ]
    lines += remarks(found)
    return "\n".join(
        lines + ([f"kept by hand: {', '.join(found.by_hand)}"] if found.by_hand else [])
    )


def _found(command, options, tell):
    texts = [
        read_text(path) for path in (command.program, command.source_schema, command.target_schema)
    ]
    names = (str(command.program), str(command.source_schema), str(command.target_schema))
    return refactor(*texts, options, progress=tell, names=names)


def _read_both(schema: Path, program: Path, dialect: str) -> tuple[Tables, Program]:
    """The schema in a file, and the program over it in another."""
    tables = read_tables(read_text(schema), dialect, str(schema))
    return tables, parse_program(read_text(program), tables, dialect, str(program), keep=True)


def run_check(command: Check) -> int:
    """Compare, print the claim, or the difference as a script."""
    if command.bound < 0 or not command.budget > 0:
        raise UserError(
            f"--bound is {command.bound} and --budget {command.budget}: the first is 0 or more, "
            "the second positive"
        )
    started = time.monotonic()
    old_tables, old = _read_both(command.source_schema, command.source_program, command.dialect)
    new_tables, new = _read_both(command.target_schema, command.target_program, command.dialect)
    places = decided(command.rename, (), old_tables, new_tables)
    starts, mapping = related(old, old_tables, new_tables, decided=places)
    notes = other_references(old_tables, new_tables, same_tables(old_tables, new_tables))
    if mapping is not None:
        mapping, more = without_new_actions(mapping)
        new_tables, notes = mapping.target, (*notes, *more)
    if merges := merged(old_tables, new_tables):
        old_tables = apart_of(old_tables, new_tables, merges)
        new_tables = held_references(new_tables, merges)
        notes = (*notes, *left_out(merges, old_tables))
    old, new = aligned_programs(old, new, mapping)
    comparison = Comparison(old, old_tables, new, new_tables, starts)
    checked = comparison.run(command.bound, lambda: time.monotonic() - started < command.budget)
    if not checked.failure and not command.allow_untested:
        idle = [name for name in checked.idle if name in comparison.differing]
        _refuse_unseen(checked.never, idle, "")
    if checked.failure is not None:
        script = scenario_script(checked.failure, old, old_tables, new, new_tables)
        if command.script:
            write_whole(command.script, script)
        print(script, end="")
        return DIFFERENT
    unseen = [
        f"{name} ({b.outside or a.outside})"
        for name, (a, b) in comparison.pairs.items()
        if (a.outside or b.outside) and a.text.split() != b.text.split()
    ]
    if unseen and not command.allow_untested:
        raise UserError(
            f"not verified: {'; '.join(unseen)}: another text now, and not compared with the old "
            "one; compare it by hand, and accept with --allow-untested"
        )
    outside = [f for f in (*old.functions, *new.functions) if f.outside]
    by_hand = [f"not compared: {f.name} ({f.outside})" for f in outside]
    notes = (*notes, *not_compared(old.named(name) for name in comparison.differing))
    notes = (*notes, *other_ends(comparison.pairs.values()))
    print("\n".join([checked.text(), *by_hand, *notes, *unread(old_tables, new_tables)]))
    left = command.budget - (time.monotonic() - started)
    said = verify_program(old, old_tables, new, new_tables, (command.verify, left))
    print(f"solver: {said}")
    return (
        DIFFERENT
        if said.startswith("different")
        else SPENT
        if checked.bound < command.bound
        else FOUND
    )


def run_explain(command: Explain) -> int:
    """Print the explanation; 3 or 4 if there is nothing to explain."""
    found = _found(
        command,
        Options(
            command.dialect,
            1,
            command.budget,
            seed=command.seed,
            verify="off",
            constants=command.constant,
            renumber=command.renumber,
            renames=command.rename,
            drops=command.drop,
        ),
        lambda line: None,
    )
    if isinstance(found, Refactoring):
        print(explain(found), end="")
        return FOUND
    print(found.reason, file=sys.stderr)
    return IMPOSSIBLE if isinstance(found, NoProgram) else SPENT
