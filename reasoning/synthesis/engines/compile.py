"""Datalog as SQL: one SELECT for each head of a rule, built as a sqlglot tree and printed for a
dialect.

Nested target collections are tables with the values of their ancestors in front
(`schema.flat_columns`): no identity is computed, so none can collide.
"""

from collections.abc import Callable
from typing import Any

from reasoning.synthesis.containment import contained
from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Term, Var, components, variables
from reasoning.synthesis.errors import need
from reasoning.synthesis.schema import NEST, Schema, ancestors, flat_columns, is_edge, layout, walk

SQL_TYPES = {
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "TEXT",
    "bool": "BOOLEAN",
    "date": "DATE",
    "datetime": "TIMESTAMP",
    "decimal": "DECIMAL(38, 10)",
}
"""The type of a column by the type of its attribute; identities of source records are BIGINT."""
TableName = Callable[[str], str]


def table_name(path: str) -> str:
    """The table of a relation: its path, joined by two underscores."""
    return path.replace(NEST, "__")


def flat_names(schema: Schema, path: str) -> list[str]:
    """Names of the columns of a flattened target relation: the last part of the path joined to an
    attribute that is taken twice.
    """
    found = flat_columns(schema, path)
    names = [attr.name for _, attr in found]
    return [
        name if names.count(name) == 1 or above == path else f"{table_name(above)}__{name}"
        for (above, _), name in zip(found, names, strict=True)
    ]


def compile_program(
    program: Program,
    source: Schema,
    target: Schema,
    dialect: str,
    table: TableName = table_name,
    distinct: bool = True,
) -> dict[str, str]:
    """The SELECT that computes each target relation, flattened.

    Args:
      program: rules from `source` to `target`.
      source: the relations' columns are those of `schema.columns`.
      target: every relation of it gets an entry; a relation without rules is selected empty.
      dialect: "sqlite", "duckdb", "postgres" or "spark".
      table: the name of a source relation's table.
      distinct: False keeps DISTINCT even where a key proves that no row repeats, None of them
        otherwise.

    Raises:
      Refusal: sqlglot is not installed.
    """
    exp = need("sqlglot").exp
    found = {}
    for path, _ in walk(target):
        pairs = needed_rules(program, path, target)
        selects = [_select(exp, rule, n, source, target, table) for rule, n in pairs]
        if not selects:
            found[path] = _nothing(exp, target, path).sql(dialect=dialect, identify=True)
            continue
        unique = distinct and len(pairs) == 1 and repeats_nothing(pairs[0][0], pairs[0][1], source)
        query = selects[0] if unique else selects[0].distinct()
        for other in selects[1:]:
            query = query.union(other, distinct=True, copy=False)
        found[path] = query.sql(dialect=dialect, identify=True)
    return found


def needed_rules(program: Program, path: str, target: Schema) -> list[tuple[Rule, int]]:
    """The rules, with the number of the head, that make records of a collection, without those that
    another one of them contains.
    """
    found = [
        (rule, n)
        for rule in program.rules
        for n, head in enumerate(rule.heads)
        if head.relation == path
    ]
    kept: list[tuple[Rule, int]] = []
    for rule, n in found:
        terms = flat_terms(rule, n, target)
        if not any(
            contained(rule, terms, other, flat_terms(other, m, target)) for other, m in kept
        ):
            kept = [
                (r, m) for r, m in kept if not contained(r, flat_terms(r, m, target), rule, terms)
            ]
            kept.append((rule, n))
    return kept


def flat_terms(rule: Rule, head_number: int, target: Schema) -> list[Term]:
    """The terms of a head with those of the heads around it in front, connectors left out."""
    made = {connector.var for connector in rule.connectors}
    wanted = ancestors(rule.heads[head_number].relation)
    by_path = {head.relation: head for head in rule.heads[: head_number + 1]}
    assert set(wanted) <= set(by_path), f"{wanted[-1]} stands in a rule without the heads around it"
    del target
    return [term for path in wanted for term in by_path[path].terms if term not in made]


def _select(exp, rule, head_number, source, target, table):
    body, existing = _split(rule, head_number, target)
    plan = layout(source)
    sql_types = [
        SQL_TYPES[attr.type] for _, attr in flat_columns(target, rule.heads[head_number].relation)
    ]
    places = _places(rule.body, body, plan)
    names = flat_names(target, rule.heads[head_number].relation)
    cells = []
    for term, name, kind in zip(
        flat_terms(rule, head_number, target), names, sql_types, strict=True
    ):
        if isinstance(term, Const):
            cell = exp.cast(literal(exp, term.value), kind, dialect="duckdb")
        else:
            cell = exp.column(places[term][0][1], table=f"a{places[term][0][0]}")
        cells.append(exp.alias_(cell, name))
    select = exp.select(*cells)
    select = _from(exp, select, rule.body, body, places, plan, table)
    for group in existing:
        inner = exp.select(exp.Literal.number(1))
        inner = _from(
            exp,
            inner,
            rule.body,
            sorted(group),
            _places(rule.body, sorted(group), plan),
            plan,
            table,
        )
        select = select.where(exp.Exists(this=inner))
    return select


