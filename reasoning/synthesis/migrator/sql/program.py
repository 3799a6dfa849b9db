"""Programs of SQL functions as immutable trees: what Migrator rewrites, runs, prints and reasons
about.

Source: the language of Migrator (arXiv 1904.05498). Ours: IN with subqueries of several columns,
order, limits, counts and sums, NULL
tests, scalar subqueries as inserted values, and `Snapshot`, which keeps rows that a function with
several deletions has chosen.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Col:
    """A column of one of the tables in sight."""

    alias: str  # name of the table there
    name: str  # of the column


@dataclass(frozen=True)
class Param:
    """`:name`, an argument of the function."""

    name: str  # without the colon


@dataclass(frozen=True)
class Lit:
    """A number, text, truth value or NULL."""

    value: Any  # as Python has it


@dataclass(frozen=True)
class Fresh:
    """`FRESH(n)`: a key that occurs nowhere else; the same n in one call is the same key."""

    number: int  # keeps the keys of one call apart
    given: bool = field(default=False, compare=False)
    """True if the database gives it to a row that is inserted without one."""
    each: bool = field(default=False, compare=False)
    """True if each row of an INSERT ... SELECT gets another key, with the numbers from this on."""
    by: tuple[str, ...] = field(default=(), compare=False)
    """Columns whose values decide which row of an INSERT ... SELECT gets the first number in tests;
    none: all.
    """


@dataclass(frozen=True)
class Arith:
    """Two values added, subtracted, multiplied or divided."""

    op: str  # one of + - * /
    left: "Value"  # first
    right: "Value"  # second


@dataclass(frozen=True)
class Lookup:
    """A subquery that gives one value, or NULL."""

    select: "Select"  # with one output


@dataclass(frozen=True)
class Expr:
    """An expression whose operation is only copied: a function, CASE, a cast, a concatenation."""

    text: str  # in the program's dialect, with {0}, {1}, ... for its parts
    running: str
    """In SQLite's words, likewise; the same function of its parts, or an uninterpreted one."""
    parts: tuple["Value", ...]  # columns, parameters and aggregates in it


Value = Col | Param | Lit | Fresh | Arith | Lookup | Expr


@dataclass(frozen=True)
class Agg:
    """An aggregate of all selected rows, or of each group."""

    function: str  # COUNT, SUM, MIN, MAX or AVG
    of: Value | None  # none: COUNT(*)
    distinct: bool = False  # every value once


@dataclass(frozen=True)
class Cmp:
    """A comparison; "IS" and "IS NOT" stand before NULL."""

    op: str  # one of = <> < <= > >= LIKE, IS, IS NOT
    left: Value  # usually a column
    right: Value  # usually a parameter


@dataclass(frozen=True)
class And:
    """All of them; none: true."""

    parts: tuple["Pred", ...]  # conditions


@dataclass(frozen=True)
class Or:
    """At least one of them."""

    parts: tuple["Pred", ...]  # conditions


@dataclass(frozen=True)
class Not:
    """The contrary."""

    part: "Pred"  # A condition


@dataclass(frozen=True)
class InList:
    """A column with one of some values."""

    column: Col  # compared
    values: tuple[Value, ...]  # with these


@dataclass(frozen=True)
class InSelect:
    """Columns whose values are a row of a subquery."""

    columns: tuple[Col, ...]  # compared
    select: "Select"  # as many outputs


Pred = Cmp | And | Or | Not | InList | InSelect | Expr
TRUE = And(())


@dataclass(frozen=True)
class Source:
    """A table under a name."""

    table: str  # in the schema, or of a snapshot
    alias: str  # columns refer to it
    on: "Pred | None" = None
    """The condition of a LEFT JOIN, which follows all inner joins; None: an inner join."""
    select: "Select | None" = None  # a subquery in its place, whose name `table` is


@dataclass(frozen=True)
class Out:
    """An output of a query."""

    value: Value | Agg  # value of the output
    name: str  # under which name


