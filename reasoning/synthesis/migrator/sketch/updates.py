"""DELETE and UPDATE over the source, rewritten over the target: one statement for every target
table that holds what changes.

Source: Migrator (arXiv 1904.05498), sketches of deletions and updates: which tables, and a join for
each. Our choice: rows are chosen by
subqueries, tables whose rows choose others change last, and where that is impossible a snapshot
chooses all rows first.
"""

import itertools
from dataclasses import replace

from reasoning.synthesis.migrator.correspondence.join_trees import (
    Tree,
    branches,
    steiner_trees,
    tables_of,
)
from reasoning.synthesis.migrator.correspondence.mapping import Copy, condition
from reasoning.synthesis.migrator.sketch.order import Options, in_order, key_of
from reasoning.synthesis.migrator.sketch.queries import flattened, placings, wheres
from reasoning.synthesis.migrator.sketch.target import Unrewritable, View
from reasoning.synthesis.migrator.sql.program import (
    TRUE,
    Cmp,
    Col,
    Delete,
    InSelect,
    Lit,
    Out,
    Pred,
    Select,
    Source,
    Statement,
    Update,
)
from reasoning.synthesis.migrator.sql.tables import Tables
from reasoning.synthesis.migrator.sql.visitors import change, columns, conjunction, conjuncts

MOST = 6
"""Ways to choose the rows of one table."""


def delete_options(statement: Delete, view: View, reader: str) -> list[Options]:
    """For every target table with rows of the source table, how they are deleted.

    Raises:
      Unrewritable: the rows cannot be chosen.
    """
    owned = view.mapping.owned(statement.table)
    plans = {table: choices(statement, table, view, reader) for table in owned}
    found = in_order(plans, lambda table, where: Delete(table, where), view.mapping.target)
    for name, rule in view.mapping.rules.items():
        if statement.table in rule.body and rule.anchor != statement.table and name not in owned:
            found.append(_cleared(statement, name, view, reader))
    if not found:
        raise Unrewritable(
            f"{reader}: nothing in the new schema holds the rows of {statement.table}"
        )
    return found


def _cleared(statement, name, view, reader) -> Options:
    """A target table into which the deleted rows were merged: their columns become NULL, or the
    rows go, or nothing happens.
    """
    cells = view.mapping.rules[name].cells
    mine = [
        column
        for column, cell in cells.items()
        if isinstance(cell, Copy) and cell.table == statement.table
    ]
    keys = view.mapping.target[name].key
    sets = tuple((column, Lit(None)) for column in mine if column not in keys)
    try:
        chosen = choices(statement, name, view, reader)
    except Unrewritable:
        return [()]
    nulls = [(Update(name, sets, where),) for where in chosen] if sets else []
    return [(), *nulls[:2], *((Delete(name, where),) for where in chosen[:1])]


def update_options(statement: Update, view: View, reader: str) -> list[Options]:
    """For every target table with places of the columns that change, how they are set.

    Raises:
      Unrewritable: the rows cannot be chosen, or a column that a join of the mapping needs changes
        and has no place.
    """
    sets: dict[str, list] = {}
    joined = {
        place
        for rule in view.mapping.rules.values()
        for edge in rule.tree
        for pair in condition(edge)
        for place in pair
    }
    for column, value in statement.sets:
        places = view.images.get((statement.table, column), ())
        if not places and (statement.table, column) in joined:
            raise Unrewritable(
                f"{reader} changes {statement.table}.{column}, a reference that has no place in "
                "the new schema"
            )
        for table, name in places:
            sets.setdefault(table, []).append(
                (name, _moved(value, statement.table, table, view, reader))
            )
    plans = {table: choices(statement, table, view, reader) for table in sets}
    return in_order(
        plans, lambda table, where: Update(table, tuple(sets[table]), where), view.mapping.target
    )


def _moved(value, source, table, view, reader):
    """The new value over the target table's own columns."""

    def place(column):
        here = [name for where, name in view.place((source, column.name), reader) if where == table]
        if not here:
            raise Unrewritable(
                f"{reader}: the new value of a column of {table} is computed from "
                f"{source}.{column.name}, which is elsewhere"
            )
        return Col(table, here[0])

    return change(value, place)


