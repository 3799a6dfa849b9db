"""Every command answers --help, and refuses an option it does not know.

The commands run one after the other in this process, as `python -m` would run them; a few run in a
process of their own here, and all of them among the slow tests.
"""

import os
import re
import runpy
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
ALONE = ("jaxrl.jedi", "reasoning.synthesis.migrator")
"""Run in a process of their own by default, too: one with JAX, one without."""


def in_a_process(entry, *arguments):
    """Exit code, output and errors of a process."""
    environment = os.environ | {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", entry, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run_here(monkeypatch, capsys):
    """A function like `in_a_process` that stays in this process."""
    kept = dict(os.environ)

    def run(entry, *arguments):
        monkeypatch.setattr(sys, "argv", [entry, *arguments])
        code = 0
        try:
            runpy.run_module(entry, run_name="__main__", alter_sys=True)
        except SystemExit as leaving:
            code = leaving.code or 0
        return code, *capsys.readouterr()

    yield run
    os.environ.clear()  # a command may set variables for its own process
    os.environ.update(kept)


def check_help(code, out, err):
    assert code == 0, err
    assert "usage" in out.lower()
    assert "Traceback" not in err


def check_refusal(code, out, err):
    assert code == 2, (code, out, err)
    assert "Traceback" not in err


def test_the_known_commands_are_found():
    assert {"benchmarks.table", *ALONE} <= set(ENTRIES)


# A module that was imported before is run once more, as the main program.
again = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")


@again
@pytest.mark.parametrize("entry", ENTRIES)
def test_help_explains_and_succeeds(entry, run_here):
    check_help(*run_here(entry, "--help"))


@again
@pytest.mark.parametrize("entry", ENTRIES)
def test_an_unknown_option_is_refused_with_code_2(entry, run_here):
    check_refusal(*run_here(entry, "--no-such-option"))


each_alone = pytest.mark.parametrize(
    "entry",
    [pytest.param(entry, marks=[pytest.mark.slow] * (entry not in ALONE)) for entry in ENTRIES],
)


@each_alone
def test_help_explains_and_succeeds_in_a_process_of_its_own(entry):
    check_help(*in_a_process(entry, "--help"))


@each_alone
def test_an_unknown_option_is_refused_in_a_process_of_its_own(entry):
    check_refusal(*in_a_process(entry, "--no-such-option"))
