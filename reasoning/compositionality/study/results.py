"""Results of a sweep on disk: chunks of cells, their rows of measures, and the weights shown."""

import io
import json
from pathlib import Path

import numpy as np

from reasoning.compositionality.study.config import Cell, SweepConfig


def chunks(config: SweepConfig, target: str) -> list[list[Cell]]:
    """Cells of a target in lists of at most `config.chunk`, of one pruner each."""
    cells, found = config.cells(target), []
    for pruner in dict.fromkeys(cell.pruner for cell in cells):
        mine = [cell for cell in cells if cell.pruner == pruner]
        found += [mine[i : i + config.chunk] for i in range(0, len(mine), config.chunk)]
    return found


def read_rows(results: Path, config: SweepConfig) -> list[dict]:
    """All rows of a finished sweep: the fields of `Cell` and of `Measures`."""
    files = [
        rows_file(results, name, n)
        for name in config.targets
        for n in range(len(chunks(config, name)))
    ]
    return [row for file in files for row in json.loads(file.read_text())]


def shown_networks(
    results: Path, config: SweepConfig, name: str
) -> list[tuple[Cell, dict[str, np.ndarray]]]:
    """Weights and masks of the networks of the first seed, and of all dense ones."""
    found = []
    for number, chunk in enumerate(chunks(config, name)):
        with np.load(results / f"{safe(name)}-{number:03d}.npz") as stored:
            arrays = dict(stored)
        rows = arrays.pop("cell")
        found += [(chunk[int(c)], {n: a[i] for n, a in arrays.items()}) for i, c in enumerate(rows)]
    return found


def rows_file(results: Path, name: str, number: int) -> Path:
    """Path of the measures of one chunk."""
    return results / f"{safe(name)}-{number:03d}.json"


def safe(name: str) -> str:
    """The name of a target as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)


def npz_bytes(arrays: dict) -> bytes:
    """Arrays as the bytes of a compressed .npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()
