"""Relational schemas from SQL: CREATE TABLE statements, read by sqlglot."""

import re
from dataclasses import replace

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.schema import Attr, Collection, ForeignKey, Schema, checked

SQL_TYPES = {
    "int": "TINYINT SMALLINT MEDIUMINT INT BIGINT UTINYINT USMALLINT UINT UBIGINT INT128 SERIAL "
    "SMALLSERIAL BIGSERIAL YEAR",
    "float": "FLOAT DOUBLE",
    "decimal": "DECIMAL BIGDECIMAL MONEY",
    "str": "CHAR NCHAR VARCHAR NVARCHAR TEXT TINYTEXT MEDIUMTEXT LONGTEXT UUID ENUM SET NAME",
    "bool": "BOOLEAN BIT",
    "date": "DATE DATE32",
    "datetime": "TIMESTAMP TIMESTAMPTZ TIMESTAMPNTZ TIMESTAMPLTZ DATETIME DATETIME64",
}
"""Our types, and sqlglot's names of the SQL types that are held as such."""
OF_SQL = {name: ours for ours, names in SQL_TYPES.items() for name in names.split()}


def from_ddl(
    text: str,
    dialect: str | None = None,
    where: str = "schema",
    other: str | None = None,
    unread: list[str] | None = None,
) -> Schema:
    """The tables of CREATE TABLE statements with keys, foreign keys and NOT NULL, also of ALTER
    TABLE ... ADD CONSTRAINT; data and other statements are passed over.

    Args:
      text: SQL, the output of pg_dump, mysqldump or `.schema`, with or without data.
      dialect: one of sqlglot's, e.g. "postgres", "sqlite", "mysql", "tsql"; None: `dialect_of`.
      where: the name of the text in an error.
      other: our type for those SQL types that we cannot hold; None: see `unread`.
      unread: gets a sentence for everything that is left out; columns of types that we cannot hold
        are then left out too. None: such columns are refused.

    Raises:
      UserError: it does not parse, holds no table, or a column has a type that we cannot hold.
    """
    exp = need("sqlglot").exp
    dialect = dialect_of(text) if dialect is None else dialect
    reader = _Reader(exp, where, other, unread, _named_types(text))
    for statement in _statements(text):
        words = " ".join(re.findall(r"[A-Za-z]+", statement)[:3]).upper()
        if re.match(r"CREATE (UNLOGGED |TEMPORARY |TEMP )?TABLE", words) or (
            words.startswith("ALTER TABLE") and re.search(r"(?i)\bADD\b", statement)
        ):
            reader.read(_parsed(statement, dialect, where, text), statement)
        elif unread is not None and not words.startswith(SILENT):
            unread.append(f"{where}: not read: {' '.join(statement.split())[:60]}")
    if not reader.tables:
        if not text.strip().upper().startswith("CREATE"):
            _parsed(text, dialect, where, text)
        raise UserError(f"{where}: there is no CREATE TABLE in it")
    return checked(reader.schema(), where)


SILENT = (
    "SET",
    "COMMENT",
    "SELECT PG",
    "BEGIN",
    "COMMIT",
    "PRAGMA",
    "USE",
    "LOCK",
    "UNLOCK",
    "DROP",
)
SILENT += ("INSERT", "START TRANSACTION", "GO", "CREATE SCHEMA", "CREATE DATABASE", "DELETE FROM")
SILENT += ("CREATE TYPE", "CREATE DOMAIN", "CREATE INDEX", "CREATE SEQUENCE", "ALTER SEQUENCE")
SILENT += ("ALTER TABLE", "CREATE EXTENSION", "GRANT", "REVOKE", "COPY")
"""Beginnings of statements that say nothing about the shape of records."""


def dialect_of(text: str) -> str:
    """Guess the dialect of a DDL text from what only one of them writes."""
    if re.search(r"`|\bENGINE\s*=|\bAUTO_INCREMENT\b", text, re.IGNORECASE):
        return "mysql"
    if re.search(r"\bAUTOINCREMENT\b|^\s*PRAGMA\b", text, re.IGNORECASE | re.MULTILINE):
        return "sqlite"
    if re.search(r"\[[A-Za-z_][^\]\d]*\]\s*[\[\w(]|^\s*GO\s*$|\bIDENTITY\s*\(", text, re.MULTILINE):
        return "tsql"
    return "postgres"


