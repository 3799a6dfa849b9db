"""Reading tables: .csv and .csv.gz as dictionaries, label columns as numbers."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxrl.train.errors import Refusal


def read_table(path: Path, columns: Sequence[str] = ()) -> list[dict[str, str]]:
    """All rows of a table; `path` may also lie there with .gz behind it.

    Raises:
      Refusal: there is no such file, it cannot be read, or columns are missing (all of these are
        named).
    """
    packed = path.with_name(path.name + ".gz")
    file = path if path.is_file() else packed
    if not file.is_file():
        raise Refusal(f"there is no table {path}, nor {packed.name} next to it")
    try:
        raw = gzip.open(file) if file.suffix == ".gz" else open(file, "rb")  # noqa: SIM115
        opened = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        with opened as stream:
            reader = csv.DictReader(stream)
            rows, names = list(reader), reader.fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error, EOFError) as error:
        raise Refusal(f"{file} cannot be read as a table ({error})") from None
    missing = [name for name in columns if name not in names]
    if missing:
        raise Refusal(f"{file} has no column {', '.join(missing)}; it has {', '.join(names)}")
    return rows


def label(text: str | None, where: str) -> float:
    """1, 0, -1, or NaN for a blank.

    Raises:
      Refusal: something else.
    """
    if text is None or not text.strip():
        return float("nan")
    try:
        value = float(text)
    except ValueError:
        value = float("inf")
    if value not in (1.0, 0.0, -1.0):
        raise Refusal(f"{where} holds {text!r}, where labels are 1, 0, -1 or blank")
    return value


def labels(rows: list[dict[str, str]], names: Sequence[str], where: Path) -> np.ndarray:
    """float32 `[N, C]` of the named columns."""
    table = [
        [label(row[name], f"column {name} of {where}, row {number}") for name in names]
        for number, row in enumerate(rows, 2)
    ]
    return np.array(table, np.float32).reshape(len(rows), len(names))
