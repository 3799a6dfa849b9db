"""`python -m reasoning.synthesis.dynamite learn | explain | run | verify | ask | show`."""

import sys
from typing import Annotated

import tyro

from jaxrl.app import cli
from reasoning.synthesis.dynamite.cli import commands
from reasoning.synthesis.dynamite.cli.asking import Ask, ask
from reasoning.synthesis.dynamite.cli.commands import Explain, Learn, Run, Show, Verify

RUN = {
    Learn: commands.learn,
    Explain: commands.run_explain,
    Run: commands.run,
    Verify: commands.run_verify,
    Ask: ask,
    Show: commands.show,
}
DESCRIPTION = (
    "Migrate data by example: learn a Datalog program from one small pair of instances, "
    "then run it on everything."
)


def parse(arguments: list[str]):
    """The command that the arguments ask for; exits with code 2 if they are no command."""
    kinds = [Annotated[kind, tyro.conf.subcommand(kind.__name__.lower())] for kind in RUN]
    union = kinds[0]
    for kind in kinds[1:]:
        union = union | kind
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(
        union,
        args=cli.join_repeats(arguments, RUN),
        prog=cli.program("reasoning.synthesis.dynamite"),
        description=DESCRIPTION,
        config=settings,
    )


def main(arguments: list[str] | None = None) -> int:
    """Do it; the exit code: 0 done, 1 a report names problems, 2 bad input, 3 no program exists, 4
    out of time.
    """
    return cli.main(
        parse,
        lambda command: RUN[type(command)](command),
        arguments,
        interrupted="stopped; `run --resume` continues",
    )


if __name__ == "__main__":
    sys.exit(main())
