"""Checks before any data moves: each stops the script with a sentence that counts the rows in the
way and names the first of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.mapping import (
    PRESENT,
    Copy,
    Fixed,
    Found,
    Made,
    Rule,
    condition,
)
from reasoning.synthesis.migrator.output.data_queries import Queries
from reasoning.synthesis.migrator.output.migration_plan import Plan, joined_tables
from reasoning.synthesis.migrator.sql.tables import Place
from reasoning.synthesis.migrator.sql.unparse import literal

MOST = 3
"""Rows named in a sentence."""


NO_TEXTS = ("int", "float", "decimal", "bool", "date", "datetime", "timestamp")
"""Types whose equal values are the same."""
STOP = "migrator_checks"
"""MySQL's temporary table that refuses every text."""


@dataclass(frozen=True)
class Check:
    """Rows of the old data that the new schema has no place for."""

    what: str
    """A sentence about them, without their number."""
    rows: str
    """A query for what they are known by, one column called k."""


def checks_of(plan: Plan) -> list[Check]:
    """All checks of a plan, over the old schema's names."""
    queries, found = Queries(plan, before=True), []
    for rule in plan.mapping.parts:
        if plan.mapping.identity(rule.table) and not _tighter(plan, rule):
            continue
        if not rule.distinct:
            found += [*_nulls(plan, queries, rule), *_twice(plan, queries, rule)]
        else:
            found += _alike(plan, queries, rule)
    found += _null_keys(plan, queries)
    found += [*_twins(plan, queries), *_shared(plan, queries), *_unclaimed(plan, queries)]
    for rule in plan.mapping.parts:
        found += [*_dangling(plan, queries, rule), *_conversions(plan, queries, rule)]
    for table in sorted({t for r in plan.mapping.parts for t in r.body[1:]}):
        if not plan.mapping.owned(table):
            found += _lost(plan, queries, table)
    return found


def _twins(plan: Plan, queries: Queries) -> Iterator[Check]:
    """Columns that share a place because the program keeps them equal, and differ in a row."""
    for pair in sorted(sorted(twin) for twin in plan.mapping.twins):
        (table, one), (_, other) = pair
        a, b = queries.column(table, one), queries.column(table, other)
        yield Check(
            f"{table}.{one} and {table}.{other} share a place and differ in {{}} rows of {table}",
            f"SELECT {_known_by(plan, queries, table)} AS k "
            f"FROM {queries.table(table)} AS {queries.alias(table)} WHERE {a} <> {b} OR "
            f"({a} IS NULL) <> ({b} IS NULL)",
        )


def _shared(plan: Plan, queries: Queries) -> Iterator[Check]:
    """Keys that rows of several old tables would have in one new table."""
    for rule in plan.mapping.rules.values():
        target = plan.mapping.target[rule.table]
        for columns in dict.fromkeys(c for c in (target.key, *target.unique) if c):
            cells = [[part.cells.get(c) for c in columns] for part in rule.parts]
            distinct = any(
                len({c for c in here if isinstance(c, Fixed)}) > 1
                for here in zip(*cells, strict=True)
            )
            if (
                not rule.also
                or distinct
                or any(c is None or c == Fixed(None) for x in cells for c in x)
            ):
                continue
            kind, texts = text_type(plan.dialect), []
            for part in rule.parts:
                values = [queries.value(part, c, part.cells[c]) for c in columns]
                known = _joined([f"CAST({value} AS {kind})" for value in values], plan.dialect)
                given = " AND ".join(f"{value} IS NOT NULL" for value in values)
                texts.append(
                    f"SELECT DISTINCT {known} AS k FROM {queries.rows(part)} WHERE {given}"
                )
            tables = " and ".join(part.anchor for part in rule.parts)
            number = columns == target.key and [target.types[c] for c in columns] == ["int"]
            hint = " (--renumber gives them other keys)" if number else ""
            yield Check(
                f"{rule.table} is unique by {', '.join(columns)}, and {{}} values are in more than "
                f"one of {tables}{hint}",
                f"SELECT k FROM ({' UNION ALL '.join(texts)}) AS all_keys GROUP BY k "
                "HAVING COUNT(*) > 1",
            )


