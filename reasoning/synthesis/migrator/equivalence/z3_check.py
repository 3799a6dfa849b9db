"""Bounded verification: sequences of calls with symbolic arguments, so that a claim holds for all
of them.

Our choice: the bound is on the updates before the query, from the empty database. Calls are those
that both programs carry out; keys,
NOT NULL and references of the old schema hold after each, those of the new one must then hold, too.
(Migrator's authors verify by Mediator, an unbounded proof, which is not attempted here.)
"""

import itertools
import time
from collections.abc import Iterable

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.equivalence.clusters import Cluster
from reasoning.synthesis.migrator.equivalence.z3_formulas import Beyond, Cell, Row
from reasoning.synthesis.migrator.equivalence.z3_tables import Symbols
from reasoning.synthesis.migrator.sql.parse import placed
from reasoning.synthesis.migrator.sql.program import Insert, Program
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import fresh_numbers

BOUND = 2
"""Most updates before the query."""
SMALL = 60
"""Functions that can matter, at most, for `verify="auto"`."""
AUTO_SECONDS = 3.0
"""Seconds of processor time, for `verify="auto"`."""
MILLISECONDS = 5_000
"""Time limit of one formula, in milliseconds."""


def verify_program(
    old: Program,
    old_tables: Tables,
    new: Program,
    new_tables: Tables,
    mode: tuple[str, float] = ("auto", 30.0),
    without: Iterable[str] = (),
) -> str:
    """Verify two programs for all arguments within a bound.

    Args:
      old: a program.
      old_tables: its schema.
      new: the other one.
      new_tables: its schema.
      mode: "on"; "auto": for small programs only, and briefly; "off"; and seconds at most.
      without: functions that are not called with NULL.

    Returns:
      A sentence: "no difference within bound k for all arguments ...", or "different: ...", or why
        nothing can be said.
    """
    mode, seconds = mode
    if mode == "off":
        return "not asked"
    if old_tables.apart or any(edge.when for edge in new_tables.edges):
        return "not asked: it knows nothing of the calls that are left out"
    comparison = Comparison(old, old_tables, new, new_tables).without_null(without)
    names = {
        name for cluster in comparison.clusters for name in (*cluster.queries, *cluster.updates)
    }
    if mode == "auto" and len(names) > SMALL:
        return f"not asked: {len(names)} functions can matter, more than {SMALL} (--verify on)"
    if not names:
        return "nothing to verify: all functions are the same on the same tables"
    try:
        need("z3")
    except UserError:
        if mode == "on":
            raise
        return "not asked: z3-solver is not installed"
    return _Verifier(
        comparison,
        time.process_time() + (min(seconds, AUTO_SECONDS) if mode == "auto" else seconds),
    ).text()


def functions_of(said: str) -> tuple[str, ...]:
    """The functions of a difference that `verify_program` found; none if it found none."""
    if not said.startswith("different: "):
        return ()
    return tuple(word for word in said.removeprefix("different: ").split(" ") if word != "->")[
        : said.count("->") + 1
    ]


def unfilled(comparison: Comparison) -> list[str]:
    """Old tables that take part and that no function inserts into."""
    filled = {
        s.table
        for old, _ in comparison.pairs.values()
        for s in old.statements
        if isinstance(s, Insert)
    }
    return sorted(
        {table for cluster in comparison.clusters for table in cluster.tables[0]} - filled
    )


class _Spent(Exception):
    """No time is left."""


