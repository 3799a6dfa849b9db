"""VinDr-CXR: DICOM files with labels of radiologists, one row per image or one per radiologist and
box.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from sae.data.cases import NORMAL, Cases
from sae.data.layouts import Row, Source, cases_of_rows
from sae.data.tables import label, read_table

SPELLED = {"No finding": NORMAL, "Other disease": "Other diseases"}
"""Names of labels that other sets spell otherwise."""
NOT_LABELS = ("image_id", "rad_id", "rad_ID", "class_name", "class_id")
BOXES = ("x_min", "y_min", "x_max", "y_max")


def vindr(root: Path) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs, train/ID.dicom and test/ID.dicom.

    Args:
      root: the folder with train/, test/ and image_labels_train.csv, image_labels_test.csv, in it
        or in annotations/. Where only annotations_*.csv or train.csv (as in the competition) is
        there, boxes become labels of images.

    A finding is present where most radiologists of an image say so. The set names no patients:
    every image counts as one. With both tables, those of test/ are the test side and a tenth of
    train/, drawn once, is the validation side.

    Raises:
      UserError: there is no table.
    """
    found = [(side, table) for side in ("train", "test") if (table := _table(root, side))]
    if not found:
        raise UserError(
            f"there is no table image_labels_train.csv or train.csv in {root}: name the folder of "
            "VinDr-CXR"
        )
    sides = [(side, _votes(table)) for side, table in found]
    names = tuple(dict.fromkeys(name for _, votes in sides for name in votes.names))
    kept, test = [], set()
    for side, (votes, _, absent) in sides:
        for image, rows in votes.items():
            values = tuple(majority([row.get(name, absent) for row in rows]) for name in names)
            kept.append(Row(image, image, _image(root / side / image), values))
            if side == "test":
                test.add(image)
    both = frozenset(test) if len(sides) == 2 else None
    return cases_of_rows(kept, Source(f"VinDr-CXR in {root}", names), both)


def _table(root, side):
    for name in (f"image_labels_{side}.csv", f"annotations_{side}.csv", f"{side}.csv"):
        for folder in (root, root / "annotations"):
            if (folder / name).is_file():
                return folder / name
    return None


class Votes(NamedTuple):
    """Labels of one table."""

    by_image: dict[str, list[dict[str, float]]]
    """One dictionary per radiologist of each image."""
    names: tuple[str, ...]
    absent: float
    """Value of a finding that the table does not have: 0 in a table of boxes, whose radiologists
    drew none; else unknown.
    """


def _votes(table) -> Votes:
    """Read the labels of a table."""
    rows = read_table(table, ("image_id",))
    names, votes = {}, defaultdict(dict)
    boxes = bool(rows) and "class_name" in rows[0]
    for number, row in enumerate(rows, 2):
        who = row.get("rad_id") or row.get("rad_ID") or ""
        mine = votes[row["image_id"].strip()].setdefault(who, {})
        if boxes:
            name = SPELLED.get(row["class_name"].strip(), row["class_name"].strip())
            names[name] = mine[name] = 1.0
            continue
        for column, text in row.items():
            if not column or column in NOT_LABELS or column in BOXES:
                continue
            name = SPELLED.get(column, column)
            names[name] = 1.0
            value = label(text, f"column {column} of {table}, row {number}")
            mine[name] = np.fmax(mine.get(name, np.nan), value)
    by_image = {image: list(by.values()) for image, by in votes.items()}
    return Votes(by_image, tuple(names), 0.0 if boxes else float("nan"))


def majority(votes: Sequence[float]) -> float:
    """1 where most of those who say anything say so, else 0; -1, uncertain, where nobody does."""
    said = [vote for vote in votes if not np.isnan(vote)]
    return float(np.mean(said) > 0.5) if said else -1.0


def _image(stem):
    for suffix in (".dicom", ".dcm", ".png", ".jpg"):
        if (path := stem.with_name(stem.name + suffix)).is_file():
            return path
    return stem.with_name(stem.name + ".dicom")
