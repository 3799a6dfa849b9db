"""From sqlglot's trees to ours: names are resolved, joins are told from conditions, statements over several tables become single ones.

A DELETE or UPDATE over joins becomes one whose rows are chosen by a subquery. Where several tables change at once, the rows are chosen
before the first change: a snapshot keeps their keys.
"""

from collections.abc import Sequence

from reasoning.synthesis.errors import Refusal, need
from reasoning.synthesis.migrator.program import (
    TRUE,
    Agg,
    And,
    Arith,
    Cmp,
    Col,
    Delete,
    Drop,
    Fresh,
    InList,
    InSelect,
    Insert,
    Lit,
    Lookup,
    Not,
    Or,
    Out,
    Param,
    Pred,
    Select,
    Snapshot,
    Source,
    Statement,
    Update,
    change,
    columns,
    conjunction,
    conjuncts,
)
from reasoning.synthesis.migrator.tables import Tables, near

COMPARISONS = {"EQ": "=", "NEQ": "<>", "LT": "<", "LTE": "<=", "GT": ">", "GTE": ">=", "Like": "LIKE"}
TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
ARITHMETIC = {"Add": "+", "Sub": "-", "Mul": "*", "Div": "/"}
AGGREGATES = {"Count": "COUNT", "Sum": "SUM", "Min": "MIN", "Max": "MAX", "Avg": "AVG"}


class Outside(Exception):
    """SQL that parses and lies outside the fragment; says what, and where."""

    def __init__(self, what: str, tree=None):
        super().__init__(what)
        self.line = next((n.meta["line"] for n in (tree.walk() if tree is not None else ()) if "line" in n.meta), 0)


def convert(trees: Sequence, tables: Tables, where: str) -> tuple[Statement, ...]:
    """The statements of a function.

    Raises:
      Outside: one is outside the fragment.
      Refusal: an unknown table or column.
    """
    reader = _Reader(tables, where)
    found = tuple(statement for tree in trees for statement in reader.statement(tree))
    if sum(isinstance(one, Select) for one in found) and len(found) > 1:
        raise Outside("a SELECT beside other statements", trees[0])
    return found


