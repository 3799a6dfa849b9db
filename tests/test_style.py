"""The style of the code, read from the source: parameters, openings of docstrings, long lines."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = ("jaxrl", "quant", "sae", "reasoning", "benchmarks")
MOST_PARAMETERS = 6
MOST_EXCEPTIONS = 26
"""A formula, or the boundary of a jitted program, may have more than six parameters. The aim is 30:
lower the number with every bundle of arguments that becomes a config or a carry.
"""
RIDDLES = ("What", "Whether", "How")
"""Docstrings begin with a verb or the field's noun, never with one of these."""


def sources() -> list[Path]:
    """Python files of the packages and benchmarks that git tracks."""
    listed = subprocess.run(
        ["git", "ls-files", *(f"{place}/*.py" for place in PLACES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    ).stdout.split()
    return [ROOT / name for name in listed if (ROOT / name).exists()]


def crowded(source: str) -> list[str]:
    """Names of the functions with more than six parameters, `self` and `cls` not counted."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [
                a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            ]
            names = names[1:] if names[:1] in (["self"], ["cls"]) else names
            if len(names) > MOST_PARAMETERS:
                found.append(node.name)
    return found


def riddles(source: str) -> list[str]:
    """First lines of docstrings that begin with What, Whether or How."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node) or "-"
            if text.split()[0] in RIDDLES:
                found.append(text.splitlines()[0])
    return found


def skips_formatting(source: str) -> list[int]:
    """Lines that turn the formatter off for anything but a matrix of numbers."""
    lines = source.splitlines()
    mark = re.compile(r"# fmt: (skip|off)")
    return [n for n, line in enumerate(lines, 1) if mark.search(line) and "matrix" not in line]


def test_few_functions_have_many_parameters():
    found = [f"{p.relative_to(ROOT)}: {name}" for p in sources() for name in crowded(p.read_text())]
    assert len(found) <= MOST_EXCEPTIONS, f"{len(found)} functions:\n" + "\n".join(found)


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_say_what_is_done_and_the_formatter_is_on(path):
    assert riddles(path.read_text()) == []
    assert skips_formatting(path.read_text()) == []


def test_the_checks_can_fail():
    seven = "a, b, c, d, e, f, g"
    assert crowded(f"def many({seven}):\n    pass") == ["many"]
    assert crowded(f"class A:\n    def few(self, {seven[:-3]}):\n        pass") == []
    assert riddles('def f():\n    """Whether it rains."""') == ["Whether it rains."]
    assert riddles('def f():\n    """Return whether it rains."""') == []
    assert skips_formatting("x = 1  # fmt: skip\ny = [[1]]  # fmt: skip (matrix)") == [1]
