"""Old tables that one new table holds, with the column that tells their rows apart.

Our choice: the schemas alone decide. The old tables are gone, none refers to another one of them,
their keys have a place in the new table's key, and most of their columns have a namesake there; the
constants are those that the new schema allows (CHECK, ENUM), else words of the old tables' names.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.correspondence.problem import same_tables
from reasoning.synthesis.migrator.correspondence.similarity import similarity, singular
from reasoning.synthesis.migrator.sql.tables import Edge, Place, Table, Tables

ALIKE = 0.6
"""Similarity of names of two columns that may hold the same."""
LEAST = 0.5
"""Share of an old table's columns that must have a namesake in the new table."""
WORDS = ("kind", "type", "role", "category", "class", "species", "source", "variant", "subtype")
"""Names of columns that tell rows apart, without a CHECK or ENUM that says so."""


@dataclass(frozen=True)
class Part:
    """An old table whose rows the new table takes."""

    source: str
    """The old table."""
    value: Any
    """The constant in its rows."""
    columns: dict[str, str]
    """Columns of the new table, and those of the old one that are called alike."""


@dataclass(frozen=True)
class Merged:
    """A new table that holds the rows of several old ones."""

    table: str
    """The new table."""
    column: str
    """The column that tells the rows apart."""
    parts: tuple[Part, ...]
    """The old tables, in the order of the old schema."""
    declared: bool
    """True if the user gives the constants, or the new schema lists ones like the tables' names."""
    references: frozenset[str]
    """Columns of the new table that refer to others."""
    listed: bool = False
    """True if the new schema lists the constants."""
    loose: dict[str, tuple[tuple[str, Edge], ...]] = field(default_factory=dict)
    """For old tables, the new columns that hold one of their references and declare none, with
    the old reference.
    """

    def foreign(self, source: str, table: Table) -> set[str]:
        """Columns that hold something of the other old tables alone: called like one of theirs and
        like none of this one's, free to stay empty, and no reference.
        """
        mine = next(set(part.columns) for part in self.parts if part.source == source)
        mine |= {column for column, _ in self.loose.get(source, ())}
        others = {c for part in self.parts if part.source != source for c in part.columns}
        filled = {*table.defaults, *table.moments}
        free = {c for c in table.stored if c not in table.required or c in filled}
        return (others - mine) & free - set(table.key) - self.references

    def value_of(self, source: str) -> Any:
        """The constant of an old table."""
        return next(part.value for part in self.parts if part.source == source)

    @property
    def sources(self) -> tuple[str, ...]:
        """The old tables."""
        return tuple(part.source for part in self.parts)

    def words(self) -> str:
        """A sentence on the constants."""
        said = ", ".join(f"{part.value!r} for {part.source}" for part in self.parts)
        guess = "which is whose is a guess by the names" if self.listed else "a guess by the names"
        why = "" if self.declared else f"; {guess}: --constant TABLE=VALUE sets others"
        return f"{self.table}.{self.column} is {said}{why}"


def merged(source: Tables, target: Tables, constants: Sequence[str] = ()) -> list[Merged]:
    """The new tables that hold several old ones.

    Args:
      source: the old schema.
      target: the new schema.
      constants: given by the user, each "old_table=value".

    Raises:
      UserError: such a constant is none, or for no table that is merged.
    """
    given = _given(constants)
    found: list[Merged] = []
    for name in target.by_name:
        taken = {one for done in found for one in done.sources}
        options = [
            one
            for column in target[name].stored
            if (one := _merged(source, target, (name, column), taken, given)) is not None
        ]
        if options:  # the one whose values are declared, else the first
            found.append(max(options, key=lambda one: one.declared))
    if unknown := set(given) - {one for done in found for one in done.sources}:
        raise UserError(
            f"--constant names {sorted(unknown)[0]}, and no new table takes its rows together with "
            "those of another one: give the name of an old table that is merged"
        )
    return [_with_loose(one, source, target) for one in found]


