"""A function's sketch: its statements over the target with holes, each hole with its alternatives.

Source: Migrator (arXiv 1904.05498), sketch generation. A hole here is a whole statement for one
target table: which join it uses, or
that it is not there.
"""

import itertools
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reasoning.synthesis.migrator.correspondence.mapping import Cell, Copy, Fixed, Made
from reasoning.synthesis.migrator.sketch.actions import acted_before
from reasoning.synthesis.migrator.sketch.inserts import Run
from reasoning.synthesis.migrator.sketch.order import Options
from reasoning.synthesis.migrator.sketch.queries import rewritten
from reasoning.synthesis.migrator.sketch.target import ByHand, View
from reasoning.synthesis.migrator.sketch.updates import (
    delete_options,
    through_reference,
    update_options,
)
from reasoning.synthesis.migrator.sql import program as sql
from reasoning.synthesis.migrator.sql.given_keys import NUMBERS, ROWS, given_rows
from reasoning.synthesis.migrator.sql.tables import ordered_by
from reasoning.synthesis.migrator.sql.visitors import (
    change,
    fresh_numbers,
    nodes,
    plainly_named,
    reads,
    writes,
)
from reasoning.synthesis.migrator.testing.actions import also_changed, changed_actions

MOST_COMPOUNDS = 12
"""Alternatives for a UNION."""


@dataclass(frozen=True)
class Sketch:
    """Holes in order; a completion takes one option of each and puts them behind one another."""

    function: sql.Function
    """The function that is rewritten."""
    holes: tuple[tuple[tuple[sql.Statement, ...], ...], ...]
    """Options, likeliest first."""

    def complete(self, picks: Sequence[int]) -> sql.Function:
        """The function with an option for each hole."""
        made = itertools.chain.from_iterable(
            options[pick] for options, pick in zip(self.holes, picks, strict=True)
        )
        return replace(self.function, statements=tuple(made), text="")

    @property
    def size(self) -> int:
        """The number of completions."""
        product = 1
        for options in self.holes:
            product *= len(options)
        return product


def affected(function: sql.Function, view: View) -> bool:
    """Test if a function must be rewritten: it reads tables that changed, or changes tables that
    others are made from, by itself or by references that act.
    """
    source, writing = view.mapping.source, set(function.tables)
    if function.statements:
        writing = set().union(*map(writes, function.statements))
        acted = [also_changed(statement, source) for statement in function.statements]
        other = changed_actions(source, view.mapping.target)
        writing |= set().union(*acted)
        if writing & other and any(acted):
            return True
    return bool(function.tables & view.mapping.changed or writing & view.mapping.touched)


def make_sketch(function: sql.Function, view: View) -> Sketch:
    """The sketch of a function under a correspondence.

    Raises:
      Unrewritable: a statement has no counterpart.
    """
    given, function = function, replace(function, statements=_inlined(function.statements, view))
    holes: list[Options] = []
    first_fresh = max(fresh_numbers(function.statements), default=0) + 1
    fresh: dict = {}
    for is_insert, statements in itertools.groupby(
        function.statements, lambda s: isinstance(s, sql.Insert)
    ):
        group = list(statements)
        if is_insert:
            found = Run(
                [_looked_up(s, view, function.name) for s in group],
                view,
                function.name,
                fresh,
                first_fresh,
            ).options()
            holes += found
            continue
        for statement in group:
            for before in acted_before(statement, view):
                options = _options(before, view, function.name)
                holes += [list(dict.fromkeys([*some, ()])) for some in options]
            holes += _options(statement, view, function.name)
    holes = _returned(function, holes, view)
    target = view.mapping.target
    done = tuple(
        tuple(
            dict.fromkeys(
                tuple(
                    plainly_named(through_reference(s, target), view.mapping.source.by_name)
                    for s in option
                )
                for option in options
            )
        )
        for options in holes
    )
    return Sketch(given, done)


