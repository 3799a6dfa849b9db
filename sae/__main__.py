"""`python -m sae`: from radiographs to a catalogue of patterns, and predictions that add up."""

import sys

from jaxrl.app import cli
from sae.command_names import TABLE


def parse(arguments: list[str]):
    """Make the command; nothing heavy is imported before a command was named."""
    name, rest = cli.subcommand(arguments, cli.program("sae"), TABLE)
    from sae.cli import parse

    return parse([name, *rest])


def run(parsed) -> int:
    """Do what was parsed; the exit status."""
    from sae.cli import run

    return run(parsed)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0; 2 if refused, 130 if interrupted."""
    return cli.main(parse, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
