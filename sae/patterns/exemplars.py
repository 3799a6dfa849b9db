"""Galleries: the cases that show what a pattern is. Strongest, from four bins below, and matched
ones where it is silent.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxrl.app.files import write_atomic
from jaxrl.app.plots import array_to_png as png

__all__ = ["Gallery", "contact_sheet", "gallery", "halves", "one_per_patient", "png", "write_index"]


class Gallery(NamedTuple):
    """Rows of cases for one pattern; int arrays."""

    strongest: np.ndarray
    """Cases of highest activation first, one per patient."""
    bins: tuple[np.ndarray, ...]
    """Cases from the four quarters of the active ones below the strongest, strongest quarter first.
    """
    negatives: np.ndarray
    """Silent cases that look most like the strongest ones; none where a gallery holds nothing."""


def one_per_patient(rows: np.ndarray, patients: np.ndarray, most: int) -> np.ndarray:
    """The first rows of different patients."""
    kept, seen = [], set()
    for row in rows:
        if patients[row] not in seen:
            seen.add(patients[row])
            kept.append(int(row))
        if len(kept) == most:
            break
    return np.array(kept, np.int64)


def gallery(
    signal: np.ndarray,
    patients: np.ndarray,
    embeddings: np.ndarray,
    seed: int = 0,
    most: int = 20,
    per_bin: int = 10,
) -> Gallery:
    """Choose cases for one pattern.

    Args:
      signal: activations `[N]`; patients: `[N]`; embeddings: `[N, D]`, to find negatives that look
        alike.
      seed: of the draws within bins.
      most: strongest cases; per_bin: cases from each quarter, and negatives.

    All cases of one gallery show different patients within each of its parts; negatives are of no
    patient among the strongest.
    """
    order = np.argsort(-signal, kind="stable")
    active = order[signal[order] > 0]
    strongest = one_per_patient(active, patients, most)
    rest = active[~np.isin(patients[active], patients[strongest])]
    generator = np.random.default_rng(seed)
    quarters = tuple(
        one_per_patient(generator.permutation(part), patients, per_bin)
        for part in np.array_split(rest, 4)
    )
    silent = order[(signal[order] <= 0) & ~np.isin(patients[order], patients[strongest])]
    return Gallery(strongest, quarters, _alike(silent, strongest, embeddings, patients, per_bin))


def _alike(silent, strongest, embeddings, patients, most):
    if not len(silent) or not len(strongest):
        return np.zeros(0, np.int64)
    center = embeddings[strongest].mean(0)
    nearness = embeddings[silent] @ center
    return one_per_patient(silent[np.argsort(-nearness, kind="stable")], patients, most)


def halves(found: Gallery) -> tuple[np.ndarray, np.ndarray]:
    """Disjoint halves of the strongest cases: every other one, for naming and for verification."""
    return found.strongest[::2], found.strongest[1::2]


def write_index(found: Gallery, signal: np.ndarray, ids: tuple[str, ...], folder: Path) -> None:
    """Write index.json of a pattern: which cases are in which part of its gallery, and how active.

    Args:
      found: gallery of the pattern.
      signal: `[N]`, activations of the cases.
      ids: names of the N cases.
      folder: made if it does not exist.
    """

    def entry(row):
        return {"id": ids[row], "activation": float(signal[row])}

    record = {
        "strongest": [entry(r) for r in found.strongest],
        "bins": [[entry(r) for r in part] for part in found.bins],
        "negatives": [entry(r) for r in found.negatives],
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "index.json", json.dumps(record, indent=1) + "\n")


def contact_sheet(radiographs: list[np.ndarray], columns: int = 10, size: int = 96) -> np.ndarray:
    """Radiographs of any shape on one gray sheet, uint8 `[rows * size, columns * size]`."""
    from PIL import Image

    rows = max(1, -(-len(radiographs) // columns))
    sheet = np.full((rows * size, columns * size), 24, np.uint8)
    for number, radiograph in enumerate(radiographs):
        image = Image.fromarray(radiograph).convert("L")
        scale = (size - 2) / max(image.size)
        image = image.resize(
            [max(1, round(n * scale)) for n in image.size], Image.Resampling.BICUBIC
        )
        top, left = number // columns * size, number % columns * size
        sheet[top + 1 : top + 1 + image.height, left + 1 : left + 1 + image.width] = np.asarray(
            image
        )
    return sheet
