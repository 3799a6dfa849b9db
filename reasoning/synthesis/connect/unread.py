"""Fields of the data that the schema does not name: left out, but counted and listed."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from reasoning.synthesis.errors import UserError

MOST = 1000
"""More fields of other names than this in one source are keys that are data."""
MISSING = -1
"""Number of records, in the working database, of a field of the schema that no record has."""
TABLE = "not_read"
"""Table of the working database that keeps the list when a run is continued."""


@dataclass
class Unread:
    """Fields and collections of one source that were not read."""

    found: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """By path and field: number of records that hold it and the first of them, from 1. A column of
    a table, which is not counted, has two zeros; a whole collection has the field "".
    """
    missing: set[tuple[str, str]] = field(default_factory=set)
    """Fields of the schema that no record of a collection has, where its records have others; with
    the field "" collections that are not there, where others are.
    """

    def note(self, path: str, name: str, record: int):
        """Count a field of a record.

        Args:
          path: the collection of the record.
          name: the field, or "" for a record of a collection that the schema does not name.
          record: the number of the record, from 1.

        Raises:
          UserError: there are so many fields that their names must be data.
        """
        seen = self.found.setdefault((path, name), [0, record])
        seen[0] += 1
        if len(self.found) > MOST:
            raise UserError(
                f"{path}: more than {MOST:,} fields are not in the schema, {name!r} the last: if "
                'the keys are data, declare the object around them with "form": "map"'
            )

    def columns(self, path: str, there: Iterable[str], known: Iterable[str]):
        """List the columns of a table that the schema does not name.

        Args:
          path: the table.
          there: the names of its columns.
          known: those of the schema.
        """
        names = set(known)
        self.found.update({(path, name): [0, 0] for name in there if name not in names})

    def others(self, path: str) -> list[str]:
        """The fields of a collection that were not read."""
        return [name for where, name in self.found if where == path and name]

    @property
    def collections(self) -> list[str]:
        """The collections that were not read."""
        return [path for path, name in self.found if not name]

    def counted(self) -> "Unread":
        """Those that records hold, without columns of tables."""
        return Unread({place: seen for place, seen in self.found.items() if seen[0]})

    def columns_only(self) -> "Unread":
        """Those that `counted` leaves out."""
        return Unread({place: seen for place, seen in self.found.items() if not seen[0]})

    def sentences(self) -> list[str]:
        """A sentence on each of them, the most frequent first."""
        order = sorted(self.found.items(), key=lambda item: (-item[1][0], item[0]))
        return [_sentence(*place, *seen) for place, seen in order]

    def store(self, base):
        """Keep the list in the working database."""
        base.execute(f"CREATE TABLE {TABLE} (path TEXT, field TEXT, records BIGINT, first BIGINT)")
        lacking = {place: [MISSING, MISSING] for place in self.missing}
        for place, seen in [*self.found.items(), *lacking.items()]:
            base.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", [*place, *seen])

    @classmethod
    def stored(cls, base) -> "Unread":
        """The list that `store` kept."""
        rows = base.execute(f"FROM {TABLE}").fetchall()
        found = {(path, name): seen for path, name, *seen in rows if seen[0] != MISSING}
        return cls(found, {(path, name) for path, name, count, _ in rows if count == MISSING})


def _sentence(path: str, name: str, records: int, first: int) -> str:
    if not name:
        many = f", {records:,} records" if records else ""
        return f"the collection {path!r}{many}, which the schema does not name"
    if not records:
        return f"the column {name!r} of {path}"
    return f"{name!r} of {path}, in {records:,} records, first in record {first:,}"
