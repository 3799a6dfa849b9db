"""Lookup tables of a new schema, and the schema without them: with the values where the references
are.

Our choice: the functions are found for that plainer schema, where nothing but a column's name
changed, and are rewritten afterwards; the whole is then compared with the old program.
"""

from dataclasses import dataclass

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.similarity import similarity, singular
from reasoning.synthesis.migrator.sql.ddl_statements import Written, creates_table, statements_of
from reasoning.synthesis.migrator.sql.tables import Edge, Place, Tables


@dataclass(frozen=True)
class Extracted:
    """A column whose values a lookup table holds."""

    table: str
    """The table with the reference."""
    column: str
    """Column of the plainer schema that holds the value; the reference itself if its key is the
    value.
    """
    reference: str
    """The column that refers to the lookup table."""
    lookup: str
    """The lookup table."""
    key: str
    """Its key."""
    value: str
    """Its unique column."""
    required: bool
    """True if there is always a value."""

    @property
    def natural(self) -> bool:
        """True if the value is the key."""
        return self.key == self.value


def extracted(source: Tables, target: Tables) -> list[Extracted]:
    """The lookup tables that the new schema adds: referred to once, with one unique column for
    which the old schema has a column that is nowhere else.
    """
    found: list[Extracted] = []
    for edge in target.edges:
        lookup, table = target[edge.to], target[edge.table]
        alone = sum(edge.to in (e.to, e.table) for e in target.edges) == 1
        if edge.to in source or not alone or len(edge.columns) != 1 or len(lookup.key) != 1:
            continue
        (reference,), (key,) = edge.columns, edge.to_columns
        if (key,) != lookup.key or (reference,) in (table.key, *table.unique):
            continue
        values = [c for (c,) in (u for u in lookup.unique if len(u) == 1)] or [key]
        left = [c for c in lookup.stored if c not in (key, values[0])]
        if len(values) > 1 or any(
            c in lookup.required - {*lookup.defaults, *lookup.moments} for c in left
        ):
            continue
        if values == [key] and lookup.types[key] == "int":
            continue
        column = _column(source, target, edge, lookup.types[values[0]], values[0])
        if column:
            required = reference in table.required | set(table.key)
            one = (edge.table, column, reference, edge.to, key, values[0], required)
            found.append(Extracted(*one))
    return found


def _column(source: Tables, target: Tables, edge: Edge, kind: str, value: str) -> str:
    """The old column whose values these are; empty: none."""
    (reference,), table = edge.columns, target[edge.table]
    if edge.to_columns == (value,):
        # A table of another name may be an old one that is gone.
        here = (
            [edge.table] if edge.table in source else [t for t in source.by_name if t not in target]
        )
        known = any(source[name].types.get(reference) == kind for name in here)
        return reference if known else ""
    stem = reference.removesuffix("_id").removesuffix("Id").removesuffix("ID")
    likely = (stem, edge.to, f"{stem}_{value}")
    options = []
    for name, old in source.by_name.items():
        for column in old.stored:
            gone = name not in target or column not in target[name].types
            if old.types[column] == kind and gone and column not in table.types:
                close = max(similarity(column, word) for word in likely)
                options.append((name == edge.table, close, column))
    best = max(options, default=(False, 0.0, ""))
    return best[2] if best[0] or best[1] > 0.5 else ""


def without_lookups(target: Tables, lookups: list[Extracted]) -> str:
    """DDL of the new schema with the values in place of the references."""
    exp, texts = need("sqlglot").exp, []
    written = statements_of(target.ddl, target.dialect)
    defined = {one.table: one for one in written if creates_table(one)}
    gone = {one.lookup for one in lookups}
    for one in written:
        if one.kind not in ("TABLE", "INDEX") or one.table in gone:
            continue
        tree = one.tree.copy()
        for lookup in lookups:
            if lookup.table == one.table:
                _put_back(tree, lookup, defined[lookup.lookup], exp)
        texts.append(tree.sql(target.dialect))
    return ";\n".join(texts) + ";\n"


def _put_back(tree, lookup: Extracted, holder: Written, exp) -> None:
    """The value in place of the reference, in the tree of a CREATE statement."""
    if creates_table(Written("", "TABLE", "", 0, tree)):
        parts = []
        for part in tree.this.expressions:
            inner = part.expressions[0] if isinstance(part, exp.Constraint) else part
            mine = [c.name for c in getattr(inner, "expressions", ())]
            if isinstance(inner, exp.ForeignKey) and mine == [lookup.reference]:
                continue
            if isinstance(part, exp.ColumnDef) and part.name == lookup.reference:
                _retyped(part, lookup, holder, exp)
            parts.append(part)
        tree.this.set("expressions", parts)
    for node in list(tree.find_all(exp.Identifier)):
        if node.name == lookup.reference and not isinstance(node.parent, exp.Table):
            node.set("this", lookup.column)
            node.set("quoted", True)


def _retyped(part, lookup: Extracted, holder: Written, exp) -> None:
    value = next(
        p
        for p in holder.tree.this.expressions
        if isinstance(p, exp.ColumnDef) and p.name == lookup.value
    )
    part.set("kind", value.args["kind"].copy())
    kept = [
        constraint
        for constraint in part.args.get("constraints") or ()
        if not isinstance(constraint.kind, exp.Reference | exp.DefaultColumnConstraint)
    ]
    part.set("constraints", kept)


def unsupported(source: Tables, target: Tables) -> str:
    """A sentence on a new lookup table of several columns, or one that several columns refer to;
    empty: there is none.
    """
    for name, lookup in target.by_name.items():
        edges = [edge for edge in target.edges if edge.to == name and edge.table != name]
        if name in source or not edges or any(edge.table == name for edge in target.edges):
            continue
        for columns in lookup.unique:
            given = [_given_by(source, target, (name, c)) for c in columns]
            tables = {table for table, _ in given if table}
            own = source[next(iter(tables))] if len(tables) == 1 else None
            names = {column for _, column in given}
            if own is None or not all(names):
                continue
            if any(key and set(key) <= names for key in (own.key, *own.unique)):
                continue
            if len(columns) > 1:
                return (
                    f"{name} would hold each ({', '.join(columns)}) once, and lookup tables of "
                    f"several columns are not written: leave out UNIQUE ({', '.join(columns)}), so "
                    f"that each row of {own.name} gets a row of its own there"
                )
            if len(edges) > 1:
                ends = " and ".join(f"{edge.table}.{', '.join(edge.columns)}" for edge in edges)
                return (
                    f"{ends} refer to {name}, and a lookup table that several columns share is not "
                    f"written: give each of them a lookup table of its own"
                )
    return ""


def _given_by(source: Tables, target: Tables, place: Place) -> tuple[str, str]:
    """The old column, gone from the new schema, that is called most like one of a lookup table."""
    kind, words = target.type_of(place), (place[1], singular(place[0]))
    options = [
        (max(similarity(name, word) for word in words), table, name)
        for table, old in source.by_name.items()
        for name, one in old.types.items()
        if one == kind and not (table in target and name in target[table].types)
    ]
    alike = [one for one in options if one[0] > 0.4 or any(word in one[2] for word in words)]
    return max(alike)[1:] if alike else ("", "")