class _Reader:
    """Resolves the names of one function."""

    def __init__(self, tables, where):
        self.exp, self.tables, self.where = need("sqlglot").exp, tables, where
        self.snapshots: dict[str, tuple[str, ...]] = {}

    def statement(self, tree):
        makers = {"Select": lambda t: [self.select(t)], "Insert": self.insert, "Delete": self.delete, "Update": self.update,
                  "Create": self.snapshot, "Drop": self.drop}  # fmt: skip
        kind = type(tree).__name__
        if kind not in makers:
            raise Outside(f"{kind.upper()} is outside the fragment", tree)
        return makers[kind](tree)

    # Queries

    def select(self, tree) -> Select:
        allowed = {"expressions", "from_", "joins", "where", "order", "limit", "distinct", "group", "kind", "hint"}
        for name, value in tree.args.items():
            if value and name not in allowed:
                raise Outside(f"{name.upper().strip('_')} in a query is outside the fragment", tree)
        if not tree.args.get("from_"):
            raise Outside("a SELECT without FROM is outside the fragment", tree)
        sources, conditions = self.sources(tree.args["from_"].this, tree.args.get("joins") or [])
        if tree.args.get("where"):
            conditions.append(self.pred(tree.args["where"].this, sources))
        joins, rest = _split(conditions)
        limit = tree.args.get("limit")
        return Select(
            tuple(self.out(one, sources) for one in self.stars(tree.expressions, sources)),
            tuple(sources),
            tuple(joins),
            conjunction(rest) if rest else TRUE,
            tuple(self.order(one, sources) for one in (tree.args["order"].expressions if tree.args.get("order") else ())),
            self.value(limit.expression, sources) if limit else None,
            self.distinct(tree),
            tuple(self.column(one, sources) for one in (tree.args["group"].expressions if tree.args.get("group") else ())),
        )

    def distinct(self, tree):
        found = tree.args.get("distinct")
        if found and found.args.get("on"):
            raise Outside("DISTINCT ON is outside the fragment", tree)
        return bool(found)

    def sources(self, first, joins):
        """The joined tables, and the conditions of the joins."""
        joins = list(first.args.get("joins") or []) + list(joins)
        found, conditions = [self.source(first)], []
        for join in joins:
            if join.args.get("side") or join.args.get("method") or join.args.get("kind") not in (None, "", "INNER", "CROSS"):
                raise Outside(f"{join.args.get('side') or join.args.get('method') or join.args.get('kind')} JOIN is outside the fragment",
                              join)  # fmt: skip
            found.append(self.source(join.this))
            for one in join.args.get("using") or ():
                name = one.name
                left = next(s for s in found if name in self.names_of(s))
                conditions.append(Cmp("=", Col(left.alias, name), Col(found[-1].alias, name)))
            if join.args.get("on"):
                conditions.append(self.pred(join.args["on"], found))
        if len({source.alias for source in found}) < len(found):
            raise Refusal(f"{self.where}: a table is there twice under the same name: give each an alias")
        return found, conditions

    def source(self, tree) -> Source:
        if not isinstance(tree, self.exp.Table):
            raise Outside("a subquery in FROM is outside the fragment", tree)
        if tree.name not in self.tables and tree.name not in self.snapshots:
            raise Refusal(f"{self.where}: there is no table {tree.name!r}{near(tree.name, self.tables.by_name)}")
        return Source(tree.name, tree.alias or tree.name)

    def names_of(self, source):
        return self.snapshots[source.table] if source.table in self.snapshots else self.tables[source.table].types

    def stars(self, outs, sources):
        for one in outs:
            if isinstance(one, self.exp.Star) or (isinstance(one, self.exp.Column) and isinstance(one.this, self.exp.Star)):
                for source in sources:
                    if not one.find(self.exp.Column) or one.table in ("", source.alias):
                        yield from (self.exp.column(name, source.alias) for name in self.names_of(source))
            else:
                yield one

    def out(self, tree, sources) -> Out:
        name, inner = tree.alias_or_name, tree.unalias()
        kind = type(inner).__name__
        if kind not in AGGREGATES:
            value = self.value(inner, sources)
            if not isinstance(value, Col | Param | Lit):
                raise Outside("a computed output is outside the fragment", tree)
            return Out(value, name or "value")
        of, distinct = inner.this, isinstance(inner.this, self.exp.Distinct)
        of = of.expressions[0] if distinct else of
        column = None if isinstance(of, self.exp.Star) else self.value(of, sources)
        if column is not None and not isinstance(column, Col):
            raise Outside("an aggregate of anything but a column is outside the fragment", tree)
        return Out(Agg(AGGREGATES[kind], column, distinct), tree.alias or AGGREGATES[kind].lower())

    def order(self, tree, sources):
        return self.column(tree.this, sources), bool(tree.args.get("desc"))

    # Changes

    def insert(self, tree):
        exp = self.exp
        table = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this
        self.source(table)
        names = (
            [one.name for one in tree.this.expressions]
            if isinstance(tree.this, exp.Schema)
            else list(self.tables[table.name].types)
        )
        for name in names:
            self.known(table.name, name)
        if not isinstance(tree.expression, exp.Values) or tree.args.get("conflict") or tree.args.get("returning"):
            raise Outside("an INSERT of anything but VALUES is outside the fragment", tree)
        made = []
        for row in tree.expression.expressions:
            values = tuple(self.value(one, []) for one in row.expressions)
            if len(values) != len(names):
                raise Refusal(f"{self.where}: INSERT into {table.name} names {len(names)} columns and gives {len(values)} values")
            made.append(Insert(table.name, tuple(names), values))
        return made

    def known(self, table, column):
        if column not in self.tables[table].types:
            raise Refusal(f"{self.where}: {table} has no column {column!r}{near(column, self.tables[table].types)}")

    def delete(self, tree):
        using = [self.exp.Join(this=one) for one in tree.args.get("using") or []]
        sources, conditions = self.sources(tree.this, using)
        conditions += [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        named = [one.name for one in tree.args.get("tables") or []] or [sources[0].alias]
        return self.spread(sources, conditions, named, lambda source, where: Delete(source.table, where), tree)

    def update(self, tree):
        first, more = tree.this, tree.args.get("from_")
        others = [self.exp.Join(this=more.this), *(more.this.args.get("joins") or [])] if more else []
        sources, conditions = self.sources(first, others)
        conditions += [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        sets: dict[str, list] = {}
        for one in tree.expressions:
            column = self.column(one.this, sources)
            value = self.value(one.expression, sources)
            if any(isinstance(n, Col) and n.alias != column.alias for n in columns(value)):
                raise Outside("an UPDATE that takes a value from another table is outside the fragment", tree)
            sets.setdefault(column.alias, []).append((column.name, value))

        def make(source, where):
            renamed = tuple((name, _renamed(value, source)) for name, value in sets[source.alias])
            return Update(source.table, renamed, where)

        return self.spread(sources, conditions, list(sets), make, tree)

    def spread(self, sources, conditions, aliases, make, tree):
        """The statement for every table that changes."""
        by_alias = {source.alias: source for source in sources}
        if missing := [alias for alias in aliases if alias not in by_alias]:
            raise Refusal(f"{self.where}: {missing[0]!r} is none of the joined tables")
        joins, rest = _split(conditions)
        if len(sources) == 1:
            return [make(sources[0], _renamed(conjunction(rest) if rest else TRUE, sources[0]))]
        keys = {alias: self.tables[by_alias[alias].table].key for alias in aliases}
        if bare := [alias for alias in aliases if not keys[alias]]:
            raise Outside(f"{by_alias[bare[0]].table} has no primary key to choose joined rows by", tree)
        where = conjunction(rest) if rest else TRUE
        outs = tuple(Out(Col(alias, key), f"{alias}_{key}") for alias in aliases for key in keys[alias])
        whole = Select(outs, tuple(sources), tuple(joins), where)
        if len(aliases) == 1:
            source = by_alias[aliases[0]]
            return [make(source, InSelect(tuple(Col(source.table, key) for key in keys[source.alias]), whole))]
        name = f"chosen_{len(self.snapshots) + 1}"
        self.snapshots[name] = tuple(out.name for out in outs)
        made = [Snapshot(name, whole)]
        for alias in aliases:
            inner = tuple(Out(Col(name, f"{alias}_{key}"), f"{alias}_{key}") for key in keys[alias])
            chosen = InSelect(tuple(Col(by_alias[alias].table, key) for key in keys[alias]), Select(inner, (Source(name, name),)))
            made.append(make(by_alias[alias], chosen))
        return [*made, Drop(name)]

    def snapshot(self, tree):
        if not isinstance(tree.expression, self.exp.Select) or not tree.find(self.exp.TemporaryProperty):
            raise Outside("CREATE of anything but a temporary table from a SELECT is outside the fragment", tree)
        select = self.select(tree.expression)
        self.snapshots[tree.this.name] = tuple(out.name for out in select.outs)
        return [Snapshot(tree.this.name, select)]

    def drop(self, tree):
        name = tree.this.name if tree.this else tree.args["tables"][0].name
        if name not in self.snapshots:
            raise Outside("DROP of anything but a temporary table of the same function is outside the fragment", tree)
        return [Drop(name)]

    # Conditions and values

    def pred(self, tree, sources) -> Pred:
        exp, again = self.exp, lambda one: self.pred(one, sources)
        if isinstance(tree, exp.Paren):
            return again(tree.this)
        if isinstance(tree, exp.And):
            return conjunction((again(tree.left), again(tree.right)))
        if isinstance(tree, exp.Or):
            parts = [again(tree.left), again(tree.right)]
            return Or(tuple(one for part in parts for one in (part.parts if isinstance(part, Or) else (part,))))
        if isinstance(tree, exp.Not):
            inner = again(tree.this)
            turned = {"IS": "IS NOT", "IS NOT": "IS"}
            return Cmp(turned[inner.op], inner.left, inner.right) if isinstance(inner, Cmp) and inner.op in turned else Not(inner)
        if isinstance(tree, exp.Between):
            low, high = (self.value(tree.args[name], sources) for name in ("low", "high"))
            column = self.value(tree.this, sources)
            return And((Cmp(">=", column, low), Cmp("<=", column, high)))
        if isinstance(tree, exp.Is):
            self.only(tree, "this", "expression", "negate")
            op = "IS NOT" if tree.args.get("negate") else "IS"  # PostgreSQL's reader; others put NOT around it
            return Cmp(op, self.value(tree.this, sources), self.value(tree.expression, sources))
        if isinstance(tree, exp.In):
            return self.inside(tree, sources)
        if isinstance(tree, exp.Boolean):
            return TRUE if tree.this else Not(TRUE)
        return self.comparison(tree, sources)

    def comparison(self, tree, sources):
        op = COMPARISONS.get(type(tree).__name__)
        if op is None:
            raise Outside(f"{type(tree).__name__.upper()} in a condition is outside the fragment", tree)
        self.only(tree, "this", "expression")
        left, right = self.value(tree.this, sources), self.value(tree.expression, sources)
        if isinstance(right, Col) and not isinstance(left, Col) and op != "LIKE":
            left, right, op = right, left, TURNED.get(op, op)
        return Cmp(op, left, right)

    def only(self, tree, *names):
        """Refuse options of a node that would be lost here."""
        if extra := [name for name, value in tree.args.items() if value and name not in names]:
            raise Outside(f"{extra[0].upper()} in {tree.sql()} is outside the fragment", tree)

    def inside(self, tree, sources):
        self.only(tree, "this", "expressions", "query")
        left = tree.this.expressions if isinstance(tree.this, self.exp.Tuple) else [tree.this]
        names = tuple(self.column(one.unnest() if hasattr(one, "unnest") else one, sources) for one in left)
        if not tree.args.get("query"):
            return InList(names[0], tuple(self.value(one, sources) for one in tree.expressions))
        select = self.select(tree.args["query"].unnest())
        if len(select.outs) != len(names):
            raise Refusal(f"{self.where}: IN compares {len(names)} columns with {len(select.outs)}")
        return InSelect(names, select)

    def value(self, tree, sources):
        exp, kind = self.exp, type(tree).__name__
        if isinstance(tree, exp.Paren):
            return self.value(tree.this, sources)
        if isinstance(tree, exp.Placeholder):
            return Param(tree.name)
        if isinstance(tree, exp.Column):
            return self.column(tree, sources)
        if isinstance(tree, exp.Literal | exp.Boolean | exp.Null | exp.Neg):
            return Lit(tree.this if isinstance(tree, exp.Literal) and tree.is_string else tree.to_py())
        if kind in ARITHMETIC:
            return Arith(ARITHMETIC[kind], self.value(tree.left, sources), self.value(tree.right, sources))
        if isinstance(tree, exp.Subquery):
            return Lookup(self.select(tree.unnest()))
        if isinstance(tree, exp.Anonymous) and tree.name.upper() == "FRESH":
            arguments = [one.to_py() for one in tree.expressions]
            if len(arguments) != 1 or not isinstance(arguments[0], int):
                raise Refusal(f"{self.where}: FRESH takes one whole number, the same for the same key: FRESH(1)")
            return Fresh(arguments[0])
        raise Outside(f"the expression {tree.sql()} is outside the fragment", tree)

    def column(self, tree, sources) -> Col:
        if not isinstance(tree, self.exp.Column):
            raise Outside(f"{tree.sql()} stands where a column is expected", tree)
        name, table, line = tree.name, tree.table, tree.this.meta.get("line", "")
        where = f"{self.where}, line {line}" if line else self.where
        if table:
            source = next((one for one in sources if one.alias == table), None)
            if source is None:
                raise Refusal(
                    f"{where}: {table}.{name}: there is no table {table!r} here{near(table, [s.alias for s in sources])}"
                )
            if name not in self.names_of(source):
                raise Refusal(f"{where}: {source.table} has no column {name!r}{near(name, self.names_of(source))}")
            return Col(table, name)
        having = [source for source in sources if name in self.names_of(source)]
        if len(having) > 1:
            raise Refusal(f"{where}: {name!r} is in {having[0].alias} and in {having[1].alias}: write which")
        if not having:
            names = [column for source in sources for column in self.names_of(source)]
            raise Refusal(f"{where}: there is no column {name!r}{near(name, names)}")
        return Col(having[0].alias, name)


def _split(conditions):
    """Equalities of columns of two tables, and the other conditions."""
    flat = [one for condition in conditions for one in conjuncts(condition)]
    joining = lambda c: isinstance(c, Cmp) and c.op == "=" and isinstance(c.right, Col) and isinstance(c.left, Col)
    joins = [(c.left, c.right) for c in flat if joining(c) and c.left.alias != c.right.alias]
    return joins, [c for c in flat if not (joining(c) and c.left.alias != c.right.alias)]


def _renamed(tree, source):
    """Columns of a table by its alias, put under its own name."""
    return change(tree, lambda column: Col(source.table, column.name) if column.alias == source.alias else column)