class _Verifier:
    def __init__(self, comparison: Comparison, until: float):
        self.comparison, self.until, self.z3 = comparison, until, need("z3")
        codes: dict = {}
        self.sides = [Symbols(schema, codes) for schema in comparison.schemas]
        self.beyond: dict[str, str] = {}
        self.formulas = 0

    def text(self) -> str:
        finished = -1
        try:
            for depth in range(BOUND + 1):
                for cluster in self.comparison.clusters:
                    for calls in itertools.product(cluster.updates, repeat=depth):
                        if (found := self.differ(cluster, calls)) is not None:
                            return found
                finished = depth
        except _Spent:
            if finished < 0:
                return "no time"
        left = (
            f"; not covered: {', '.join(f'{name} ({what})' for name, what in self.beyond.items())}"
            if self.beyond
            else ""
        )
        bare = unfilled(self.comparison)
        left += (
            f"; empty throughout, because no function fills them: {', '.join(bare)}" if bare else ""
        )
        more = "" if finished == BOUND else f"; bound {BOUND} was begun and not finished"
        return (
            f"no difference within bound {finished} for all arguments{self.nulls()} "
            f"({self.formulas} formulas){left}{more}"
        )

    def differ(self, cluster: Cluster, calls) -> str | None:
        """Find out if some arguments of these updates lead to different answers."""
        z3, solver = self.z3, self.z3.Solver()
        solver.set("timeout", MILLISECONDS)
        states = [{name: [] for name in tables} for tables in cluster.tables]
        fresh_values: list = []
        try:
            for number, name in enumerate(calls):
                pair = self.comparison.pairs[name]
                arguments = self.arguments(name, number)
                solver.add(*(self.ranged(cell, fresh_values) for cell in arguments.values()))
                fresh = {
                    n: z3.IntVal(1_000_000 * (number + 1) + n)
                    for f in pair
                    for n in fresh_numbers(f.statements)
                }
                fresh_values += fresh.values()
                fine = []
                for side, symbols in enumerate(self.sides):
                    states[side], good = symbols.call(pair[side], arguments, fresh, states[side])
                    fine.append(
                        z3.And(good, symbols.references(states[side], cluster.tables[side]))
                    )
                if (
                    said := self.ask(
                        solver,
                        z3.And(fine[0], z3.Not(fine[1])),
                        calls[: number + 1],
                        "fails in the new program alone",
                    )
                ) is not None:
                    return said
                solver.add(fine[0], fine[1])
        except Beyond as beyond:
            self.beyond[name] = str(beyond)
            return None
        for name in cluster.queries:
            said = self.answers(solver, name, calls, states, fresh_values)
            if said is not None:
                return said
        return None

    def ranged(self, cell: Cell, fresh_values):
        """An argument is no fresh key to come, but may be one of those made already."""
        return self.z3.Or(
            cell.null, cell.value < 1_000_000, *(cell.value == value for value in fresh_values)
        )

    def answers(self, solver, name, calls, states, fresh_values) -> str | None:
        """Find out if the answers of a query differ in some of these states.

        Args:
          solver: Z3's solver, which holds the conditions on the calls before.
          name: the query.
          calls: names of the updates before it.
          states: symbolic tables of the old and of the new schema.
          fresh_values: keys that the updates made.

        Returns:
          A sentence on the difference; None if none was found.
        """
        z3, pair = self.z3, self.comparison.pairs[name]
        arguments = self.arguments(name, len(calls))
        free = [self.ranged(cell, fresh_values) for cell in arguments.values()]
        try:
            rows = [
                symbols.query(function, arguments, state)
                for symbols, function, state in zip(self.sides, pair, states, strict=True)
            ]
        except Beyond as beyond:
            self.beyond[name] = str(beyond)
            return None
        return self.ask(
            solver, z3.And(*free, z3.Not(self.equal(*rows))), (*calls, name), "gives other rows"
        )

    def equal(self, one: list[Row], other: list[Row]):
        """A formula that says that two lists of rows are the same multiset."""
        z3 = self.z3

        def count(rows, wanted):
            return z3.Sum(
                [z3.If(z3.And(row.there, self.sides[0].same(row, wanted)), 1, 0) for row in rows]
                or [z3.IntVal(0)]
            )

        return z3.And(
            *(z3.Implies(row.there, count(one, row) == count(other, row)) for row in [*one, *other])
        )

    def ask(self, solver, formula, calls, what) -> str | None:
        """Find out if a formula holds for some arguments.

        Args:
          solver: Z3's solver, which holds the conditions on the calls before.
          formula: the formula, true where the programs differ.
          calls: names of the calls, in order.
          what: the difference in words, as the end of the sentence.

        Returns:
          A sentence on the difference; None if none was found.

        Raises:
          _Spent: the time of the whole check is over.
        """
        if time.process_time() > self.until:
            raise _Spent
        self.formulas += 1
        if self.z3.is_false(self.z3.simplify(formula)):
            return None
        solver.push()
        solver.add(formula)
        answer = solver.check()
        solver.pop()
        if answer == self.z3.unknown:
            self.beyond[calls[-1]] = "no answer in time"
        return (
            f"different: {' -> '.join(calls)} {what} for some arguments"
            if answer == self.z3.sat
            else None
        )

    def arguments(self, name: str, number: int) -> dict[str, Cell]:
        """An unknown for each parameter; it may be a fresh key of an earlier call."""
        made = {}
        for parameter in placed(self.comparison.pairs[name][0]):
            may = (name, parameter) in self.comparison.domains.nullable
            null = self.z3.Bool(f"{parameter}_{number}_null") if may else self.z3.BoolVal(False)
            made[parameter] = Cell(null, self.z3.Int(f"{parameter}_{number}"))
        return made

    def nulls(self) -> str:
        """A clause on arguments that are not NULL."""
        out = self.comparison.without
        if out:
            return f" (of {', '.join(out)}: all that are not NULL)"
        return ", NULL wherever the old schema allows it"
