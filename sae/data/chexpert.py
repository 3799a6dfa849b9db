"""CheXpert, as it is laid out: train.csv and valid.csv with paths, view and fourteen labels."""

import re
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from sae.data.cases import CHEXPERT, Cases
from sae.data.images import read_image
from sae.data.layouts import check_views, view_name, wanted_view, with_validation
from sae.data.tables import labels, read_table

COLUMNS = ("Path", "Frontal/Lateral", "AP/PA", *CHEXPERT)


def chexpert(
    root: Path, frontal_only: bool = True, views: tuple[str, ...] = ()
) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their radiographs.

    Args:
      root: the folder with the tables.
      frontal_only: leave lateral radiographs out.
      views: AP, PA, Lateral, LL or RL, as the column AP/PA (or, where that is blank, the column
        Frontal/Lateral) has them; empty: all that `frontal_only` keeps.

    With valid.csv, its radiographs are the test side, and a tenth of the patients of train.csv,
    drawn once and for all, are the validation side. Our choice, as CheXpert's own test radiographs
    are not public. Without it the split is made later.

    Raises:
      UserError: there is no table, or it lacks columns.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: name the folder that holds train.csv")
    tables = [root / "train.csv", *(file for file in [root / "valid.csv"] if file.is_file())]
    rows, values, sides, skipped, there = [], [], [], [], []
    for file, side in zip(tables, ("train", "test"), strict=False):
        found = read_table(file, COLUMNS)
        numbers = []
        for i, row in enumerate(found):
            side_view = view_name(row["Frontal/Lateral"])
            if not views and frontal_only and side_view != "Frontal":
                if not side_view:  # it may be frontal: counted and listed
                    skipped.append((_below(row["Path"]), "its table names no view"))
                continue
            seen = view_name(row["AP/PA"]) or view_name(row["Frontal/Lateral"])
            there.append(seen)
            reason = wanted_view(seen, views)
            if reason is None:
                numbers.append(i)
            else:
                skipped.append((_below(row["Path"]), reason))
        rows += [found[i] for i in numbers]
        values.append(labels(found, CHEXPERT, file)[numbers])
        sides += [side] * len(numbers)
    check_views(views, there, str(root))
    if not rows:
        raise UserError(
            f"the tables in {root} list no {'frontal ' if frontal_only else ''}radiograph"
        )
    paths, patients = (
        [root / _below(row["Path"]) for row in rows],
        tuple(_patient(row["Path"]) for row in rows),
    )
    cases = Cases(
        tuple(_below(row["Path"]) for row in rows),
        patients,
        CHEXPERT,
        np.concatenate(values),
        lambda i: read_image(paths[i]),
        acquisition={"AP view": np.array([_ap(row["AP/PA"]) for row in rows], np.float32)},
        split=with_validation(patients, sides) if len(tables) > 1 else (),
        skipped=tuple(skipped),
        source=f"CheXpert in {root}",
    )
    return cases, paths


def _ap(text):
    view = view_name(text)
    return float(view == "AP") if view else np.nan


def _below(path: str) -> str:
    """A path of the table without the name of the release, which folders may lack."""
    parts = Path(path.strip().replace("\\", "/")).parts
    start = next((i for i, part in enumerate(parts) if part in ("train", "valid", "test")), 0)
    return str(Path(*parts[start:]))


def _patient(path: str) -> str:
    """Name the patient of a path by its part patient00001, in whatever case."""
    found = re.search(r"(?:^|[/\\])(patient\d+)(?=[/\\])", path.strip(), re.IGNORECASE)
    if not found:
        raise UserError(
            f"the path {path!r} names no patient (a part such as patient00001): the split could "
            "put one patient on two sides"
        )
    return found[1].lower()