def _inlined(statements: tuple[sql.Statement, ...], view: View) -> tuple[sql.Statement, ...]:
    """The statements with a snapshot that keeps a key without a place put into the changes that
    read it.
    """
    made = list(statements)
    for snapshot in [s for s in statements if isinstance(s, sql.Snapshot)]:
        tables = {source.alias: source.table for source in snapshot.select.sources}
        outs = {out.name: out for out in snapshot.select.outs}
        if not all(isinstance(out.value, sql.Col) for out in outs.values()) or all(
            view.images.get((tables[out.value.alias], out.value.name)) for out in outs.values()
        ):
            continue
        changed = []
        for one in made:
            inside = getattr(one, "where", None)
            if one is snapshot or (isinstance(one, sql.Drop) and one.name == snapshot.name):
                continue
            if isinstance(inside, sql.InSelect) and inside.select.sources[0].table == snapshot.name:
                chosen = tuple(outs[out.value.name] for out in inside.select.outs)
                whole = replace(snapshot.select, outs=chosen)
                one = replace(one, where=replace(inside, select=whole))
            changed.append(one)
        made = changed
    return tuple(made)


def _options(statement: sql.Statement, view: View, reader: str) -> list[Options]:
    if not (reads(statement) | writes(statement)) & (view.mapping.changed | view.mapping.touched):
        return [[(statement,)]]
    if isinstance(statement, sql.Select):
        return [[(select,) for select in rewritten(statement, view, reader)]]
    if isinstance(statement, sql.Compound):
        return [[(one,) for one in _compounds(statement, view, reader)]]
    if isinstance(statement, sql.Fill):
        return _fills(statement, view, reader)
    if isinstance(statement, sql.Snapshot):
        return [
            [
                (replace(statement, select=select),)
                for select in rewritten(statement.select, view, reader)
            ]
        ]
    if isinstance(statement, sql.Delete):
        return delete_options(statement, view, reader)
    if isinstance(statement, sql.Update):
        return update_options(statement, view, reader)
    return [[(statement,)]]


def _compounds(statement: sql.Compound, view: View, reader: str) -> list[sql.Compound]:
    """Counterparts of a UNION: those of its parts, in all combinations."""
    options = [rewritten(part, view, reader)[:3] for part in statement.parts]
    places = [out.value for out in statement.outs]
    found = []
    for parts in itertools.islice(itertools.product(*options), MOST_COMPOUNDS):
        order = tuple((parts[0].outs[places.index(v)].value, down) for v, down in statement.order)
        found.append(replace(statement, parts=parts, order=order))
    return found


def _fills(statement: sql.Fill, view: View, reader: str) -> list[Options]:
    """Rows of a query into every table that has the rows of the one that is filled.

    Raises:
      ByHand: keys must be invented, or rows of other tables are needed.
    """
    table, rules = statement.table, view.mapping.rules
    selects = rewritten(statement.select, view, reader)
    given = dict(zip(statement.columns, range(len(statement.columns)), strict=True))
    source, target, found = view.mapping.source[table], view.mapping.target, []
    keys, homes = given_rows(statement), []
    merged = [name for name, rule in rules.items() if table in rule.body and rule.anchor != table]
    if merged or not view.mapping.owned(table):
        raise ByHand(f"{reader}: INSERT ... SELECT into {table}, which is merged now")
    for name in ordered_by(view.mapping.owned(table), view.mapping.target.edges):
        columns, outs, mine = [], [], {}
        for column, cell in rules[name].cells.items():
            if isinstance(cell, Fixed):
                continue
            if cell == Made((name, column), table) and column in target[name].numbered:
                mine[column] = sql.Out(key_of_rows(f"{name} {statement}"), column)
                continue
            cell = _own(cell, view, table)
            if not isinstance(cell, Copy) or cell.table != table:
                raise ByHand(f"{reader}: INSERT ... SELECT into {name}, which needs {column}")
            if cell.column in keys:
                homes.append((name, column))
                if column not in target[name].numbered or len(homes) > 1:
                    where = " and ".join(".".join(home) for home in homes)
                    raise ByHand(
                        f"{reader}: INSERT ... SELECT gives each row a key of its own, which "
                        f"would have to be made for {where}"
                    )
            if cell.column in given:
                columns.append(column)
                outs.append(given[cell.column])
            elif source.defaults.get(cell.column) != target[name].defaults.get(column):
                raise ByHand(f"{reader}: INSERT ... SELECT leaves {cell.column} to its default")
        made = (
            replace(
                select,
                outs=(
                    *mine.values(),
                    *(replace(select.outs[n], name=columns[k]) for k, n in enumerate(outs)),
                ),
            )
            for select in selects
        )
        conflict = statement.conflict and _ignored(statement, view, name, reader)
        found.append([(sql.Fill(name, (*mine, *columns), select, conflict),) for select in made])
    return found


