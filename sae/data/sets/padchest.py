"""PadChest: a table with lists of labels in Spanish reports' order, views under Projection."""

import ast
from pathlib import Path

from jaxrl.app.errors import UserError
from sae.data.cases import NORMAL, Cases
from sae.data.layouts import Row, Source, cases_of_rows, find_table
from sae.data.tables import person, read_table

COLUMNS = ("ImageID", "ImageDir", "PatientID", "Projection", "Labels")
FRONTAL = ("PA", "AP", "AP_horizontal")
COMMON = (
    "pleural effusion",
    "cardiomegaly",
    "pneumonia",
    "pneumothorax",
    "atelectasis",
    "consolidation",
    "infiltrates",
    "interstitial pattern",
    "alveolar pattern",
    "nodule",
    "mass",
    "scoliosis",
    "costophrenic angle blunting",
    "aortic elongation",
    "kyphosis",
    "pacemaker",
    "NSG tube",
    "endotracheal tube",
    "central venous catheter",
    "sternotomy",
    "hiatal hernia",
    "emphysema",
    "fracture",
)
"""Labels that the loader gives a column, unless others are asked for."""
UNUSABLE = ("exclude", "suboptimal study", "unchanged", "")
"""Labels that are no findings. "exclude" radiographs are left out."""


def padchest(
    root: Path, views: tuple[str, ...] = FRONTAL, findings: tuple[str, ...] = COMMON
) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs, with Spanish reports where the table has them.

    Args:
      root: the folder with PADCHEST_*.csv[.gz] and the images, in folders 0 to 54 (ImageDir) or
        flat; or the table itself.
      views: values of Projection that are kept; empty: all.
      findings: labels that become columns; "normal" is No Finding.

    Raises:
      UserError: no table, or it lacks columns, or a list of labels cannot be read.
    """
    table = find_table(root, "PADCHEST*.csv*")
    folder, names = table.parent, (*findings, NORMAL)
    kept, skipped = [], []
    for number, row in enumerate(read_table(table, COLUMNS), 2):
        name = row["ImageID"].strip()
        labels = _labels(row["Labels"], f"row {number} of {table}")
        if labels is None:
            skipped.append((name, "its list of labels is blank"))
            continue
        if "exclude" in labels:
            skipped.append((name, "its labels say exclude"))
            continue
        present = {NORMAL if label == "normal" else label for label in labels}
        values = tuple(float(finding in present) for finding in names)
        inner = folder / (row["ImageDir"] or "").strip().removesuffix(".0") / name
        path = inner if inner.is_file() else folder / name
        row_of = Row(name, person(row["PatientID"]), path, values, row["Projection"])
        kept.append(row_of._replace(report=row.get("Report") or ""))
    return cases_of_rows(kept, Source(f"PadChest in {folder}", names, views, tuple(skipped)))


def _labels(text, where):
    """The labels of a cell, which holds a list of Python: ['normal', ' pacemaker']."""
    text = (text or "").strip()
    if text in ("", "nan"):
        return None
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise UserError(f"{where} holds {text[:60]!r} under Labels, which is no list of labels")
    return {label.strip() for label in found} - set(UNUSABLE[1:])