def _given(constants: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in constants:
        table, mark, value = one.partition("=")
        if not mark or not table:
            raise UserError(f"--constant {one!r} is not OLD_TABLE=VALUE: write cats=cat")
        found[table] = value
    return found


def _merged(source: Tables, target: Tables, place: Place, taken, given) -> Merged | None:
    """The merge that a column could tell apart; None: it does not."""
    name, column = place
    table = target[name]
    if any(edge.table == name and edge.columns == (column,) for edge in target.edges):
        return None
    kind, values = table.types[column], table.allowed.get(column, ())
    if kind in ("float", "date", "datetime", "decimal") or (kind == "bool" and len(values) != 2):
        return None
    named = any(word in column.lower() for word in WORDS)
    if not values and not (named and column in table.required | set(table.key)):
        return None
    fits = _fitting(source, target, place, taken)
    if len(fits) < 2 or _tied(fits, source) or (values and len(values) < len(fits)):
        return None
    shared = [c for c in table.stored if sum(c in fit for fit in fits.values()) > 1]
    if not set(shared) - set(table.key):
        return None
    sources = tuple(fits)
    chosen = _constants(sources, place, target, values)
    for one in sources:
        if one in given:
            chosen[one] = _typed(given[one], kind, place, values)
    if len(set(map(repr, chosen.values()))) < len(chosen):
        raise UserError(f"--constant gives two tables the same {name}.{column}: give each its own")
    parts = tuple(Part(one, chosen[one], fits[one]) for one in sources)
    refers = frozenset(c for edge in target.edges if edge.table == name for c in edge.columns)
    known = bool(values) and all(_alike(one, chosen[one], column) for one in sources)
    declared = known or set(sources) <= set(given)
    return Merged(name, column, parts, declared, refers, bool(values))


def _alike(source: str, value: Any, column: str) -> bool:
    """Test if a constant is a word of the old table's name, or the column's of the other ones."""
    if isinstance(value, bool):
        return value <= (similarity(singular(source), re.sub(r"(?i)^(is|has)_?", "", column)) > 0.5)
    words = [singular(word) for word in (source, *_words(source))]
    return any(similarity(word, str(value)) > 0.5 for word in words)


def _fitting(source: Tables, target: Tables, place: Place, taken) -> dict[str, dict[str, str]]:
    """Old tables that are gone and have their keys and most of their columns in the new table,
    with the columns that are called alike.
    """
    name, column = place
    same, found = same_tables(source, target), {}
    for old in source.by_name:
        gone = old == name or old not in target
        if not gone or name in same or old in taken or column in source[old].types:
            continue
        columns = namesakes(source, old, target, name, column)
        mine = source[old].stored
        key = [columns.get(c) for c in target[name].key if c != column]
        kept = set(source[old].key) <= set(columns.values())
        surrogate = len(key) == 1 and key[0] is None
        if not source[old].key or not (kept or surrogate) or len(columns) < LEAST * len(mine):
            continue
        if all(c in target[name].key or c in source[old].key for c in columns.values()):
            continue  # nothing but keys
        others = [t for t in target.by_name if t not in source and t != name]
        if any(_better(source, old, target, t, (name, columns)) for t in others):
            continue
        found[old] = columns
    return found


def _better(source: Tables, old: str, target: Tables, other: str, now) -> bool:
    """Test if another new table takes more of an old one's columns, and is called more alike."""
    name, columns = now
    there = namesakes(source, old, target, other, "")
    close = similarity(singular(old), singular(other)) > similarity(singular(old), singular(name))
    return len(there) > len(columns) or (close and len(there) == len(columns))


def _tied(fits, source: Tables) -> bool:
    """Test if one of the old tables refers to another: they are parts of one thing."""
    return any(e.table in fits and e.to in fits and e.table != e.to for e in source.edges)


def namesakes(source: Tables, old: str, target: Tables, name: str, without: str) -> dict[str, str]:
    """Columns of a new table, each with the column of an old one that is called alike and has its
    type; the likeliest pairs first, each column once.

    Args:
      source: the old schema.
      old: its table.
      target: the new schema.
      name: its table.
      without: a column of the new table that takes none.
    """
    mine, stem = source[old], singular(old)
    pairs = []
    for column, kind in target[name].types.items():
        for one in mine.stored:
            if column == without or mine.types[one] != kind or column in target[name].computed:
                continue
            bare = re.sub(rf"(?i)^{re.escape(stem)}_?(?=.)", "", one)
            close = max(similarity(one, column), similarity(bare, column))
            if (one,) == mine.key and {column} == set(target[name].key) - {without}:
                close = max(close, 0.9)  # the key, whatever it is called
            if close >= ALIKE:
                pairs.append((-close, column, one))
    found: dict[str, str] = {}
    for _, column, one in sorted(pairs):
        if column not in found and one not in found.values():
            found[column] = one
    return found


def _constants(sources, place: Place, target: Tables, values) -> dict[str, Any]:
    """A constant for each old table: by their names among those allowed, else made of them."""
    name, column = place
    table = target[name]
    default = table.defaults.get(column)
    if values and isinstance(values[0], bool):
        stem = re.sub(r"(?i)^(is|has)_?", "", column)
        yes = max(sources, key=lambda one: (similarity(singular(one), stem), one != name))
        return {one: one == yes for one in sources}
    words = _telling(sources)
    if values and not isinstance(values[0], str):
        left = (
            [v for v in values if v != default] if name in sources and default in values else values
        )
        rest = iter(left)
        return {
            one: default if one == name and default in values else next(rest) for one in sources
        }
    if values:
        ways = itertools.permutations(values, len(sources))

        def worth(way):
            return sum(
                max(similarity(word, str(v)) for word in (words[one], singular(one)))
                + (0.5 if one == name and v == default else 0.0)
                for one, v in zip(sources, way, strict=True)
            )

        best = max(itertools.islice(ways, 5040), key=worth)
        return dict(zip(sources, best, strict=True))
    if table.types[column] == "int":
        return {one: n for n, one in enumerate(sources, 1)}
    if isinstance(default, str) and name in sources and default not in words.values():
        words[name] = default
    return words


def _words(name: str) -> list[str]:
    """The words of a name, with strokes or capitals between them."""
    return [word for word in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", name) if word]


def _telling(sources) -> dict[str, str]:
    """Words that the tables' names do not share: post, photo of post_comments, photo_comments."""
    parts = {one: _words(one) for one in sources}
    found = {}
    for one, mine in parts.items():
        others = [set(map(str.lower, words)) for other, words in parts.items() if other != one]
        own = [word for word in mine if not all(word.lower() in words for words in others)]
        found[one] = "_".join(singular(word) for word in own).lower()
    if "" in found.values() or len(set(found.values())) < len(found):
        return {one: one for one in sources}
    return found


def _typed(text: str, kind: str, place: Place, values) -> Any:
    """A constant of the command line as the column's type has it."""
    words = {"true": True, "false": False}
    value: Any = text
    if kind == "int":
        if not re.fullmatch(r"-?\d+", text):
            raise UserError(f"--constant {text!r}: {'.'.join(place)} holds whole numbers")
        value = int(text)
    elif kind == "bool":
        if text.lower() not in words:
            raise UserError(f"--constant {text!r}: {'.'.join(place)} is true or false")
        value = words[text.lower()]
    if values and value not in values:
        listed = ", ".join(map(repr, values))
        raise UserError(f"--constant {text!r}: {'.'.join(place)} holds {listed}")
    return value


def _with_loose(one: Merged, source: Tables, target: Tables) -> Merged:
    """The merge with the references of its old tables that the new table holds without declaring
    them, as one column does that refers to several tables.
    """
    loose = {p.source: tuple(_loose(one, p, source, target)) for p in one.parts}
    return replace(one, loose={source: edges for source, edges in loose.items() if edges})


def _loose(one: Merged, part: Part, source: Tables, target: Tables) -> Iterator[tuple[str, Edge]]:
    table, back = target[one.table], {old: new for new, old in part.columns.items()}
    declared = {c for edge in target.edges if edge.table == one.table for c in edge.columns}
    for edge in source.edges:
        if edge.table != part.source or len(edge.columns) != 1 or edge.to not in target:
            continue
        kind = source.type_of((part.source, edge.columns[0]))
        free = [
            c
            for c, k in table.types.items()
            if k == kind and c not in declared and c != one.column and c not in part.columns
        ]
        if edge.columns[0] in back:
            free = [c for c in [back[edge.columns[0]]] if c not in declared]
        stem = re.sub(r"(?i)_?(type|kind)$", "", one.column)
        mates = [c for c in free if stem and c.lower().startswith(stem.lower())]
        chosen = mates[:1] or (free if len(free) == 1 else [])
        if chosen and edge.to_columns == target[edge.to].key:
            yield chosen[0], edge
