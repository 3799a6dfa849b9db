"""Shared by the command lines of the studies: the preset first, then its fields; one sentence for
what is refused.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from jaxrl.train.compiled import keep_programs
from jaxrl.train.errors import Refusal


def parse(
    arguments: list[str],
    program: str,
    start: type,
    command: type,
    presets: dict[str, Callable[[], Any]],
):
    """A `command(preset, config)`: what `start` says of the preset decides on the defaults of
    everything else.
    """
    rest = [argument for argument in arguments if argument not in ("-h", "--help")]
    first, _ = tyro.cli(start, args=rest, return_unknown_args=True, add_help=False, prog=program)
    default = command(first.preset, presets[first.preset]())
    return tyro.cli(
        command,
        args=arguments,
        default=default,
        config=(tyro.conf.FlagConversionOff,),
        prog=program,
    )


def carry_out(command, study: str, run: Callable[[Any, str], Path]) -> int:
    """Run, and print the report: exit status 0; 2 if refused, 130 if interrupted.

    Without a folder it is runs/<study>/<data>-<preset>-seed<seed>.
    """
    config = command.config
    data = "".join(letter if letter.isalnum() else "_" for letter in config.data)
    keep_programs()
    try:
        report = run(
            config, command.run_dir or f"runs/{study}/{data}-{command.preset}-seed{config.seed}"
        )
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "interrupted; what is finished is kept, and the same command continues", file=sys.stderr
        )
        return 130
    print(report.read_text())
    print(f"report: {report}")
    return 0
