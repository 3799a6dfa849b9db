"""Things that only the live MySQL or MariaDB database has: references and views are not dropped
with a table there, and lead nowhere afterwards.
"""

from collections.abc import Iterator

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.output.data_checks import failing
from reasoning.synthesis.migrator.output.live_words import (
    CHANGED,
    COLUMNS,
    TABLE,
    going,
    renamed_in,
    words_of,
)
from reasoning.synthesis.migrator.output.migration_plan import Plan
from reasoning.synthesis.migrator.sql.unparse import literal


def on_mysql(plan: Plan, listed: str) -> Iterator[str]:
    """Statements that fail if there are such things.

    Args:
      plan: the plan.
      listed: names of the old schema's indices, triggers and views, as literals.
    """
    for name in (*plan.dropped, *plan.in_place):
        whole = name in plan.dropped
        if leaving := list(plan.mapping.source[name].types) if whole else going(plan, name):
            yield from _indices(plan, name, leaving, listed)
            yield _references(plan, name, leaving)
            yield _checks(plan, name, leaving)
        if leaving or renamed_in(plan, name):
            yield from _readers(plan, name, listed)
        if whole:
            yield failing(
                f"CONCAT('the column ', column_name, {words_of(plan, name)})",
                f"information_schema.columns WHERE {_here(name)} AND LOWER(column_name) NOT IN "
                f"({_listed(leaving)})",
                plan.dialect,
            )


def _here(name: str) -> str:
    return f"table_schema = DATABASE() AND table_name = {literal(name, 'mysql')}"


def _listed(names) -> str:
    """Names in small letters, as literals."""
    return ", ".join(literal(name.lower(), "mysql") for name in sorted(names)) or "''"


def _lost(plan: Plan, name: str) -> str:
    return words_of(plan, name, TABLE if name in plan.dropped else COLUMNS)


def _indices(plan: Plan, name: str, leaving: list[str], listed: str) -> Iterator[str]:
    known = ", ".join(literal(text, "mysql") for text in _keys_written(plan, name))
    listing = "GROUP_CONCAT(LOWER(column_name) ORDER BY seq_in_index)"
    yield failing(
        f"CONCAT('the index ', index_name, {_lost(plan, name)})",
        f"(SELECT index_name, {listing} AS parts, SUM(LOWER(column_name) IN ({_listed(leaving)})) "
        f"AS n FROM information_schema.statistics WHERE {_here(name)} GROUP BY index_name) AS "
        f"there WHERE n > 0 AND LOWER(index_name) NOT IN ({listed}) AND parts NOT IN ({known})",
        plan.dialect,
    )


def _references(plan: Plan, name: str, leaving: list[str]) -> str:
    """References to a table that the old schema does not declare."""
    known = [
        f"{edge.table}({','.join(edge.columns)})"
        for edge in plan.mapping.source.edges
        if edge.to == name
    ]
    parts = "GROUP_CONCAT(LOWER(column_name) ORDER BY ordinal_position)"
    return failing(
        f"CONCAT('the reference ', constraint_name, ' of ', table_name, {_lost(plan, name)})",
        f"(SELECT constraint_name, table_schema, table_name, {parts} AS parts, "
        f"SUM(LOWER(referenced_column_name) IN ({_listed(leaving)})) AS n FROM "
        "information_schema.key_column_usage WHERE referenced_table_schema = DATABASE() AND "
        f"referenced_table_name = {literal(name, 'mysql')} GROUP BY constraint_name, table_schema, "
        "table_name) AS there WHERE n > 0 AND (table_schema <> DATABASE() OR "
        f"CONCAT(LOWER(table_name), '(', parts, ')') NOT IN ({_listed(known)}))",
        plan.dialect,
    )


