"""Primary keys that SQLite lets be NULL: all but an INTEGER PRIMARY KEY, those declared NOT NULL,
and those of tables WITHOUT ROWID or STRICT.
"""

import itertools

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.sql.ddl_statements import Written, options_of


def null_keys(statement: Written, dialect: str, key: tuple[str, ...]) -> frozenset[str]:
    """The columns of a table's primary key that may hold NULL.

    Args:
      statement: its CREATE TABLE.
      dialect: the dialect; only SQLite has such columns.
      key: the columns that the key has.
    """
    if dialect != "sqlite" or options_of(statement.text):
        return frozenset()
    exp, found = need("sqlglot").exp, set()
    whole = {c.name for one in statement.tree.find_all(exp.PrimaryKey) for c in one.expressions}
    for part in statement.tree.this.expressions:
        if not isinstance(part, exp.ColumnDef) or part.name not in key:
            continue
        kinds = [one.kind for one in part.args.get("constraints") or ()]
        keyed = [one for one in kinds if isinstance(one, exp.PrimaryKeyColumnConstraint)]
        needed = any(
            isinstance(one, exp.NotNullColumnConstraint) and not one.args.get("allow_null")
            for one in kinds
        )
        if (keyed or part.name in whole) and not needed and not _rowid(statement, part, key):
            found.add(part.name)
    return frozenset(found)


def _rowid(statement: Written, part, key: tuple[str, ...]) -> bool:
    """Test if a column is the INTEGER PRIMARY KEY, which SQLite numbers: the word must be INTEGER,
    and INT is another type.
    """
    tokens = need("sqlglot").tokenize(statement.text, read="sqlite")
    pairs = itertools.pairwise(tokens)
    integer = any(
        name.text == part.name and statement.text[kind.start : kind.end + 1].upper() == "INTEGER"
        for name, kind in pairs
    )
    return len(key) == 1 and integer


def with_not_null(text: str, columns: frozenset[str]) -> str:
    """A CREATE TABLE of SQLite with NOT NULL behind some columns."""
    tokens = need("sqlglot").tokenize(text, read="sqlite")
    depth, begins, name, ends = 0, False, "", []
    for n, token in enumerate(tokens):
        kind = token.token_type.name
        if begins:
            name, begins = token.text, False
        if depth == 1 and kind in ("COMMA", "R_PAREN"):
            ends += [tokens[n - 1].end + 1] if name in columns else []
            name = ""
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        begins = depth == 1 and (kind == "COMMA" or (kind == "L_PAREN" and not ends and not name))
    for end in reversed(ends):
        text = f"{text[:end]} NOT NULL{text[end:]}"
    return text