def _split(rule, head_number, target):
    """Atoms to join, and groups of atoms that share no variable with the head and are only asked to
    exist.
    """
    needed = {term for term in flat_terms(rule, head_number, target) if isinstance(term, Var)}
    groups = components(rule.body)
    joined = [
        group for group in groups if any(needed & set(rule.body[n].terms) for n in group)
    ] or groups[:1]
    return sorted(set().union(*joined)), [group for group in groups if group not in joined]


def _places(all_atoms, body, plan):
    """For each variable, where it stands: (number of the atom, name of the column)."""
    found: dict[Var, list[tuple[int, str]]] = {}
    for n in body:
        for term, column in zip(all_atoms[n].terms, plan[all_atoms[n].relation], strict=True):
            if isinstance(term, Var):
                found.setdefault(term, []).append((n, column.name))
    return found


def _from(exp, select, atoms, body, places, plan, table):
    for position, n in enumerate(body):
        name, alias = (
            exp.to_identifier(table(atoms[n].relation), quoted=True),
            exp.to_identifier(f"a{n}"),
        )
        aliased = exp.Table(this=name, alias=exp.TableAlias(this=alias))
        select = select.from_(aliased) if position == 0 else select.join(aliased, join_type="cross")
        for term, column in zip(atoms[n].terms, plan[atoms[n].relation], strict=True):
            if isinstance(term, Const):
                select = select.where(
                    exp.column(column.name, table=f"a{n}").eq(literal(exp, term.value))
                )
    for found in places.values():
        first = exp.column(found[0][1], table=f"a{found[0][0]}")
        for other, name in found[1:]:
            select = select.where(first.copy().eq(exp.column(name, table=f"a{other}")))
    return select


def literal(exp, value: Any):
    """A value as a literal of SQL."""
    if value is None:
        return exp.null()
    if isinstance(value, bool):
        return exp.true() if value else exp.false()
    if isinstance(value, int | float):
        return (
            exp.Literal.number(repr(value))
            if value >= 0
            else exp.Neg(this=exp.Literal.number(repr(-value)))
        )
    return exp.Literal.string(value.isoformat() if hasattr(value, "isoformat") else str(value))


def _nothing(exp, target, path):
    names = flat_names(target, path)
    kinds = [SQL_TYPES[attr.type] for _, attr in flat_columns(target, path)]
    cells = [
        exp.alias_(exp.cast(exp.null(), kind, dialect="duckdb"), name)
        for name, kind in zip(names, kinds, strict=True)
    ]
    return exp.select(*cells).where(exp.false())


def repeats_nothing(rule: Rule, head_number: int, source: Schema) -> bool:
    """Test whether declared keys prove that no row comes twice, so that DISTINCT can go: worth
    about a factor of three on DuckDB.

    Proved if the values in the head determine the row of every atom: they hold a key of it, or
      constants and equalities do,
    followed from atom to atom.
    """
    known = {
        term
        for path in ancestors(rule.heads[head_number].relation)
        for head in rule.heads
        for term in head.terms
        if head.relation == path and isinstance(term, Var)
    }
    open_atoms = list(rule.body)
    while open_atoms:
        found = next((atom for atom in open_atoms if _determined(atom, known, source)), None)
        if found is None:
            return False
        open_atoms.remove(found)
        known |= {term for term in found.terms if isinstance(term, Var)}
    return True


def _determined(atom: Atom, known: set[Var], source: Schema) -> bool:
    collection = dict(walk(source))[atom.relation]
    fixed = {
        column.name
        for column, term in zip(layout(source)[atom.relation], atom.terms, strict=True)
        if isinstance(term, Const) or term in known
    }
    keys = (
        [(*collection.key, *(("__parent",) if NEST in atom.relation else ()))]
        if collection.key
        else []
    )
    keys += [("__id",)] if collection.children else []
    return any(set(key) <= fixed for key in keys)


def uses(program: Program) -> set[tuple[str, int]]:
    """The source columns, as (relation, position), that decide anything: joined, compared or
    carried over.
    """
    found = set()
    for rule in program.rules:
        counts = variables(rule.body) + variables(rule.heads)
        for atom in rule.body:
            found |= {
                (atom.relation, p)
                for p, term in enumerate(atom.terms)
                if isinstance(term, Const) or (isinstance(term, Var) and counts[term] > 1)
            }
    return found


def edges_last(schema: Schema) -> list[str]:
    """Top-level collections in an order in which nodes come before the edges that join them."""
    return [
        c.name
        for c in sorted(schema.collections, key=lambda c: schema.kind == "graph" and is_edge(c))
    ]
