"""The statements of a DDL text as they are written, and what in them nothing here reads."""

from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.ddl import OF_SQL
from reasoning.synthesis.errors import Refusal, need

KEYED = "put it into CREATE TABLE"
"""Advice for a key outside CREATE TABLE."""


@dataclass(frozen=True)
class Written:
    """One statement."""

    text: str
    """As written, without its semicolon."""
    kind: str
    """TABLE, INDEX, ALTER or another word."""
    table: str
    """The table that it makes or concerns; empty: none."""
    line: int
    """Line of its beginning."""
    tree: Any
    """sqlglot's."""


def statements_of(ddl: str, dialect: str) -> list[Written]:
    """The statements of a text that sqlglot parses, in order; semicolons in texts, quoted names and
    comments end nothing.
    """
    sqlglot = need("sqlglot")
    parts: list[list] = [[]]
    for token in sqlglot.tokenize(ddl, read=dialect):
        if token.token_type.name == "SEMICOLON":
            parts.append([])
        else:
            parts[-1].append(token)
    found = []
    for tokens in filter(None, parts):
        text = ddl[tokens[0].start : tokens[-1].end + 1]
        try:
            trees = sqlglot.parse(text, read=dialect)
        except sqlglot.errors.SqlglotError:  # a part of a trigger's body, or the like
            trees = [sqlglot.exp.Command(this=text)]
        for tree in filter(None, trees):
            table = tree.find(sqlglot.exp.Table)
            kind = (
                str(tree.args.get("kind") or "").upper()
                if isinstance(tree, sqlglot.exp.Create)
                else type(tree).__name__.upper()
            )
            found.append(Written(text, kind, table.name if table else "", tokens[0].line, tree))
    return found


def unique_keys(statements: list[Written], where: str) -> dict[str, list[tuple[str, ...]]]:
    """The UNIQUE constraints and unique indices of each table.

    Raises:
      Refusal: an ALTER TABLE adds a key or a reference, which is read in CREATE TABLE only.
    """
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        mine = found.setdefault(one.table, [])
        if one.kind == "ALTER" and one.tree.find(
            exp.PrimaryKey, exp.ForeignKey, exp.UniqueColumnConstraint, exp.Reference
        ):
            raise Refusal(
                f"{where}, line {one.line}: ALTER TABLE {one.table} adds a key or a reference: "
                f"{KEYED}"
            )
        if one.kind == "INDEX" and one.tree.args.get("unique") and (columns := _indexed(one, exp)):
            mine.append(columns)
        for part in (
            one.tree.this.expressions
            if one.kind == "TABLE" and isinstance(one.tree.this, exp.Schema)
            else ()
        ):
            for unique in part.find_all(exp.UniqueColumnConstraint):
                columns = unique.this.expressions if isinstance(unique.this, exp.Schema) else [part]
                mine.append(tuple(column.name for column in columns))
    return found


def _indexed(one: Written, exp) -> tuple[str, ...]:
    """The columns of an index over all rows and plain columns; else empty."""
    params = one.tree.this.args.get("params")
    if params is None or params.args.get("where"):
        return ()
    inner = [
        ordered.this if isinstance(ordered, exp.Ordered) else ordered
        for ordered in params.args.get("columns") or ()
    ]
    return (
        tuple(column.name for column in inner)
        if all(isinstance(column, exp.Column) for column in inner)
        else ()
    )


def not_read(statements: list[Written]) -> tuple[str, ...]:
    """Sentences on what would matter to equivalence and is not taken into account."""
    exp, notes = need("sqlglot").exp, []
    for one in statements:
        present = {
            "CHECK": one.tree.find(exp.CheckColumnConstraint),
            "ON DELETE or ON UPDATE": next(
                (r for r in one.tree.find_all(exp.Reference) if _acts(r)), None
            ),
            "a computed DEFAULT": next(
                (d for d in one.tree.find_all(exp.DefaultColumnConstraint) if _computed(d, exp)),
                None,
            ),
            "a unique index over some rows or over expressions": one.kind == "INDEX"
            and one.tree.args.get("unique")
            and not _indexed(one, exp),
        }
        notes += [
            f"line {one.line}: {what} of {one.table} is not read"
            for what, there in present.items()
            if there
        ]
        if one.kind not in ("TABLE", "INDEX"):
            notes.append(f"line {one.line}: {one.text.split('(')[0].strip()[:60]!r} is not read")
    return tuple(notes)


def _acts(reference) -> bool:
    options = [str(option).upper() for option in reference.args.get("options") or ()]
    return any(
        option.startswith("ON ") and not option.endswith(("NO ACTION", "RESTRICT"))
        for option in options
    )


def _computed(default, exp) -> bool:
    value = default.this.this if isinstance(default.this, exp.Neg) else default.this
    return not isinstance(value, exp.Literal | exp.Null | exp.Boolean)


def deferred(statements: list[Written]) -> set[tuple[str, tuple[str, ...]]]:
    """(table, columns) of references that are checked at the end of a transaction: DEFERRABLE
    INITIALLY DEFERRED.
    """
    exp, found = need("sqlglot").exp, set()
    for one in statements:
        for part in (
            one.tree.this.expressions
            if one.kind == "TABLE" and isinstance(one.tree.this, exp.Schema)
            else ()
        ):
            for reference in part.find_all(exp.Reference):
                options = {str(option).upper() for option in reference.args.get("options") or ()}
                if "INITIALLY DEFERRED" in options:
                    outer = reference.find_ancestor(exp.ForeignKey)
                    found.add(
                        (
                            one.table,
                            tuple(c.name for c in outer.expressions) if outer else (part.name,),
                        )
                    )
    return found


def numbered(statement: Written) -> list[str]:
    """The columns of a table that the database numbers: SERIAL, or GENERATED AS IDENTITY."""
    exp = need("sqlglot").exp

    def serial(part):
        return part.args.get("kind") is not None and part.args["kind"].this.name.endswith("SERIAL")

    return [
        part.name
        for part in statement.tree.this.expressions
        if isinstance(part, exp.ColumnDef)
        and (serial(part) or part.find(exp.GeneratedAsIdentityColumnConstraint))
    ]


def other_types(statements: list[Written]) -> dict[tuple[str, str], str]:
    """The types of columns that are none of ours, in small letters: json, varbinary, time and
    others.
    """
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        for part in (
            one.tree.this.expressions
            if one.kind == "TABLE" and isinstance(one.tree.this, exp.Schema)
            else ()
        ):
            kind = part.args.get("kind") if isinstance(part, exp.ColumnDef) else None
            if kind is not None and kind.this.name not in OF_SQL:
                found[one.table, part.name] = kind.sql().lower()
    return found
