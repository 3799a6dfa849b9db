"""A folder of radiographs with a table of your own: columns path and patient, findings, and perhaps
report, split and acquisition numbers.
"""

from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from sae.data.cases import Cases, check_split, side
from sae.data.images import read_image
from sae.data.tables import check_people, is_blank, labels, person, read_table


def folder(
    table: Path, findings: tuple[str, ...], acquisition: tuple[str, ...] = ()
) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs (JPEG, PNG, DICOM), which the table gives relative
    to itself.

    Args:
      table: a .csv with the columns path, patient, every finding (1, 0, -1 or blank), and perhaps
        report and split.
      findings: names of label columns; none: radiographs without labels, for explaining them.
      acquisition: names of columns with numbers about how radiographs were taken.

    Raises:
      UserError: columns are missing, or hold something else.
    """
    rows = read_table(table, ("path", "patient", *findings, *acquisition))
    if not rows:
        raise UserError(f"{table} has no rows")
    for number, row in enumerate(rows, 2):
        for name in ("path", "patient"):
            if is_blank(row[name]):
                raise UserError(
                    f"row {number} of {table} names no {name}: every radiograph needs a path and a "
                    "patient"
                )
        row["path"] = row["path"].strip()
    people = tuple(person(row["patient"]) for row in rows)
    check_people(people, table)
    paths = [table.parent / row["path"] for row in rows]

    def has(name):
        return name in rows[0]

    cases = Cases(
        tuple(row["path"] for row in rows),
        people,
        findings,
        labels(rows, findings, table),
        lambda i: read_image(paths[i]),
        tuple(row["report"] or "" for row in rows) if has("report") else (),
        {name: _numbers(rows, name, table) for name in acquisition},
        tuple(side(row["split"]) for row in rows) if has("split") else (),
        source=str(table),
    )
    check_split(cases)
    return cases, paths


def _numbers(rows, name, table):
    try:
        values = np.array([_number(row[name]) for row in rows], np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"column {name} of {table} holds something that is no number ({error})"
        ) from None
    if np.isinf(values).any() or np.isnan(values).all():
        raise UserError(f"column {name} of {table} holds no finite numbers")
    return values


def _number(text):
    return float("nan") if is_blank(text) else float(text)
