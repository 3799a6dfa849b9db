"""Datalog as SQL: one SELECT for each head of a rule, built as a sqlglot tree and printed for a
dialect.

Nested target collections are tables with the values of their ancestors in front
(`schema.flat_columns`): no identity is computed, so none can collide.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.datalog import (
    Atom,
    Const,
    Program,
    Rule,
    Var,
    components,
    variables,
    variables_of,
)
from reasoning.synthesis.engines.identity import Derived, derivations_of, flat_terms, keyed
from reasoning.synthesis.errors import need
from reasoning.synthesis.functions import sql as call_sql
from reasoning.synthesis.names import backticked, inner, quoted, table_name
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
Rename = Callable[[str], str]


@dataclass(frozen=True)
class Output:
    """Names that the SELECTs of a program read and return."""

    table: Rename = table_name
    """The table of a source relation, from its path."""
    column: Rename = inner
    """The column of an attribute, from its name."""
    keys: bool = False
    """Return, behind the values, the identities `__k0`, `__k1`, ... of the record and those around
    it, where source rows identify them; and in that order.
    """
    distinct: bool = True
    """False keeps DISTINCT even where a key proves that no row repeats."""


STORED = Output(keys=True)
"""Names in the working database."""
NAMED = Output(str, str, keys=True)
"""Names of tables of the user, called as their collections."""


def flat_names(schema: Schema, path: str) -> list[str]:
    """Names of the columns of a flattened target relation: v0, v1, ..., those of its ancestors
    first.
    """
    return [f"v{n}" for n in range(len(flat_columns(schema, path)))]


def shown_names(schema: Schema, path: str) -> list[str]:
    """Readable names of the same columns: the path joined to an attribute that is taken twice."""
    found = flat_columns(schema, path)
    names = [attr.name for _, attr in found]
    return [
        name if names.count(name) == 1 or above == path else f"{above}.{name}"
        for (above, _), name in zip(found, names, strict=True)
    ]


def compile_program(
    program: Program, source: Schema, target: Schema, dialect: str, output: Output | None = None
) -> dict[str, str]:
    """The SELECT that computes each target relation, flattened: one row for every record.

    Args:
      program: rules from `source` to `target`.
      source: the relations' columns are those of `schema.columns`.
      target: every relation of it gets an entry; a relation without rules is selected empty.
      dialect: "sqlite", "duckdb", "postgres" or "spark".
      output: names and identities; None: the working database's names, no identities.

    Raises:
      UserError: sqlglot is not installed.
    """
    exp = need("sqlglot").exp
    output, found = output or Output(), {}
    for path, _ in walk(target):
        derived = derivations_of(program, path, target)
        if not derived:
            found[path] = _nothing(exp, target, path).sql(dialect=dialect, identify=True)
            continue
        maker = _Maker(exp, source, target, dialect, output, keyed(derived))
        queries = [maker.rule(one, len(derived) > 1) for one in derived]
        merge = any(one.levels[-1] is None for one in derived)
        found[path] = maker.united(queries, merge, path)
    return found


def key_names(program: Program, path: str, target: Schema) -> list[str | None]:
    """For every level the column of its identity in a query with `keys`; None: its values."""
    flags = keyed(derivations_of(program, path, target))
    return [f"__k{n}" if flag else None for n, flag in enumerate(flags)]


ROWID = {"duckdb": "rowid", "sqlite": "rowid", "postgres": "ctid"}
"""The hidden number of a row."""


@dataclass(frozen=True)
class _Maker:
    """Builds the SELECTs of one target relation."""

    exp: Any
    source: Schema
    target: Schema
    dialect: str
    output: Output
    flags: tuple[bool, ...]

    def rule(self, one: Derived, several: bool) -> str:
        """One rule: values, then identities, one row for every record."""
        rule, exp = one.rule, self.exp
        body, existing = self._split(one)
        places = self.places(rule.body, body)
        counted = one.levels[-1]
        once = counted is None or self._each_once(one, body)
        numbered = self.output.keys or not once
        select = exp.select(*self._values(one, places), *self._identities(one, several))
        select = self.joined(select, rule.body, body, numbered)
        for group in existing:
            inside = exp.select(exp.Literal.number(1))
            select = select.where(exp.Exists(this=self.joined(inside, rule.body, sorted(group))))
        if counted is None:
            if self.output.distinct and repeats_nothing(rule, one.head, self.source):
                return self.sql(select)
            return self.sql(select if several else select.distinct())
        if once:
            return self.sql(select)
        marks = [exp.alias_(self.row(rule, n), f"__r{n}") for n in counted]
        names = ", ".join(quote(self.dialect, name) for name in self.names(rule, one.head))
        return f"SELECT {names} FROM ({self.sql(select.select(*marks).distinct())}) AS d"

    def names(self, rule, head) -> list[str]:
        """The columns that are returned."""
        found = flat_names(self.target, rule.heads[head].relation)
        return found + [f"__k{n}" for n, flag in enumerate(self.flags) if flag and self.output.keys]

    def united(self, queries: list[str], merge: bool, path: str) -> str:
        """Several rules one after the other; equal records of them are one if any merges."""
        if len(queries) == 1:
            return queries[0]
        return (" UNION " if merge else " UNION ALL ").join(queries)

    def sql(self, select) -> str:
        return select.sql(dialect=self.dialect, identify=True)

    def _split(self, one: Derived):
        """Atoms to join, and groups of atoms that only have to exist."""
        terms = flat_terms(one.rule, one.head, self.target)
        needed = {var for term in terms for var in variables_of(term)}
        counted = {n for level in one.levels if level for n in level}
        groups = components(one.rule.body)
        joined = [
            group
            for group in groups
            if group & counted or any(needed & set(one.rule.body[n].terms) for n in group)
        ] or groups[:1]
        return sorted(set().union(*joined)), [group for group in groups if group not in joined]

    def _each_once(self, one: Derived, body: list[int]) -> bool:
        """Test whether the rows of the counted atoms determine those of all the others."""
        counted = set(one.levels[-1] or ())
        if set(body) <= counted:
            return True
        known = {t for n in counted for t in one.rule.body[n].terms if isinstance(t, Var)}
        rest = [one.rule.body[n] for n in body if n not in counted]
        return _all_determined(rest, known, self.source)

    def _values(self, one: Derived, places):
        exp, path = self.exp, one.rule.heads[one.head].relation
        kinds = [SQL_TYPES[attr.type] for _, attr in flat_columns(self.target, path)]
        terms = flat_terms(one.rule, one.head, self.target)
        for term, name, kind in zip(terms, flat_names(self.target, path), kinds, strict=True):
            if isinstance(term, Var):
                cell = self.cell(*places[term][0])
            else:
                cell = exp.cast(self.value(term, places), kind, dialect="duckdb")
            yield exp.alias_(cell, name)

    def value(self, term, places):
        """A variable, constant or call as SQL."""
        if isinstance(term, Var):
            return self.cell(*places[term][0])
        if isinstance(term, Const):
            return literal(self.exp, term.value)
        cells = [self.value(arg, places).sql(dialect=self.dialect) for arg in term.args]
        return self.exp.maybe_parse(call_sql(term.name, cells, self.dialect), dialect=self.dialect)

    def _identities(self, one: Derived, several: bool):
        if not self.output.keys:
            return
        for n, (flag, level) in enumerate(zip(self.flags, one.levels, strict=True)):
            if flag:
                yield self.exp.alias_(self._identity(one, n, level), f"__k{n}")

    def _identity(self, one: Derived, n: int, level):
        """A list of row numbers in DuckDB, which sorts as the source does; text elsewhere."""
        exp = self.exp
        rows = [self.row(one.rule, m) for m in level]
        rows.insert(0, exp.Literal.number(one.source[n]))
        if self.dialect == "duckdb":
            return exp.Array(expressions=rows)
        cells = [exp.cast(row, "text") for row in rows]
        found = cells[0]
        for cell in cells[1:]:
            found = exp.DPipe(
                this=exp.DPipe(this=found, expression=exp.Literal.string("-")), expression=cell
            )
        return found

    def row(self, rule, n: int):
        """The hidden number of an atom's row."""
        name = ROWID.get(self.dialect, "__row")
        if self._hides(rule.body[n].relation):
            name = "__row"
        found = self.exp.column(name, table=f"a{n}", quoted=name == "__row")
        if not rule.body[n].optional:
            return found
        # No row of an optional atom is one of the cases: it has a number of its own.
        none = "'none'" if self.dialect == "postgres" else "-1"
        cell = self.exp.cast(found, "text") if self.dialect == "postgres" else found
        return self.exp.func("COALESCE", cell, self.exp.maybe_parse(none))

    def _hides(self, relation: str) -> bool:
        """Test whether the number must be made: Spark has none, and a column may hide it."""
        names = {self.output.column(c.name).lower() for c in layout(self.source)[relation]}
        return self.dialect not in ROWID or ROWID[self.dialect] in names

    def cell(self, atom: int, name: str):
        return self.exp.column(name, table=f"a{atom}", quoted=True)

    def column(self, column) -> str:
        """The column of an argument: identities have names of their own."""
        return column.name if column.is_id else self.output.column(column.name)

    def places(self, atoms, body):
        """For each variable, where it stands: (number of the atom, name of the column)."""
        found: dict[Var, list[tuple[int, str]]] = {}
        for n in body:
            columns = layout(self.source)[atoms[n].relation]
            for term, column in zip(atoms[n].terms, columns, strict=True):
                if isinstance(term, Var):
                    found.setdefault(term, []).append((n, self.column(column)))
        return found

    def joined(self, select, atoms, body, numbered=False):
        """Add FROM and WHERE of some atoms of a body to a query.

        Args:
          select: the query as a tree of sqlglot.
          atoms: the atoms of the whole body.
          body: the numbers of the atoms to join; optional ones become LEFT JOINs.
          numbered: number the rows of relations whose row number must be made.

        Returns:
          The query with the joins and conditions.
        """
        exp, places = self.exp, self.places(atoms, body)
        for position, n in enumerate(n for n in body if not atoms[n].optional):
            relation = self._relation(atoms[n].relation, f"a{n}", numbered)
            select = (
                select.from_(relation)
                if position == 0
                else select.join(relation, join_type="cross")
            )
            for test in self._constants(atoms, n):
                select = select.where(test)
        for var, found in places.items():
            first, *others = [place for place in found if not atoms[place[0]].optional] or [None]
            if first and var.firm and not others:
                select = select.where(
                    exp.Not(this=exp.Is(this=self.cell(*first), expression=exp.null()))
                )
            for other in others:
                select = select.where(self.cell(*first).eq(self.cell(*other)))
        for n in (n for n in body if atoms[n].optional):
            tests = self._constants(atoms, n)
            for found in places.values():
                mine = [place for place in found if place[0] == n]
                first = found[0]
                tests += [
                    self.cell(*first).eq(self.cell(*other)) for other in mine if other != first
                ]
            relation = self._relation(atoms[n].relation, f"a{n}", numbered)
            on = exp.and_(*tests) if tests else exp.true()
            select = select.join(relation, on=on, join_type="left")
        return select

    def _constants(self, atoms, n: int) -> list:
        """The tests of an atom's constants."""
        columns = layout(self.source)[atoms[n].relation]
        return [
            self.cell(n, self.column(column)).eq(literal(self.exp, term.value))
            for term, column in zip(atoms[n].terms, columns, strict=True)
            if isinstance(term, Const)
        ]

    def _relation(self, path: str, alias: str, numbered: bool):
        exp = self.exp
        table = exp.Table(this=exp.to_identifier(self.output.table(path), quoted=True))
        name = exp.TableAlias(this=exp.to_identifier(alias))
        if not numbered or not self._hides(path):
            table.set("alias", name)
            return table
        number = (
            "monotonically_increasing_id()" if self.dialect == "spark" else ("row_number() OVER ()")
        )
        made = exp.alias_(exp.maybe_parse(number, dialect=self.dialect), "__row", quoted=True)
        return exp.Subquery(this=exp.select(exp.Star(), made).from_(table), alias=name)


