"""Every `train` command of the pages has settings that go together."""

import re
import shlex
from pathlib import Path

import jax
import pytest

from jaxrl.jedi.__main__ import parse
from jaxrl.jedi.agent import init
from jaxrl.jedi.cli.options import Train
from tests.test_readme import ROOT, commands

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
OURS = re.compile(r"python3? -m jaxrl\.jedi (train [^\"]*)")


def trainings(page: Path) -> list[str]:
    """Their arguments, up to a shell operator; those with placeholders in brackets are left out."""
    # --distributed asks for its machines
    found = [
        match[1].replace("--distributed on", "")
        for line in commands(page.read_text())
        if (match := OURS.search(line))
    ]
    lines = [re.split(r"\s(?:&&?|\||>)\s?", line)[0] for line in found]
    return [line for line in lines if not re.search(r"[<\[]", line)]


LINES = sorted({line for page in PAGES for line in trainings(page)})


def test_the_pages_have_commands():
    assert len(LINES) > 5


@pytest.mark.parametrize("line", LINES)
def test_settings_of_a_command_go_together(line):
    command = parse(shlex.split(line))
    assert isinstance(command, Train)
    size = command.config.game.frame_size
    jax.eval_shape(
        lambda: init(command.config.agent, 4, (size, size, 3), jax.random.key(0))
    )  # refuses what does not fit
