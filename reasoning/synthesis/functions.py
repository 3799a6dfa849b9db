"""The few functions that heads of rules may compute with: parts of text, and tables of values.

Our choice, used only where an example needs them: Dynamite's language (arXiv 2003.01331) copies
values and has no function. NULL in, NULL out.
"""

from collections.abc import Callable
from typing import Any

from reasoning.synthesis.errors import UserError

MISSING = object()
"""A value that a table of values does not hold."""


def before(value: str, mark: str) -> str:
    """The text before the first mark; all of it if there is none."""
    return value.partition(mark)[0]


def after(value: str, mark: str) -> str | None:
    """The text after the first mark; NULL if there is none."""
    head, found, rest = value.partition(mark)
    del head
    return rest if found else None


def before_last(value: str, mark: str) -> str:
    """The text before the last mark; all of it if there is none."""
    head, found, rest = value.rpartition(mark)
    return head if found else rest


def after_last(value: str, mark: str) -> str | None:
    """The text after the last mark; NULL if there is none."""
    head, found, rest = value.rpartition(mark)
    del head
    return rest if found else None


def part(value: str, mark: str, number: int) -> str | None:
    """The part of this number, from 1, between marks; NULL if there are fewer."""
    found = value.split(mark)
    return found[number - 1] if 0 < number <= len(found) else None


def substring(value: str, start: int, length: int) -> str:
    """So many letters from a place on, counted from 1."""
    return value[start - 1 : start - 1 + length]


def concat(*values: Any) -> str:
    """Texts and whole numbers one after the other."""
    return "".join(str(value) for value in values)


def table(value: Any, *pairs: Any) -> Any:
    """The value that a table of pairs (from, to, from, to, ...) gives; NULL if it has none."""
    found = lookup(value, pairs)
    return None if found is MISSING else found


def lookup(value: Any, pairs: tuple) -> Any:
    """As `table`, but `MISSING` for a value that the table does not hold."""
    for key, found in zip(pairs[::2], pairs[1::2], strict=True):
        if key == value and isinstance(key, bool) == isinstance(value, bool):
            return found
    return MISSING


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "before": before,
    "after": after,
    "before_last": before_last,
    "after_last": after_last,
    "part": part,
    "substring": substring,
    "concat": concat,
    "lower": str.lower,
    "upper": str.upper,
    "trim": lambda value: value.strip(" "),
    "table": table,
}
"""Functions by name, as rules write them."""


def compute(name: str, values: tuple) -> Any:
    """A function of values; NULL if its first argument, or any of `concat`, is NULL."""
    if any(v is None for v in (values if name == "concat" else values[:1])):
        return None
    return FUNCTIONS[name](*values)


def sql(name: str, cells: list[str], dialect: str) -> str:
    """A call as SQL.

    Args:
      name: the name of the function.
      cells: its arguments as SQL.
      dialect: "duckdb", "postgres", "sqlite" or "spark".

    Raises:
      UserError: the dialect has nothing like it.
    """
    x, *rest = cells
    mark = rest[0] if rest else ""
    place = f"strpos({x}, {mark})" if dialect == "postgres" else f"instr({x}, {mark})"
    if name == "table":
        pairs = zip(rest[::2], rest[1::2], strict=True)
        return f"CASE {x} " + " ".join(f"WHEN {a} THEN {b}" for a, b in pairs) + " END"
    if name == "concat":
        kind = "STRING" if dialect == "spark" else "TEXT"
        return "(" + " || ".join(f"CAST({cell} AS {kind})" for cell in cells) + ")"
    if name in ("lower", "upper", "trim"):
        return f"{name}({x})"
    if name == "substring":
        return f"substr({x}, {rest[0]}, {rest[1]})"
    if name == "before":
        return f"CASE WHEN {place} > 0 THEN substr({x}, 1, {place} - 1) ELSE {x} END"
    if name == "after":
        return f"CASE WHEN {place} > 0 THEN substr({x}, {place} + length({mark})) END"
    if dialect == "sqlite":
        return f"latentax_{name}({', '.join(cells)})"
    return _lists(name, x, rest, dialect, place)


def _lists(name: str, x: str, rest: list[str], dialect: str, place: str) -> str:
    """Calls that split text into a list, which every dialect does in its own way."""
    mark = rest[0]
    if name == "part":
        made = {
            "duckdb": f"string_split({x}, {mark})[{rest[1]}]",
            "postgres": f"(string_to_array({x}, {mark}))[{rest[1]}]",
            "spark": f"get(split({x}, concat('\\\\Q', {mark}, '\\\\E')), {rest[1]} - 1)",
        }
        return made[dialect]
    last = f"reverse(split_part(reverse({x}), reverse({mark}), 1))"
    if name == "after_last":
        return f"CASE WHEN {place} > 0 THEN {last} END"
    cut = f"substr({x}, 1, length({x}) - length({last}) - length({mark}))"
    return f"CASE WHEN {place} > 0 THEN {cut} ELSE {x} END"


def check_call(name: str, values: tuple, where: str):
    """Refuse an unknown function or a wrong number of arguments. Raises UserError."""
    counts = {"part": (3,), "substring": (3,), "lower": (1,), "upper": (1,), "trim": (1,)}
    if name not in FUNCTIONS:
        raise UserError(f"{where}: {name} is none of the functions {', '.join(FUNCTIONS)}")
    fits = {"concat": len(values) >= 1, "table": len(values) >= 3 and len(values) % 2 == 1}.get(
        name, len(values) in counts.get(name, (2,))
    )
    if not fits:
        raise UserError(f"{where}: {name} has {len(values)} arguments: see docs/dynamite.md")


def register(base):
    """Teach a connection of SQLite what it lacks: splitting, and case beyond ASCII."""
    for name, arguments in (("part", 3), ("before_last", 2), ("after_last", 2)):
        base.create_function(
            f"latentax_{name}", arguments, _nullable(FUNCTIONS[name]), deterministic=True
        )
    for name in ("lower", "upper"):
        base.create_function(name, 1, _nullable(FUNCTIONS[name]), deterministic=True)


def _nullable(function):
    def call(value, *rest):
        return None if value is None else function(value, *rest)

    return call
