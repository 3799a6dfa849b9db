"""`python -m quant.studies.collapse`: when codebooks collapse, and what cures them, with figures and a report."""

import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from jaxrl.train.compiled import keep_programs
from jaxrl.train.errors import Refusal
from quant.studies.collapse.config import PRESETS, CollapseConfig
from quant.studies.collapse.run import run

PresetName = Literal["tiny", "mixture", "everything"]


@dataclass(frozen=True)
class Start:
    """What the other defaults depend on."""

    preset: PresetName = "tiny"
    """tiny (a minute on a CPU), mixture (the claim, 5 seeds, minutes), everything (all figures, an hour or more on a CPU)."""


@dataclass(frozen=True)
class Command:
    """Train vector-quantized autoencoders by several recipes, and say which of them collapse. A folder that was begun is gone on with,
    cell by cell.
    """

    preset: PresetName
    """tiny (a minute on a CPU), mixture (the claim, 5 seeds, minutes), everything (all figures, an hour or more on a CPU)."""
    config: Annotated[CollapseConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run. Default: runs/collapse/<data>-<preset>-seed<seed>."""


def parse(arguments: list[str]) -> Command:
    """First the preset, then everything else with its defaults."""
    rest = [a for a in arguments if a not in ("-h", "--help")]
    start, _ = tyro.cli(Start, args=rest, return_unknown_args=True, add_help=False)
    default = Command(start.preset, PRESETS[start.preset]())
    settings = (tyro.conf.FlagConversionOff,)
    return tyro.cli(Command, args=arguments, default=default, prog="python -m quant.studies.collapse", config=settings)


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Refusals become one sentence and exit status 2."""
    try:
        keep_programs()
        command = parse(sys.argv[1:] if arguments is None else arguments)
        data = command.config.data.replace(":", "-").replace("/", "-")
        report = run(command.config, command.run_dir or f"runs/collapse/{data}-{command.preset}-seed{command.config.seed}")
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; finished cells are kept, and the same command goes on", file=sys.stderr)
        return 130
    print(report.read_text())
    print(f"report: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
