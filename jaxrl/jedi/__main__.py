"""Commands of `python -m jaxrl.jedi`; `cli.options` has what each takes, `cli.run` what it does."""

import os
import sys

from jaxrl.app import cli

PROGRAM = cli.program("jaxrl.jedi")
ABOUT = "World models of games, and policies learned inside them."
TABLE = {
    "train": "Train a world model and a policy on a game.",
    "train-offline": "Learn from recorded episodes: a world model, and a policy if asked.",
    "evaluate": "Play whole games with the learned policy.",
    "imagine": "Draw what the world model imagines next to what was played.",
    "play": "Play inside the world model, in the browser.",
    "horizon": "Measure how far imagination stays true to the game.",
    "plan": "Say what a run would cost, before it.",
    "report": "Write the report of a run again.",
    "export": "Write an agent as files for others.",
    "import-episodes": "Turn recordings of others into episode files.",
    "suite": "Run Atari 100k as a benchmark.",
}
OLD_NAMES = {"learn": "train-offline"}
"""Commands of 0.1, and the present ones; they work until 0.3."""


def parse(arguments: list[str]):
    """Make the command; nothing heavy is imported before a command was named."""
    arguments = [OLD_NAMES.get(name, name) for name in arguments[:1]] + arguments[1:]
    name, rest = cli.subcommand(arguments, PROGRAM, TABLE, ABOUT)
    from jaxrl.jedi.cli.options import parse

    return parse([name, *rest])


def run(command) -> int:
    """Do it; the exit status."""
    from jaxrl.jedi.cli.run import run
    from jaxrl.train.compiled import keep_programs

    keep_programs()
    return run(command)


def main(arguments: list[str] | None = None) -> int:
    """Entry point; see `jaxrl.app.cli.main`."""
    return cli.main(parse, run, arguments)


def leave(status: int) -> None:
    """End the process. After a signal at once: Python would first wait for programs that are being
    compiled in the background, for many minutes, and whoever sent the signal would not.
    """
    if status > 128:
        from jaxrl.train import hosts

        if not hosts.several():
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main())
