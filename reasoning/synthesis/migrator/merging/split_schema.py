"""The new schema with a table for each old one that is merged, under the old one's name and without
the column that tells their rows apart.
"""

from dataclasses import dataclass

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.similarity import similarity
from reasoning.synthesis.migrator.merging.find import Merged
from reasoning.synthesis.migrator.sql.ddl_statements import Written, creates_table, statements_of
from reasoning.synthesis.migrator.sql.tables import Tables


@dataclass(frozen=True)
class _Splitter:
    """Splits the CREATE statements of one schema."""

    source: Tables
    """The old schema."""
    target: Tables
    """The new schema."""
    merges: dict[str, Merged]
    """What each new table holds, by its name."""

    def statement(self, one: Written) -> list[str]:
        """A statement for each table that the one of this statement stands for."""
        held = self.merges.get(one.table)
        if held is None:
            tree = one.tree.copy()
            self.lead(tree, one.table, "")
            return [tree.sql(self.target.dialect)]
        made = []
        for part in held.parts:
            tree = one.tree.copy()
            without = {held.column, *held.foreign(part.source, self.target[held.table])}
            if all(self.bare(tree, one) for one in sorted(without)):
                self.lead(tree, one.table, part.source)
                self.called(tree, held.table, part.source)
                self.refers(tree, held, part.source)
                made.append(tree.sql(self.target.dialect))
        return made

    def bare(self, tree, column: str) -> bool:
        """Take a column out of a CREATE statement; False if nothing is left."""
        exp = need("sqlglot").exp
        if not creates_table(Written("", "TABLE", "", 0, tree)):
            params = tree.this.args.get("params")
            left = [
                c
                for c in (params.args.get("columns") or () if params else ())
                if not any(i.name == column for i in c.find_all(exp.Identifier))
            ]
            if params is not None:
                params.set("columns", left)
            return bool(left)
        parts = []
        for part in tree.this.expressions:
            inner = part.expressions[0] if isinstance(part, exp.Constraint) else part
            if isinstance(part, exp.ColumnDef):
                if part.name != column:
                    parts.append(part)
                continue
            if isinstance(inner, exp.ForeignKey):
                _without_pair(inner, column)
                keep = bool(inner.expressions)
            else:
                keep = self._key_left(inner, column, exp)
            if keep:
                parts.append(part)
        tree.this.set("expressions", parts)
        return True

    @staticmethod
    def _key_left(inner, column: str, exp) -> bool:
        """Take a column out of a key; False if the constraint goes."""
        if isinstance(inner, exp.CheckColumnConstraint):
            return not any(c.name == column for c in inner.find_all(exp.Column))
        holders = [inner.this] if isinstance(inner, exp.UniqueColumnConstraint) else [inner]
        for holder in holders:
            listed = holder.args.get("expressions") if hasattr(holder, "args") else None
            if not isinstance(listed, list):
                continue
            left = [
                c for c in listed if not any(i.name == column for i in c.find_all(exp.Identifier))
            ]
            holder.set("expressions", left)
            return bool(left)
        return True

    def lead(self, tree, table: str, part: str) -> None:
        """Let references to a merged table lead to the one of the old tables that is meant."""
        exp = need("sqlglot").exp
        for reference in list(tree.find_all(exp.Reference)):
            named = reference.find(exp.Table)
            held = self.merges.get(named.name) if named is not None else None
            if held is None:
                continue
            key = reference.find_ancestor(exp.ForeignKey)
            if key is not None:
                self._without_far(key, reference, held)
                columns = [c.name for c in key.expressions]
            else:
                columns = [reference.find_ancestor(exp.ColumnDef).name]
            to = self.meant(held, table, part, columns)
            if to:
                named.this.set("this", to)
                named.this.set("quoted", True)
            elif key is not None and key.parent is not None:
                (key.parent if isinstance(key.parent, exp.Constraint) else key).pop()
            else:
                reference.parent.pop()

    @staticmethod
    def _without_far(key, reference, held: Merged) -> None:
        """Take the telling column of the table referred to out of both sides of a reference."""
        inner = reference.this
        far = [c.name for c in getattr(inner, "expressions", ())]
        if held.column in far:
            n = far.index(held.column)
            inner.set("expressions", [c for k, c in enumerate(inner.expressions) if k != n])
            key.set("expressions", [c for k, c in enumerate(key.expressions) if k != n])

    def meant(self, held: Merged, table: str, part: str, columns: list[str]) -> str:
        """The old table that a reference to a merged table leads to; empty: none is known."""
        options = []
        for edge in self.source.edges:
            if edge.to not in held.sources or (part and edge.table != part):
                continue
            close = similarity(edge.table, part or table)
            alike = similarity(edge.columns[0], columns[0]) if columns else 0.0
            options.append((round(close + alike, 3), edge.to))
        return max(options)[1] if options else ""

    def called(self, tree, table: str, name: str) -> None:
        """Give the table of a CREATE statement another name."""
        exp = need("sqlglot").exp
        own = tree.this.this if isinstance(tree.this, exp.Schema) else tree.this.args.get("table")
        own = own if isinstance(own, exp.Table) else tree.find(exp.Table)
        own.this.set("this", name)
        own.this.set("quoted", True)
        if isinstance(tree.this, exp.Index) and tree.this.this is not None:
            tree.this.this.set("this", f"{tree.this.name}_{name}")
            tree.this.this.set("quoted", True)

    def refers(self, tree, held: Merged, part: str) -> None:
        """Declare the references that the new table holds and does not declare."""
        exp, dialect = need("sqlglot").exp, self.target.dialect
        if not isinstance(tree.this, exp.Schema):
            return
        for column, edge in held.loose.get(part, ()):
            names = (exp.to_identifier(one, quoted=True) for one in (column, edge.to_columns[0]))
            mine, there = (one.sql(dialect) for one in names)
            to = exp.to_identifier(edge.to, quoted=True).sql(dialect)
            text = f"CREATE TABLE t (FOREIGN KEY ({mine}) REFERENCES {to} ({there}))"
            made = need("sqlglot").parse_one(text, read=dialect).this.expressions[0]
            tree.this.append("expressions", made)


def _without_pair(key, column: str) -> None:
    """Take a column and the one that it refers to out of a FOREIGN KEY."""
    names = [c.name for c in key.expressions]
    if column not in names:
        return
    n = names.index(column)
    key.set("expressions", [c for k, c in enumerate(key.expressions) if k != n])
    inner = key.args["reference"].this
    if getattr(inner, "expressions", None):
        inner.set("expressions", [c for k, c in enumerate(inner.expressions) if k != n])


def split_schema(source: Tables, target: Tables, merges: list[Merged]) -> str:
    """DDL of the new schema in which each merged table is split again.

    Args:
      source: the old schema.
      target: the new schema.
      merges: its merged tables.
    """
    splitter = _Splitter(source, target, {one.table: one for one in merges})
    written = [
        s for s in statements_of(target.ddl, target.dialect) if s.kind in ("TABLE", "INDEX", "TYPE")
    ]
    texts = []
    for one in written:
        texts += [one.text] if one.kind == "TYPE" else splitter.statement(one)
    return ";\n".join(texts) + ";\n"
