"""Definitions of tables compared: what an ALTER TABLE in place must change, if it can."""

from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.sql.ddl_statements import Written

KEYS = {
    "PrimaryKeyColumnConstraint",
    "UniqueColumnConstraint",
    "CheckColumnConstraint",
    "Reference",
}


@dataclass(frozen=True)
class Column:
    """A column's definition."""

    kind: str
    """Its type as the DDL has it."""
    required: bool
    """NOT NULL."""
    default: str
    """The default's SQL; empty: none."""
    more: frozenset[str]
    """Other constraints: generated, identity, serial, collation."""


@dataclass(frozen=True)
class Constraint:
    """A constraint of a table."""

    kind: str
    """PRIMARY KEY, UNIQUE, CHECK or FOREIGN KEY."""
    columns: tuple[str, ...]
    """Its columns; of CHECK those in its expression."""
    text: str
    """Its SQL, without its name."""
    name: str = field(default="", compare=False)
    """Its name, if the DDL gives one."""


@dataclass(frozen=True)
class Shape:
    """A table's definition."""

    columns: dict[str, Column]
    """Its columns by name, in order."""
    constraints: tuple[Constraint, ...]
    """Constraints of the table and of its columns."""


Renames = dict[str, tuple[str, dict[str, str]]]
"""New names of the tables altered in place, and of their columns."""


def shape_of(one: Written, dialect: str, renames: Renames) -> Shape:
    """The definition of a table, with names as they are after renaming.

    Args:
      one: its CREATE TABLE.
      dialect: the SQL dialect.
      renames: new names of this table and of those that it refers to.
    """
    exp, tree = need("sqlglot").exp, one.tree.copy()
    mine = renames.get(one.table, (one.table, {}))[1]
    for reference in tree.find_all(exp.Reference):
        _rename_reference(reference, renames, exp)
    columns, constraints = {}, []
    for part in tree.this.expressions:
        _rename_columns(part, mine, exp)
        if isinstance(part, exp.ColumnDef):
            name = part.name
            columns[name] = _column(part, dialect)
            constraints += _of_column(part, name, dialect, exp)
        else:
            constraints += _of_table(part, dialect, exp)
    return Shape(columns, tuple(dict.fromkeys(constraints)))


def _rename_reference(reference, renames, exp):
    schema = reference.this
    table = schema.this if isinstance(schema, exp.Schema) else schema
    new, columns = renames.get(table.name, (table.name, {}))
    table.set("this", exp.to_identifier(new, quoted=True))
    table.set("db", None)
    if isinstance(schema, exp.Schema):
        for identifier in schema.expressions:
            identifier.set("this", columns.get(identifier.name, identifier.name))
            identifier.set("quoted", True)


def _rename_columns(part, mine, exp):
    for node in list(part.walk()):
        if isinstance(node, exp.Identifier) and node.find_ancestor(exp.Reference) is None:
            if isinstance(node.parent, exp.Constraint | exp.Table):
                continue
            node.set("this", mine.get(node.this, node.this))
            node.set("quoted", True)


def _column(part, dialect) -> Column:
    required, default, more = False, "", set()
    for constraint in part.args.get("constraints") or ():
        kind = constraint.kind
        name = type(kind).__name__
        if name == "NotNullColumnConstraint":
            required = not kind.args.get("allow_null")
        elif name == "DefaultColumnConstraint":
            default = kind.this.sql(dialect)
        elif name not in KEYS:
            more.add(kind.sql(dialect))
    kind = part.args["kind"].sql(dialect) if part.args.get("kind") else ""
    if kind.upper().endswith("SERIAL"):  # no type, but a default from a sequence of its own
        more.add(kind.upper())
    return Column(kind, required, default, frozenset(more))


def _of_column(part, name, dialect, exp) -> list[Constraint]:
    found = []
    for constraint in part.args.get("constraints") or ():
        kind, label = constraint.kind, constraint.name if constraint.args.get("this") else ""
        if isinstance(kind, exp.PrimaryKeyColumnConstraint):
            found.append(
                Constraint("PRIMARY KEY", (name,), f"PRIMARY KEY ({_q(name, dialect)})", label)
            )
        elif isinstance(kind, exp.UniqueColumnConstraint):
            found.append(Constraint("UNIQUE", (name,), f"UNIQUE ({_q(name, dialect)})", label))
        elif isinstance(kind, exp.CheckColumnConstraint):
            found.append(_check(kind, label, dialect, exp))
        elif isinstance(kind, exp.Reference):
            text = f"FOREIGN KEY ({_q(name, dialect)}) {kind.sql(dialect)}"
            found.append(Constraint("FOREIGN KEY", (name,), text, label))
    return found


def _check(kind, label, dialect, exp) -> Constraint:
    names = tuple(dict.fromkeys(column.name for column in kind.find_all(exp.Column)))
    return Constraint("CHECK", names, f"CHECK ({kind.this.sql(dialect)})", label)


def _of_table(part, dialect, exp) -> list[Constraint]:
    label = part.name if isinstance(part, exp.Constraint) else ""
    found = []
    for inner in part.expressions if isinstance(part, exp.Constraint) else [part]:
        if isinstance(inner, exp.PrimaryKey):
            names = tuple(column.name for column in inner.expressions)
            found.append(
                Constraint("PRIMARY KEY", names, f"PRIMARY KEY ({_list(names, dialect)})", label)
            )
        elif isinstance(inner, exp.UniqueColumnConstraint):
            names = tuple(column.name for column in getattr(inner.this, "expressions", ()))
            found.append(Constraint("UNIQUE", names, f"UNIQUE ({_list(names, dialect)})", label))
        elif isinstance(inner, exp.ForeignKey):
            names = tuple(column.name for column in inner.expressions)
            text = f"FOREIGN KEY ({_list(names, dialect)}) {inner.args['reference'].sql(dialect)}"
            options = " ".join(str(one) for one in inner.args.get("options") or ())
            found.append(Constraint("FOREIGN KEY", names, f"{text} {options}".strip(), label))
        elif isinstance(inner, exp.CheckColumnConstraint):
            found.append(_check(inner, label, dialect, exp))
        else:
            found.append(Constraint("OTHER", (), inner.sql(dialect), label))
    return found


def _q(name: str, dialect: str) -> str:
    return need("sqlglot").exp.to_identifier(name, quoted=True).sql(dialect)


def _list(names: tuple[str, ...], dialect: str) -> str:
    return ", ".join(_q(name, dialect) for name in names)


def definition(one: Written, column: str, dialect: str, nullable: bool) -> str:
    """Write a column's definition for ADD COLUMN.

    Args:
      one: the CREATE TABLE statement of the new schema.
      column: the column's name.
      dialect: the SQL dialect to write.
      nullable: write name and type alone, without constraints.
    """
    exp = need("sqlglot").exp
    part: Any = next(
        p.copy()
        for p in one.tree.this.expressions
        if isinstance(p, exp.ColumnDef) and p.name == column
    )
    part.this.set("quoted", True)
    if nullable:
        part.set("constraints", None)
    return part.sql(dialect)
