"""Similarity of two columns by their names, their tables' names and their roles."""

import functools
import re

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


SYNONYMS = (
    {"first", "given", "fore"},
    {"last", "family", "sur"},
    {"mail", "email"},
    {"phone", "telephone", "tel"},
    {"zip", "postal", "postcode"},
    {"updated", "modified", "changed"},
    {"start", "begin"},
    {"end", "finish"},
)
"""Our choice: words of schemas that nobody takes for two things next to one another."""


@functools.lru_cache(maxsize=100_000)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in snake or camel case, in lower case and singular."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+", name)
    return tuple(singular(part.lower()) for part in parts)


@functools.lru_cache(maxsize=100_000)
def same_word(one: str, other: str) -> bool:
    """Test if two words are one: the same, the one's beginning ("ship", "shipping"), letters of it
    in order ("qty", "quantity"), the same stem ("created", "creation"), or SYNONYMS.
    """
    short, long = sorted((one, other), key=len)
    if short == long or any({one, other} <= some for some in SYNONYMS):
        return True
    if len(short) < 3 or short[0] != long[0]:
        return False
    if long.startswith(short):
        return True
    letters = iter(long)
    if len(short) <= 5 and len(short) < len(long) and all(letter in letters for letter in short):
        return True
    stem = next(n for n in range(len(short) + 1) if short[n : n + 1] != long[n : n + 1])
    return stem >= 4 and stem >= 0.6 * len(long)


def _covered(some: tuple[str, ...], by: tuple[str, ...]) -> float:
    return sum(any(same_word(one, other) for other in by) for one in some) / max(1, len(some))


def evidence(column: Place, place: Place) -> float:
    """Weigh the words of two columns for one being the other's place: 2 for the same name, 1 for
    the same words, 0 where nothing but letters is alike. Words of the tables' names count where a
    column's name has them, so that "ship_zip" of orders is "zip" of shipping_addresses.
    """
    (a, one), (b, other) = column, place
    if one.lower() == other.lower():
        return 2.0
    whole, squeezed = "".join(words(one)), "".join(words(other))
    alike = similarity(whole, squeezed)
    if alike > 0.6 or same_word(whole, squeezed):
        alike = max(alike, 0.9)
    else:
        alike = 0.0
    mine, theirs = words(one), words(other)
    shared = (_covered(mine, words(b) + theirs) + _covered(theirs, words(a) + mine)) / 2
    return shared if _covered(mine, theirs) else max(alike, 0.0 if shared <= 0.5 else shared)


def table_evidence(one: str, other: str) -> float:
    """The same for the names of two tables."""
    shared = (_covered(words(one), words(other)) + _covered(words(other), words(one))) / 2
    alike = similarity("".join(words(one)), "".join(words(other)))
    return max(shared, alike if alike > 0.6 else 0.0)


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
        0.95 * _with_table(one, b, other),
        0.95 * _with_table(other, a, one),
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


def _with_table(name: str, table: str, column: str) -> bool:
    """Test if a name's words are all of a column's and some of its table's."""
    mine, theirs = words(name), words(column)
    left = [one for one in mine if not any(same_word(one, other) for other in theirs)]
    return bool(
        left
        and len(left) < len(mine)
        and _covered(theirs, mine) == 1
        and _covered(tuple(left), words(table)) == 1
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
