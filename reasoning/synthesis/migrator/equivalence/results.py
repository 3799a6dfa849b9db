"""Result of a comparison of two programs: a difference, or the bound without one."""

from dataclasses import dataclass
from typing import Any

Call = tuple[str, dict[str, Any]]
"""A function and its arguments."""


@dataclass(frozen=True)
class Start:
    """Related databases that sequences of calls begin in."""

    rows: tuple[dict[str, list[tuple]], dict[str, list[tuple]]]
    """Rows by table, of the old schema and of the new one; tables that are not named are empty."""


EMPTY = Start(({}, {}))
BEGUN = 50
"""Calls that may have led to a start."""


@dataclass(frozen=True)
class Scenario:
    """Calls on which two programs differ."""

    calls: tuple[Call, ...]
    """Updates, and a query at the end unless the last update itself differs."""
    old: list[tuple] | str
    """Answer of the old program: rows, or the reason why the call failed."""
    new: list[tuple] | str
    """Answer of the new program, likewise."""
    start: Start = EMPTY
    """The databases before."""

    @property
    def first(self) -> int:
        """The number before that of the first call, which keeps fresh keys apart; those of a start
        were made before.
        """
        return 0 if self.start == EMPTY else BEGUN

    @property
    def functions(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(name for name, _ in self.calls)


@dataclass(frozen=True)
class Checked:
    """Extent and result of a comparison of two programs."""

    bound: int
    """All sequences of up to so many updates were compared, with the values used."""
    wanted: int
    """The bound asked for."""
    sequences: int
    """Different pairs of databases in which queries were compared."""
    queries: int
    """Queries compared."""
    functions: tuple[str, ...]
    """Functions that took part; the others are the same text on the same tables."""
    failure: Scenario | None
    """A difference; None: none was found."""
    walks: int = 0
    """Longer sequences at random."""
    starts: int = 1
    """Pairs of databases that sequences began in: the empty ones, and related ones where no
    function fills a table.
    """
    never: tuple[str, ...] = ()
    """Updates that failed on every try, in both programs, so that nothing was seen of them."""
    idle: tuple[str, ...] = ()
    """Updates that succeeded and never changed a row."""
    without_null: tuple[str, ...] = ()
    """Functions that were not called with NULL."""

    def text(self) -> str:
        """A sentence that claims no more than was done."""
        if self.failure:
            return f"different after {' -> '.join(self.failure.functions)}"
        if not self.functions:
            return "nothing to compare: all functions are the same on the same tables"
        more = (
            f"; bound {self.wanted} was begun and not finished" if self.bound < self.wanted else ""
        )
        done = f"{len(self.functions)} functions, {self.sequences} states, {self.queries} queries"
        done += f", {self.walks} longer sequences at random" if self.walks else ""
        done += f", from {self.starts} databases" if self.starts > 1 else ""
        more += (
            f"; every try failed in both programs: {', '.join(self.never)}" if self.never else ""
        )
        more += f"; without effect on every try: {', '.join(self.idle)}" if self.idle else ""
        but = f" but for {', '.join(self.without_null)}" if self.without_null else ""
        done += f"; tested values only, NULL where the old schema allows it{but}"
        return f"no difference within bound {self.bound} ({done}){more}"
