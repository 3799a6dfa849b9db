"""PadChest: a table with lists of labels in Spanish reports' order, views under Projection."""

import ast
import re
from pathlib import Path

from jaxrl.app.errors import UserError
from sae.data.cases import NORMAL, Cases
from sae.data.layouts import Row, Source, cases_of_rows, find_table
from sae.data.tables import BLANKS, is_blank, person, read_table

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
NO_FINDINGS = frozenset(("exclude", "suboptimal study", "unchanged", ""))
"""Labels that are no findings. "exclude" radiographs are left out, and those with nothing else."""
KINDS = {
    "pleural effusion": (
        "loculated pleural effusion",
        "loculated fissural effusion",
        "hydropneumothorax",
        "empyema",
        "hemothorax",
    ),
    "pneumothorax": ("hydropneumothorax",),
    "pneumonia": ("atypical pneumonia",),
    "atelectasis": (
        "total atelectasis",
        "lobar atelectasis",
        "segmental atelectasis",
        "laminar atelectasis",
        "round atelectasis",
        "atelectasis basal",
    ),
    "consolidation": ("air bronchogram",),
    "alveolar pattern": ("consolidation", "air bronchogram"),
    "interstitial pattern": (
        "ground glass pattern",
        "reticular interstitial pattern",
        "reticulonodular interstitial pattern",
        "miliary opacities",
    ),
    "infiltrates": ("interstitial pattern", "alveolar pattern"),
    "nodule": ("multiple nodules",),
    "mass": (
        "mediastinal mass",
        "breast mass",
        "pleural mass",
        "pulmonary mass",
        "soft tissue mass",
    ),
    "aortic elongation": (
        "descendent aortic elongation",
        "ascendent aortic elongation",
        "aortic button enlargement",
        "supra aortic elongation",
    ),
    "central venous catheter": (
        "central venous catheter via subclavian vein",
        "central venous catheter via jugular vein",
        "central venous catheter via umbilical vein",
        "reservoir central venous catheter",
    ),
    "fracture": ("clavicle fracture", "humeral fracture", "vertebral fracture", "rib fracture"),
    "rib fracture": ("callus rib fracture",),
    "pacemaker": ("dual chamber device", "single chamber device"),
}
"""Kinds of a label after the set's tree of findings: who has a kind has the label, which the table
does not repeat. That chamber devices are pacemakers is our choice.
"""


def padchest(
    root: Path, views: tuple[str, ...] = FRONTAL, findings: tuple[str, ...] = COMMON
) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs, with Spanish reports where the table has them.

    Args:
      root: the folder with PADCHEST_*.csv[.gz] and the images, in folders 0 to 54 (ImageDir) or
        flat; or the table itself.
      views: values of Projection that are kept; empty: all.
      findings: labels that become columns, each with its kinds (`KINDS`); "normal" is No Finding.

    A radiograph whose labels say "unchanged" refers to an earlier one: findings that it does not
    list are uncertain rather than absent. Our choice.

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
        found = with_parents(labels - NO_FINDINGS)
        if "exclude" in labels:
            skipped.append((name, "its labels say exclude"))
            continue
        if not found:
            skipped.append((name, f"its labels say nothing but {', '.join(sorted(labels))}"))
            continue
        present = {NORMAL if label == "normal" else label for label in found}
        absent = -1.0 if "unchanged" in labels and "normal" not in labels else 0.0
        values = tuple(1.0 if finding in present else absent for finding in names)
        if is_blank(row["PatientID"]):
            skipped.append((name, "its table names no patient"))
            continue
        inner = folder / (row["ImageDir"] or "").strip().removesuffix(".0") / name
        path = inner if inner.is_file() else folder / name
        row_of = Row(name, person(row["PatientID"]), path, values, row["Projection"])
        kept.append(row_of._replace(report=row.get("Report") or ""))
    return cases_of_rows(kept, Source(f"PadChest in {folder}", names, views, tuple(skipped)))


def _labels(text, where):
    """The labels of a cell, which holds a list of Python: ['normal', ' pacemaker', '', nan]; None
    for a list of blanks.
    """
    text = (text or "").strip()
    if text.lower() in BLANKS:
        return None
    try:
        found = ast.literal_eval(re.sub(r"(?<=[\[,])\s*nan\s*(?=[\],])", "''", text))
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found = None
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise UserError(f"{where} holds {text[:60]!r} under Labels, which is no list of labels")
    return {label.strip() for label in found if label.strip().lower() not in BLANKS} or None


def with_parents(labels: set[str]) -> set[str]:
    """Labels, and the more general ones that they are kinds of."""
    parents = {parent for parent, kinds in KINDS.items() if labels & set(kinds)}
    return labels if parents <= labels else with_parents(labels | parents)