def _statements(text: str) -> list[str]:
    """The statements of a script, without comments, psql's commands and the data of COPY."""
    text = re.sub(r"(?ms)^COPY [^;]*FROM stdin;.*?^\\\.$", "", text)
    text = re.sub(r"(?m)^\\.*$", "", text)
    text = re.sub(r"(?mi)^\s*(GO|DELIMITER\b.*)\s*$", ";", text)
    text = re.sub(r"(?i)\b(NON)?CLUSTERED\b", "", text)
    parts = SPLIT.split(text)
    # Texts, quoted names, comments and dollar quotes are kept whole by the expression.
    found, current = [], ""
    for part in parts:
        if part == ";":
            found.append(current)
            current = ""
        elif part and not part.startswith(("--", "/*")):
            current += part
    return [statement.strip() for statement in [*found, current] if statement.strip()]


SPLIT = re.compile(
    r"""(;|'(?:[^'\\]|''|\\.)*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/|(?:\$\w*\$).*?(?:\$\w*\$))""",
    re.DOTALL,
)


def _named_types(text: str) -> dict[str, str]:
    """The types that a script makes: enumerations are text, domains what they are made of."""
    found = re.findall(r'(?i)CREATE\s+TYPE\s+([\w."]+)\s+AS\s+ENUM', text)
    made = {name.rpartition(".")[2].strip('"').lower(): "str" for name in found}
    for name, kind in re.findall(r'(?i)CREATE\s+DOMAIN\s+([\w."]+)\s+(?:AS\s+)?(\w+)', text):
        kind = {"INTEGER": "INT", "NUMERIC": "DECIMAL", "CHARACTER": "CHAR"}.get(
            kind.upper(), kind.upper()
        )
        if kind in OF_SQL:
            made[name.rpartition(".")[2].strip('"').lower()] = OF_SQL[kind]
    return made


def _parsed(statement: str, dialect: str, where: str, text: str):
    """The first statement of a text, parsed."""
    sqlglot = need("sqlglot")
    try:
        return sqlglot.parse(statement, read=dialect)[0]
    except sqlglot.errors.SqlglotError as error:
        first = (
            error.errors[0]
            if getattr(error, "errors", None)
            else {"line": "?", "col": "?", "description": str(error)}
        )
        line = first["line"]
        if isinstance(line, int) and statement in text:
            line += text[: text.index(statement)].count("\n")
        raise UserError(
            f"{where}, line {line}, column {first['col']}: {first['description']}: fix the SQL"
        ) from error


