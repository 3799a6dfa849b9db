"""`python -m quant.studies.estimators`: the temperature grid and the estimators on four tasks, with
a report.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from quant.studies import commands
from quant.studies.estimators.config import PRESETS, StudyConfig
from quant.studies.estimators.run import run

PresetName = Literal["tiny", "small", "paper", "fashion_mnist", "fashion_mnist_large"]


@dataclass(frozen=True)
class Command:
    """Train networks with discrete choices at every pair of forward and backward temperatures, and
    with other estimators; say with intervals over seeds whether unequal temperatures are better. A
    folder that was begun is continued, task by task.
    """

    preset: PresetName
    """Sizes and schedule: tiny (a minute on a CPU), small (the digits, tens of minutes on a CPU),
    paper (MNIST, an accelerator).
    """
    config: Annotated[StudyConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/estimators/<data>-<preset>-seed<seed>."""


parse, main = commands.entry_points("estimators", Command, PRESETS, run)

if __name__ == "__main__":
    sys.exit(main())
