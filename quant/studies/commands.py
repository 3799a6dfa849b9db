"""Shared by the command lines of the studies: the preset first, then its fields; the report printed
at the end.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxrl.app import cli
from jaxrl.train.compiled import keep_programs


def run_study(
    arguments: list[str] | None,
    parse: Callable[[list[str]], Any],
    study: str,
    run: Callable[[Any, str], Path],
) -> int:
    """Run a study, print its report, and return the exit code (see `jaxrl.app.cli.main`).

    Args:
      arguments: of the command line; those of the process if None.
      parse: makes a command with `preset`, `config` and `run_dir`.
      study: its name. Without a folder the run is runs/<study>/<data>-<preset>-seed<seed>.
      run: `(config, folder) -> path of the report's text`.
    """

    def carry_out(command) -> None:
        config = command.config
        data = "".join(letter if letter.isalnum() else "_" for letter in config.data)
        default = f"runs/{study}/{data}-{command.preset}-seed{config.seed}"
        keep_programs()
        report = run(config, command.run_dir or default)
        print(report.read_text(encoding="utf-8"))
        print(f"report: {report.with_name('index.html')}")

    return cli.main(parse, carry_out, arguments)
