"""Metrics of a run, an epoch a row, under their present names."""

from pathlib import Path
from typing import Any

from jaxrl.jedi.old_names import present_names
from jaxrl.train.metrics import read_metrics


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """All complete lines of a run's metrics.jsonl; [] if there is none.

    Raises:
      UserError: a line is not JSON.
    """
    return [present_names(row) for row in read_metrics(folder)]
