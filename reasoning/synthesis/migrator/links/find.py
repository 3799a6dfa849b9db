"""Association tables in place of references that may be NULL, and the new schema with these
references where they were.

Our choice: a row without a value there has no row in the association table. The functions are found
for the schema with the references, and are rewritten afterwards; the whole is then compared with
the old program.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.similarity import similarity
from reasoning.synthesis.migrator.sql.ddl_statements import creates_table, statements_of
from reasoning.synthesis.migrator.sql.tables import Edge, Place, Tables


@dataclass(frozen=True)
class Linked:
    """A reference that an association table holds."""

    table: str
    """The table that had the reference; the new schema has it, too."""
    column: str
    """The reference."""
    key: str
    """The key of the table."""
    link: str
    """The association table."""
    owner: str
    """Its column that refers to the table."""
    value: str
    """Its column that refers to where the reference led."""
    to: str
    """The new table there."""
    to_key: str
    """The column there."""
    number: str = ""
    """Its own key, which is invented; empty: it has none."""


def linked(source: Tables, target: Tables, decided: Mapping[Place, Place]) -> list[Linked]:
    """The association tables that the new schema adds for references that may be NULL."""
    found: list[Linked] = []
    for name, link in target.by_name.items():
        edges = [edge for edge in target.edges if edge.table == name and len(edge.columns) == 1]
        if name in source or len(edges) != 2 or any(edge.to == name for edge in target.edges):
            continue
        for owner, value in (edges, edges[::-1]):
            one = _between(source, target, (owner, value), decided)
            if one and not any(other.link == link.name for other in found):
                found.append(one)
    return found


def _between(
    source: Tables, target: Tables, ends: tuple[Edge, Edge], decided: Mapping[Place, Place]
) -> Linked | None:
    """The reference that a table with two references stands for."""
    owner, value = ends
    link, table = target[owner.table], owner.to
    if table not in source or source[table].key != owner.to_columns or len(owner.to_columns) != 1:
        return None
    (mine,), (there,) = owner.columns, value.columns
    both, alone = {mine, there}, [set(c) for c in (link.key, *link.unique)]
    number = [column for column in link.key if column not in both]
    if not any(columns in ({mine}, both) for columns in alone) or len(number) > 1:
        return None
    if {there} in alone or any(
        column not in {*both, *number, *link.defaults, *link.moments} and column in link.required
        for column in link.stored
    ):
        return None
    known = {column for (at, column), place in decided.items() if place == (link.name, there)}
    options = [
        edge.columns[0]
        for edge in source.edges
        if edge.table == table
        and len(edge.columns) == 1
        and (edge.to == value.to or edge.to not in target)
        and edge.columns[0] not in {*target[table].types, *source[table].required}
        and source.type_of((table, edge.columns[0])) == link.types[there]
    ]
    options = [column for column in options if not known or column in known]
    if not options or any(edge.table == table and edge.to == value.to for edge in target.edges):
        return None
    column = max(options, key=lambda one: similarity(one, there))
    if len(options) > 1 and column != there and not known:
        return None
    held = (table, column, owner.to_columns[0], link.name, mine, there)
    return Linked(*held, value.to, value.to_columns[0], number[0] if number else "")


def without_links(source: Tables, target: Tables, links: list[Linked]) -> str:
    """DDL of the new schema with the references in place of the association tables."""
    exp, texts = need("sqlglot").exp, []
    old = {
        one.table: one for one in statements_of(source.ddl, source.dialect) if creates_table(one)
    }
    gone = {one.link for one in links}
    for one in statements_of(target.ddl, target.dialect):
        if one.kind not in ("TABLE", "INDEX") or one.table in gone:
            continue
        tree = one.tree.copy()
        for link in links:
            if link.table == one.table and creates_table(one):
                parts = [_part(part, link, exp) for part in old[one.table].tree.this.expressions]
                defined = [part for part in parts if isinstance(part, exp.ColumnDef)]
                others = [part for part in parts if part and part not in defined]
                listed = tree.this.expressions
                first = [part for part in listed if isinstance(part, exp.ColumnDef)]
                rest = [part for part in listed if not isinstance(part, exp.ColumnDef)]
                tree.this.set("expressions", [*first, *defined, *rest, *others])
        texts.append(tree.sql(target.dialect))
    return ";\n".join(texts) + ";\n"


def _part(part, link: Linked, exp):
    """A part of an old CREATE TABLE that is of the reference, with the new name of where it leads;
    None: it is of something else.
    """
    inner = part.expressions[0] if isinstance(part, exp.Constraint) else part
    if isinstance(part, exp.ColumnDef):
        mine = part.name == link.column
    else:
        mine = isinstance(inner, exp.ForeignKey) and [c.name for c in inner.expressions] == [
            link.column
        ]
    if not mine:
        return None
    made = part.copy()
    for reference in made.find_all(exp.Reference):
        place = reference.this.this if isinstance(reference.this, exp.Schema) else reference.this
        place.set("this", exp.to_identifier(link.to, quoted=True))
        if isinstance(reference.this, exp.Schema):
            columns = [exp.to_identifier(link.to_key, quoted=True)]
            reference.this.set("expressions", columns)
    return made
