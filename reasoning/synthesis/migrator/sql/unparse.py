"""Programs as SQL text, in every dialect that is read."""

import re
from dataclasses import replace
from typing import Any

from reasoning.synthesis.migrator.sql.given_keys import LAST
from reasoning.synthesis.migrator.sql.parameters import styled
from reasoning.synthesis.migrator.sql.program import (
    Agg,
    And,
    Arith,
    Cmp,
    Col,
    Compound,
    Delete,
    Drop,
    Expr,
    Fill,
    Fresh,
    Function,
    InList,
    InSelect,
    Insert,
    Lit,
    Lookup,
    Not,
    Or,
    Param,
    Program,
    Select,
    Snapshot,
    Statement,
    Update,
)
from reasoning.synthesis.migrator.sql.visitors import reads

KEYWORDS = """
add all alter analyse analyze and anti any array as asc asof asymmetric authorization between
binary both by call case cast check collate collation column concurrently condition constraint
create cross cube current_catalog current_date current_role current_schema current_time
current_timestamp current_user database default deferrable delete desc describe distinct div do
drop each else elseif end escape except exclude exists exit explain false fetch for force foreign
freeze from full fulltext function generated glob grant group grouping groups having high_priority
if ignore ilike in index indexed initially inner insert instead intersect interval into is isnull
iterate join key keys kill lag lateral lead leading leave left like limit lines load localtime
localtimestamp lock loop match mod natural not nothing notnull null nulls offset on only option
optionally or order out outer outfile over overlaps partition percent pivot placing positional
pragma precision primary procedure qualify range rank read recursive references regexp reindex
release rename repeat replace require resignal restrict return returning revoke right rlike
rollback rollup row row_number rows sample savepoint schema schemas select semi separator
session_user set show signal similar some spatial sql ssl starting straight_join summarize
symmetric system table tablesample terminated then to trailing transaction trigger true undo union
unique unlock unpivot unsigned update usage use user using vacuum values variadic verbose view
virtual when where while window with write xor zerofill
"""
RESERVED = frozenset(KEYWORDS.split())
"""Words of SQL that are no names unless quoted."""
WIDE = 100
"""Statements longer than this are broken into lines."""


def show_program(program: Program) -> str:
    """The text of a file of named queries, which `parse.parse_program` reads back."""
    return "\n".join(
        show_function(function, program.dialect, program.schemas) for function in program.functions
    )


def show_function(
    function: Function, dialect: str = "sqlite", schemas: dict[str, str] | None = None
) -> str:
    """One block: its name line, its notes, and its text as written, or its statements if it was
    rewritten.
    """
    header = f"-- name: {function.name}({', '.join(function.params)}){function.suffix}\n"
    if function.style == "qmark":
        header = f"-- name: {function.name}{function.suffix}\n"
    if function.suffix.startswith(":"):  # sqlc lists no parameters
        header = f"-- name: {function.name} {function.suffix}\n"
    notes = "".join(f"-- {note}\n" for note in function.notes)
    if function.text:
        return header + notes + function.text.rstrip().rstrip(";") + ";\n"
    printer = _Printer(dialect, False, schemas or {})
    texts = (
        styled(_shown(printer, one), function.style, function.params) for one in function.statements
    )
    return header + notes + "".join(f"{text};\n" for text in texts)


def show_statement(
    statement: Statement,
    dialect: str = "sqlite",
    running: bool = False,
    schemas: dict[str, str] | None = None,
) -> str:
    """One statement without its semicolon.

    Args:
      statement: the statement, in our form.
      dialect: one of `tables.DIALECTS`.
      running: fresh keys become the parameters :fresh_1, :fresh_2, ... of a database driver, and
        long lines stay as they are.
      schemas: the database's schema of each table that has one.
    """
    return _shown(_Printer(dialect, running, schemas or {}), statement)


def _shown(printer: "_Printer", statement: Statement) -> str:
    lines = printer.statement(statement)
    flat = " ".join(lines)
    return flat if printer.running or len(flat) <= WIDE else "\n".join(lines)


