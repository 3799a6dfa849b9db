"""ChestMNIST: one .npz with small radiographs of ChestX-ray14 and fourteen labels (MedMNIST; CC BY
4.0). It names no patients.
"""

from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from sae.arrays import read_arrays
from sae.data.cases import Cases

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
SIDES = {"train": "train", "val": "validate", "test": "test"}


def chestmnist(path: Path) -> Cases:
    """All radiographs of chestmnist.npz (or its 64, 128 and 224 forms), with the split of the file;
    every radiograph counts as a patient.

    Raises:
      UserError: no such file, or not with these arrays.
    """
    try:
        held = read_arrays(path)
        radiographs = [held[f"{side}_images"] for side in SIDES]
        values = np.concatenate([held[f"{side}_labels"] for side in SIDES]).astype(np.float32)
    except FileNotFoundError:
        raise UserError(f"there is no file {path}: download chestmnist.npz of MedMNIST") from None
    except (KeyError, ValueError) as error:
        raise UserError(f"{path} is no ChestMNIST file ({error})") from None
    if values.ndim != 2 or values.shape[1] != len(FINDINGS):
        raise UserError(
            f"{path} has labels of shape {values.shape}, not [N, {len(FINDINGS)}]: is it another "
            "MedMNIST set?"
        )
    wrong = [
        side
        for side, rows in zip(SIDES, radiographs, strict=True)
        if len(rows) != len(held[f"{side}_labels"]) or rows.ndim < 3
    ]
    if wrong:
        raise UserError(
            f"{path} has other numbers of radiographs than of labels for {wrong[0]}: "
            "download it again"
        )
    split = tuple(
        name for side, name in zip(radiographs, SIDES.values(), strict=True) for _ in side
    )
    together = np.concatenate(radiographs)
    ids = tuple(f"chestmnist-{i:06d}" for i in range(len(together)))
    return Cases(
        ids,
        ids,
        FINDINGS,
        values,
        lambda i: together[i],
        split=split,
        source=f"ChestMNIST in {path}",
    )
