"""The command line of a study: the preset first, then its fields; the report printed at the end."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxrl.app import cli
from jaxrl.train.compiled import keep_programs


def entry_points(
    study: str, command: type, presets: Mapping[str, Any], run: Callable[[Any, str], Path]
) -> tuple[Callable[[list[str]], Any], Callable[..., int]]:
    """Make the functions `parse` and `main` of `python -m quant.studies.<study>`.

    Args:
      study: its name. Without a folder the run is runs/<study>/<data>-<preset>-seed<seed>.
      command: dataclass with `preset`, `config` and `run_dir`.
      presets: configurations by name.
      run: `(config, folder) -> path of the report's text`.

    Returns:
      `parse(arguments) -> command`: first the preset, then everything else with the defaults that
      it gives; `main(arguments=None) -> exit code` (see `jaxrl.app.cli.main`).
    """

    def parse(arguments: list[str]) -> Any:
        program = cli.program(f"quant.studies.{study}")
        return cli.parse_with_preset(arguments, program, command, presets)

    def carry_out(chosen) -> None:
        config = chosen.config
        data = "".join(letter if letter.isalnum() else "_" for letter in config.data)
        default = f"runs/{study}/{data}-{chosen.preset}-seed{config.seed}"
        keep_programs()
        report = run(config, chosen.run_dir or default)
        print(report.read_text(encoding="utf-8"))
        print(f"report: {report.with_name('index.html')}")

    def main(arguments: list[str] | None = None) -> int:
        return cli.main(parse, carry_out, arguments)

    return parse, main
