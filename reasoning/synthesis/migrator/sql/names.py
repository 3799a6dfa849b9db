"""Names in SQL, resolved against the tables in sight; what would be lost in reading is refused as
outside the fragment.

Capitals do not tell names apart, unless a schema has both; trees carry the schema's spelling.
"""

from reasoning.synthesis.errors import UserError, need
from reasoning.synthesis.migrator.sql.program import Col, Select, Source
from reasoning.synthesis.migrator.sql.tables import Tables, near, spelled


class Outside(Exception):
    """SQL that parses and lies outside the fragment; says what, and where."""

    def __init__(self, what: str, tree=None):
        super().__init__(what)
        self.line = next(
            (n.meta["line"] for n in (tree.walk() if tree is not None else ()) if "line" in n.meta),
            0,
        )


class Names:
    """Resolves the names of one function."""

    def __init__(self, tables: Tables, where: str):
        self.exp, self.tables, self.where = need("sqlglot").exp, tables, where
        self.snapshots: dict[str, tuple[str, ...]] = {}
        self.outer: list[Source] = []  # tables around EXISTS, which it may name
        self.around: list[list[Source]] = []  # tables around subqueries, which these may not name
        self.derived: dict[str, Select] = {}

    def source(self, tree) -> Source:
        """A table of the schema, or a snapshot, under its alias."""
        if isinstance(tree, self.exp.Subquery):
            return self.derived_source(tree)
        if not isinstance(tree, self.exp.Table):
            raise Outside(f"{tree.sql()!r} in FROM is outside the fragment", tree)
        self.only(
            tree, "this", "db", "catalog", "alias", "joins"
        )  # no sample, no ONLY, no index hint
        if tree.args.get("alias"):
            self.only(tree.args["alias"], "this")
        if (select := self.derived.get(tree.name.lower())) is not None:
            alias = tree.alias or tree.name
            self.apart(alias, tree)
            return Source(alias, alias, None, select)
        name = spelled(tree.name, (*self.snapshots, *self.tables.by_name))
        if name is None:
            raise UserError(
                f"{self.where}: there is no table "
                f"{tree.name!r}{near(tree.name, self.tables.by_name)}"
            )
        return Source(name, tree.alias or name)

    def derived_source(self, tree) -> Source:
        """A subquery in FROM."""
        self.only(tree, "this", "alias")
        if not tree.alias or tree.args["alias"].args.get("columns"):
            raise Outside("a subquery in FROM without an alias, or with names", tree)
        self.apart(tree.alias, tree)
        if not isinstance(tree.this, self.exp.Select):
            raise Outside("a subquery in FROM that is no plain SELECT", tree)
        return Source(tree.alias, tree.alias, None, self.select(tree.this))

    def select(self, tree) -> Select:
        """A query; of the heir that reads queries."""
        raise NotImplementedError

    def subquery(self, tree, sources) -> Select:
        """A query inside of another one, whose tables it may not name."""
        self.around.append([*sources, *self.outer])
        before, self.outer = self.outer, []
        try:
            return self.select(tree)
        finally:
            self.outer = before
            self.around.pop()

    def _not_around(self, tree) -> None:
        """Refuse a column of a query around this one.

        Raises:
          Outside: it is one.
        """
        if any(self._found(tree, sources) for sources in self.around):
            raise Outside(
                f"a subquery that refers to the query around it ({tree.sql()}), other than by "
                "equalities in EXISTS, is outside the fragment",
                tree,
            )

    def apart(self, alias: str, tree) -> None:
        """Refuse a subquery that is called like a table."""
        if spelled(alias, (*self.snapshots, *self.tables.by_name)):
            raise Outside(
                f"a subquery called {alias}, as a table is, is outside the fragment", tree
            )

    def names_of(self, source: Source):
        """Its columns."""
        if source.select is not None:
            return tuple(out.name for out in source.select.outs)
        return (
            self.snapshots[source.table]
            if source.table in self.snapshots
            else self.tables[source.table].types
        )

    def known(self, table: str, column: str) -> str:
        """The column as the schema spells it."""
        name = spelled(column, self.tables[table].types)
        if name is None:
            raise UserError(
                f"{self.where}: {table} has no column "
                f"{column!r}{near(column, self.tables[table].types)}"
            )
        return name

    def only(self, tree, *names):
        """Refuse options of a node that would be lost here."""
        if extra := [name for name, value in tree.args.items() if value and name not in names]:
            raise Outside(
                f"{extra[0].strip('_').upper().replace('_', ' ')} in {tree.sql()!r} is outside the "
                "fragment",
                tree,
            )

    def _found(self, tree, sources) -> bool:
        """Test if a column is one of the tables in sight."""
        if tree.table:
            return spelled(tree.table, [one.alias for one in sources]) is not None
        return any(spelled(tree.name, self.names_of(source)) for source in sources)

    def column(self, tree, sources) -> Col:
        """The column of one of the tables in sight."""
        if not isinstance(tree, self.exp.Column):
            raise Outside(f"{tree.sql()} stands where a column is expected", tree)
        if self.outer and not self._found(tree, sources) and self._found(tree, self.outer):
            sources = self.outer
        name, table, line = tree.name, tree.table, tree.this.meta.get("line", "")
        where = f"{self.where}, line {line}" if line else self.where
        if table:
            alias = spelled(table, [one.alias for one in sources])
            source = next((one for one in sources if one.alias == alias), None)
            if source is None:
                self._not_around(tree)
                raise UserError(
                    f"{where}: {table}.{name}: there is no table {table!r} "
                    f"here{near(table, [s.alias for s in sources])}"
                )
            found = spelled(name, self.names_of(source))
            if found is None:
                raise UserError(
                    f"{where}: {source.table} has no column "
                    f"{name!r}{near(name, self.names_of(source))}"
                )
            return Col(source.alias, found)
        having = [source for source in sources if spelled(name, self.names_of(source))]
        if len(having) > 1:
            raise UserError(
                f"{where}: {name!r} is in {having[0].alias} and in {having[1].alias}: write which"
            )
        if not having:
            self._not_around(tree)
            names = [column for source in sources for column in self.names_of(source)]
            raise UserError(f"{where}: there is no column {name!r}{near(name, names)}")
        return Col(having[0].alias, spelled(name, self.names_of(having[0])))
