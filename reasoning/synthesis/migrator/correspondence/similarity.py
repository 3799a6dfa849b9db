"""Similarity of two columns by their names, their tables' names and their roles."""

import functools

from reasoning.synthesis.migrator.old_names import names_of
from reasoning.synthesis.migrator.sql.tables import Place, Tables

__getattr__ = names_of(
    "correspondence.similarity", {"likeness": "correspondence.similarity:similarity"}
)


@functools.lru_cache(maxsize=100_000)
def similarity(one: str, other: str) -> float:
    """1 for the same name, 0 for names without anything in common: one minus the edit distance over
    the longer length.
    """
    a, b = one.lower(), other.lower()
    if a == b:
        return 1.0
    before = list(range(len(b) + 1))
    for n, letter in enumerate(a, 1):
        row = [n]
        for m, there in enumerate(b, 1):
            row.append(min(before[m] + 1, row[-1] + 1, before[m - 1] + (letter != there)))
        before = row
    return 1 - before[-1] / max(len(a), len(b))


def singular(name: str) -> str:
    """A table's name as it stands before its columns' names: "cities" is "city", "users"
    is "user".
    """
    return (
        name[:-3] + "y"
        if name.endswith("ies")
        else name[:-1]
        if name.endswith("s") and not name.endswith("ss")
        else name
    )


def score(source: Tables, target: Tables, column: Place, place: Place) -> int:
    """Score of two columns, 0 to 100, by their names, their tables' names and their roles as keys.

    Our choice: 70 for the columns' names (with or without the table's in front), 25 for the
    tables', 5 for the same role.

    Args:
      source: the old schema.
      target: the new schema.
      column: (table, column) of the old schema.
      place: (table, column) of the new schema.
    """
    (a, one), (b, other) = column, place
    name = max(
        similarity(one, other),
        0.95 * similarity(f"{singular(a)}_{one}", other),
        0.95 * similarity(one, f"{singular(b)}_{other}"),
    )
    role = (one in source[a].key) == (other in target[b].key)
    refers = any(other in edge.columns for edge in target.edges if edge.table == b)
    stray = (
        refers
        and one not in source[a].key
        and not any(one in e.columns for e in source.edges if e.table == a)
    )
    return max(
        0, round(70 * name + 25 * similarity(singular(a), singular(b)) + 5 * role) - 15 * stray
    )


def copy_score(column: Place, place: Place, own: bool) -> int:
    """Score of a second place of a column, 0 to 100, by the names alone.

    Our choice: a name without that of the table counts only between a table and one made from it
    (`own`), so that no row is filled from another entity.
    """
    (table, one), (_, other) = column, place
    full = similarity(f"{singular(table)}_{one}", other)
    return round(
        100
        * max(
            full,
            similarity(f"{table}_{one}", other),
            0.95 * similarity(one, other) if own and len(one) > 4 else 0.0,
        )
    )
