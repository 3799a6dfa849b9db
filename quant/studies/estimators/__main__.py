"""`python -m quant.studies.estimators`: the temperature grid and the estimators on four tasks, with
a report.
"""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from jaxrl.app import cli
from quant.studies import commands
from quant.studies.estimators.config import PRESETS, StudyConfig
from quant.studies.estimators.run import run

PresetName = Literal["tiny", "small", "paper"]


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


def parse(arguments: list[str]) -> Command:
    """First the preset, then everything else with the defaults that it gives."""
    return cli.parse_with_preset(arguments, "python -m quant.studies.estimators", Command, PRESETS)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; see `run_study`."""
    return commands.run_study(arguments, parse, "estimators", run)


if __name__ == "__main__":
    sys.exit(main())