class _Reader:
    """The tables of a script, completed by the statements that follow them."""

    def __init__(self, exp, where, other, unread, named_types):
        self.exp, self.where, self.other, self.unread = exp, where, other, unread
        self.named_types = named_types
        self.tables: dict[str, Collection] = {}
        self.foreign: list[ForeignKey] = []
        self.left_out: set[tuple[str, str]] = set()

    def read(self, tree, statement: str):
        """Take a CREATE TABLE or ALTER TABLE into account."""
        exp = self.exp
        if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema):
            table, references = _table(self, tree.this)
            self.tables[table.name] = table
            self.foreign += references
        elif isinstance(tree, exp.Alter) and tree.this.name in self.tables:
            for part in tree.find_all(exp.PrimaryKey, exp.ForeignKey):
                self._constrain(tree.this.name, part)
        elif self.unread is not None and not re.search(
            r"(?i)\b(OWNER|SEQUENCE|DEFAULT)\b", statement
        ):
            self.unread.append(f"{self.where}: not read: {' '.join(statement.split())[:60]}")

    def _constrain(self, name: str, part):
        if isinstance(part, self.exp.PrimaryKey):
            key = _names(part.expressions)
            table = self.tables[name]
            attrs = tuple(
                Attr(a.name, a.type, a.nullable and a.name not in key) for a in table.attrs
            )
            self.tables[name] = Collection(name, attrs, key=key)
        else:
            names = _names(part.expressions)
            self.foreign.append(
                ForeignKey(name, names, *_referred(self.exp, part.args["reference"]))
            )

    def skip(self, table: str, column: str, kind: str):
        """Leave a column out, and say so; or refuse it."""
        if self.unread is None:
            raise UserError(
                f"{self.where}: {table}.{column} has the type {kind}, which is none of "
                f"{', '.join(SQL_TYPES)}"
            )
        self.left_out.add((table, column))
        self.unread.append(f"{self.where}: {table}.{column} has the type {kind}: left out")

    def schema(self) -> Schema:
        """All of it; foreign keys to tables or columns that are not there are left out and said."""
        keys = {name: table.key for name, table in self.tables.items()}
        names = {n: {a.name for a in t.attrs} for n, t in self.tables.items()}
        kept = []
        for f in dict.fromkeys(self.foreign):
            f = f if f.to_attrs else ForeignKey(f.path, f.attrs, f.to_path, keys.get(f.to_path, ()))
            there = set(f.to_attrs) <= names.get(f.to_path, set()) and set(f.attrs) <= names[f.path]
            if (there and len(f.attrs) == len(f.to_attrs)) or self.unread is None:
                kept.append(f)
            else:
                self.unread.append(
                    f"{self.where}: a reference of {f.path} to {f.to_path}, which is not there as "
                    "such: left out"
                )
        tables = [
            replace(t, key=t.key if not any((n, k) in self.left_out for k in t.key) else ())
            for n, t in self.tables.items()
        ]
        return Schema("relational", tuple(tables), tuple(kept))


def _names(parts) -> tuple[str, ...]:
    """The columns of a key, whose order of sorting does not matter."""
    return tuple((part.this if part.key == "ordered" else part).name for part in parts)


def _table(reader: _Reader, node):
    exp, name = reader.exp, node.this.name
    attrs, key, unique, foreign = [], [], [], []
    for part in node.expressions:
        if isinstance(part, exp.ColumnDef):
            kind = _type(reader, part)
            if kind is None:
                reader.skip(name, part.name, part.args["kind"].sql() if part.kind else "(none)")
                continue
            attr, is_key, reference = _column(exp, part, kind)
            attrs.append(attr)
            key += [attr.name] if is_key else []
            foreign += [ForeignKey(name, (attr.name,), *reference)] if reference else []
            if any(isinstance(c.kind, exp.UniqueColumnConstraint) for c in part.constraints):
                unique.append([attr.name])
            continue
        for inner in [part, *part.find_all(exp.PrimaryKey, exp.ForeignKey)]:
            if isinstance(inner, exp.PrimaryKey):
                key = list(_names(inner.expressions))
            elif isinstance(inner, exp.ForeignKey):
                names = _names(inner.expressions)
                foreign.append(ForeignKey(name, names, *_referred(exp, inner.args["reference"])))
        for inner in part.find_all(exp.UniqueColumnConstraint):
            if isinstance(inner.this, exp.Schema):
                unique.append(list(_names(inner.this.expressions)))
    if not key and unique:
        key = next((u for u in unique if not any(a.nullable for a in attrs if a.name in u)), [])
    attrs = [Attr(attr.name, attr.type, attr.nullable and attr.name not in key) for attr in attrs]
    return Collection(name, tuple(attrs), key=tuple(dict.fromkeys(key))), list(
        dict.fromkeys(foreign)
    )


def _type(reader: _Reader, part) -> str | None:
    """Our type of a column; None: it cannot be held."""
    kind = part.args.get("kind")
    if kind is None:
        return None
    found = OF_SQL.get(kind.this.name if hasattr(kind.this, "name") else "")
    if found == "int" and kind.this.name == "TINYINT" and kind.sql().upper() == "TINYINT(1)":
        return "bool"
    named = kind.sql().rpartition(".")[2].strip('"').lower()
    return found or reader.named_types.get(named) or reader.other


def _column(exp, part, ours):
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