def _checks(plan: Plan, name: str, leaving: list[str]) -> str:
    """CHECK constraints that are more than those of the old schema.

    Our choice: those with a name are known by it, and the others counted, since servers name them
    and write their conditions in ways of their own.
    """
    exp, tree = need("sqlglot").exp, plan.old[name].tree
    named, unnamed = set(), []
    for check in tree.find_all(exp.CheckColumnConstraint):
        outer = check.find_ancestor(exp.Constraint, exp.ColumnConstraint)
        if given := getattr(getattr(outer, "this", None), "name", ""):
            named.add(given)
        else:
            unnamed.append({column.name.lower() for column in check.find_all(exp.Column)})
    # MariaDB gives each column of the type JSON a CHECK of its own, called like the column.
    named |= {
        part.name
        for part in tree.this.expressions
        if isinstance(part, exp.ColumnDef) and part.args["kind"].this.name == "JSON"
    }
    rows = (
        f"information_schema.table_constraints AS t WHERE t.{_here(name)} AND t.constraint_type = "
        f"'CHECK' AND LOWER(t.constraint_name) NOT IN ({_listed(named)})"
    )
    if name not in plan.dropped:
        clause = "LOWER(c.check_clause)"
        within = " OR ".join(
            f"LOCATE({literal(f'`{column.lower()}`', 'mysql')}, {clause}) > 0" for column in leaving
        )
        rows += (
            " AND EXISTS (SELECT 1 FROM information_schema.check_constraints AS c WHERE "
            "c.constraint_schema = t.table_schema AND c.constraint_name = t.constraint_name AND "
            f"({within}))"
        )
        unnamed = [columns for columns in unnamed if columns & {c.lower() for c in leaving}]
    return failing(
        f"CONCAT(IF(n > 1, 'one of the CHECKs ', 'the CHECK '), names, {_lost(plan, name)})",
        "(SELECT COUNT(*) AS n, GROUP_CONCAT(t.constraint_name ORDER BY t.constraint_name) AS "
        f"names FROM {rows}) AS there WHERE n > {len(unnamed)}",
        plan.dialect,
    )


def _readers(plan: Plan, name: str, listed: str) -> Iterator[str]:
    """Views and triggers that name a table, or, of one altered in place, what it has no more."""
    whole = name in plan.dropped
    lost = words_of(plan, name, TABLE if whole else CHANGED)
    here = literal(f"`{name.lower()}`", "mysql")
    there = f"CONCAT('`', LOWER(DATABASE()), '`.', {here})"
    reads = "LOWER(view_definition)"
    yield failing(
        f"CONCAT('the view ', table_name, {lost})",
        f"information_schema.views WHERE (LOCATE({there}, {reads}) > 0 OR (table_schema = "
        f"DATABASE() AND LOCATE({here}, {reads}) > 0)) AND (table_schema <> DATABASE() OR "
        f"LOWER(table_name) NOT IN ({listed}))",
        plan.dialect,
    )
    words = [name] if whole else [*going(plan, name), *renamed_in(plan, name)]
    body = "LOWER(action_statement)"
    names = " OR ".join(
        f"LOCATE({literal(word.lower(), 'mysql')}, {body}) > 0" for word in dict.fromkeys(words)
    )
    mine = f"event_object_table = {literal(name, 'mysql')}"
    if not whole:
        others = f"LOCATE({literal(name.lower(), 'mysql')}, {body}) > 0"
        names = f"({mine} OR {others}) AND ({names})"
    else:
        names = f"{mine} OR {names}"
    yield from _routines(plan, name, words, listed)
    yield failing(
        f"CONCAT('trigger ', trigger_name, {lost})",
        f"information_schema.triggers WHERE event_object_schema = DATABASE() AND ({names}) AND "
        f"LOWER(trigger_name) NOT IN ({listed})",
        plan.dialect,
    )


def _routines(plan: Plan, name: str, words: list[str], listed: str) -> Iterator[str]:
    """Procedures, functions and events that name a table, and of one altered in place also what it
    has no more. MariaDB and MySQL show their text to their owner and to whoever may see all.
    """
    lost = words_of(plan, name, TABLE if name in plan.dropped else CHANGED)
    for kind, view in (("routine", "routines"), ("event", "events")):
        body = f"LOWER({kind}_definition)"
        named = " OR ".join(
            f"LOCATE({literal(word.lower(), 'mysql')}, {body}) > 0" for word in dict.fromkeys(words)
        )
        shown = "LOWER(routine_type)" if kind == "routine" else "'event'"
        yield failing(
            f"CONCAT({shown}, ' ', {kind}_name, {lost})",
            f"information_schema.{view} WHERE {kind}_schema = DATABASE() AND "
            f"LOCATE({literal(name.lower(), 'mysql')}, {body}) > 0 AND ({named}) AND "
            f"LOWER({kind}_name) NOT IN ({listed})",
            plan.dialect,
        )


def _keys_written(plan: Plan, name: str) -> list[str]:
    """The columns of every key and index that MySQL makes of the old schema of a table."""
    source, exp = plan.mapping.source, need("sqlglot").exp
    table = source[name]
    lists = {tuple(table.key), *table.unique, *(e.columns for e in source.edges if e.table == name)}
    for part in plan.old[name].tree.this.expressions:
        if not isinstance(part, exp.ColumnDef):  # KEY name (columns): the name may stand before
            names = tuple(one.name for one in part.find_all(exp.Identifier))
            lists |= {names, names[1:]}
    return sorted({",".join(one).lower() for one in lists if one}) or [""]
