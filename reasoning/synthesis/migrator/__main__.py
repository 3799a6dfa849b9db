"""`python -m reasoning.synthesis.migrator synthesize | check | explain`."""

import sys
from typing import Annotated

import tyro

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import cli
from reasoning.synthesis.migrator.cli import Check, Explain, Synthesize

RUN = {Synthesize: cli.synthesize, Check: cli.run_check, Explain: cli.run_explain}
DESCRIPTION = (
    "Rewrite a program of named SQL functions after its schema changed, and check that "
    "it does the same."
)


def parse(arguments: list[str]):
    """The command that the arguments ask for; exits with code 2 if they are no command."""
    kinds = [Annotated[kind, tyro.conf.subcommand(kind.__name__.lower())] for kind in RUN]
    union = kinds[0] | kinds[1] | kinds[2]
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(
        union,
        args=arguments,
        prog="python -m reasoning.synthesis.migrator",
        description=DESCRIPTION,
        config=settings,
    )


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code: 0 found, 1 programs differ, 2 bad input, 3 no equivalent
    program, 4 out of time.
    """
    try:
        command = parse(sys.argv[1:] if arguments is None else arguments)
        return RUN[type(command)](command)
    except UserError as refusal:
        print(f"refused: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
