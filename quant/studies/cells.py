"""Shared by the studies: a folder in which every finished cell is kept, and found again by the
next start.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.progress import log
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run, write_atomically


def open_study(config: Any, run_dir: str | Path) -> tuple[Path, Path]:
    """The run's folder and its folder of results.

    Raises:
      UserError: the folder cannot be written, or belongs to another configuration.
    """
    folder = open_run(run_dir, to_dict(config))
    results = folder / "results"
    results.mkdir(exist_ok=True)
    return folder, results


def missing(results: Path, cells: Sequence[Any], seeds: int) -> Iterator[Any]:
    """Cells whose numbers are not there yet, announced one by one."""
    for number, cell in enumerate(cells):
        if not (results / f"{cell.name}.json").exists():
            log(f"{number + 1}/{len(cells)} {cell.name}, {seeds} seeds")
            yield cell


def keep(results: Path, name: str, found: dict, shown: dict[str, np.ndarray]) -> None:
    """Numbers as NAME.json, arrays for figures as NAME.npz; the numbers come last, and say that the
    cell is finished.
    """
    np.savez_compressed(results / f"{name}.npz", **shown)
    write_atomically(results / f"{name}.json", json.dumps(found))


def kept(results: Path, cells: Sequence[Any]) -> dict[Any, dict]:
    """The numbers of all cells."""
    return {cell: json.loads((results / f"{cell.name}.json").read_text()) for cell in cells}