def _unclaimed(plan: Plan, queries: Queries) -> Iterator[Check]:
    """Rows of a table that is split by a column's values, with a value that no new table takes."""
    claimed: dict[Place, list] = {}
    for rule in plan.mapping.parts:
        if rule.only is not None and rule.only[1] != PRESENT:
            claimed.setdefault((rule.anchor, rule.only[0]), []).append(rule.only[1])
    for (table, column), values in claimed.items():
        listed = ", ".join(literal(value, plan.dialect) for value in values)
        here = queries.column(table, column)
        yield Check(
            f"{{}} rows of {table} have a {column} that no new table takes and would be lost",
            f"SELECT {_known_by(plan, queries, table)} AS k FROM {queries.table(table)} AS "
            f"{queries.alias(table)} WHERE {here} IS NULL OR {here} NOT IN ({listed})",
        )


def _null_keys(plan: Plan, queries: Queries) -> Iterator[Check]:
    """Rows whose key is NULL, which SQLite may let be, and which no join finds again."""
    for table in sorted(joined_tables(plan)):
        if loose := sorted(plan.mapping.source[table].loose):
            empty = " OR ".join(f"{queries.column(table, column)} IS NULL" for column in loose)
            yield Check(
                f"{table} is taken apart or joined by its key, and {', '.join(loose)} is NULL in "
                f"{{}} rows of {table}",
                f"SELECT 'rowid ' || {queries.alias(table)}.rowid AS k FROM {queries.table(table)} "
                f"AS {queries.alias(table)} WHERE {empty}",
            )


def _tighter(plan: Plan, rule: Rule) -> bool:
    old, new = plan.mapping.source[rule.table], plan.mapping.target[rule.table]
    tighter = not new.required - new.loose <= old.required - old.loose
    return tighter or set(new.unique) != set(old.unique)


def _known_by(plan: Plan, queries: Queries, table: str) -> str:
    """The key of a row as text."""
    source = plan.mapping.source[table]
    parts = [
        f"COALESCE(CAST({queries.column(table, column)} AS {text_type(plan.dialect)}), 'NULL')"
        for column in source.key or source.stored[:1]
    ]
    return _joined(parts, plan.dialect)


def _joined(parts: list[str], dialect: str) -> str:
    """Texts with a stroke between them."""
    if dialect == "mysql":
        return "CONCAT(" + ", '/', ".join(parts) + ")"
    return " || '/' || ".join(parts)


def text_type(dialect: str) -> str:
    """The type that texts are cast to."""
    return "CHAR" if dialect == "mysql" else "TEXT"


