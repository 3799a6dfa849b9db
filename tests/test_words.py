"""The words of the project: the field's standard terms, in code, documents and notebooks."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

WORDS = {
    r"rooms?": "package, folder or memory",
    r"house": "package or project",
    r"mend(?:s|ed|ing)?": "fix",
    r"beside": "next to, compared with",
    r"told": "given, reported, recorded",
    r"asleep": "dead (of latents)",
    r"lets? go": "close, release",
    r"go(?:es|ne)? on with": "continue, resume",
    r"what it tells": "name what is reported",
    r"for people": "name the reader",
    r"whatever of it": "say which part",
    r"nats below": "log-likelihood gain over the marginal",
}
"""Words that readers stumbled over (regular expressions, any case), and better ones."""

NAMES = {
    "Refusal": "UserError",
    "Tally": "UpdateStats",
    "Knobs": "MemberHParams",
    "aloud": "log",
    "carry_on": "run_until_stopped",
    "beginning_at": "add_log_prior",
    "sleep_after": "dead_after",
    "spare_starts": "num_reset_starts",
    "lookup_free": "lfq",
    r"[Cc]entred": "centered",
    r"[Nn]ormalise[sd]?": "normalize, normalized",
    r"[Nn]ormalisation": "normalization",
    r"[Gg]eneralisation": "generalization",
    r"[Ss]ummarise[sd]?": "summarize",
    r"[Ss]tandardise[sd]?": "standardize",
    r"[Mm]inimise[sd]?": "minimize",
    r"[Oo]ptimisers?": "optimizer",
    r"[Cc]olour(?:s|ed|ing)?": "color",
    r"[Gg]rey": "gray",
    r"[Cc]entre(?:s|)": "center",
    r"[Nn]eighbours?": "neighbor",
    r"[Bb]ehaviours?": "behavior",
    r"[Pp]ractis(?:e[sd]?|ing)": "practice",
}
"""Old names of things and British spellings, and the present ones. Aliases that warn until 0.3 may
hold them.
"""

SKIPPED = (
    "tests/test_words.py",
    "CHANGELOG.md",
    "benchmarks/migrator_scenarios/",
    "benchmarks/dynamite_scenarios/",
    "tests/reasoning/synthesis/migrator/",
)
"""Files that hold the words: this one, the table of renamed names, and schemas with a
table `room`.
"""
ALLOWED = "# old name"
"""A line with this comment may hold an old name: an alias, or a reader of old files."""


def texts() -> list[Path]:
    """Python files, documents and notebooks that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", "*.py", "*.md", "*.ipynb"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\n")
    return [ROOT / name for name in listed if name and not name.startswith(SKIPPED)]


def complaints(text: str) -> list[str]:
    """Sentences about the lines of a text that hold an unused word or an old name."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if ALLOWED in line:
            continue
        for word, better in WORDS.items():
            if seen := re.search(rf"(?<![\w-]){word}(?![\w-])", line, re.IGNORECASE):
                found.append(f"line {number}: '{seen[0]}': write {better}")
        for name, better in NAMES.items():
            if re.search(rf"(?<![\w]){name}(?![\w])", line):
                found.append(f"line {number}: '{name}' is called {better} now")
    return found


@pytest.mark.parametrize("path", texts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_text_uses_the_words_of_the_project(path):
    assert complaints(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "line", ["the room is mended", "Told twice", "it lets go of it", "gone on with", "x = Tally(1)"]
)
def test_an_unused_word_is_seen(line):
    assert complaints(line)


@pytest.mark.parametrize("line", ["a mushroom", "time.sleep(1)", "alias  # old name Tally", "x"])
def test_other_words_are_not(line):
    assert complaints(line) == []
