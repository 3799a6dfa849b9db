"""Images of databases under a data mapping, in SQL, and their equality."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from reasoning.synthesis.migrator.correspondence import mapping as maps
from reasoning.synthesis.migrator.sql.program import Compound, Expr, Select
from reasoning.synthesis.migrator.sql.unparse import literal, name_of

ROUNDS = 4
"""Rounds in which fresh keys are distinguished by the rows around them."""


def query_of(rule: maps.Rule, mapping: maps.DataMapping) -> str:
    """The rule as a query over the source in SQLite; made keys are the anchor's row numbers beyond
    all other values.
    """
    return " UNION ALL ".join(_part(one, mapping) for one in rule.parts)


def _part(rule: maps.Rule, mapping: maps.DataMapping) -> str:
    cells = []
    for column, cell in rule.cells.items():
        if isinstance(cell, maps.Copy):
            cells.append(f"{name_of(cell.table)}.{name_of(cell.column)} AS {name_of(column)}")
        elif isinstance(cell, maps.Fixed):
            cells.append(literal(cell.value))
        elif isinstance(cell, maps.Found) or rule.distinct:
            given = cell.of if isinstance(cell, maps.Found) else rule.cells[rule.distinct]
            assert isinstance(given, maps.Copy)
            value = f"{name_of(given.table)}.{name_of(given.column)}"
            rank = f"DENSE_RANK() OVER (ORDER BY {value})"
            text = mapping.target[rule.table].types[column] == "str"
            number = f"'m' || {rank}" if text else f"{rank} + 500000"
            cells.append(f"CASE WHEN {value} IS NOT NULL THEN {number} END AS {name_of(column)}")
        else:
            assert isinstance(cell, maps.Made)
            text = mapping.target[rule.table].types[column] == "str"
            number = f"{name_of(cell.anchor)}.rowid + {500_000 + _behind(cell, mapping)}"
            cells.append(f"'m' || ({number})" if text else number)
    if rule.distinct:
        rows = f"SELECT {', '.join(cells)} FROM {joined(rule)}"
        return f"SELECT DISTINCT * FROM ({rows}) WHERE {name_of(rule.distinct)} IS NOT NULL"
    where = ""
    if rule.only is not None:
        column, value = rule.only
        tested = "IS NOT NULL" if value == maps.PRESENT else f"= {literal(value)}"
        where = f" WHERE {name_of(rule.anchor)}.{name_of(column)} {tested}"
    return f"SELECT {', '.join(cells)} FROM {joined(rule)}{where}"


def _behind(cell: maps.Made, mapping: maps.DataMapping) -> int:
    """Distance of the keys made for rows of one old table from those of the tables before."""
    owner = mapping.rules.get(cell.owner[0])
    anchors = [part.anchor for part in owner.parts] if owner else []
    return 10_000 * anchors.index(cell.anchor) if cell.anchor in anchors else 0


def joined(rule: maps.Rule, dialect: str = "sqlite", shown: Callable[[str], str] = str) -> str:
    """The FROM clause of a rule: everything is joined to the anchor, whose rows all stay; `shown`
    is what a table is called.
    """

    def called(table):
        return name_of(shown(table), dialect)

    text, done, left = called(rule.anchor), {rule.anchor}, set(rule.tree)
    while left:
        edge = min(e for e in left if (e.table in done) != (e.to in done))
        left.discard(edge)
        new = edge.to if edge.table in done else edge.table

        def column(place):
            return f"{called(place[0])}.{name_of(place[1], dialect)}"

        on = " AND ".join(f"{column(a)} = {column(b)}" for a, b in maps.condition(edge))
        text += f" LEFT JOIN {called(new)} ON {on}"
        done.add(new)
    return text


def fingerprint(rows: dict[str, Sequence[tuple]], mapping: maps.DataMapping) -> tuple:
    """The same for databases that are equal up to the names of invented keys (and, by chance, for
    few that are not).

    Invented keys are colored by the rows around them, round after round, as Weisfeiler and Leman
    color graphs.
    """
    colors: dict[Any, int] = {}
    made = {name: owners(mapping, name) for name in rows}
    if not any(made.values()):
        return tuple(
            (name, frozenset(Counter(rows[name]).items())) for name in sorted(rows) if rows[name]
        )

    def colored(name, row):
        return (
            name,
            *(
                ("key", colors.get((made[name][n], v), 0))
                if n in made[name] and v is not None
                else v
                for n, v in enumerate(row)
            ),
        )

    for _ in range(ROUNDS):
        around: dict[Any, list] = {}
        for name, found in rows.items():
            for row in found:
                shown = hash(colored(name, row))
                for n in made[name]:
                    around.setdefault((made[name][n], row[n]), []).append((name, n, shown))
        colors = {value: hash(frozenset(Counter(seen).items())) for value, seen in around.items()}
    return (
        frozenset(
            Counter(colored(name, row) for name, found in rows.items() for row in found).items()
        ),
    )


def owners(mapping: maps.DataMapping, table: str) -> dict[int, Any]:
    """The positions of invented keys in a target table, and the column that each was
    invented for.
    """
    cells = mapping.rules[table].cells if table in mapping.rules else {}
    return {n: cell.owner for n, cell in enumerate(cells.values()) if isinstance(cell, maps.Made)}


def any_order(value: Any) -> bool:
    """Test if a value numbers rows, which may be done in several ways where the order has ties."""
    return isinstance(value, Expr) and "ROW_NUMBER(" in value.text.upper()


def same_rows(one: Sequence[tuple], other: Sequence[tuple], select: Select | Compound) -> bool:
    """Test if two results agree as multisets, and, where columns put out decide the order, in
    these columns' order; `row_order` compares the whole order.
    """
    if loose := [n for n, out in enumerate(select.outs) if any_order(out.value)]:
        one, other = (
            [[v for n, v in enumerate(r) if n not in loose] for r in x] for x in (one, other)
        )
        one, other = [tuple(row) for row in one], [tuple(row) for row in other]
        return len(one) == len(other) and Counter(one) == Counter(other)
    names = {out.value: n for n, out in enumerate(select.outs)}
    keys = [names[column] for column, _ in select.order if column in names]

    def ordered(rows):
        return [tuple(row[n] for n in keys) for row in rows]

    if len(one) != len(other) or (keys and ordered(one) != ordered(other)):
        return False
    return Counter(one) == Counter(other)
