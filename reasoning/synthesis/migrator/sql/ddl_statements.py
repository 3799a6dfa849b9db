"""The statements of a DDL text as they are written: dumps are read, names folded as the dialect
folds them, and ALTER TABLE is merged into the table that it completes.
"""

import logging
import re
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.errors import UserError, need

FOLDED = ("postgres",)
"""Dialects whose names without quotes are read in small letters."""


SERIALS = {"SERIAL": "INT", "BIGSERIAL": "BIGINT", "SMALLSERIAL": "SMALLINT"}
"""Whole numbers that PostgreSQL numbers by itself."""


OPTIONS = re.compile(r"(?<=\))\s*((,\s*)?\b(WITHOUT\s+ROWID|STRICT)\b\s*)+$", re.IGNORECASE)
"""SQLite's words behind the columns of a CREATE TABLE."""


@dataclass
class Written:
    """One statement."""

    text: str
    """The text as written, without its semicolon."""
    kind: str
    """TABLE, INDEX, ALTER or another word."""
    table: str
    """The table that it makes or concerns; empty: none."""
    line: int
    """Line of its beginning."""
    tree: Any
    """sqlglot's; of a CREATE TABLE, completed by later ALTER TABLE statements."""
    merged: bool = False
    """An ALTER TABLE whose content is in the tree of its table."""
    alters: list[str] = field(default_factory=list)
    """Texts of the merged ALTER TABLE statements of this table."""


def cleaned(text: str) -> str:
    """The text without psql's commands and COPY's rows; lines keep their numbers."""
    lines, rows = [], False
    for line in text.split("\n"):
        if rows:
            rows = line.rstrip() != "\\."
            lines.append("")
        elif re.match(r"\s*COPY\s.*\sFROM\s+stdin\s*;", line, re.IGNORECASE):
            rows = True
            lines.append("")
        elif re.match(r"\\[A-Za-z]", line):
            lines.append("")
        else:
            lines.append(line)
    return "\n".join(lines)


def statements_of(ddl: str, dialect: str) -> list[Written]:
    """The statements of a text that sqlglot parses, in order; semicolons in texts, quoted names and
    comments end nothing.
    """
    sqlglot, ddl = need("sqlglot"), cleaned(ddl)
    exp = sqlglot.exp
    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it cannot read is listed by us
    parts: list[list] = [[]]
    for token in sqlglot.tokenize(ddl, read=dialect):
        if token.token_type.name == "SEMICOLON":
            parts.append([])
        else:
            parts[-1].append(token)
    found: list[Written] = []
    for tokens in filter(None, parts):
        text = ddl[tokens[0].start : tokens[-1].end + 1]
        try:
            plain = OPTIONS.sub("", text) if dialect == "sqlite" else text
            trees = sqlglot.parse(plain, read=dialect)
        except sqlglot.errors.SqlglotError:  # a part of a trigger's body, or the like
            trees = [exp.Command(this=text)]
        for tree in filter(None, trees):
            if dialect in FOLDED:
                fold(tree)
            table = tree.find(exp.Table)
            kind = (
                str(tree.args.get("kind") or "").upper()
                if isinstance(tree, exp.Create)
                else type(tree).__name__.upper()
            )
            if kind == "COMMAND":
                kind = text.split()[0].upper()
            found.append(Written(text, kind, table.name if table else "", tokens[0].line, tree))
    _merge(found, exp, dialect)
    return found


def fold(tree: Any) -> None:
    """Put names without quotes into small letters, in place."""
    for node in tree.walk():
        if type(node).__name__ == "Identifier" and not node.args.get("quoted"):
            node.set("this", node.this.lower())


def options_of(text: str) -> frozenset[str]:
    """WITHOUT ROWID and STRICT, as SQLite has them behind a CREATE TABLE's columns."""
    seen = OPTIONS.search(text)
    words = " ".join(seen[0].upper().split()).split(",") if seen else []
    return frozenset(word.strip() for word in words)


def creates_table(one: Written) -> bool:
    """Test if a statement is a CREATE TABLE with columns."""
    return one.kind == "TABLE" and type(one.tree.this).__name__ == "Schema"


def _merge(statements: list[Written], exp, dialect: str) -> None:
    """Complete the tables by the keys, references, defaults and columns that ALTER TABLE adds."""
    tables = {one.table: one for one in statements if creates_table(one)}
    for one in statements:
        if one.kind != "ALTER":
            continue
        if not isinstance(one.tree, exp.Alter):
            _identity(one, tables, exp)
            continue
        table = tables.get(one.table)
        if table is None:
            continue
        done = [_applied(action, table.tree.this, exp) for action in one.tree.args["actions"]]
        if done and all(done):
            one.merged = True
            table.alters.append(one.text)


