"""Files of named queries, as aiosql reads them, into programs.

A block begins with `-- name: get_user(email)`; aiosql's suffixes (`^ ! $ <! *!`) are kept, the list
of parameters may be left out.
"""

import re
from dataclasses import dataclass, replace

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.sql.given_keys import read_given
from reasoning.synthesis.migrator.sql.names import Outside
from reasoning.synthesis.migrator.sql.parameters import named, named_by_sqlc
from reasoning.synthesis.migrator.sql.program import (
    Agg,
    Arith,
    Cmp,
    Col,
    Compound,
    Expr,
    Fill,
    Function,
    InList,
    Insert,
    Param,
    Program,
    Select,
    Source,
    Update,
)
from reasoning.synthesis.migrator.sql.statements import convert
from reasoning.synthesis.migrator.sql.tables import DIALECTS, Tables, near, spelled
from reasoning.synthesis.migrator.sql.visitors import nodes, parameters

HEADER = re.compile(
    r"^--\s*name\s*:\s*(?P<name>[A-Za-z_][\w-]*)\s*(?P<a>[\^$!#<*]*)\s*(?:\((?P<params>[^)]*)\))?\s*(?P<b>[\^$!#<*]*|:\w+)\s*$"
)
PARAMETER = re.compile(r"(?<![:\w]):([A-Za-z_]\w*)")
QUALIFIED = re.compile(
    r"(INSERT\s+INTO\s+(?:[\w\"`]+\.)?(?P<table>[\w\"`]+)\s*\()(?P<names>[^()]*)\)", re.IGNORECASE
)
"""The columns of an INSERT, which some write behind the name of its table."""
SILENT = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""Texts, quoted names and comments, in which a colon begins no parameter."""


def parse_program(
    text: str,
    tables: Tables,
    dialect: str = "sqlite",
    where: str = "program",
    keep: bool = False,
    unchanged: frozenset[str] = frozenset(),
) -> Program:
    """A program from the text of its file.

    Args:
      text: blocks of SQL under `-- name:` lines.
      tables: the schema that it is written for.
      dialect: one of `tables.DIALECTS`.
      where: the name of the text in an error.
      keep: functions outside the fragment are kept to be rewritten by hand, instead of refused.
      unchanged: tables that no rewriting concerns; functions of these alone may be anything that
        parses.

    Raises:
      UserError: SQL that does not parse (line, column), unknown tables or columns (with near
        names), functions with the same name, parameters without use or type, or SQL outside the
        fragment.
    """
    if dialect not in DIALECTS:
        raise UserError(f"dialect {dialect!r} is none of {', '.join(DIALECTS)}")
    found: dict[str, Function] = {}
    broken: dict[str, UserError] = {}
    for block in _blocks(text, dialect, where):
        if block.name in found:
            raise UserError(
                f"{where}, line {block.line}: the function {block.name} is there already, in line "
                f"{found[block.name].line}: rename one"
            )
        try:
            function = _function(block, tables, dialect, where)
        except _Unread as problem:
            if not keep:
                raise UserError(str(problem)) from problem
            broken[block.name] = UserError(str(problem))
            function = _unread(block, UNREAD, problem, tables)
        except UserError as problem:
            if not (keep and block.by_hand):
                raise
            function = _unread(block, "it was kept by hand", problem, tables)
        if function.outside and not keep and not function.tables <= unchanged:
            raise UserError(
                f"{where}, {function.outside}: rewrite it, or pass it through without --strict"
            )
        found[block.name] = function
    if not found:
        raise UserError(f"{where}: there is no `-- name: FUNCTION` line in it")
    if len(broken) == len(found):  # another dialect, likely
        raise next(iter(broken.values()))
    return Program(tuple(found.values()), dialect, tables.schemas)


UNREAD = "it does not parse"
"""Why a block is kept that is no SQL."""


class _Unread(UserError):
    """A block that is no SQL; says where."""


def _unread(block: "_Block", why: str, problem: Exception, tables: Tables) -> Function:
    """A block that cannot be read, kept as it is written; it concerns all tables that it may
    name.
    """
    comments = _comment_lines(block.body)
    text = "\n".join(line for number, line in block.body if number not in comments).strip()
    notes = tuple(line.strip()[2:].strip() for number, line in block.body if number in comments)
    words = {word.lower() for word in re.findall(r"\w+", text)}
    named_here = {
        name for name in tables.by_name if {w.lower() for w in re.findall(r"\w+", name)} <= words
    }
    reason = " ".join(str(problem).partition(": correct the SQL")[0].partition(", ")[2].split())
    return Function(
        block.name,
        block.declared or (),
        (),
        block.line,
        notes,
        text,
        block.suffix,
        "" if block.declared is not None else "qmark",  # written without a list of parameters
        f"line {block.line}: {block.name}: {why} ({reason[:120]})",
        frozenset(named_here),
    )


@dataclass
class _Block:
    """A function as written."""

    line: int
    """Number of the line with its name."""
    name: str
    """Name of the function."""
    suffix: str
    """Text behind its name."""
    declared: tuple[str, ...] | None
    """Its parameters, if it lists them."""
    body: list[tuple[int, str]]
    """Numbered lines of the body."""
    by_hand: bool = False
    """True if a line before it says that it was kept by hand."""


def _blocks(text, dialect, where) -> list[_Block]:
    """The blocks of a file."""
    # At line feeds only: others, such as U+2028, may stand inside a text.
    parts: list[list[tuple[int, str]]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if re.match(r"^\s*--\s*name\s*:", line):
            parts.append([(number, line)])
        elif parts:
            parts[-1].append((number, line))
        elif line.strip() and not line.strip().startswith("--"):
            raise UserError(
                f"{where}, line {number}: SQL before the first `-- name:` line: give it a name"
            )
    found, by_hand = [], False
    for lines in _whole(parts, dialect):
        found.append(_block(lines, where))
        found[-1].by_hand = by_hand
        by_hand = lines[-1][1].startswith(KEPT)
        if by_hand:  # it is said of the next one
            found[-1].body.pop()
    return found


KEPT = "-- KEPT BY HAND"
"""Beginning of a line before a function that was kept by hand."""


def _block(lines: list[tuple[int, str]], where: str) -> _Block:
    number, line = lines[0]
    header = HEADER.match(line.strip())
    if not header:
        raise UserError(
            f"{where}, line {number}: {line.strip()!r} is no `-- name: function(parameter, ...)` "
            "line: correct it"
        )
    declared = header["params"]
    names = (
        None
        if declared is None
        else tuple(part.strip().lstrip(":") for part in declared.split(",") if part.strip())
    )
    return _Block(number, header["name"], header["a"] or header["b"] or "", names, lines[1:])


def _whole(parts: list[list[tuple[int, str]]], dialect: str) -> list[list[tuple[int, str]]]:
    """The blocks, joined where a text goes on: a line in it may look like a name line.

    Our choice: only if the joined block is SQL, so that a quotation mark that nothing closes does
    not hide the functions after it.
    """
    found, left = [], list(parts)
    while left:
        block = left.pop(0)
        for count in range(1, len(left) + 1 if _open(block) else 0):
            joined = [*block, *(line for part in left[:count] for line in part)]
            if not _open(joined) and _is_sql(joined, dialect):
                block, left = joined, left[count:]
                break
        found.append(block)
    return found


def _open(block: list[tuple[int, str]]) -> bool:
    """Test if a block ends inside a text."""
    return "'" in SILENT.sub("", "\n".join(line for _, line in block[1:]))


def _is_sql(block: list[tuple[int, str]], dialect: str) -> bool:
    text, style = named("\n".join(line for _, line in block[1:]))
    try:
        _trees(text if style else named_by_sqlc(text)[0], dialect, "")
    except UserError:
        return False
    return True


def _comment_lines(body: list[tuple[int, str]]) -> set[int]:
    """Numbers of lines that hold nothing but a comment; inside a text, two dashes begin none."""
    text, found = "\n".join(line for _, line in body), set()
    for match in SILENT.finditer(text):
        before = text[: match.start()]
        if match[0].startswith("--") and not before.rpartition("\n")[2].strip():
            found.add(body[before.count("\n")][0])
    return found


def _function(block: _Block, tables, dialect, where):
    line, name, body = block.line, block.name, block.body
    comments = _comment_lines(body)
    notes = tuple(text.strip()[2:].strip() for number, text in body if number in comments)
    lines = [(number, "" if number in comments else text) for number, text in body]
    first = next((number for number, text in lines if text.strip()), line)
    written = "\n".join(text for number, text in lines if number >= first).strip()
    place = f"line {line}: {name}"
    if not written:
        raise UserError(f"{where}, {place} has no SQL: write some or remove it")
    original, (written, style) = written, named(written)
    if not style and block.suffix.startswith(":"):
        written, style = named_by_sqlc(written)
    trees, sqlglot = _trees("\n" * (first - 1) + written, dialect, where), need("sqlglot")
    mentioned = [node.name for tree in trees for node in tree.find_all(sqlglot.exp.Table)]
    names = {spelled(one, tables.by_name) or one for one in mentioned}
    used = tuple(dict.fromkeys(PARAMETER.findall(SILENT.sub("''", written))))
    params = used if block.declared is None else block.declared
    if twice := [one for n, one in enumerate(params) if one in params[:n]]:
        raise UserError(f"{where}, {place} has the parameter {twice[0]} twice: remove one")
    if missing := [one for one in used if one not in params]:
        raise UserError(
            f"{where}, {place}: :{missing[0]} is not among its parameters{near(missing[0], params)}"
        )
    shell = Function(
        name, params, (), line, notes, original, block.suffix, style, "", frozenset(names)
    )
    try:
        statements = read_given(convert(trees, tables, f"{where}, {place}"), tables)
    except Outside as outside:
        return replace(shell, outside=f"line {outside.line or first}: {name}: {outside}")
    function = replace(shell, statements=statements)
    _check(function, tables, f"{where}, {place}")
    return function


def _plain_columns(seen: re.Match) -> str:
    """An INSERT's columns without the name of its table, which sqlglot does not read."""
    table = re.escape(seen["table"].strip('"`'))
    names = re.sub(rf"[\"`]?\b{table}\b[\"`]?\s*\.\s*", "", seen["names"], flags=re.IGNORECASE)
    return f"{seen[1]}{names})"