def _nulls(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """Columns that may not be NULL and would be."""
    source, target = plan.mapping.source, plan.mapping.target[rule.table]
    apart = joined_tables(plan)
    for column in target.stored:
        cell = rule.cells.get(column)
        cell = cell.of if isinstance(cell, Found) else cell
        if column not in target.required | set(target.key) or not isinstance(cell, Copy | Made):
            continue
        joined = cell.table if isinstance(cell, Copy) else cell.anchor
        loose = isinstance(cell, Copy) and cell.column in source[joined].loose
        if loose and (column in target.loose or joined in apart):  # NULL there too, or `_null_keys`
            continue
        if joined == rule.anchor and (
            isinstance(cell, Made) or cell.column in source[joined].required - source[joined].loose
        ):
            continue
        value = queries.value(rule, column, cell)
        yield Check(
            f"{rule.table}.{column} is NOT NULL and would be NULL for {{}} rows of {rule.anchor}",
            f"SELECT {_known_by(plan, queries, rule.anchor)} AS k FROM {queries.rows(rule)} "
            f"WHERE {value} IS NULL",
        )


def _twice(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """Keys of the new schema that two rows would have."""
    target, source = plan.mapping.target[rule.table], plan.mapping.source[rule.anchor]
    kept = [set(columns) for columns in (source.key, *source.unique) if columns]
    forward = all(_forward(rule, edge) for edge in rule.tree)
    for columns in dict.fromkeys(c for c in (target.key, *target.unique) if c):
        cells = [rule.cells.get(column) for column in columns]
        if any(cell is None or cell == Fixed(None) for cell in cells):
            continue
        # A constant tells no rows of one old table apart.
        columns = tuple(c for c in columns if not isinstance(rule.cells[c], Fixed))
        cells = [cell.of if isinstance(cell, Found) else cell for cell in cells]
        cells = [cell for cell in cells if not isinstance(cell, Fixed)]
        if not cells:
            continue
        mine = {c.column for c in cells if isinstance(c, Copy) and c.table == rule.anchor}
        made = any(isinstance(c, Made) and c.anchor == rule.anchor for c in cells)
        if forward and (made or any(key <= mine for key in kept)):
            continue
        values = [queries.value(rule, c, rule.cells[c]) for c in columns]
        given = " AND ".join(f"{value} IS NOT NULL" for value in values)
        kind = text_type(plan.dialect)
        shown = [f"CAST({value} AS {kind})" for value in values]
        known = _joined(shown, plan.dialect)
        yield Check(
            f"{rule.table} is unique by {', '.join(columns)}, and {{}} values would be there more "
            "than once",
            f"SELECT {known} AS k FROM {queries.rows(rule)} WHERE {given} "
            f"GROUP BY {', '.join(values)} HAVING COUNT(*) > 1",
        )


def _alike(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """Different texts that a lookup table would take for one value: its collation, or the old
    column's, holds capitals, accents or spaces at the end for equal.
    """
    exp, source = need("sqlglot").exp, plan.mapping.source
    cell = rule.cells[rule.distinct]
    if not isinstance(cell, Copy) or source.type_of((cell.table, cell.column)) in NO_TEXTS:
        return
    value = queries.value(rule, rule.distinct, cell)
    exact = {"mysql": f"HEX({value})", "postgres": f'CAST({value} AS text) COLLATE "C"'}
    grouped, tree = value, plan.new[rule.table].tree
    for part in tree.this.expressions:
        ruled = part.find(exp.CollateColumnConstraint) if part.name == rule.distinct else None
        if ruled is not None and plan.dialect != "postgres":
            grouped = f"{value} COLLATE {ruled.this.sql(plan.dialect)}"
    kind = text_type(plan.dialect)
    yield Check(
        f"{{}} values of {cell.table}.{cell.column} differ only in what their collation takes for "
        f"equal, and {rule.table} would have one of each: make them the same",
        f"SELECT MIN(CAST({value} AS {kind})) AS k FROM {queries.rows(rule)} WHERE {value} IS NOT "
        f"NULL GROUP BY {grouped} HAVING COUNT(DISTINCT "
        f"{exact.get(plan.dialect, f'CAST({value} AS BLOB)')}) > 1",
    )


def _dangling(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """References of the new schema that would lead nowhere.

    Where the engine checks references itself, only those that the old schema does not declare.
    """
    mapping = plan.mapping
    declared = {(e.table, e.columns, e.to, e.to_columns) for e in mapping.source.edges}
    for edge in mapping.target.edges:
        named = mapping.rules.get(edge.to)
        cells = [rule.cells.get(column) for column in edge.columns]
        fixed = [c for c in cells if isinstance(c, Fixed) and c.value is not None]
        copies = [c for c in cells if isinstance(c, Copy)]
        if edge.table != rule.table or not copies or len(copies) + len(fixed) < len(cells):
            continue
        fars = (
            [(one, [one.cells.get(c) for c in edge.to_columns]) for one in named.parts]
            if named
            else []
        )
        if any(far == cells and one.anchor == rule.anchor for one, far in fars):
            continue  # the same row of the old database
        known = False
        for _, far in fars:
            ends = [c for c in far if isinstance(c, Copy)]
            if len(ends) == len(far) == len(copies):
                mine = (copies[0].table, tuple(c.column for c in copies))
                known |= (*mine, ends[0].table, tuple(c.column for c in ends)) in declared
        if known and plan.dialect in ("postgres", "duckdb"):
            continue
        values = [queries.value(rule, c, rule.cells[c]) for c in edge.columns]
        given = " AND ".join(f"{value} IS NOT NULL" for value in values)
        if fars and not any(cell is None for _, far in fars for cell in far):
            asked = []
            for one, _ in fars:
                keys = [queries.value(one, c, one.cells[c]) for c in edge.to_columns]
                there = " AND ".join(f"{key} IS NOT NULL" for key in keys)
                asked.append(f"SELECT {', '.join(keys)} FROM {queries.rows(one)} WHERE {there}")
            mine = values[0] if len(values) == 1 else f"({', '.join(values)})"
            given += f" AND {mine} NOT IN ({' UNION ALL '.join(asked)})"
        yield Check(
            f"{rule.table}.{', '.join(edge.columns)} would refer to no row of {edge.to} for {{}} "
            f"rows of {rule.anchor}",
            f"SELECT {_known_by(plan, queries, rule.anchor)} AS k FROM {queries.rows(rule)} "
            f"WHERE {given}",
        )


def _conversions(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """Values that do not fit into the type that a column has now, and rows that a new CHECK
    forbids.
    """
    exp = need("sqlglot").exp
    for part in plan.new[rule.table].tree.this.expressions:
        cell = rule.cells.get(part.name) if isinstance(part, exp.ColumnDef) else None
        if not isinstance(cell, Copy) or cell.table not in plan.old or plan.dialect == "sqlite":
            continue
        before = next(
            one
            for one in plan.old[cell.table].tree.this.expressions
            if isinstance(one, exp.ColumnDef) and one.name == cell.column
        )
        value = queries.value(rule, part.name, cell)
        bad = _unfit(value, before.args.get("kind"), part.args.get("kind"), plan.dialect)
        if bad:
            yield Check(
                f"{rule.table}.{part.name} is {part.args['kind'].sql(plan.dialect)} and has no "
                f"place for the values of {{}} rows of {rule.anchor}",
                f"SELECT {_known_by(plan, queries, rule.anchor)} AS k FROM {queries.rows(rule)} "
                f"WHERE {bad}",
            )
    yield from _forbidden(plan, queries, rule)


INTEGERS = {"TINYINT": 7, "SMALLINT": 15, "MEDIUMINT": 23, "INT": 31, "BIGINT": 63}
"""Bits of whole numbers, without the sign."""
TIMES = ("TIMESTAMP", "TIMESTAMPTZ", "DATETIME", "TIME", "TIMETZ")
"""Types with fractions of seconds, which a smaller precision rounds."""
TEXTS = ("VARCHAR", "CHAR", "NVARCHAR", "NCHAR", "BPCHAR")


def _unfit(value: str, before, after, dialect: str) -> str:
    """A condition on values that a narrower type does not hold; empty: it is not narrower.

    Args:
      value: the value in SQL.
      before: the type of the old column, as sqlglot has it.
      after: the type of the new column.
      dialect: the SQL dialect.
    """
    if before is None or after is None or before == after:
        return ""
    was, now = before.this.name, after.this.name
    if now == "ENUM":
        return f"{value} NOT IN ({', '.join(one.sql(dialect) for one in after.expressions)})"
    sizes = [
        [int(p.this.name) for p in kind.expressions if p.this.is_int] for kind in (before, after)
    ]
    if now in TEXTS and sizes[1] and not (was in TEXTS and sizes[0] and sizes[0] <= sizes[1]):
        length = "CHAR_LENGTH" if dialect == "mysql" else "LENGTH"
        return f"{length}({value}) > {sizes[1][0]}"
    if now in INTEGERS and INTEGERS.get(was, 64) > INTEGERS[now]:
        return f"{value} NOT BETWEEN {-(2 ** INTEGERS[now])} AND {2 ** INTEGERS[now] - 1}"
    if now[0] == "U" and now[1:] in INTEGERS and INTEGERS.get(was[1:], -1) != INTEGERS[now[1:]]:
        return f"{value} NOT BETWEEN 0 AND {2 ** (INTEGERS[now[1:]] + 1) - 1}"
    if {was, now} == {"TIMESTAMP", "TIMESTAMPTZ"} and dialect != "mysql":
        return f"{value} IS NOT NULL"  # the session's time zone would decide
    if (now == was and now in TIMES) or (was, now) == ("DOUBLE", "FLOAT"):
        return f"CAST({value} AS {after.sql(dialect)}) <> {value}"
    if now == "DECIMAL" and sizes[1] and sizes[0] != sizes[1]:
        places = sizes[1][1] if len(sizes[1]) > 1 else 0
        return (
            f"ABS({value}) >= {10 ** (sizes[1][0] - places)} OR {value} <> ROUND({value}, {places})"
        )
    return ""


def _forbidden(plan: Plan, queries: Queries, rule: Rule) -> Iterator[Check]:
    """Rows that a CHECK of the new schema forbids, and none of the old one."""
    exp = need("sqlglot").exp
    old = plan.old.get(rule.anchor)
    known = {one.this.sql() for one in old.tree.find_all(exp.CheckColumnConstraint)} if old else ()
    for check in plan.new[rule.table].tree.find_all(exp.CheckColumnConstraint):
        if check.this.sql() in known or check.find(exp.Select):
            continue
        names = {column.name for column in check.find_all(exp.Column)}
        if not names or any(rule.cells.get(name) is None for name in names):
            continue

        def moved(node):
            if isinstance(node, exp.Column):
                return exp.Var(this=queries.value(rule, node.name, rule.cells[node.name]))
            return node

        text = check.this.transform(moved).sql(plan.dialect)
        yield Check(
            f"{rule.table} has a CHECK ({check.this.sql(plan.dialect)}) that forbids {{}} rows of "
            f"{rule.anchor}",
            f"SELECT {_known_by(plan, queries, rule.anchor)} AS k FROM {queries.rows(rule)} "
            f"WHERE NOT ({text})",
        )


def _forward(rule: Rule, edge) -> bool:
    """Test if a reference leads away from the anchor, so that it multiplies no row."""
    reached, todo = {rule.anchor}, [rule.anchor]
    while todo:
        at = todo.pop()
        new = {e.to for e in rule.tree if e.table == at} - reached
        reached |= new
        todo += sorted(new)
    return edge.table in reached and edge.to in reached


def _lost(plan: Plan, queries: Queries, table: str) -> Iterator[Check]:
    """Rows of a table that is merged into another one, and that no row there belongs to."""
    for rule in plan.mapping.parts:
        edges = [e for e in rule.tree if table in (e.table, e.to)]
        if table not in rule.body or len(edges) != 1:
            continue
        (edge,) = edges
        other = edge.to if edge.table == table else edge.table
        on = " AND ".join(
            f"{queries.column(*a)} = {queries.column(*b)}" for a, b in condition(edge)
        )
        yield Check(
            f"{{}} rows of {table} belong to no row of {other} and would be lost",
            f"SELECT {_known_by(plan, queries, table)} AS k "
            f"FROM {queries.table(table)} AS {queries.alias(table)} WHERE NOT EXISTS (SELECT 1 "
            f"FROM {queries.table(other)} AS {queries.alias(other)} WHERE {on})",
        )
        return


def count_sql(check: Check, dialect: str) -> str:
    """A SELECT of the number of rows and the first of them as one text."""
    group = {"sqlite": "group_concat(k, ', ')", "mysql": "GROUP_CONCAT(k SEPARATOR ', ')"}.get(
        dialect, "STRING_AGG(k, ', ')"
    )
    first = f"SELECT k FROM ({check.rows}) AS a ORDER BY k LIMIT {MOST}"
    return (
        f"SELECT (SELECT COUNT(*) FROM ({check.rows}) AS b) AS n, "
        f"(SELECT {group} FROM ({first}) AS c) AS k"
    )


def stop_sql(check: Check, dialect: str) -> str:
    """A SELECT that fails with a sentence if there are such rows."""
    start, end = check.what.split("{}", 1)
    if dialect == "mysql" and not start:  # it shows no text that begins with a number
        start = "stopped: "
    before, after = literal(start, dialect), literal(end, dialect)
    text, first = text_type(dialect), literal(", the first: ", dialect)
    parts = [before, f"CAST(n AS {text})", after, first, "k"]
    words = f"CONCAT({', '.join(parts)})" if dialect == "mysql" else " || ".join(parts)
    return failing(words, f"({count_sql(check, dialect)}) AS found WHERE n > 0", dialect)


def failing(words: str, rest: str, dialect: str) -> str:
    """A SELECT that fails for each row with a text as its message.

    Our choice: a function that refuses its argument and shows it, since only some engines can raise
    an error of one's own outside of a procedure. MariaDB's and MySQL's functions cut the text or
    take constants only; a column of whole numbers refuses it whole.
    """
    refused = {
        "sqlite": f"SELECT json_extract('{{}}', {words})",
        "duckdb": f"SELECT error({words})",
        "mysql": f"INSERT INTO {STOP} SELECT {words}",
    }.get(dialect, f"SELECT CAST({words} AS integer)")
    return f"{refused} FROM {rest}"


def expected_rows(plan: Plan) -> dict[str, str]:
    """For every new table a query for the number of rows that it will have."""
    queries = Queries(plan, before=True)
    return {
        name: "SELECT "
        + " + ".join(f"(SELECT {_rows_of(p, queries)} FROM {queries.rows(p)})" for p in rule.parts)
        for name, rule in plan.mapping.rules.items()
    }


def _rows_of(rule: Rule, queries: Queries) -> str:
    if not rule.distinct:
        return "COUNT(*)"
    return f"COUNT(DISTINCT {queries.value(rule, rule.distinct, rule.cells[rule.distinct])})"


def loss_counts(plan: Plan) -> dict[str, str]:
    """For every old column without a place a query for the number of values that are dropped."""
    queries, mapping, found = Queries(plan, before=True), plan.mapping, {}
    placed = {
        (c.table, c.column)
        for rule in mapping.parts
        for c in rule.cells.values()
        if isinstance(c, Copy)
    }
    placed |= {(rule.anchor, rule.only[0]) for rule in mapping.parts if rule.only is not None}
    for name, table in mapping.source.by_name.items():
        for column in table.stored:
            if (name, column) not in placed:
                here = queries.column(name, column)
                found[f"{name}.{column}"] = (
                    f"SELECT COUNT({here}) FROM {queries.table(name)} AS {queries.alias(name)}"
                )
    return found