@dataclass(frozen=True)
class Select:
    """SELECT over joins."""

    outs: tuple[Out, ...]  # in order
    sources: tuple[Source, ...]  # joined tables
    joins: tuple[tuple[Col, Col], ...] = ()  # columns of two tables that are equal
    where: Pred = TRUE  # everything else that must hold
    order: tuple[tuple[Value | Agg, str], ...] = ()  # values, and DESC, NULLS LAST or nothing
    limit: Value | None = None  # rows at most
    distinct: bool = False  # every row once
    group: tuple[Value, ...] = ()  # one row for each combination
    having: Pred = TRUE  # which groups
    offset: Value | None = None  # rows passed over
    lock: str = ""  # FOR UPDATE or the like, which tests leave out


@dataclass(frozen=True)
class Compound:
    """UNION, EXCEPT or INTERSECT of queries with as many outputs each."""

    parts: tuple[Select, ...]  # in order
    words: tuple[str, ...]  # between them
    order: tuple[tuple[Value | Agg, str], ...] = ()  # outputs of the first part
    limit: Value | None = None  # rows at most
    offset: Value | None = None  # rows passed over

    @property
    def outs(self) -> tuple[Out, ...]:
        """The outputs, as the first part names them."""
        return self.parts[0].outs


@dataclass(frozen=True)
class Conflict:
    """ON CONFLICT of an INSERT."""

    columns: tuple[str, ...]  # of the key; none: of any key
    sets: tuple[tuple[str, Value], ...] = ()
    """New values of the row that is there, in which the alias "excluded" is the row not inserted;
    none: nothing is done.
    """
    where: Pred = TRUE  # which rows change


@dataclass(frozen=True)
class Insert:
    """INSERT of one row."""

    table: str  # into it
    columns: tuple[str, ...]  # named ones
    values: tuple[Value, ...]  # as many
    conflict: Conflict | None = None  # ON CONFLICT
    returning: tuple[Out, ...] = ()  # outputs of the changed rows


@dataclass(frozen=True)
class Fill:
    """INSERT of the rows of a query."""

    table: str  # into it
    columns: tuple[str, ...]  # named ones
    select: Select  # with as many outputs
    conflict: Conflict | None = None  # ON CONFLICT DO NOTHING


@dataclass(frozen=True)
class Delete:
    """DELETE from one table; what joins chose it by stands in `where` as subqueries."""

    table: str  # also the alias in `where`
    where: Pred = TRUE  # which rows
    returning: tuple[Out, ...] = ()  # outputs of the changed rows


@dataclass(frozen=True)
class Update:
    """UPDATE of one table."""

    table: str  # also the alias in `where` and in values
    sets: tuple[tuple[str, Value], ...]  # columns and their new values
    where: Pred = TRUE  # which rows
    returning: tuple[Out, ...] = ()  # outputs of the changed rows


@dataclass(frozen=True)
class Snapshot:
    """Keep the rows of a query under a name until the end of the function."""

    name: str  # A temporary table
    select: Select  # query whose rows are kept


@dataclass(frozen=True)
class Drop:
    """Forget a snapshot."""

    name: str  # the temporary table


Statement = Select | Compound | Insert | Fill | Delete | Update | Snapshot | Drop


@dataclass(frozen=True)
class Function:
    """A named block: a query, or an update of one or more statements."""

    name: str  # unique in its program
    params: tuple[str, ...]  # in order
    statements: tuple[Statement, ...]
    """The statements in order; a query has one, a `Select`. Empty if outside the fragment."""
    line: int = 0  # line of its beginning in its file
    notes: tuple[str, ...] = ()  # comment lines after its name
    text: str = ""  # its SQL as written
    suffix: str = ""  # suffix of the name: ! ^ $ and others in aiosql, :one and :many in sqlc
    style: str = ""  # how its parameters are written: pyformat, numeric or qmark; empty: :name
    outside: str = ""  # why it is outside the fragment; empty: it is inside
    tables: frozenset[str] = frozenset()  # all tables that it names

    @property
    def is_query(self) -> bool:
        """True if it returns rows and changes nothing."""
        return len(self.statements) == 1 and isinstance(self.statements[0], Select | Compound)


@dataclass(frozen=True)
class Program:
    """The functions of a file."""

    functions: tuple[Function, ...]  # in order
    dialect: str = "sqlite"  # of the SQL
    schemas: dict[str, str] = field(default_factory=dict)
    """The database's schema of each table that has one."""

    def named(self, name: str) -> Function:
        """The function of a name. Raises KeyError."""
        return {function.name: function for function in self.functions}[name]
