"""`python -m reasoning.synthesis.migrator synthesize | check | explain`."""

import functools
import operator
import sys
from typing import Annotated

import tyro

from jaxrl.app import cli as app
from reasoning.synthesis.migrator import cli
from reasoning.synthesis.migrator.cli import Check, Explain, Synthesize

RUN = {Synthesize: cli.synthesize, Check: cli.run_check, Explain: cli.run_explain}
DESCRIPTION = (
    "Rewrite a program of named SQL functions after its schema changed, and check that "
    "it does the same."
)


def parse(arguments: list[str]):
    """The command that the arguments ask for; exits with code 2 if they are no command."""
    options = {
        "args": app.join_repeats(arguments, RUN),
        "prog": app.program("reasoning.synthesis.migrator"),
        "description": DESCRIPTION,
        "config": (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    }
    named = [Annotated[kind, tyro.conf.subcommand(kind.__name__.lower())] for kind in RUN]
    return tyro.cli(functools.reduce(operator.or_, named), **options)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code: 0 found, 1 programs differ, 2 bad input, 3 no equivalent
    program, 4 out of time.
    """
    return app.main(
        parse,
        lambda command: RUN[type(command)](command),
        arguments,
        "stopped; nothing was written",
    )


if __name__ == "__main__":
    sys.exit(main())