def quote(dialect: str, name: str) -> str:
    """A name in a dialect."""
    return backticked(name) if dialect == "spark" else quoted(name)


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


def _all_determined(atoms: list[Atom], known: set, source: Schema) -> bool:
    """Test whether keys determine the rows of all atoms from known variables."""
    left, known = list(atoms), set(known)
    while left:
        found = next((atom for atom in left if _determined(atom, known, source)), None)
        if found is None:
            return False
        left.remove(found)
        known |= {term for term in found.terms if isinstance(term, Var)}
    return True


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
        if head.relation == path and isinstance(term, Var) and term in _required(rule)
    }
    return _all_determined(list(rule.body), known, source)


def _required(rule: Rule) -> set[Var]:
    """The variables of the atoms that are not optional."""
    return set(variables(tuple(atom for atom in rule.body if not atom.optional)))


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


def values_of(rule: Rule, var: Var, source: Schema, output: Output) -> str:
    """Select the values that a variable of a rule takes.

    Args:
      rule: the rule.
      var: a variable of its body.
      source: the source schema.
      output: gives the names of tables and columns.

    Returns:
      A query in DuckDB's SQL with one row for each derivation.
    """
    exp = need("sqlglot").exp
    maker = _Maker(exp, source, source, "duckdb", output, ())
    body = list(range(len(rule.body)))
    cell = maker.cell(*maker.places(rule.body, body)[var][0])
    return maker.sql(maker.joined(exp.select(exp.alias_(cell, "v")), rule.body, body))


def rows_used(rule: Rule, atom: int, source: Schema, output: Output) -> str:
    """Select the row numbers of the source records that an atom of a rule stands for.

    Args:
      rule: the rule.
      atom: the number of the atom in the body, from 0.
      source: the source schema.
      output: gives the names of tables and columns.

    Returns:
      A query in DuckDB's SQL with one row for each derivation in which the atom has a record.
    """
    exp = need("sqlglot").exp
    maker = _Maker(exp, source, source, "duckdb", output, ())
    body = list(range(len(rule.body)))
    row = exp.column("rowid", table=f"a{atom}")
    select = maker.joined(exp.select(row), rule.body, body)
    if rule.body[atom].optional:
        select = select.where(exp.Not(this=exp.Is(this=row.copy(), expression=exp.null())))
    return maker.sql(select)


def uses(program: Program) -> set[tuple[str, int]]:
    """The source columns, as (relation, position), that decide anything: joined, compared or
    carried over.
    """
    found = set()
    for rule in program.rules:
        counts = variables(rule.body) + variables(rule.heads)
        counts.update({var: 1 for var in counts if var.firm})
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
