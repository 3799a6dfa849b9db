"""The command line of a benchmark: settings in, the path of the record out."""

from collections.abc import Callable
from typing import Any, TypeVar

from jaxrl.app import cli

S = TypeVar("S")


def run(
    name: str,
    settings: type[S],
    measure: Callable[[S], Any],
    about: str | None,
    arguments: list[str] | None = None,
) -> int:
    """Measure and print what comes back, and return the exit code (see `jaxrl.app.cli.main`).

    Args:
      name: of the benchmark's module.
      settings: a dataclass with defaults.
      measure: takes the settings; returns what is printed, as a rule the path of the record.
      about: the text of --help.
      arguments: of the command line; those of the process if None.
    """

    def parse(words: list[str]) -> S:
        if not words:
            return settings()  # tyro is not installed on every machine that measures
        import tyro

        return tyro.cli(
            settings, args=words, prog=f"python -m benchmarks.{name}", description=about
        )

    return cli.main(parse, lambda chosen: print(measure(chosen)), arguments)
