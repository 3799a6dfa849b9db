"""The command line on a small run, in a process of its own or inside this one."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from jaxrl.jedi.__main__ import main
from jaxrl.jedi.presets import options_for
from tests.jaxrl.jedi import small_run

SMALL = options_for(small_run.CONFIG)
"""Options of that run. Its programs are those of the tests inside this process, so they are
compiled once for all.
"""


def environment() -> dict[str, str]:
    """Of the child: this checkout, and the settings of conftest.py, on which the cache of compiled
    programs depends.
    """
    settings = {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": "4",
        "JAX_DEFAULT_MATMUL_PRECISION": "highest",
    }
    return os.environ | settings | {"PYTHONPATH": str(Path(__file__).parents[3])}


def start(*arguments: str, env: dict[str, str] | None = None, **options) -> subprocess.Popen:
    """Begin `python -m jaxrl.jedi ...`."""
    command = [sys.executable, "-m", "jaxrl.jedi", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=env or environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def call(*arguments: str) -> tuple[int, str, str]:
    """Run it to its end: exit status, output, errors."""
    process = start(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err


class Watched(io.StringIO):
    """Standard output that calls `then` at the first line with `text`."""

    def __init__(self, text: str, then: Callable[[], object]):
        super().__init__()
        self._text, self._then = text, then

    def write(self, said: str) -> int:
        written = super().write(said)
        if self._then and self._text in self.getvalue():
            then, self._then = self._then, None
            then()
        return written


def inside(*arguments: str, out: io.StringIO | None = None) -> tuple[int, str, str]:
    """The same without the start of a process, which takes half a minute.

    Args:
      *arguments: of the command line.
      out: takes the output, for example a `Watched`.
    """
    with (
        contextlib.redirect_stdout(out or io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            status = main([*map(str, arguments)])
        except SystemExit as ending:  # of the parser
            status = ending.code
    return status, out.getvalue(), err.getvalue()
