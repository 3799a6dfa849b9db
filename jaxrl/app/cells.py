"""A grid of experiment cells in a folder: each result is kept when it is finished, and found again
by the next start.

A cell has NAME.json with its numbers and maybe NAME.npz with arrays. The JSON file is written last,
so it marks the cell as finished.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import read_npz, slugs, write_atomic, write_npz
from jaxrl.app.progress import log, warn

T = TypeVar("T")


class Cells:
    """Results by name in one folder.

    Names become file names (`slugs`), so names from data cannot leave the folder, and two names
    that would share a file are kept apart.
    """

    def __init__(self, folder: Path, names: Iterable[str]):
        """Open a folder for the cells of one experiment; the folder is made when something is kept.

        Args:
          folder: where the results are.
          names: of all cells.

        Raises:
          ValueError: a name occurs twice; the second cell would never be computed.
        """
        self.folder = folder
        names = list(names)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two cells are named {', '.join(twice)}")
        self._files = slugs(names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def path(self, name: str, ending: str = "json") -> Path:
        """Path of a cell's file."""
        return self.folder / f"{self._files[name]}.{ending}"

    def finished(self, name: str) -> bool:
        """True if the numbers of a cell are there and whole; a damaged file counts as none, with a
        warning.
        """
        path = self.path(name)
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            return False
        except ValueError as error:
            warn(f"{path} is damaged ({error}): the same command computes it again")
            return False
        return True

    def missing(self) -> list[str]:
        """Names of the cells that are not finished, in order."""
        return [name for name in self if not self.finished(name)]

    def keep(self, name: str, numbers: Any, arrays: Mapping[str, Any] | None = None) -> None:
        """Write the results of a cell.

        Args:
          name: of the cell.
          numbers: anything JSON can hold.
          arrays: arrays by name, for figures.

        Raises:
          UserError: the folder cannot be written.
        """
        if arrays is not None:
            write_npz(self.path(name, "npz"), arrays, compress=True)
        write_atomic(self.path(name), json.dumps(numbers))

    def read(self, name: str) -> Any:
        """Numbers of a finished cell.

        Raises:
          UserError: they are not there, or damaged.
        """
        path = self.path(name)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(
                f"{path} is missing: run the experiment's command again to compute it"
            ) from None
        except ValueError as error:
            raise UserError(
                f"{path} is damaged ({error}): delete it and run the command again"
            ) from None

    def read_arrays(self, name: str) -> dict[str, np.ndarray]:
        """Arrays of a finished cell; see `files.read_npz`."""
        return read_npz(self.path(name, "npz"))

    def read_all(self) -> dict[str, Any]:
        """Numbers of all cells by name."""
        return {name: self.read(name) for name in self}

    def get(self, name: str, compute: Callable[[], T]) -> T | Any:
        """Numbers of a cell, computed and kept if they are not there; as JSON gives them back."""
        if not self.finished(name):
            self.keep(name, compute())
        return self.read(name)


def run_cells(
    cells: Cells, compute: Callable[[str], tuple[Any, Mapping[str, Any] | None]], note: str = ""
) -> dict[str, Any]:
    """Compute the cells that are missing, one after the other, and return the numbers of all.

    Args:
      cells: the grid.
      compute: `compute(name) -> (numbers, arrays or None)`.
      note: added to the line that is logged for each cell, for example "5 seeds".

    Returns:
      Numbers by name.
    """
    for number, name in enumerate(cells, 1):
        if not cells.finished(name):
            log(f"{number}/{len(cells)} {name}{', ' if note else ''}{note}")
            cells.keep(name, *compute(name))
    return cells.read_all()
