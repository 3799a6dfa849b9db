"""Results of a sweep on disk: chunks of cells, their rows of measures, and the weights shown."""

from pathlib import Path

import numpy as np

from jaxrl.app.cells import Cells
from reasoning.compositionality.study.config import Cell, SweepConfig


def chunks(config: SweepConfig, target: str) -> list[list[Cell]]:
    """Cells of a target in lists of at most `config.chunk`, of one pruner each."""
    cells, found = config.cells(target), []
    for pruner in dict.fromkeys(cell.pruner for cell in cells):
        mine = [cell for cell in cells if cell.pruner == pruner]
        found += [mine[i : i + config.chunk] for i in range(0, len(mine), config.chunk)]
    return found


def plan(config: SweepConfig) -> dict[str, tuple[str, list[Cell]]]:
    """All chunks by the name of their files: the target, and its cells."""
    return {
        f"{safe(target)}-{number:03d}": (target, chunk)
        for target in config.targets
        for number, chunk in enumerate(chunks(config, target))
    }


def results_of(config: SweepConfig, folder: Path) -> Cells:
    """The grid of chunks in a folder."""
    return Cells(folder, plan(config))


def read_rows(folder: Path, config: SweepConfig) -> list[dict]:
    """All rows of a finished sweep: the fields of `Cell` and of `Measures`."""
    return [row for rows in results_of(config, folder).read_all().values() for row in rows]


def shown_networks(
    folder: Path, config: SweepConfig, target: str
) -> list[tuple[Cell, dict[str, np.ndarray]]]:
    """Weights and masks of the networks of the first seed, and of all dense ones."""
    found, results = [], results_of(config, folder)
    for name, (mine, chunk) in plan(config).items():
        if mine == target:
            arrays = results.read_arrays(name)
            rows = arrays.pop("cell")
            found += [
                (chunk[int(c)], {n: a[i] for n, a in arrays.items()}) for i, c in enumerate(rows)
            ]
    return found


def safe(name: str) -> str:
    """The name of a target as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
