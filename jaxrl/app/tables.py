"""Tables of text (CSV) in which no field can stand in another's column."""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from jaxrl.app.errors import UserError


def table_of(
    text: str, file: Path, separator: str = ",", columns: Sequence[str] | None = None
) -> tuple[list[str], list[dict[str, str]]]:
    """Column names, and rows by column; lines without anything are left out.

    Args:
      text: of the whole table.
      file: where it comes from, for messages.
      separator: one character between fields.
      columns: names of the columns, if the first line is a row and no header.

    Raises:
      UserError: it is no table, two columns have one name, or a row has other fields than columns.
    """
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True))
    except csv.Error as error:
        raise UserError(f"{file} cannot be read as a table ({error})") from None
    if "\0" in text:
        raise UserError(f"{file} cannot be read as a table: save it as UTF-8")
    lines = [line for line in lines if line]
    first = 1
    if columns is None:
        columns, lines, first = (lines or [[]])[0], lines[1:], 2
    names = [name.strip() for name in columns]
    _check_header(names, file)
    return names, [_row(line, names, number, file) for number, line in enumerate(lines, first)]


def _check_header(names: list[str], file: Path) -> None:
    """Raises: UserError: two columns have one name, so that one would hide the other."""
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise UserError(
            f"{file} has several columns called {', '.join(twice)}: which one is meant? Rename or "
            "remove the others"
        )


def _row(line: list[str], names: list[str], number: int, file: Path) -> dict[str, str]:
    """The fields of a line by column; empty fields may follow the last column.

    Raises:
      UserError: the line has fewer fields than the header, or more: then at least one stands in a
        column that is not its own.
    """
    if len(line) < len(names) or any(field.strip() for field in line[len(names) :]):
        raise UserError(
            f"row {number} of {file} has {len(line)} fields where the header has {len(names)}: "
            "texts with a separator, quotation marks or a line break need quotation marks around "
            "them"
        )
    return dict(zip(names, line, strict=False))
