"""Statements in place of references that act in the old schema and no longer in the new one."""

from reasoning.synthesis.migrator.sketch.target import View
from reasoning.synthesis.migrator.sql.program import (
    Col,
    Delete,
    InSelect,
    Lit,
    Out,
    Select,
    Source,
    Statement,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Edge
from reasoning.synthesis.migrator.testing.actions import acting

DEEPEST = 4
"""References that follow one another."""


def acted_before(statement: Statement, view: View, depth: int = 0) -> list[Statement]:
    """Effect of the old schema's ON DELETE on rows that refer, as statements before a DELETE:
    those that refer the furthest first, without what the new schema does by itself.
    """
    if not isinstance(statement, Delete) or depth == DEEPEST:
        return []
    source, found = view.mapping.source, []
    for edge, (action, _) in acting(source):
        if edge.to != statement.table or edge.table == statement.table or not action:
            continue
        chosen = Select(
            tuple(Out(Col(edge.to, key), key) for key in edge.to_columns),
            (Source(edge.to, edge.to),),
            (),
            statement.where,
        )
        where = InSelect(tuple(Col(edge.table, column) for column in edge.columns), chosen)
        if action == "CASCADE":
            done: Statement = Delete(edge.table, where)
        else:
            defaults = source[edge.table].defaults if action == "SET DEFAULT" else {}
            sets = tuple((column, Lit(defaults.get(column))) for column in edge.columns)
            done = Update(edge.table, sets, where)
        below = acted_before(done, view, depth + 1)
        found += below + ([] if _acts_still(edge, action, view) and not below else [done])
    return found


def _acts_still(edge: Edge, action: str, view: View) -> bool:
    """Test if every reference of the new schema that holds an old one acts likewise."""
    places = set(view.images.get((edge.table, edge.columns[0]), ()))
    holding = [
        (one.table, one.columns)
        for one in view.mapping.target.edges
        if any((one.table, column) in places for column in one.columns)
    ]
    owned = view.mapping.owned(edge.table)
    if not holding or (action == "CASCADE" and not set(owned) <= _reached(holding, view)):
        return False
    return all(view.mapping.target.actions.get(one, ("", ""))[0] == action for one in holding)


def _reached(holding, view: View) -> set[str]:
    """Tables whose rows go with those that hold the reference."""
    found = {table for table, _ in holding}
    while (
        more := {
            edge.table
            for edge, (action, _) in acting(view.mapping.target)
            if action == "CASCADE" and edge.to in found
        }
        - found
    ):
        found |= more
    return found