def _own(cell: Cell, view: View, table: str) -> Cell:
    """A key of a row that a table refers to as its own column that refers."""
    for edge in view.mapping.source.edges:
        alone = edge.table == table and len(edge.columns) == 1
        if alone and cell == Copy(edge.to, edge.to_columns[0]):
            return Copy(table, edge.columns[0])
    return cell


def key_of_rows(statement: str) -> sql.Fresh:
    """A key that the new database gives to each row; the number is that of no other statement."""
    return sql.Fresh(NUMBERS + ROWS * (zlib.crc32(statement.encode()) % 900), True, True)


def _ignored(statement: sql.Fill, view: View, name: str, reader: str) -> sql.Conflict:
    """ON CONFLICT DO NOTHING of the only table that takes the rows.

    Raises:
      ByHand: several do, or its key is elsewhere.
    """
    assert statement.conflict is not None
    places = {
        cell.column: column
        for column, cell in view.mapping.rules[name].cells.items()
        if isinstance(cell, Copy)
    }
    columns = statement.conflict.columns
    if len(view.mapping.owned(statement.table)) > 1 or not set(columns) <= set(places):
        raise ByHand(f"{reader}: ON CONFLICT needs a key that is in several tables now")
    return replace(statement.conflict, columns=tuple(places[column] for column in columns))


def _returned(given: sql.Function, holes: list[Options], view: View) -> list[Options]:
    """The options with the outputs of RETURNING at a statement that has all of them.

    Raises:
      ByHand: none has.
    """
    asked = next((s for s in given.statements if getattr(s, "returning", ())), None)
    if asked is None:
        return holes

    def placed(statement):
        inserted = (
            dict(zip(asked.columns, asked.values, strict=True))
            if isinstance(asked, sql.Insert)
            else {}
        )

        def move(column):
            mine = view.images.get((asked.table, column.name), ())
            here = [name for table, name in mine if table == statement.table]
            if here:
                return sql.Col(statement.table, here[0])
            if column.name in inserted:
                return inserted[column.name]
            raise ByHand(f"{given.name} returns {column.name}, which is in another table now")

        return tuple(replace(out, value=change(out.value, move)) for out in asked.returning)

    reason = ByHand(f"{given.name}: nothing in the new schema returns what it returned")
    for n, options in reversed(list(enumerate(holes))):  # drivers show the last statement's rows
        if not any(isinstance(s, type(asked)) for option in options for s in option):
            continue
        try:
            made = [
                tuple(
                    replace(s, returning=placed(s))
                    if isinstance(s, type(asked)) and k == len(option) - 1
                    else s
                    for k, s in enumerate(option)
                )
                for option in options
                if option and isinstance(option[-1], type(asked))
            ]
        except ByHand as problem:
            reason = problem
            continue
        if made:
            return [*holes[:n], made, *holes[n + 1 :]]
    raise reason


def _looked_up(statement: sql.Insert, view: View, reader: str) -> sql.Insert:
    """The INSERT with subqueries among its values rewritten."""
    values = tuple(
        sql.Lookup(rewritten(v.select, view, reader)[0]) if isinstance(v, sql.Lookup) else v
        for v in statement.values
    )
    return replace(statement, values=values)


def tables_named(statements: Sequence[sql.Statement]) -> frozenset[str]:
    """All tables in statements."""
    named = {
        node.table
        for node in nodes(tuple(statements))
        if isinstance(node, sql.Source | sql.Insert | sql.Fill | sql.Delete | sql.Update)
    }
    return frozenset(named)
