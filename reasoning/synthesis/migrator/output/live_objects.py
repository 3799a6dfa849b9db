"""Things that only the live database has on what changes: each stops the script before anything
moves, since they would be lost without a word.

Our choice: what the old schema does not show, on tables that are rebuilt or dropped, and, where the
engine drops it together with a column, on columns that go.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.output.data_checks import failing
from reasoning.synthesis.migrator.output.live_mysql import on_mysql
from reasoning.synthesis.migrator.output.live_words import (
    CHANGED,
    COLUMNS,
    TABLE,
    going,
    renamed_in,
    words_of,
)
from reasoning.synthesis.migrator.output.migration_plan import Plan
from reasoning.synthesis.migrator.sql.ddl_statements import Written, statements_of
from reasoning.synthesis.migrator.sql.unparse import literal

POSTGRES = (
    ("trigger", "tgname", "pg_trigger WHERE tgrelid = {table} AND NOT tgisinternal"),
    ("policy", "polname", "pg_policy WHERE polrelid = {table}"),
    ("rule", "rulename", "pg_rewrite WHERE ev_class = {table}"),
    ("statistics", "stxname", "pg_statistic_ext WHERE stxrelid = {table}"),
)
"""Kind, column of the name and rows of PostgreSQL's catalog, for a table."""


def only_there(plan: Plan) -> Iterator[str]:
    """Statements that fail if the database has something that the old schema does not show."""
    altered = plan.dialect in ("mysql", "postgres") and any(
        renamed_in(plan, name) for name in plan.in_place
    )
    if not (plan.dropped or altered or any(going(plan, name) for name in plan.in_place)):
        return
    makers = {"sqlite": _sqlite, "postgres": _postgres, "mysql": on_mysql, "duckdb": _duckdb}
    yield from makers[plan.dialect](plan, _listed(plan))


def _listed(plan: Plan) -> str:
    """Names of the old schema's indices, triggers and others, in small letters."""
    source = plan.mapping.source
    known = {
        one.tree.find(need("sqlglot").exp.Table).name if one.kind == "VIEW" else name_in(one)
        for one in statements_of(source.ddl, source.dialect)
        if one.kind not in ("TABLE", "SET", "PRAGMA")
    }
    names = sorted({small for name in known if name for small in _small(name)})
    return ", ".join(literal(name, plan.dialect) for name in names) or "''"


def _small(name: str) -> set[str]:
    """A name in small letters as databases make them: all letters, or those of ASCII alone."""
    return {name.lower(), re.sub("[A-Z]+", lambda seen: seen[0].lower(), name)}


def _columns(plan: Plan, name: str) -> str:
    """Names of a table's columns, in small letters."""
    types = plan.mapping.source[name].types
    names = sorted({small for column in types for small in _small(column)})
    return ", ".join(literal(small, plan.dialect) for small in names)


def _sqlite(plan: Plan, listed: str) -> Iterator[str]:
    for name in plan.dropped:
        here, word = f"lower({literal(name)})", f"lower({literal(f'%{name}%')})"
        lost = literal(
            f" depends on {name}, {TABLE}, and is not in the schema before: add it there"
        )
        yield failing(
            f"type || ' ' || name || {lost}",
            f"sqlite_master WHERE lower(name) NOT IN ({listed}) AND sql IS NOT NULL AND "
            f"((type IN ('index', 'trigger') AND lower(tbl_name) = {here}) OR "
            f"(type IN ('view', 'trigger') AND lower(sql) LIKE {word}))",
            plan.dialect,
        )
        yield failing(
            f"'the column ' || name || {words_of(plan, name)}",
            f"pragma_table_xinfo({literal(name)}) WHERE lower(name) NOT IN "
            f"({_columns(plan, name)})",
            plan.dialect,
        )


