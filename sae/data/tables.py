"""Reading tables: .csv and .csv.gz as dictionaries, label columns as numbers."""

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.tables import table_of

BLANKS = ("", "nan", "na", "n/a", "#n/a", "<na>", "none", "null")
"""Texts of a label that is not there."""


def read_table(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """All rows of a table; `path` may also lie there with .gz behind it.

    Raises:
      UserError: there is no such file, it cannot be read, or columns are missing (all of these are
        named).
    """
    packed = path.with_name(path.name + ".gz")
    file = path if path.is_file() else packed
    if not file.is_file():
        raise UserError(f"there is no table {path}, nor {packed.name} next to it")
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
            text = _SEPARATOR_LINE.sub("", decoded(stream.read()))
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise UserError(f"{file} cannot be read as a table ({error})") from None
    names, rows = table_of(text, file, _separator(text[: 2**16].splitlines()[0] if text else ""))
    missing = [name for name in columns if name not in names]
    if missing:
        raise UserError(f"{file} has no column {', '.join(missing)}; it has {', '.join(names)}")
    return rows


_SEPARATOR_LINE = re.compile(r"\A\"?sep=.\"?\r?\n", re.IGNORECASE)
"""First line by which Excel says what separates columns; the header below shows it as well."""


def decoded(data: bytes) -> str:
    """Text of a file in UTF-8 or UTF-16 (by its mark), else in Latin-1 as spreadsheets write it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16")
    if b"\0" in data:  # no text in any of these
        return data.decode("utf-8-sig")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes are no characters there
        return data.decode("latin-1")


def _separator(head: str) -> str:
    """The separator that a header has most of: comma, semicolon, tabulator or bar."""
    return max(",;\t|", key=head.count)


def is_blank(text: str | None) -> bool:
    """Return whether a cell says nothing."""
    return (text or "").strip().lower() in BLANKS


def person(text: str) -> str:
    """Identify a patient: 12, 12.0, "12,0" and " 12" are one (spreadsheets turn numbers into
    decimals).

    Raises:
      UserError: a blank, or a number in powers of ten, in which different patients may have become
        one.
    """
    text = (text or "").strip()
    if is_blank(text):
        raise UserError(
            f"a row names no patient ({text!r}): whose radiographs they are decides on which side "
            "of the split they lie"
        )
    if re.fullmatch(r"\d[.,]\d+[eE]\+?\d+|\d[eE]\+\d+", text):
        raise UserError(
            f"{text!r} is no patient: a spreadsheet has shortened a long number, and several "
            "patients may now look like one; save that column as text"
        )
    number = re.fullmatch(r"(\d+)[.,]0+", text)
    return number[1] if number else text


def check_people(patients: Sequence[str], where: Path) -> None:
    """Refuse patients that zeros in front alone tell apart: a table that once lost them would put
    one patient on two sides of the split.

    Raises:
      UserError: naming two such patients.
    """
    seen: dict[str, str] = {}
    for patient in patients:
        if patient.isdigit():
            other = seen.setdefault(patient.lstrip("0"), patient)
            if other != patient:
                raise UserError(
                    f"{where} has patients {other} and {patient}, which zeros in front alone tell "
                    "apart: write the same number for one patient, or add a letter if they are two"
                )


WORDS = {"true": 1.0, "false": 0.0}
"""Labels in words."""


def label(text: str | None, where: str) -> float:
    """1, 0, -1, or NaN for a blank.

    Raises:
      UserError: something else; a probability needs a threshold that only its owner knows.
    """
    word = (text or "").strip().lower()
    if word in BLANKS:
        return float("nan")
    if word in WORDS:
        return WORDS[word]
    try:
        value = float(word)
    except ValueError:
        value = float("inf")
    if 0 < value < 1:
        raise UserError(
            f"{where} holds {text!r}, a probability, where labels are 1, 0, -1 or blank: choose a "
            "threshold and write 1 or 0"
        )
    if value not in (1.0, 0.0, -1.0):
        raise UserError(f"{where} holds {text!r}, where labels are 1, 0, -1 or blank")
    return value


def labels(rows: list[dict[str, str]], names: Sequence[str], where: Path) -> np.ndarray:
    """float32 `[N, C]` of the named columns."""
    table = [
        [label(row[name], f"column {name} of {where}, row {number}") for name in names]
        for number, row in enumerate(rows, 2)
    ]
    return np.array(table, np.float32).reshape(len(rows), len(names))
