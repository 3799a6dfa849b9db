"""Parts of a DDL text that the shared core does not read: unique keys, defaults, computed columns,
sequences, and the list of what nothing here reads.
"""

import re
from collections.abc import Iterator
from typing import Any

from reasoning.synthesis.ddl import OF_SQL
from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.sql.ddl_statements import Written, creates_table, options_of

SILENT = ("SET", "COMMENT", "SEQUENCE", "SCHEMA", "PRAGMA", "USE", "TRANSACTION", "COMMIT")
"""Kinds of statements that matter to no comparison of programs."""
ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT")
"""Actions of a reference when the row that it leads to is deleted or gets another key."""


def unique_keys(statements: list[Written]) -> dict[str, list[tuple[str, ...]]]:
    """The UNIQUE constraints and unique indices of each table."""
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        mine = found.setdefault(one.table, [])
        if one.kind == "INDEX" and one.tree.args.get("unique") and (columns := _indexed(one, exp)):
            mine.append(columns)
        for part in one.tree.this.expressions if creates_table(one) else ():
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
        if one.merged:
            continue
        present = {
            "CHECK": one.tree.find(exp.CheckColumnConstraint),
            "ON DELETE of some columns": next(
                (r for r in one.tree.find_all(exp.Reference) if _unread(r)), None
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
        if one.kind not in ("TABLE", "INDEX", *SILENT) and not _enum(one):
            notes.append(f"line {one.line}: {one.text.split('(')[0].strip()[:60]!r} is not read")
    notes += [
        f"{how} of {table}.{column} is not read: texts are compared letter by letter"
        for (table, column), how in collations(statements).items()
    ]
    return tuple(notes)


def collations(statements: list[Written]) -> dict[tuple[str, str], str]:
    """COLLATE of columns, or a type that compares texts without capitals, by table and column."""
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        for part in one.tree.this.expressions if creates_table(one) else ():
            if not isinstance(part, exp.ColumnDef):
                continue
            if given := part.find(exp.CollateColumnConstraint):
                found[one.table, part.name] = f"COLLATE {given.this.name}"
            elif part.args.get("kind") and part.args["kind"].sql().upper() == "CITEXT":
                found[one.table, part.name] = "CITEXT"
    return found


def refuse_types(statements: list[Written], dialect: str, where: str) -> None:
    """Refuse a type that a dialect does not have, and that its data script would be written with.

    Raises:
      UserError: a column is an ENUM of listed values in SQLite or PostgreSQL.
    """
    exp = need("sqlglot").exp
    for one in statements if dialect in ("sqlite", "postgres") else ():
        for part in one.tree.this.expressions if creates_table(one) else ():
            kind = part.args.get("kind") if isinstance(part, exp.ColumnDef) else None
            if kind is not None and kind.this.name == "ENUM" and kind.expressions:
                values = ", ".join(value.sql() for value in kind.expressions)
                raise UserError(
                    f"{where}, line {one.line}: {one.table}.{part.name} is an ENUM({values}), "
                    f"which {dialect} does not have: choose --dialect mysql, or write TEXT CHECK "
                    f"({part.name} IN ({values}))"
                )


def _options(reference) -> list[str]:
    """The words behind a reference, those of its FOREIGN KEY among them."""
    outer = reference.parent if type(reference.parent).__name__ == "ForeignKey" else None
    found = [str(option).upper() for option in reference.args.get("options") or ()]
    for kind in ("delete", "update"):
        word = outer.args.get(kind) if outer is not None else None
        found += [f"ON {kind.upper()} {word}".upper()] if word else []
    return found


def _unread(reference) -> bool:
    return any(
        option.startswith("ON ") and not option.endswith((*ACTIONS, "NO ACTION", "RESTRICT"))
        for option in _options(reference)
    )


def actions_of(statements: list[Written]) -> dict[tuple[str, tuple[str, ...]], tuple[str, str]]:
    """ON DELETE and ON UPDATE of the references of (table, columns) that have one of ACTIONS; "" is
    none.
    """
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        for part in one.tree.this.expressions if creates_table(one) else ():
            for reference in part.find_all(exp.Reference):
                options = _options(reference)
                on = tuple(
                    next((a for a in ACTIONS if f"ON {event} {a}" in options), "")
                    for event in ("DELETE", "UPDATE")
                )
                if any(on):
                    outer = reference.find_ancestor(exp.ForeignKey)
                    columns = tuple(c.name for c in outer.expressions) if outer else (part.name,)
                    found[one.table, columns] = on
    return found


def _computed(default, exp) -> bool:
    return constant_of(default.this, exp) is None and not _numbering(default.this, exp)


def _numbering(value, exp) -> bool:
    """Test if a default takes the next number of a sequence."""
    return isinstance(value, exp.Anonymous) and value.name.lower() == "nextval"


def constant_of(value: Any, exp) -> tuple[Any] | None:
    """The Python value of a constant SQL expression, in a tuple; None if it is computed."""
    if isinstance(value, exp.Paren | exp.Cast):
        inner = constant_of(value.this, exp)
        if inner is not None and isinstance(value, exp.Cast) and isinstance(inner[0], str):
            kind = value.to.this.name if hasattr(value.to.this, "name") else ""
            if OF_SQL.get(kind) in ("int", "float", "decimal") or kind == "BOOLEAN":
                return _number_of(inner[0])
        return inner
    if isinstance(value, exp.Neg):
        inner = constant_of(value.this, exp)
        return None if inner is None or isinstance(inner[0], str) else (-inner[0],)
    if isinstance(value, exp.Null):
        return (None,)
    if isinstance(value, exp.Boolean):
        return (bool(value.this),)
    if isinstance(value, exp.Literal):
        return (value.this,) if value.is_string else (value.to_py(),)
    return None


def _number_of(text: str) -> tuple[Any] | None:
    words = {"t": True, "true": True, "f": False, "false": False}
    if text.lower() in words:
        return (words[text.lower()],)
    try:
        return (int(text),)
    except ValueError:
        try:
            return (float(text),)
        except ValueError:
            return None


def defaults_of(statements: list[Written]) -> dict[str, dict[str, Any]]:
    """The constant defaults of the columns of each table; those of Boolean columns are Boolean."""
    exp, found = need("sqlglot").exp, {}
    for table, part, kind in _column_constraints(statements):
        constant = isinstance(kind, exp.DefaultColumnConstraint) and constant_of(kind.this, exp)
        if constant and constant[0] is not None:
            value = constant[0]
            boolean = part.kind is not None and part.kind.this.name == "BOOLEAN"
            if boolean and not isinstance(value, bool):
                seen = (value,) if isinstance(value, int) else _number_of(str(value))
                value = bool(seen[0]) if seen else value
            found.setdefault(table, {})[part.name] = value
    return found


def _column_constraints(statements: list[Written]) -> Iterator[tuple[str, Any, Any]]:
    """Table, column definition and kind of every constraint that is written with a column."""
    for one in statements:
        for part in one.tree.this.expressions if creates_table(one) else ():
            for constraint in part.args.get("constraints") or ():
                yield one.table, part, constraint.kind


def computed_defaults(statements: list[Written]) -> dict[str, dict[str, str]]:
    """The defaults of each table's columns that are no constants, as SQL."""
    exp, found = need("sqlglot").exp, {}
    for table, part, kind in _column_constraints(statements):
        if isinstance(kind, exp.DefaultColumnConstraint) and _computed(kind, exp):
            found.setdefault(table, {})[part.name] = kind.this.unnest().sql().upper()
    return found


def computed_columns(statements: list[Written]) -> dict[str, dict[str, str]]:
    """The generated columns of each table with their expressions in SQLite's words."""
    exp, found = need("sqlglot").exp, {}
    computed = exp.ComputedColumnConstraint | exp.GeneratedAsRowColumnConstraint
    for table, part, kind in _column_constraints(statements):
        expression = kind is not None and kind.args.get("expression")
        identity = isinstance(kind, exp.GeneratedAsIdentityColumnConstraint)
        if isinstance(kind, computed) or (identity and expression is not None):
            inner = expression or kind.this
            text = inner.sql("sqlite") if hasattr(inner, "sql") else "NULL"
            found.setdefault(table, {})[part.name] = text
    return found


def schemas_of(statements: list[Written]) -> dict[str, str]:
    """The schema in which each table is written to be, where one is."""
    found = {}
    for one in statements:
        if creates_table(one) and one.tree.this.this.db:
            found[one.table] = one.tree.this.this.db
    return found


def deferred(statements: list[Written]) -> set[tuple[str, tuple[str, ...]]]:
    """(table, columns) of references that are checked at the end of a transaction: DEFERRABLE
    INITIALLY DEFERRED.
    """
    exp, found = need("sqlglot").exp, set()
    for one in statements:
        for part in one.tree.this.expressions if creates_table(one) else ():
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


def numbered(statement: Written, dialect: str = "") -> list[str]:
    """The columns of a table that the database numbers: SERIAL, IDENTITY, AUTO_INCREMENT, or a
    sequence as default; of SQLite's, the INTEGER PRIMARY KEY.
    """
    exp, options = need("sqlglot").exp, options_of(statement.text)
    parts = statement.tree.this.expressions
    keys = [c.name for one in statement.tree.find_all(exp.PrimaryKey) for c in one.expressions]

    def numbers(part):
        kinds = [constraint.kind for constraint in part.args.get("constraints") or ()]
        kind = part.args.get("kind")
        serial = kind is not None and kind.this.name.endswith("SERIAL")
        rowid = (
            dialect == "sqlite" and kind is not None and kind.sql().upper() in ("INT", "INTEGER")
        )
        keyed = [part.name] == keys or any(
            isinstance(one, exp.PrimaryKeyColumnConstraint) for one in kinds
        )
        return (
            (rowid and keyed and _integer(statement, part) and "WITHOUT ROWID" not in options)
            or serial
            or any(
                (
                    isinstance(kind, exp.GeneratedAsIdentityColumnConstraint)
                    and kind.args.get("expression") is None
                )
                or isinstance(kind, exp.AutoIncrementColumnConstraint)
                or (isinstance(kind, exp.DefaultColumnConstraint) and _numbering(kind.this, exp))
                for kind in kinds
            )
        )

    return [part.name for part in parts if isinstance(part, exp.ColumnDef) and numbers(part)]


def _integer(statement: Written, part) -> bool:
    """Test if a column is declared INTEGER and not, say, INT, which SQLite does not number."""
    name = re.escape(part.name)
    return bool(re.search(rf"(?i)(?<![\w]){name}[\"`\]]?\s+INTEGER\b", statement.text))


def other_types(statements: list[Written]) -> dict[tuple[str, str], str]:
    """The types of columns that are none of ours, in small letters: json, varbinary, time and
    others.
    """
    exp, found = need("sqlglot").exp, {}
    for one in statements:
        for part in one.tree.this.expressions if creates_table(one) else ():
            kind = part.args.get("kind") if isinstance(part, exp.ColumnDef) else None
            if kind is not None and kind.this.name not in OF_SQL:
                found[one.table, part.name] = kind.sql().lower()
    return found


def _enum(one: Written) -> tuple[str, ...]:
    """The values of CREATE TYPE ... AS ENUM; empty: it is something else."""
    made = one.tree.args.get("expression") if one.kind == "TYPE" else None
    if made is None or getattr(getattr(made, "this", None), "name", "") != "ENUM":
        return ()
    return tuple(value.this for value in made.expressions)


def allowed_values(statements: list[Written]) -> dict[str, dict[str, tuple[Any, ...]]]:
    """The values that CHECK, ENUM or the type BOOLEAN allows, by table and column."""
    exp, found = need("sqlglot").exp, {}
    enums = {one.tree.this.name.lower(): values for one in statements if (values := _enum(one))}
    for one in statements:
        if not creates_table(one):
            continue
        checks = list(one.tree.find_all(exp.CheckColumnConstraint))
        mine = found.setdefault(one.table, {})
        for part in one.tree.this.expressions:
            if not isinstance(part, exp.ColumnDef):
                continue
            values = _of_type(part.args.get("kind"), enums) or next(
                (values for c in checks if (values := _listed(c.this, part.name, exp))), ()
            )
            if values:
                mine[part.name] = values
    return found


def _of_type(kind, enums: dict[str, tuple]) -> tuple[Any, ...]:
    """The values of a type."""
    if kind is None:
        return ()
    if kind.this.name == "BOOLEAN":
        return (True, False)
    if kind.this.name == "ENUM":
        return tuple(one.this for one in kind.expressions)
    named = kind.args.get("kind")
    return enums.get(str(getattr(named, "name", named)).lower(), ()) if named is not None else ()


def _listed(tree, column: str, exp) -> tuple[Any, ...]:
    """The constants of `column IN (...)`, as pg_dump writes it, too, or of equalities between which
    OR stands.
    """
    while isinstance(tree, exp.Paren):
        tree = tree.this
    if isinstance(tree, exp.Or):
        sides = [_listed(side, column, exp) for side in (tree.this, tree.expression)]
        return (*sides[0], *sides[1]) if all(sides) else ()
    inner = tree.this if isinstance(tree, exp.In | exp.EQ) else None
    while isinstance(inner, exp.Paren | exp.Cast):
        inner = inner.this
    if not isinstance(inner, exp.Column) or inner.name != column:
        return ()
    given = tree.expressions if isinstance(tree, exp.In) else [tree.expression]
    if isinstance(tree, exp.EQ) and isinstance(tree.expression, exp.Any):
        array = tree.expression.this
        while isinstance(array, exp.Paren | exp.Cast):
            array = array.this
        given = array.expressions if isinstance(array, exp.Array) else []
    values = [constant_of(one, exp) for one in given]
    return tuple(value[0] for value in values if value) if values and all(values) else ()
