"""From sqlglot's trees to ours: names are resolved, joins are separated from conditions,
statements over several tables become single ones.

A DELETE or UPDATE over joins becomes one whose rows are chosen by a subquery. Where several tables
change at once, the rows are chosen before the first change: a snapshot keeps their keys.
"""

from collections.abc import Sequence
from dataclasses import replace

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql.names import Outside
from reasoning.synthesis.migrator.sql.program import (
    TRUE,
    Col,
    Compound,
    Conflict,
    Delete,
    Drop,
    Fill,
    InSelect,
    Insert,
    Lit,
    Out,
    Select,
    Snapshot,
    Source,
    Statement,
    Update,
)
from reasoning.synthesis.migrator.sql.selects import Selects, split
from reasoning.synthesis.migrator.sql.tables import Tables, ordered_by, spelled
from reasoning.synthesis.migrator.sql.visitors import change, columns, conjunction


def convert(trees: Sequence, tables: Tables, where: str) -> tuple[Statement, ...]:
    """The statements of a function.

    Raises:
      Outside: one is outside the fragment.
      UserError: an unknown table or column.
    """
    reader = _Reader(tables, where)
    found = tuple(statement for tree in trees for statement in reader.statement(tree))
    if sum(isinstance(one, Select | Compound) for one in found) and len(found) > 1:
        raise Outside("a SELECT next to other statements", trees[0])
    if sum(bool(getattr(one, "returning", ())) for one in found) > 1:
        raise Outside("RETURNING of several statements", trees[0])
    return found