def _postgres(plan: Plan, listed: str) -> Iterator[str]:
    source = plan.mapping.source
    yield from _postgres_functions(plan, listed)
    for name in plan.dropped:
        regclass, lost = f"CAST({literal(old_name(plan, name))} AS regclass)", words_of(plan, name)
        for kind, column, rows in POSTGRES:
            yield failing(
                f"'{kind} ' || {column} || {lost}",
                f"{rows.format(table=regclass)} AND lower({column}) NOT IN ({listed})",
                plan.dialect,
            )
        yield failing(
            f"'the grant to ' || grantee || {lost}",
            "information_schema.role_table_grants WHERE grantee <> grantor AND "
            f"table_name = {literal(name)} AND table_schema = "
            f"{literal(source[name].schema or 'public')}",
            plan.dialect,
        )
        yield failing(
            f"'the column ' || attname || {lost}",
            f"pg_attribute WHERE attrelid = {regclass} AND attnum > 0 AND NOT attisdropped "
            f"AND lower(attname) NOT IN ({_columns(plan, name)})",
            plan.dialect,
        )
        yield _column_grants(plan, regclass, source[name].types, lost)
        yield from _postgres_indices(plan, name, listed, "", lost)
    for name in plan.in_place:
        if leaving := going(plan, name):
            columns = ", ".join(literal(column) for column in leaving)
            mine = (
                "EXISTS (SELECT 1 FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid "
                "AND a.attnum = d.refobjsubid WHERE d.objid = @object AND "
                f"d.refobjid = CAST({literal(old_name(plan, name))} AS regclass) "
                f"AND a.attname IN ({columns}))"
            )
            regclass, lost = (
                f"CAST({literal(old_name(plan, name))} AS regclass)",
                words_of(plan, name, COLUMNS),
            )
            yield failing(
                f"'statistics ' || s.stxname || {lost}",
                f"pg_statistic_ext s WHERE s.stxrelid = {regclass} AND lower(s.stxname) NOT IN "
                f"({listed}) AND {mine.replace('@object', 's.oid')}",
                plan.dialect,
            )
            yield _column_grants(plan, regclass, leaving, lost)
            yield from _postgres_indices(plan, name, listed, mine, lost)


def _postgres_functions(plan: Plan, listed: str) -> Iterator[str]:
    """Functions and procedures whose text names a table that goes, or what one altered in place has
    no more; PostgreSQL reads it when it runs.
    """
    for name in (*plan.dropped, *plan.in_place):
        whole = name in plan.dropped
        words = [name] if whole else [*going(plan, name), *renamed_in(plan, name)]
        if words:
            lost = words_of(plan, name, TABLE if whole else CHANGED)
            within = " OR ".join(_word(word) for word in dict.fromkeys(words))
            yield failing(
                "CASE prokind WHEN 'p' THEN 'procedure ' ELSE 'function ' END || "
                f"proname || {lost}",
                "pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.nspname NOT "
                f"IN ('pg_catalog', 'information_schema') AND {_word(name)} AND ({within}) AND "
                f"lower(proname) NOT IN ({listed}) AND NOT EXISTS (SELECT 1 FROM pg_depend AS d "
                "WHERE d.objid = p.oid AND d.deptype = 'e')",
                plan.dialect,
            )


def _word(name: str) -> str:
    """A condition that a function's text has a word."""
    if re.fullmatch(r"\w+", name, re.ASCII):
        pattern = rf"\m{name}\M"
        return f"prosrc ~* {literal(pattern)}"
    return f"strpos(lower(prosrc), {literal(name.lower())}) > 0"


def _column_grants(plan: Plan, regclass: str, columns: Iterable[str], lost: str) -> str:
    """Grants on single columns that go."""
    names = ", ".join(literal(column) for column in columns)
    return failing(
        f"'the grant on the column ' || attname || {lost}",
        f"pg_attribute WHERE attrelid = {regclass} AND attnum > 0 AND attacl IS NOT NULL AND "
        f"attname IN ({names})",
        plan.dialect,
    )


