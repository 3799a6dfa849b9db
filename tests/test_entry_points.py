"""Every command answers --help, and refuses an option it does not know, in a process of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUARD = re.compile(r'^if __name__ == "__main__":', re.MULTILINE)


def entries() -> list[str]:
    """What can stand after `python -m`: packages with a __main__.py, and modules that end in a
    __main__ guard.
    """
    found = []
    for path in sorted(
        path
        for place in ("jaxrl", "quant", "sae", "reasoning", "benchmarks")
        for path in (ROOT / place).rglob("*.py")
    ):
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.name == "__main__.py":
            found.append(dotted.removesuffix(".__main__"))
        elif GUARD.search(path.read_text()):
            found.append(dotted)
    return found


ENTRIES = entries()


def run(entry, *arguments):
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", entry, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_known_commands_are_found():
    assert {"jaxrl.jedi", "benchmarks.table"} <= set(ENTRIES)


@pytest.mark.parametrize("entry", ENTRIES)
def test_help_explains_and_succeeds(entry):
    done = run(entry, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_unknown_option_is_refused_with_code_2(entry):
    done = run(entry, "--no-such-option")
    assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
