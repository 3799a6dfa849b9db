"""Relational schemas from SQL: CREATE TABLE statements, read by sqlglot."""

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.schema import Attr, Collection, ForeignKey, Schema, checked

SQL_TYPES = {
    "int": "TINYINT SMALLINT MEDIUMINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT INT128 SERIAL "
    "SMALLSERIAL BIGSERIAL YEAR",
    "float": "FLOAT DOUBLE",
    "decimal": "DECIMAL BIGDECIMAL MONEY",
    "str": "CHAR NCHAR VARCHAR NVARCHAR TEXT TINYTEXT MEDIUMTEXT LONGTEXT UUID ENUM NAME",
    "bool": "BOOLEAN BIT",
    "date": "DATE DATE32",
    "datetime": "TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ TIMESTAMPLTZ DATETIME DATETIME64",
}
"""Our types, and sqlglot's names of the SQL types that are held as such."""
OF_SQL = {name: ours for ours, names in SQL_TYPES.items() for name in names.split()}


def from_ddl(
    text: str, dialect: str = "postgres", where: str = "schema", other: str | None = None
) -> Schema:
    """The tables of CREATE TABLE statements with keys, foreign keys and NOT NULL; other statements
    are passed over.

    Args:
      text: SQL.
      dialect: one of sqlglot's, e.g. "postgres", "sqlite", "mysql", "duckdb".
      where: what an error calls the text.
      other: our type for those SQL types that we cannot hold; None: they are refused.

    Raises:
      UserError: it does not parse, holds no table, or a column has a type that we cannot hold.
    """
    sqlglot = need("sqlglot")
    try:
        statements = sqlglot.parse(text, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        first = (
            error.errors[0]
            if getattr(error, "errors", None)
            else {"line": "?", "col": "?", "description": str(error)}
        )
        raise UserError(
            f"{where}, line {first['line']}, column {first['col']}: {first['description']}: fix "
            "the SQL"
        ) from error
    exp, tables, foreign = sqlglot.exp, [], []
    for statement in statements:
        if (
            isinstance(statement, exp.Create)
            and statement.kind == "TABLE"
            and isinstance(statement.this, exp.Schema)
        ):
            table, references = _table(exp, statement.this, where, other)
            tables.append(table)
            foreign += references
    if not tables:
        raise UserError(f"{where}: there is no CREATE TABLE in it")
    keys = {table.name: table.key for table in tables}
    resolved = tuple(
        f if f.to_attrs else ForeignKey(f.path, f.attrs, f.to_path, keys.get(f.to_path, ()))
        for f in foreign
    )
    return checked(Schema("relational", tuple(tables), resolved), where)


def _table(exp, node, where, other):
    name, attrs, key, foreign = node.this.name, [], [], []
    for part in node.expressions:
        if isinstance(part, exp.ColumnDef):
            attr, is_key, reference = _column(exp, part, f"{where}: {name}", other)
            attrs.append(attr)
            key += [attr.name] if is_key else []
            foreign += [ForeignKey(name, (attr.name,), *reference)] if reference else []
        for inner in [part, *part.find_all(exp.PrimaryKey, exp.ForeignKey)]:
            if isinstance(inner, exp.PrimaryKey):
                key = [column.name for column in inner.expressions]
            elif isinstance(inner, exp.ForeignKey):
                names = tuple(column.name for column in inner.expressions)
                foreign.append(ForeignKey(name, names, *_referred(exp, inner.args["reference"])))
    attrs = [Attr(attr.name, attr.type, attr.nullable and attr.name not in key) for attr in attrs]
    return Collection(name, tuple(attrs), key=tuple(dict.fromkeys(key))), list(
        dict.fromkeys(foreign)
    )


def _column(exp, part, where, other):
    kind = part.args["kind"]
    ours = OF_SQL.get(kind.this.name if kind else "", other if kind else None)
    if ours is None:
        raise UserError(
            f"{where}.{part.name} has the type {kind.sql() if kind else '(none)'}, which is none "
            f"of {', '.join(SQL_TYPES)}"
        )
    constraints = [constraint.kind for constraint in part.constraints]
    is_key = any(
        isinstance(constraint, exp.PrimaryKeyColumnConstraint) for constraint in constraints
    )
    present = any(
        isinstance(c, exp.NotNullColumnConstraint) and not c.args.get("allow_null")
        for c in constraints
    )
    reference = next((_referred(exp, c) for c in constraints if isinstance(c, exp.Reference)), None)
    return Attr(part.name, ours, not (present or is_key)), is_key, reference


def _referred(exp, reference):
    target = reference.this
    if isinstance(target, exp.Schema):
        return target.this.name, tuple(column.name for column in target.expressions)
    return target.name, ()