def _postgres_indices(plan: Plan, name: str, listed: str, mine: str, lost: str) -> Iterator[str]:
    """Indices and constraints, those that depend on some columns alone."""
    table = f"CAST({literal(old_name(plan, name))} AS regclass)"
    also = f" AND {mine.replace('@object', 'i.indexrelid')}" if mine else ""
    yield failing(
        f"'the index ' || c.relname || {lost}",
        f"pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = {table} AND "
        "NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND "
        f"k.conrelid = {table}) AND lower(c.relname) NOT IN ({listed}){also}",
        plan.dialect,
    )
    also = f" AND {mine.replace('@object', 'k.oid')}" if mine else ""
    columns = (
        "(SELECT string_agg(lower(a.attname), ',' ORDER BY lower(a.attname) COLLATE \"C\") "
        "FROM pg_attribute a "
        "WHERE a.attrelid = k.conrelid AND a.attnum = ANY(k.conkey))"
    )
    known = ", ".join(literal(text) for text in _constraints(plan, name)) or "''"
    # A second one on the same columns is another one; a key twice is one to the old schema.
    nth = (
        "CASE WHEN contype IN ('c', 'f') THEN ' ' || ROW_NUMBER() OVER (PARTITION BY conrelid, "
        "contype, (SELECT array_agg(one ORDER BY one) FROM unnest(conkey) AS one) ORDER BY oid) "
        "ELSE '' END"
    )
    excluding = "EXCLUDE" in plan.mapping.source.ddl.upper()
    kinds = "'u', 'f', 'c'" + ("" if excluding else ", 'x'")
    yield failing(
        f"'the constraint ' || k.conname || {lost}",
        f"(SELECT oid, conrelid, conname, contype, conkey, {nth} AS nth FROM pg_constraint) AS k "
        f"WHERE k.conrelid = {table} AND k.contype IN ({kinds}) AND CAST(k.contype AS text) || "
        f"' ' || COALESCE({columns}, '') || nth NOT IN ({known}){also}",
        plan.dialect,
    )


def _constraints(plan: Plan, name: str) -> list[str]:
    """The constraints of a table in the old schema, by PostgreSQL's letter and their columns."""
    source, exp = plan.mapping.source, need("sqlglot").exp
    table, written = source[name], [("u", columns) for columns in source[name].unique]
    written += [("u", table.key)]
    written += [("f", edge.columns) for edge in source.edges if edge.table == name]
    for check in plan.old[name].tree.find_all(exp.CheckColumnConstraint):
        written.append(("c", {column.name for column in check.find_all(exp.Column)}))
    found, seen = set(), Counter()
    for letter, columns in written:
        mark = (letter, *sorted(column.lower() for column in columns))
        seen[mark] += 1
        nth = f" {seen[mark]}" if letter in ("c", "f") else ""
        for one in (str.lower, lambda column: min(_small(column) - {column.lower()}, default="")):
            small = {one(column) or column.lower() for column in columns}
            found.add(f"{letter} {','.join(sorted(small))}{nth}")
    return sorted(found)


def _duckdb(plan: Plan, listed: str) -> Iterator[str]:
    for name in plan.dropped:
        here, lost = f"lower(table_name) = lower({literal(name)})", words_of(plan, name)
        yield failing(
            f"'the index ' || index_name || {lost}",
            f"duckdb_indexes() WHERE {here} AND lower(index_name) NOT IN ({listed})",
            plan.dialect,
        )
        yield failing(
            f"'the column ' || column_name || {lost}",
            f"duckdb_columns() WHERE {here} AND schema_name = current_schema() AND "
            f"lower(column_name) NOT IN ({_columns(plan, name)})",
            plan.dialect,
        )


def old_name(plan: Plan, name: str) -> str:
    """An old table behind its schema, as SQL writes it."""
    schema = plan.mapping.source[name].schema
    return ".".join(plan.name(part) for part in (schema, name) if part)


def name_in(one: Written) -> str:
    """The name of what a statement creates."""
    named = one.tree.this
    return named.name if hasattr(named, "name") else ""
