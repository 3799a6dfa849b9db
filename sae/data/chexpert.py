"""CheXpert, as it is laid out: train.csv and valid.csv with paths, view and fourteen labels."""

from pathlib import Path

import numpy as np

from jaxrl.train.errors import Refusal
from sae.data.cases import CHEXPERT, Cases
from sae.data.films import read_film
from sae.data.tables import labels, read_table

COLUMNS = ("Path", "Frontal/Lateral", "AP/PA", *CHEXPERT)


def chexpert(root: Path, frontal_only: bool = True) -> tuple[Cases, list[Path]]:
    """Cases and the paths of their films. valid.csv, if it is there, becomes the test side; the rest is split by patient later.

    Raises:
      Refusal: there is no table, or it lacks columns.
    """
    if not root.is_dir():
        raise Refusal(f"there is no folder {root}: name the folder that holds train.csv")
    rows = read_table(root / "train.csv", COLUMNS)
    if (root / "valid.csv").is_file():
        rows += read_table(root / "valid.csv", COLUMNS)
    rows = [row for row in rows if not frontal_only or row["Frontal/Lateral"] == "Frontal"]
    if not rows:
        raise Refusal(f"the tables in {root} list no {'frontal ' if frontal_only else ''}film")
    paths = [root / _below(row["Path"]) for row in rows]
    cases = Cases(
        tuple(_below(row["Path"]) for row in rows), tuple(_patient(row["Path"]) for row in rows), CHEXPERT,
        labels(rows, CHEXPERT, root / "train.csv"), lambda i: read_film(paths[i]),
        acquisition={"AP view": np.array([row["AP/PA"] == "AP" for row in rows], np.float32)}, source=f"CheXpert in {root}",
    )  # fmt: skip
    return cases, paths


def _below(path: str) -> str:
    """A path of the table without the name of the release, which folders may lack."""
    parts = Path(path).parts
    start = next((i for i, part in enumerate(parts) if part in ("train", "valid", "test")), 0)
    return str(Path(*parts[start:]))


def _patient(path: str) -> str:
    return next((part for part in Path(path).parts if part.startswith("patient")), path)