class _Reader(Selects):
    """Reads the statements of one function."""

    def statement(self, tree):
        makers = {
            "Select": lambda t: [self.select(t)],
            **dict.fromkeys(("Union", "Except", "Intersect"), lambda t: [self.compound(t)]),
            "Insert": self.insert,
            "Delete": self.delete,
            "Update": self.update,
            "Create": self.snapshot,
            "Drop": self.drop,
        }
        kind = type(tree).__name__
        if kind not in makers:
            raise Outside(f"{kind.upper()} is outside the fragment", tree)
        return makers[kind](tree)

    def insert(self, tree):
        exp, whole = self.exp, not isinstance(tree.this, self.exp.Schema)
        table = self.source(tree.this if whole else tree.this.this).table
        if table in self.snapshots:
            raise Outside("an INSERT into a temporary table is outside the fragment", tree)
        names = (
            list(self.tables[table].stored)
            if whole
            else [self.known(table, one.name) for one in tree.this.expressions]
        )
        if len(set(names)) < len(names):
            raise UserError(f"{self.where}: INSERT into {table} names a column twice: remove one")
        if isinstance(tree.expression, exp.Select):
            self.only(tree, "this", "expression", "conflict", "ignore", "alternative")
            if tree.args.get("alternative") not in (None, "IGNORE"):
                raise Outside(f"INSERT OR {tree.args['alternative']} is outside the fragment", tree)
            conflict = self.conflict(tree, table)
            if conflict and conflict.sets:
                raise Outside("INSERT ... SELECT with ON CONFLICT DO UPDATE", tree)
            select = self.select(tree.expression)
            if len(select.outs) != len(names):
                raise UserError(
                    f"{self.where}: INSERT into {table} names {len(names)} columns and selects "
                    f"{len(select.outs)}"
                )
            if tree.args.get("alternative") or tree.args.get("ignore"):
                self.never_null(tree, table, dict(zip(names, select.outs, strict=True)), select)
            return [Fill(table, tuple(names), select, conflict)]
        if not isinstance(tree.expression, exp.Values):
            raise Outside("an INSERT of anything but VALUES or a SELECT", tree)
        self.only(tree, "this", "expression", "conflict", "returning", "alternative", "ignore")
        if tree.args.get("alternative") not in (None, "IGNORE"):
            raise Outside(f"INSERT OR {tree.args['alternative']} is outside the fragment", tree)
        conflict = self.conflict(tree, table)
        returning = self.returning(tree, table)
        if returning and len(tree.expression.expressions) > 1:
            raise Outside("RETURNING of several rows is outside the fragment", tree)
        made = []
        for row in tree.expression.expressions:
            values = tuple(self.value(one, []) for one in row.expressions)
            if len(values) != len(names):
                raise UserError(
                    f"{self.where}: INSERT into {table} names {len(names)} columns and gives "
                    f"{len(values)} values"
                )
            made.append(Insert(table, tuple(names), values, conflict, returning))
        return made

    def never_null(self, tree, table: str, outs: dict[str, Out], select: Select) -> None:
        """Refuse INSERT OR IGNORE of rows that it may leave out for NULL, which ON CONFLICT DO
        NOTHING does not.

        Raises:
          Outside: a column that must have a value could get NULL.
        """
        tables = {one.alias: one.table for one in select.sources if one.on is None}
        for column in self.tables[table].required:
            value = outs[column].value if column in outs else None
            inner = tables.get(value.alias, "") if isinstance(value, Col) else ""
            known = inner in self.tables and isinstance(value, Col)
            there = self.tables[inner] if known else None
            if column not in outs or (isinstance(value, Lit) and value.value is not None):
                continue
            if there is None or value.name not in {*there.required, *there.key}:
                raise Outside(f"INSERT OR IGNORE ... SELECT of NULL into {table}.{column}", tree)

    def conflict(self, tree, table: str) -> Conflict | None:
        """The ON CONFLICT of an INSERT, as each dialect writes it."""
        found = tree.args.get("conflict")
        if found is None:
            ignored = tree.args.get("alternative") or tree.args.get("ignore")
            return Conflict(()) if ignored else None
        if found.args.get("constraint") or found.args.get("index_where"):
            raise Outside("ON CONFLICT by anything but columns is outside the fragment", tree)
        here = [Source(table, table), Source(table, "excluded")]
        sets = []
        for one in found.expressions:
            column = self.known(table, one.this.name)
            value = one.expression.transform(self.not_inserted)
            # A bare name means the row that is there.
            for node in value.find_all(self.exp.Column):
                if not node.table:
                    node.set("table", self.exp.to_identifier(table))
            sets.append((column, self.value(value, here)))
        keys = [self.key_name(table, one) for one in found.args.get("conflict_keys") or ()]
        if sets and not keys:  # MySQL takes any key
            keys = list(self.tables[table].key)
        where = found.args.get("where")
        return Conflict(tuple(keys), tuple(sets), self.pred(where.this, here) if where else TRUE)

    def key_name(self, table: str, tree) -> str:
        inner = tree.this if isinstance(tree, self.exp.Ordered) else tree
        if not isinstance(inner, self.exp.Column | self.exp.Identifier):
            raise Outside("ON CONFLICT over an expression is outside the fragment", tree)
        return self.known(table, inner.name)

    def not_inserted(self, node):
        """MySQL's VALUES(column), as others write it."""
        exp = self.exp
        if isinstance(node, exp.Anonymous) and node.name.upper() == "VALUES":
            return exp.column(node.expressions[0].name, "excluded")
        return node

    def returning(self, tree, table: str) -> tuple[Out, ...]:
        """The outputs of RETURNING."""
        found = tree.args.get("returning")
        if not found:
            return ()
        sources = [Source(table, table)]
        return tuple(self.out(one, sources) for one in self.stars(found.expressions, sources))

    def delete(self, tree):
        self.only(tree, "this", "using", "where", "tables", "returning")  # no LIMIT, no WITH
        using = [self.exp.Join(this=one) for one in tree.args.get("using") or []]
        sources, conditions = self.sources(tree.this, using)
        conditions += (
            [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        )
        named = [one.name for one in tree.args.get("tables") or []] or [sources[0].alias]
        return self.returned(
            self.spread(
                sources, conditions, named, lambda source, where: Delete(source.table, where), tree
            ),
            tree,
        )

    def returned(self, made, tree):
        """Changes with the outputs of RETURNING, if there is one change."""
        if not tree.args.get("returning"):
            return made
        if len(made) > 1:
            raise Outside("RETURNING of a change of several tables", tree)
        return [replace(made[0], returning=self.returning(tree, made[0].table))]

    def update(self, tree):
        self.only(tree, "this", "from_", "where", "expressions", "returning")
        first, more = tree.this, tree.args.get("from_")
        others = (
            [self.exp.Join(this=more.this), *(more.this.args.get("joins") or [])] if more else []
        )
        sources, conditions = self.sources(first, others)
        conditions += (
            [self.pred(tree.args["where"].this, sources)] if tree.args.get("where") else []
        )
        sets: dict[str, list] = {}
        for one in tree.expressions:
            column = self.column(one.this, sources)
            value = self.value(one.expression, sources)
            if any(isinstance(n, Col) and n.alias != column.alias for n in columns(value)):
                raise Outside(
                    "an UPDATE that takes a value from another table is outside the fragment", tree
                )
            sets.setdefault(column.alias, []).append((column.name, value))

        def make(source, where):
            renamed = tuple((name, _renamed(value, source)) for name, value in sets[source.alias])
            return Update(source.table, renamed, where)

        return self.returned(self.spread(sources, conditions, list(sets), make, tree), tree)

    def spread(self, sources, conditions, aliases, make, tree):
        """Make the statement for every table that changes.

        Args:
          sources: the joined tables.
          conditions: conditions of the joins and of WHERE.
          aliases: aliases of the tables that change.
          make: gives the statement for a source and a condition on its rows.
          tree: sqlglot's tree of the whole statement, for errors.

        Returns:
          One statement; for several tables a snapshot of the keys of all rows, a statement for
            each table, and one that drops the snapshot.

        Raises:
          UserError: an alias is none of the joined tables.
          Outside: the change is outside the fragment: of a temporary table, over LEFT JOIN, or of
            joined rows without a primary key.
        """
        by_alias = {source.alias: source for source in sources}
        if missing := [alias for alias in aliases if spelled(alias, by_alias) is None]:
            raise UserError(f"{self.where}: {missing[0]!r} is none of the joined tables")
        aliases = [spelled(alias, by_alias) for alias in aliases]
        if kept := [
            by_alias[alias].table for alias in aliases if by_alias[alias].table in self.snapshots
        ]:
            raise Outside(
                f"a change of the temporary table {kept[0]} is outside the fragment", tree
            )
        if any(source.on is not None for source in sources):
            raise Outside("a change over LEFT JOIN is outside the fragment", tree)
        joins, rest = split(conditions)
        if len(sources) == 1:
            return [make(sources[0], _renamed(conjunction(rest) if rest else TRUE, sources[0]))]
        keys = {alias: self.tables[by_alias[alias].table].key for alias in aliases}
        if bare := [alias for alias in aliases if not keys[alias]]:
            raise Outside(
                f"{by_alias[bare[0]].table} has no primary key to choose joined rows by", tree
            )
        where = conjunction(rest) if rest else TRUE
        last = ordered_by(
            {source.table for source in sources}, self.tables.edges
        )  # rows that refer change first
        aliases = sorted(aliases, key=lambda alias: -last.index(by_alias[alias].table))

        def named(alias, key):
            return f"{alias}_{key}" if len(aliases) > 1 else key

        outs = tuple(
            Out(Col(alias, key), named(alias, key)) for alias in aliases for key in keys[alias]
        )
        whole = Select(outs, tuple(sources), tuple(joins), where)
        if len(aliases) == 1:
            source = by_alias[aliases[0]]
            return [
                make(
                    source,
                    InSelect(tuple(Col(source.table, key) for key in keys[source.alias]), whole),
                )
            ]
        name = f"chosen_{len(self.snapshots) + 1}"
        self.snapshots[name] = tuple(out.name for out in outs)
        made = [Snapshot(name, whole)]
        for alias in aliases:
            inner = tuple(Out(Col(name, f"{alias}_{key}"), f"{alias}_{key}") for key in keys[alias])
            chosen = InSelect(
                tuple(Col(by_alias[alias].table, key) for key in keys[alias]),
                Select(inner, (Source(name, name),)),
            )
            made.append(make(by_alias[alias], chosen))
        return [*made, Drop(name)]

    def snapshot(self, tree):
        if not isinstance(tree.expression, self.exp.Select) or not tree.find(
            self.exp.TemporaryProperty
        ):
            raise Outside(
                "CREATE of anything but a temporary table from a SELECT is outside the fragment",
                tree,
            )
        select = self.select(tree.expression)
        self.snapshots[tree.this.name] = tuple(out.name for out in select.outs)
        return [Snapshot(tree.this.name, select)]

    def drop(self, tree):
        name = tree.this.name if tree.this else tree.args["tables"][0].name
        if name not in self.snapshots:
            raise Outside(
                "DROP of anything but a temporary table of the same function is outside the "
                "fragment",
                tree,
            )
        return [Drop(name)]


def _renamed(tree, source):
    """Columns of a table by its alias, put under its own name."""
    return change(
        tree,
        lambda column: Col(source.table, column.name) if column.alias == source.alias else column,
    )