def name_of(name: str, dialect: str = "sqlite") -> str:
    """A name, quoted if it must be."""
    plain = r"[a-z_][a-z0-9_]*" if dialect == "postgres" else r"[A-Za-z_][A-Za-z0-9_]*"
    if re.fullmatch(plain, name) and name.lower() not in RESERVED:
        return name
    quote = "`" if dialect == "mysql" else '"'
    return quote + name.replace(quote, 2 * quote) + quote


def table_name(name: str, schema: str, dialect: str = "sqlite") -> str:
    """A table's name behind that of its schema, if it has one."""
    return ".".join(name_of(part, dialect) for part in (schema, name) if part)


def literal(value: Any, dialect: str = "sqlite") -> str:
    """A value as SQL writes it."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(int(value)) if dialect == "sqlite" else str(value).upper()
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


class _Printer:
    """Writes for one dialect."""

    def __init__(self, dialect, running, schemas):
        self.dialect, self.running, self.schemas = dialect, running, schemas
        self.last: dict[int, str] = {}

    def table(self, name):
        return table_name(name, self.schemas.get(name, ""), self.dialect)

    def name(self, name):
        return name_of(name, self.dialect)

    def statement(self, tree) -> list[str]:
        """The parts that may stand on lines of their own."""
        if isinstance(tree, Select):
            return self.select(tree)
        if isinstance(tree, Compound):
            return self.compound(tree)
        if isinstance(tree, Insert | Fill):
            tree = self.without_given(tree)
            names = ", ".join(map(self.name, tree.columns))
            head = f"INTO {self.table(tree.table)} ({names})"
            ignore = self.dialect == "mysql" and tree.conflict and not tree.conflict.sets
            if isinstance(tree, Fill):
                conflict = self.conflict(tree) if tree.conflict and not ignore else []
                ends = tree.select.where == And(()) and not tree.select.group
                if conflict and ends and self.dialect == "sqlite":
                    # Else SQLite would read ON as that of a join.
                    conflict = ["WHERE 1 = 1", *conflict]
                word = "INSERT IGNORE" if ignore else "INSERT"
                return [f"{word} {head}", *self.select(tree.select), *conflict]
            values = f"VALUES ({', '.join(self.value(v, False) for v in tree.values)})"
            if not tree.columns and self.dialect != "mysql":
                head, values = f"INTO {self.table(tree.table)}", "DEFAULT VALUES"
            return [
                f"INSERT {'IGNORE ' if ignore else ''}{head}",
                values,
                *(self.conflict(tree) if tree.conflict and not ignore else ()),
                *self.returning(tree),
            ]
        if isinstance(tree, Snapshot):
            word = "TEMPORARY" if self.dialect == "mysql" else "TEMP"
            return [f"CREATE {word} TABLE {self.name(tree.name)} AS", *self.select(tree.select)]
        if isinstance(tree, Drop):
            return [f"DROP TABLE {self.name(tree.name)}"]
        if isinstance(tree, Delete):
            return [
                f"DELETE FROM {self.table(tree.table)}",
                *self.where(tree.where, False, tree.table),
                *self.returning(tree),
            ]
        assert isinstance(tree, Update)
        sets = ", ".join(
            f"{self.name(column)} = {self.value(value, False)}" for column, value in tree.sets
        )
        return [
            f"UPDATE {self.table(tree.table)} SET {sets}",
            *self.where(tree.where, False, tree.table),
            *self.returning(tree),
        ]

    def without_given(self, tree):
        """An INSERT without the key that the database gives, which later statements ask for."""
        if self.running:
            return tree
        if isinstance(tree, Fill):
            values = [out.value for out in tree.select.outs]
        else:
            values = list(tree.values)
        kept = []
        for n, value in enumerate(values):
            if isinstance(value, Fresh) and value.given and value.number not in self.last:
                place = literal(self.table(tree.table)), literal(tree.columns[n])
                self.last[value.number] = LAST.get(self.dialect, "").format(*place)
            else:
                kept.append(n)
        columns = tuple(tree.columns[n] for n in kept)
        if isinstance(tree, Fill):
            outs = tuple(tree.select.outs[n] for n in kept)
            return replace(tree, columns=columns, select=replace(tree.select, outs=outs))
        return replace(tree, columns=columns, values=tuple(tree.values[n] for n in kept))

    def returning(self, tree) -> list[str]:
        outs = ", ".join(self.out(one, False) for one in tree.returning)
        return [f"RETURNING {outs}"] if outs else []

    def conflict(self, tree) -> list[str]:
        """ON CONFLICT; the row that is there has the table's name."""
        one = tree.conflict
        sets = ", ".join(f"{self.name(c)} = {self.conflict_value(v)}" for c, v in one.sets)
        if self.dialect == "mysql":
            return [f"ON DUPLICATE KEY UPDATE {sets}"]
        on = f" ({', '.join(map(self.name, one.columns))})" if one.columns else ""
        if not sets:
            return [f"ON CONFLICT{on} DO NOTHING"]
        where = [f"WHERE {self.pred(one.where, True)}"] if one.where != And(()) else []
        return [f"ON CONFLICT{on} DO UPDATE SET {sets}", *where]

    def conflict_value(self, value) -> str:
        if self.dialect == "mysql" and isinstance(value, Col) and value.alias == "excluded":
            return f"VALUES({self.name(value.name)})"
        return self.value(value, True)

    def compound(self, tree) -> list[str]:
        lines = self.select(tree.parts[0])
        for word, part in zip(tree.words, tree.parts[1:], strict=True):
            lines += [word, *self.select(part)]
        if tree.order:
            places = [out.value for out in tree.outs]
            keys = (f"{places.index(value) + 1}{down}" for value, down in tree.order)
            lines.append("ORDER BY " + ", ".join(keys))
        return lines + self.cut(tree, False)

    def cut(self, tree, many) -> list[str]:
        """LIMIT and OFFSET."""
        limit = tree.limit
        if limit is None and tree.offset is not None and self.running:
            limit = Lit(-1)  # SQLite has no OFFSET alone
        lines = [f"LIMIT {self.value(limit, many)}"] if limit is not None else []
        lines += [f"OFFSET {self.value(tree.offset, many)}"] if tree.offset is not None else []
        return lines

    def where(self, pred, qualified, changed=""):
        return [f"WHERE {self.pred(pred, qualified, changed)}"] if pred != And(()) else []

    def select(self, tree) -> list[str]:
        many = len(tree.sources) > 1
        outs = ", ".join(self.out(one, many) for one in tree.outs)
        parts = [f"SELECT {'DISTINCT ' if tree.distinct else ''}{outs}"]
        if tree.sources:
            parts.append(f"FROM {self.sources(tree)}")
        elif self.dialect == "mysql":
            parts.append("FROM DUAL")
        parts += self.where(tree.where, many)
        if tree.group:
            parts.append("GROUP BY " + ", ".join(self.value(column, many) for column in tree.group))
        if tree.having != And(()):
            parts.append("HAVING " + self.pred(tree.having, many))
        if tree.order:
            named = {
                out.name.lower(): out.value for out in tree.outs
            }  # a bare name would mean the output

            def clash(column):
                return isinstance(column, Col) and named.get(column.name.lower(), column) != column

            keys = (self.value(column, many or clash(column)) + down for column, down in tree.order)
            parts.append("ORDER BY " + ", ".join(keys))
        parts += self.cut(tree, many)
        return parts + ([tree.lock] if tree.lock and not self.running else [])

    def source(self, one) -> str:
        """A table, or a subquery, under its name."""
        if one.select is not None:
            return f"({' '.join(self.select(one.select))}) AS {self.name(one.alias)}"
        shown = self.table(one.table)
        return shown + (f" AS {self.name(one.alias)}" if one.alias != one.table else "")

    def sources(self, tree):
        """Every table behind those it is joined to, as far as that goes."""
        left, done, text = [one for one in tree.sources if one.on is None], [], ""
        while left:
            known = {source.alias for source in done}

            def tied(s, known=known):
                return [
                    j
                    for j in tree.joins
                    if {j[0].alias, j[1].alias} - {s.alias} <= known
                    and s.alias in (j[0].alias, j[1].alias)
                ]

            following = next((source for source in left if tied(source)), left[0])
            on = " AND ".join(
                f"{self.value(a, True)} = {self.value(b, True)}" for a, b in tied(following)
            )
            shown = self.source(following)
            text += (f" JOIN {shown} ON {on}" if on else f" CROSS JOIN {shown}") if done else shown
            done.append(following)
            left.remove(following)
        for one in tree.sources:
            if one.on is not None:
                text += f" LEFT JOIN {self.source(one)} ON {self.pred(one.on, True)}"
        return text

    def out(self, one, many):
        value = one.value
        shown = self.value(value, many)
        return (
            shown
            if isinstance(value, Col) and value.name == one.name
            else f"{shown} AS {self.name(one.name)}"
        )

    def pred(self, tree, many, changed="", inner=False):
        """Write a condition.

        Args:
          tree: the condition.
          many: write columns with the alias of their table.
          changed: the table that the statement changes; empty: none.
          inner: the condition is a part of another one and may need parentheses.

        Returns:
          Its text.
        """

        def again(part):
            return self.pred(part, many, changed, True)

        if isinstance(tree, And | Or):
            if not tree.parts:
                return "1 = 1" if isinstance(tree, And) else "1 = 0"
            text = (" AND " if isinstance(tree, And) else " OR ").join(map(again, tree.parts))
            return f"({text})" if inner else text
        if isinstance(tree, Not):
            return (
                f"NOT {self.pred(tree.part, many, changed, True)}"
                if not isinstance(tree.part, Cmp)
                else f"NOT ({again(tree.part)})"
            )
        if isinstance(tree, InList):
            return (
                f"{self.value(tree.column, many)} IN "
                f"({', '.join(self.value(v, many) for v in tree.values)})"
            )
        if isinstance(tree, InSelect):
            left = ", ".join(self.value(column, many) for column in tree.columns)
            left = f"({left})" if len(tree.columns) > 1 else left
            inside = " ".join(self.select(tree.select))
            if self.dialect == "mysql" and changed in reads(
                tree.select
            ):  # MySQL reads no table that it changes, but a copy of it
                inside = f"SELECT * FROM ({inside}) AS kept"
            return f"{left} IN ({inside})"
        if isinstance(tree, Expr):
            text = self.value(tree, many)
            return f"({text})" if inner else text
        assert isinstance(tree, Cmp)
        return f"{self.value(tree.left, many)} {tree.op} {self.value(tree.right, many)}"

    def value(self, tree, many):
        if isinstance(tree, Col):
            return (
                f"{self.name(tree.alias)}.{self.name(tree.name)}" if many else self.name(tree.name)
            )
        if isinstance(tree, Param):
            return f":{tree.name}"
        if isinstance(tree, Fresh):
            if not self.running and tree.number in self.last:
                return self.last[tree.number]
            return f":fresh_{tree.number}" if self.running else f"FRESH({tree.number})"
        if isinstance(tree, Lookup):
            return f"({' '.join(self.select(tree.select))})"
        if isinstance(tree, Arith):
            return f"({self.value(tree.left, many)} {tree.op} {self.value(tree.right, many)})"
        if isinstance(tree, Agg):
            of = self.value(tree.of, many) if tree.of else "*"
            return f"{tree.function}({'DISTINCT ' if tree.distinct else ''}{of})"
        if isinstance(tree, Expr):
            text = tree.running if self.running else tree.text
            return text.format(*(self.value(part, many) for part in tree.parts))
        assert isinstance(tree, Lit)
        return literal(tree.value, self.dialect)
