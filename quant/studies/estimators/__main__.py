"""`python -m quant.studies.estimators`: the temperature grid and the estimators on four tasks, with a report."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from jaxrl.train.compiled import keep_programs
from jaxrl.train.errors import Refusal
from quant.studies.estimators.config import PRESETS, StudyConfig
from quant.studies.estimators.run import run

PresetName = Literal["tiny", "small", "paper"]


@dataclass(frozen=True)
class Start:
    """What the other defaults depend on."""

    preset: PresetName = "tiny"
    """Sizes and schedule: tiny (a minute on a CPU), small (the digits, tens of minutes on a CPU), paper (MNIST, an accelerator)."""


@dataclass(frozen=True)
class Command:
    """Train networks with discrete choices at every pair of forward and backward temperatures, and with other estimators; say with
    intervals over seeds whether unequal temperatures are better. A folder that was begun is gone on with, task by task.
    """

    preset: PresetName
    """Sizes and schedule: tiny (a minute on a CPU), small (the digits, tens of minutes on a CPU), paper (MNIST, an accelerator)."""
    config: Annotated[StudyConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/estimators/<data>-<preset>-seed<seed>."""


def parse(arguments: list[str]) -> Command:
    """First the preset, then everything else with the defaults that it gives."""
    program = {"prog": "python -m quant.studies.estimators"}
    rest = [argument for argument in arguments if argument not in ("-h", "--help")]
    start, _ = tyro.cli(Start, args=rest, return_unknown_args=True, add_help=False, **program)
    default = Command(start.preset, PRESETS[start.preset]())
    return tyro.cli(Command, args=arguments, default=default, config=(tyro.conf.FlagConversionOff,), **program)


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 done, 2 refused, 130 interrupted."""
    command = parse(sys.argv[1:] if arguments is None else arguments)
    config = command.config
    data = "".join(letter if letter.isalnum() else "_" for letter in config.data)
    folder = command.run_dir or f"runs/estimators/{data}-{command.preset}-seed{config.seed}"
    keep_programs()
    try:
        report = run(config, folder)
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished tasks are kept, and the same command goes on", file=sys.stderr)
        return 130
    print(report.read_text())
    print(f"report: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
