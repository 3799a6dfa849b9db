"""Prune networks, measure their structure, predict the depth of functions, and sweep over depth and
connectivity.
"""

import sys
from collections.abc import Callable
from typing import Any

from jaxrl.app import cli

PROGRAM = cli.program("reasoning.compositionality")
TABLE = {
    "sweep": "Train networks of many depths and densities and answer in words and figures.",
    "predict": "Predict the depth of a function, a target or a network.",
    "prune": "Prune a network in a file, or a Flax model of yours, once.",
    "measure": "Measure how compositional a network in a file is.",
    "train": "Train one dense network on a target and write it to a file.",
}
Work = Callable[[], Any]


def parse(arguments: list[str]) -> Work:
    """Make the command; nothing heavy is imported before a command was named."""
    name, rest = cli.subcommand(arguments, PROGRAM, TABLE, (__doc__ or "").replace("\n", " "))
    from reasoning.compositionality import commands
    from reasoning.compositionality.study.config import PRESETS

    if name == "sweep":
        program = f"{PROGRAM} sweep"
        command = cli.parse_with_preset(rest, program, commands.Sweep, PRESETS, "tiny")
        return lambda: _sweep(command)
    kind = getattr(commands, name.capitalize())
    chosen = cli.read_options(kind, rest, f"{PROGRAM} {name}")
    return lambda: _print(name, chosen)


def _sweep(command) -> None:
    from jaxrl.train.compiled import keep_programs
    from reasoning.compositionality.study.run import run

    keep_programs()
    folder = f"runs/compositionality/{command.preset}-seed{command.config.seed}"
    page, answer = run(command.config, command.run_dir or folder)
    print(f"{answer}\nreport: {page}")


def _print(name: str, command) -> None:
    from jaxrl.train.compiled import keep_programs
    from reasoning.compositionality import single

    keep_programs()
    print(getattr(single, name)(command))


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, 2 if refused, 130 if interrupted."""
    return cli.main(parse, lambda work: work(), arguments)


if __name__ == "__main__":
    sys.exit(main())
