"""Shared by the studies: the run folder, and its grid of finished cells."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxrl.app.cells import Cells
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run


def open_study(config: Any, run_dir: str | Path) -> tuple[Path, Path]:
    """The run's folder and its folder of results.

    Raises:
      UserError: the folder cannot be written, or belongs to another configuration.
    """
    folder = open_run(run_dir, to_dict(config))
    results = folder / "results"
    results.mkdir(exist_ok=True)
    return folder, results


def cells_of(results: Path, cells: Sequence[Any]) -> tuple[Cells, dict[str, Any]]:
    """The grid in a folder of results, and its cells by their names."""
    by_name = {cell.name: cell for cell in cells}
    return Cells(results, by_name), by_name
