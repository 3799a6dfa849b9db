"""The README tells the truth: its commands can be typed, its links lead somewhere, its table is the
measured one.
"""

import re
import tomllib
from pathlib import Path

import pytest

from benchmarks.table import between_markers, highlights
from benchmarks.table import page as results_page

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FIRST = (
    'python3 -m venv .venv && .venv/bin/pip install -e ".[atari]" && .venv/bin/python -m '
    "jaxrl.jedi train --env Assault"
)
SECOND = 'python3 -m venv .venv && .venv/bin/pip install -e ".[dev]" && .venv/bin/python -m pytest'
ELSEWHERE = ("http://", "https://", "mailto:")
NOT_OURS = {"ipykernel", "jupyter", "pip", "pytest", "tensorboard", "venv"}
"""Modules that a command may run though they are not in this repository."""


def commands(text: str) -> list[str]:
    """The lines of all bash blocks, continued lines joined, comments and prompts cut off."""
    blocks = re.findall(
        r"^ *```(?:bash|sh|shell|console)\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL
    )
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    lines = [re.sub(r"(^|\s)#.*", "", line).strip().removeprefix("$ ") for line in lines]
    return [line for line in lines if line]


def untrue(command: str, root: Path = ROOT) -> list[str]:
    """What one command names that does not exist: modules, extras, files of this repository."""
    found = []
    for module in re.findall(r"python3? -m ([\w.]+)", command):
        place = root / module.replace(".", "/")
        runs = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
        if not runs and module not in NOT_OURS:
            found.append(f"module {module}")
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for listed in re.findall(r"(?:\.|latentax)\[([\w,]+)\]", command):
        found += [f"extra {extra}" for extra in listed.split(",") if extra not in extras]
    for word in re.findall(
        r"(?<![\w/.=-])(?:\.ci|jaxrl|quant|sae|reasoning|tests|notebooks|benchmarks)/[\w./-]*",
        command,
    ):
        if not (root / word).exists():
            found.append(f"file {word}")
    return found


def links(text: str) -> list[str]:
    """Targets of Markdown links and images, and of HTML src and href, outside code."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
    inline = re.findall(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)", text)
    return (
        inline
        + re.findall(r"^\[[^\]]+\]: *(\S+)", text, re.MULTILINE)
        + re.findall(r"(?:src|href)=\"([^\"]+)\"", text)
    )


def anchors(text: str) -> set[str]:
    """The names under which headings can be linked to."""
    headings = re.findall(
        r"^#+ +(.+?) *#*$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(target: str, page: Path) -> bool:
    """Whether a link on a page leads nowhere; addresses elsewhere are not visited."""
    if target.startswith(ELSEWHERE):
        return False
    file, _, anchor = target.partition("#")
    place = page.parent / file if file else page
    if not place.exists():
        return True
    return bool(anchor) and place.suffix == ".md" and anchor not in anchors(place.read_text())


@pytest.fixture(scope="module")
def readme() -> str:
    assert README.is_file(), "README.md is missing"
    return README.read_text()


def test_the_first_two_commands_stand_first(readme):
    assert commands(readme)[:2] == [FIRST, SECOND]


def test_continuous_integration_runs_the_second_command():
    install, run = (part.split("bin/")[1] for part in SECOND.split(" && ")[1:])
    script = (
        (ROOT / ".ci" / "run")
        .read_text()
        .replace('"$scratch/venv/bin/pip"', "pip")
        .replace('"$scratch/venv/bin/python"', "python")
    )
    assert install.replace("pip install", "pip install --quiet") in script
    assert f"{run} " in script


def test_commands_name_what_exists(readme):
    assert not [missing for command in commands(readme) for missing in untrue(command)]


PAGES = [
    *(page for page in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (ROOT / page).is_file()),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert not [
        target for target in links((ROOT / page).read_text()) if broken(target, ROOT / page)
    ]


def test_the_figures_are_the_measured_ones(readme):
    again = "run python -m benchmarks.table --write"
    assert between_markers(readme) == highlights(), again
    assert (ROOT / "docs" / "results.md").read_text() == results_page(), again


def test_the_readme_is_short(readme):
    assert len(readme.encode()) <= 8192


def test_the_imports_of_the_snippets_work(readme):
    blocks = re.findall(r"^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        compile(block, "README.md", "exec")
        assert len([line for line in block.splitlines() if line.strip()]) <= 6
        for line in block.splitlines():
            if line.startswith(("import ", "from ")):
                exec(line, {})


def test_contributing_commands_name_what_exists():
    assert not [
        missing
        for command in commands((ROOT / "CONTRIBUTING.md").read_text())
        for missing in untrue(command)
    ]


# The checks above must be able to fail.


def test_commands_are_read_from_bash_blocks_only():
    bash = "```bash\n$ a b  # why\n# only a comment\nc \\\n  d\n```\n"
    text = bash + "```python\nimport x\n```\n- in a list\n  ```console\n  e\n  ```\n"
    assert commands(text) == ["a b", "c    d", "e"]


@pytest.mark.parametrize(
    "command, missing",
    [
        (".venv/bin/python -m jaxrl.jedi train --game pong", []),
        ("python -m benchmarks.table --write", []),
        ("python -m benchmarks.recording_of_nothing", ["module benchmarks.recording_of_nothing"]),
        ("python3 -m jaxrl.nowhere", ["module jaxrl.nowhere"]),
        ('pip install "latentax[atari,everything]"', ["extra everything"]),
        ("pip install -e .[dev]", []),
        (".ci/run -m slow", []),
        ("pytest tests/test_imports.py tests/test_nothing.py", ["file tests/test_nothing.py"]),
        ("python -m jaxrl.jedi train --run-dir runs/jedi/pong", []),
    ],
)
def test_untrue_commands_are_seen(command, missing):
    assert untrue(command) == missing


def test_broken_links_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A title, with signs!\n\n## Second\n")
    (tmp_path / "pictures").mkdir()
    good = [
        "page.md",
        "#second",
        "#a-title-with-signs",
        "page.md#second",
        "pictures",
        "https://example.org/none",
    ]
    bad = ["none.md", "#third", "page.md#third", "pictures/none.png"]
    assert [target for target in good + bad if broken(target, page)] == bad


def test_links_are_found_in_every_form():
    text = '[a](b.md "t") ![c](<d.png>) <img src="e.gif"> [f]\n\n[f]: g.md\n```\n[h](i)\n```\n'
    assert sorted(links(text)) == ["b.md", "d.png", "e.gif", "g.md"]