def _trees(text, dialect, where):
    sqlglot = need("sqlglot")
    text = QUALIFIED.sub(_plain_columns, text)
    try:
        return [tree for tree in sqlglot.parse(text, read=dialect) if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        first = (
            error.errors[0]
            if getattr(error, "errors", None)
            else {"line": "?", "col": "?", "description": str(error)}
        )
        what = re.sub(r"<Token .*?text: (.*?), line.*?>", r"\1", first["description"])
        raise _Unread(
            f"{where}, line {first['line']}, column {first['col']}: {what}: correct the SQL, "
            "or name its --dialect"
        ) from error


def _check(function: Function, tables: Tables, where: str):
    """Every parameter has a column, and no INSERT leaves out its key."""
    typed = placed(function)
    if untyped := [name for name in parameters(function.statements) if name not in typed]:
        raise UserError(
            f"{where}: the parameter {untyped[0]} is compared with no column and stored in none: "
            "it has no type"
        )
    kinds = {}
    for name, place in typed.items():
        for one in place:
            kind = tables.type_of(one) if one[0] else "int"
            if kinds.setdefault(name, kind) != kind:
                raise UserError(
                    f"{where}: the parameter {name} is {kinds[name]} and, in {'.'.join(one)}, "
                    f"{kind}: use two"
                )
    for statement in function.statements:
        if isinstance(statement, Insert | Fill):
            table = tables[statement.table]
            needed = [
                c
                for c in table.key
                if c not in {*statement.columns, *table.defaults, *table.moments}
            ]
            if needed:
                raise UserError(
                    f"{where} gives no value for the key {table.name}.{needed[0]}: write FRESH(1) "
                    "for a new one"
                )


def placed(function: Function) -> dict[str, list[tuple[str, str]]]:
    """The (table, column) pairs that each parameter meets; ("", "") stands for the number behind
    LIMIT.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for statement in function.statements:
        _place(statement, {}, found)
    return found


def _place(tree, above, found):
    """Walk with the aliases in sight."""
    aliases = dict(above)
    if isinstance(tree, Compound):
        for node in nodes((tree.limit, tree.offset)):
            if isinstance(node, Param):
                found.setdefault(node.name, []).append(("", ""))
    elif isinstance(tree, Select):
        aliases = {source.alias: source.select or source.table for source in tree.sources}
        counted = [n for n in nodes(tree.having) if isinstance(n, Cmp)]
        sides = [s for n in counted for s in (n.left, n.right) if isinstance(s, Param)]
        for node in nodes((tree.limit, tree.offset, tuple(sides))):
            if isinstance(node, Param):
                found.setdefault(node.name, []).append(("", ""))
    elif hasattr(tree, "table") and not isinstance(tree, Source):
        aliases = {tree.table: tree.table, "excluded": tree.table}
    for value, column in _meetings(tree):
        table = aliases.get(column.alias, column.alias)
        inner = isinstance(table, Select)
        place = _behind(table, column.name) if inner else (table, column.name)
        if place is None:
            continue
        for node in nodes(value) if isinstance(value, Param | Arith | Expr) else ():
            if isinstance(node, Param):
                found.setdefault(node.name, []).append(place)
    children = (
        [getattr(tree, name) for name in getattr(tree, "__dataclass_fields__", {})]
        if not isinstance(tree, tuple)
        else tree
    )
    for child in children:
        if isinstance(child, tuple) or hasattr(child, "__dataclass_fields__"):
            _place(child, aliases, found)


def _behind(select: Select, name: str) -> tuple[str, str] | None:
    """The column that an output of a subquery shows; ("", "") for a number that it counts."""
    value = next(out.value for out in select.outs if out.name == name)
    if isinstance(value, Agg):
        return ("", "")
    if not isinstance(value, Col):
        return None
    source = next(source for source in select.sources if source.alias == value.alias)
    return _behind(source.select, value.name) if source.select else (source.table, value.name)


def _meetings(tree):
    """Pairs of a value and the column that it is compared with or stored in."""
    if isinstance(tree, Cmp):
        pairs = ((tree.left, tree.right), (tree.right, tree.left))
        return [
            (value, next((n for n in nodes(column) if isinstance(n, Col)), None))
            for value, column in pairs
            if any(isinstance(n, Col) for n in nodes(column))
        ]
    if isinstance(tree, Expr):
        first = next((n for n in nodes(tree.parts) if isinstance(n, Col)), None)
        return [(value, first) for value in tree.parts if first is not None]
    if isinstance(tree, InList):
        return [(value, tree.column) for value in tree.values]
    if isinstance(tree, Insert):
        return [
            (value, Col(tree.table, column))
            for column, value in zip(tree.columns, tree.values, strict=True)
        ]
    if isinstance(tree, Fill):
        outs = zip(tree.columns, tree.select.outs, strict=True)
        return [(out.value, Col(tree.table, column)) for column, out in outs]
    if isinstance(tree, Update):
        return [(value, Col(tree.table, column)) for column, value in tree.sets]
    return []