def _applied(action, schema, exp) -> bool:
    """Apply one action of ALTER TABLE to the tree of its table; False if it is not read."""
    if isinstance(action, exp.AddConstraint):
        for part in action.expressions:
            schema.append("expressions", part.copy())
        return True
    if isinstance(action, exp.ColumnDef):
        schema.append("expressions", action.copy())
        return True
    if isinstance(action, exp.AlterColumn):
        column = next(
            (
                c
                for c in schema.expressions
                if isinstance(c, exp.ColumnDef) and c.name == action.name
            ),
            None,
        )
        if column is None:
            return False
        if action.args.get("default") is not None:
            kind = exp.DefaultColumnConstraint(this=action.args["default"].copy())
            column.append("constraints", exp.ColumnConstraint(kind=kind))
            return True
        if action.args.get("allow_null") is False:
            column.append("constraints", exp.ColumnConstraint(kind=exp.NotNullColumnConstraint()))
            return True
    return False


def _identity(one: Written, tables: dict[str, Written], exp) -> None:
    """PostgreSQL's ALTER TABLE ... ALTER COLUMN ... ADD GENERATED ... AS IDENTITY."""
    seen = re.match(
        r'ALTER\s+TABLE\s+(?:ONLY\s+)?(?:"?\w+"?\.)?"?(?P<table>[^\s".]+)"?\s+ALTER\s+COLUMN\s+'
        r'"?(?P<column>[^\s"]+)"?\s+ADD\s+GENERATED\s+(?P<when>ALWAYS|BY\s+DEFAULT)\s+AS\s+IDENTITY',
        one.text,
        re.IGNORECASE,
    )
    if not seen or seen["table"] not in tables:
        return
    table = tables[seen["table"]]
    for column in table.tree.this.expressions:
        if isinstance(column, exp.ColumnDef) and column.name == seen["column"]:
            kind = exp.GeneratedAsIdentityColumnConstraint(this=seen["when"].upper() == "ALWAYS")
            column.append("constraints", exp.ColumnConstraint(kind=kind))
            one.table, one.merged = table.table, True
            table.alters.append(one.text)


def normalized(statements: list[Written], dialect: str, where: str) -> str:
    """The CREATE TABLE statements alone, completed, as `ddl.from_ddl` reads them.

    Raises:
      UserError: a CREATE TABLE does not parse, or two tables of different schemas share a name.
    """
    exp, seen, texts = need("sqlglot").exp, {}, []
    for one in statements:
        if isinstance(one.tree, exp.Command) and re.match(
            r"CREATE\s+(UNLOGGED\s+)?TABLE\b", one.text, re.IGNORECASE
        ):
            _complain(one, dialect, where)
        if not creates_table(one):
            continue
        if one.table in seen:
            raise UserError(
                f"{where}, line {one.line}: a table {one.table} is there already, in line "
                f"{seen[one.table]}: give it another name, or leave one out"
            )
        seen[one.table] = one.line
        texts.append(_bare(one.tree, exp).sql())  # in no dialect: some printers lose types
    return ";\n".join(texts)


def _bare(tree, exp):
    """A CREATE TABLE with nothing but types, NOT NULL, keys and references."""
    kept, keys = [], (exp.PrimaryKeyColumnConstraint, exp.NotNullColumnConstraint, exp.Reference)
    for part in tree.this.copy().expressions:
        if isinstance(part, exp.ColumnDef):
            mine = [one for one in part.constraints if isinstance(one.kind, keys)]
            part.set("constraints", mine)
            kind = part.args.get("kind")
            if kind is not None and kind.this.name in SERIALS:  # no type in other dialects
                part.set("kind", exp.DataType.build(SERIALS[kind.this.name]))
            kept.append(part)
        else:
            kept += [inner.copy() for inner in part.find_all(exp.PrimaryKey, exp.ForeignKey)]
    for key in kept:
        if isinstance(key, exp.PrimaryKey):
            key.set("include", None)
    schema = exp.Schema(this=tree.this.this.copy(), expressions=kept)
    return exp.Create(this=schema, kind="TABLE")


def _complain(one: Written, dialect: str, where: str):
    sqlglot = need("sqlglot")
    try:
        sqlglot.parse(one.text, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        first = (getattr(error, "errors", None) or [{}])[0]
        line = one.line + int(first.get("line") or 1) - 1
        raise UserError(
            f"{where}, line {line}, column {first.get('col', '?')}: "
            f"{first.get('description', error)}: correct the SQL, or name its --dialect"
        ) from error
    raise UserError(f"{where}, line {one.line}: this CREATE TABLE is not read: name its --dialect")
