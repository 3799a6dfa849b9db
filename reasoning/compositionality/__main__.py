"""`python -m reasoning.compositionality sweep | predict | prune | measure | train`."""

import sys
from typing import Annotated

import tyro

from jaxrl.app.errors import UserError
from jaxrl.train.compiled import keep_programs
from reasoning.compositionality import single
from reasoning.compositionality.commands import Measure, Predict, Prune, Sweep, Train
from reasoning.compositionality.study.config import PRESETS
from reasoning.compositionality.study.run import run

PROGRAM = "python -m reasoning.compositionality"
Command = (
    Annotated[Sweep, tyro.conf.subcommand("sweep")]
    | Annotated[Predict, tyro.conf.subcommand("predict")]
    | Annotated[Prune, tyro.conf.subcommand("prune")]
    | Annotated[Measure, tyro.conf.subcommand("measure")]
    | Annotated[Train, tyro.conf.subcommand("train")]
)


def parse(arguments: list[str]):
    """For a sweep first the preset, then everything else with the defaults that it gives."""
    off = (tyro.conf.FlagConversionOff,)
    if arguments[:1] != ["sweep"]:
        return tyro.cli(Command, args=arguments, config=off, prog=PROGRAM, description=__doc__)
    plain = [argument for argument in arguments[1:] if argument not in ("-h", "--help")]
    preset = _preset(plain)
    default = Sweep(preset, PRESETS[preset]())
    return tyro.cli(Sweep, args=arguments[1:], default=default, config=off, prog=f"{PROGRAM} sweep")


def _preset(arguments: list[str]) -> str:
    """Value of --preset, "tiny" without; unknown names are left to the parser."""
    given = "tiny"
    for place, argument in enumerate(arguments):
        if argument.startswith("--preset"):
            given = argument.partition("=")[2] or (
                arguments[place + 1] if place + 1 < len(arguments) else given
            )
    return given if given in PRESETS else "tiny"


def carry_out(command) -> None:
    """Run one command.

    Raises:
      UserError: what a user can correct.
    """
    if isinstance(command, Sweep):
        page = run(
            command.config,
            command.run_dir or f"runs/compositionality/{command.preset}-seed{command.config.seed}",
        )
        print(page.read_text())
        print(f"report: {page}")
        return
    work = {
        Predict: single.predict,
        Prune: single.prune,
        Measure: single.measure,
        Train: single.train,
    }
    print(work[type(command)](command))


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, 2 if refused, 130 if interrupted."""
    command = parse(sys.argv[1:] if arguments is None else arguments)
    keep_programs()
    try:
        carry_out(command)
    except UserError as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; what is finished is kept, and the same command goes on", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
