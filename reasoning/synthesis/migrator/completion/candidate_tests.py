"""Candidates for single functions tried in related databases, which they must leave related."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.migrator.completion.simulate import NOW, Simulation, map_rows
from reasoning.synthesis.migrator.sql.program import Function
from reasoning.synthesis.migrator.sql.visitors import reads, writes
from reasoning.synthesis.migrator.testing.aligned_keys import aligned
from reasoning.synthesis.migrator.testing.database import (
    Broken,
    Compiled,
    Database,
    compile_function,
)
from reasoning.synthesis.migrator.testing.mapped_databases import fingerprint
from reasoning.synthesis.migrator.testing.row_order import OPEN, Answer, ordered, same_answer


@dataclass(frozen=True)
class Failure:
    """A call after which, or in which, the two programs differ."""

    function: str  # that was called
    start: int  # number of the pair
    arguments: dict[str, Any]  # of the call
    what: str  # the difference


@dataclass(frozen=True)
class Fails:
    """The outcome of a call that failed; one is like the other."""

    why: str = field(compare=False)  # as the database says it


def fail_of(found: Simulation, old: Function, new: Function, nulls: bool = False) -> Failure | None:
    """The first call in which a candidate differs from the function that it stands for; None if
    there is none.

    Args:
      found: related databases.
      old: the function.
      new: the candidate.
      nulls: the calls with NULL among their arguments, instead of those without.
    """
    old, new = aligned(old, new, found.mapping)
    compiled = compile_function(new, found.mapping.target)
    before = compile_function(old, found.mapping.source)
    empty = {t for s in new.statements for t in reads(s) | writes(s)} - set(found.target.names)
    if empty := sorted(empty & set(found.mapping.target.by_name)):
        return Failure(old.name, 0, {}, f"the data mapping fills no row of {empty[0]}")
    try_one = _try_query if old.is_query else _try_update
    for number, start in enumerate(found.starts):
        calls = (start.with_null if nulls else start.arguments)[old.name]
        what = try_one(found, before, compiled, number, (start, calls))
        if what:
            return Failure(old.name, number, *what)
    return None


def _try_query(found, before, compiled, number, given):
    start, calls = given
    found.target.load(start.target)
    loaded = False
    for arguments in calls:
        mark = (before.function.name, number, *arguments.values())
        if mark not in found.expected or (not loaded and ordered(before)):
            found.source.load(start.source)
            loaded = True
            found.expected[mark] = found.source.call(before, arguments, NOW)
        found.tests += 1
        old = Answer(found.source, before, arguments, found.expected[mark])
        new = Answer(found.target, compiled, arguments, found.target.call(compiled, arguments, NOW))
        if not same_answer(old, new):
            more = f", {OPEN}" if old.rows == new.rows else ""
            return arguments, f"rows {list(old.rows[:4])} became {list(new.rows[:4])}{more}"
    return None


def _try_update(found, before, compiled, number, given):
    start, calls = given
    tables = _compared(found, before, compiled)
    found.target.load(start.target)
    found.source.load(start.source)
    for arguments in calls:
        order = tuple(step.by for step in before.steps)
        mark = (before.function.name, number, tables, order, *arguments.values())
        if mark not in found.expected:
            changes = found.source.changes()
            found.expected[mark] = _attempt(
                found.source, before, arguments, lambda: _image(found, tables)
            )
            if not isinstance(found.expected[mark], Fails):
                found.succeeded.add(before.function.name)
                if found.source.changes() > changes:
                    found.effective.add(before.function.name)
        found.tests += 1
        got = _attempt(
            found.target,
            compiled,
            arguments,
            lambda: fingerprint(found.target.rows(tables), found.mapping),
        )
        if got != found.expected[mark]:
            return arguments, _difference(found.expected[mark], got)
    return None


def _difference(old, new) -> str:
    for which, outcome in (("new", new), ("old", old)):
        if isinstance(outcome, Fails):
            return f"it fails in the {which} program alone ({outcome.why})"
    return "the databases are no longer related"


def _compared(found: Simulation, before: Compiled, compiled: Compiled) -> tuple[str, ...]:
    """The target tables that the call can change, and those that share invented keys."""
    rules = found.mapping.rules
    names = {
        name for name, rule in rules.items() if set(rule.body) & before.writes
    } | compiled.writes
    made = {name for name, _ in found.mapping.made}
    return tuple(sorted((names | made if names & made else names) & set(found.target.names)))


def _attempt(base: Database, compiled: Compiled, arguments, inspect: Callable[[], Any]):
    """Result of `inspect` after a call, which is undone; `Fails` if the call fails."""
    base.mark()
    try:
        rows = base.call(compiled, arguments, NOW)
        return inspect(), rows and sorted(rows, key=repr)
    except Broken as broken:
        return Fails(str(broken))
    finally:
        base.back()


def _image(found: Simulation, tables):
    rows = dict.fromkeys(tables, ()) | map_rows(found, tables)
    return fingerprint(rows, found.mapping)