def choices(statement: Delete | Update, table: str, view: View, reader: str) -> list[Pred]:
    """List conditions on rows of a target table that choose what the statement chooses.

    Args:
      statement: the old DELETE or UPDATE.
      table: the target table.
      view: the new schema as old statements see it.
      reader: the name of the function in an error.

    Returns:
      At most `MOST` conditions, likeliest first.

    Raises:
      Unrewritable: a column has no place, nothing joins the table to the columns, or the rows are
        chosen by a join of a table with itself.
    """
    whole = flattened(
        Select((), (Source(statement.table, statement.table),), (), statement.where), view
    )
    by_alias = {source.alias: source.table for source in whole.sources}
    if len(set(by_alias.values())) < len(by_alias):
        raise Unrewritable(
            f"{reader} chooses rows of {statement.table} by a join with itself whose columns have "
            "no place any more"
        )
    used = columns(whole.where)
    found: dict[Pred, float] = {}
    for where in wheres(whole.where, view, reader):
        for places in placings(used, by_alias, view, reader)[:MOST]:
            goal = {
                table,
                *(place[0] for place in places.values()),
                *(
                    view.main(t)
                    for a, t in by_alias.items()
                    if a != statement.table and not any(c.alias == a for c in used)
                ),
            }
            moved = change(where, lambda column, places=places: Col(*places[column]))
            for tree in itertools.islice(steiner_trees(goal, view.edges), MOST):
                found.setdefault(
                    chosen(table, tree, moved, view.mapping.target), len(tree) + 0.01 * len(found)
                )
    if not found:
        raise Unrewritable(
            f"{reader}: no reference of the new schema joins {table} to the columns that choose "
            "its rows"
        )
    return sorted(found, key=found.__getitem__)[:MOST]


def chosen(table: str, tree: Tree, where: Pred, target: Tables) -> Pred:
    """Write a condition on rows of `table` alone: conditions on tables behind a reference become
    subqueries over it.

    Args:
      table: the target table whose rows are chosen.
      tree: the references that join it to the other tables.
      where: the condition over columns of all these tables.
      target: the new schema.

    Raises:
      Unrewritable: conditions compare columns of several tables, and the table has no key.
    """
    parts = conjuncts(where)
    reached = {part: frozenset(column.alias for column in columns(part)) for part in parts}
    own = [part for part in parts if reached[part] <= {table}]
    left = [part for part in parts if part not in own]
    for edge, inner, tables in branches(tree, table):
        mine = [part for part in left if reached[part] <= tables]
        left = [part for part in left if part not in mine]
        ends = condition(edge)
        near = [one if one[0] == table else other for one, other in ends]
        far = [other if one[0] == table else one for one, other in ends]
        sources = tuple(Source(name, name) for name in tables_of(inner, [far[0][0]]))
        joins = tuple((Col(*a), Col(*b)) for one in sorted(inner) for a, b in condition(one))
        outs = tuple(Out(Col(*place), place[1]) for place in far)
        select = Select(outs, sources, joins, conjunction(mine) if mine else TRUE)
        own.append(InSelect(tuple(Col(*place) for place in near), select))
    return whole_rows(table, tree, where, target) if left else conjunction(own) if own else TRUE


def whole_rows(table: str, tree: Tree, where: Pred, target: Tables) -> Pred:
    """Choose rows by their key out of the whole join, for conditions that compare columns of
    several tables.

    Arguments as `chosen`.

    Raises:
      Unrewritable: the table has no key.
    """
    return InSelect(
        tuple(Col(table, key) for key in key_of(table, target)),
        _joined([table], tree, where, target),
    )


def _joined(tables, tree, where, target):
    outs = tuple(
        Out(Col(table, key), f"{table}_{key}") for table in tables for key in key_of(table, target)
    )
    sources = tuple(Source(name, name) for name in tables_of(tree, tables))
    return Select(
        outs,
        sources,
        tuple((Col(*a), Col(*b)) for one in sorted(tree) for a, b in condition(one)),
        where,
    )


def through_reference(statement: Statement, target: Tables) -> Statement:
    """`x IN (SELECT key FROM t WHERE key = v)` becomes `x = v`: the same wherever the reference x
    to t holds.
    """

    def simpler(pred):
        parts = tuple(_direct(part) or part for part in conjuncts(pred))
        return conjunction(parts) if parts else pred

    def _direct(part):
        if (
            not isinstance(part, InSelect)
            or len(part.columns) != 1
            or len(part.select.sources) != 1
        ):
            return None
        inner, (source,) = part.select.where, part.select.sources
        end = part.select.outs[0].value
        if (
            isinstance(inner, Cmp)
            and inner.op == "="
            and inner.left == end
            and not isinstance(inner.right, Col)
        ):
            refers = any(
                (e.table, e.columns, e.to)
                == (statement.table, (part.columns[0].name,), source.table)
                for e in target.edges
            )
            return Cmp("=", part.columns[0], inner.right) if refers else None
        return None

    return (
        replace(statement, where=simpler(statement.where))
        if isinstance(statement, Delete | Update)
        else statement
    )
