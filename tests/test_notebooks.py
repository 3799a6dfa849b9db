"""Notebooks run from top to bottom, ask one question, hold no method code and only small
outputs.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SLOW = (
    "01_jedi_in_ten_minutes",
    "02_a_world_model_of_your_own_data",
    "03_what_does_a_denoising_loss_know_about_the_past",
    "04_why_codebooks_collapse",
    "05_gradients_through_choices",
    "06_gm_vq",
    "09_the_sweet_spot",
    "09b_pruning_other_models",
    "10_patterns_in_a_classifier",
    "11_plan_then_execute",
)
"""Names of notebooks that take more than a minute on two cores with LATENTAX_FAST=1."""
LARGEST_OUTPUT = 400_000
"""Characters of all stored outputs of one notebook; a picture of 1000 x 600 pixels takes some 60
000.
"""
LONGEST_FUNCTION = 6
"""Lines. A notebook may hold a small plotting function; what is longer belongs into a package."""


def source(cell) -> str:
    """The text of a cell, which is stored as one string or as lines."""
    return "".join(cell["source"])


def faults(notebook: dict) -> list[str]:
    """Sentences about what a notebook should not be."""
    found, cells = [], notebook["cells"]
    title = (
        source(cells[0]).splitlines()[0]
        if cells and cells[0]["cell_type"] == "markdown" and source(cells[0])
        else ""
    )
    if not re.fullmatch(r"# .*\?", title):
        found.append("the first line is not a question (# ...?)")
    for number, cell in enumerate(cells):
        if cell["cell_type"] == "code":
            found += [f"cell {number} {fault}" for fault in _methods(source(cell))]
            if any(output["output_type"] == "error" for output in cell["outputs"]):
                found.append(f"cell {number} holds an error")
    size = sum(len(json.dumps(cell.get("outputs", []))) for cell in cells)
    if size > LARGEST_OUTPUT:
        found.append(
            f"its outputs take {size} characters, more than {LARGEST_OUTPUT}: clear them or make "
            "the pictures smaller"
        )
    return found


def _methods(code):
    plain = "\n".join("pass" if line.startswith(("%", "!")) else line for line in code.splitlines())
    for node in ast.walk(ast.parse(plain)):
        if isinstance(node, ast.ClassDef):
            yield f"defines the class {node.name}"
        if (
            isinstance(node, ast.FunctionDef)
            and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
        ):
            yield f"defines {node.name} in more than {LONGEST_FUNCTION} lines"


def execute(*paths: Path) -> subprocess.CompletedProcess:
    """Run notebooks of a folder, each in a kernel of its own, through nbmake; nothing is written
    back.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbmake",
        "--nbmake-timeout=600",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
    ]
    root = ["--rootdir", str(paths[0].parent)]
    alone = ["-o", "addopts=", "-o", "filterwarnings=", *root, *map(str, paths)]
    environment = os.environ | {
        "LATENTAX_FAST": "1",
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "agg",
    }
    return subprocess.run(
        command + alone, cwd=ROOT, env=environment, capture_output=True, text=True
    )


def each():
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.slow] * (path.stem in SLOW))
        for path in NOTEBOOKS
    ]


@pytest.mark.parametrize("path", each())
def test_a_notebook_runs(path):
    done = execute(path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", each())
def test_a_notebook_is_a_question_with_small_outputs_and_no_method_code(path):
    assert not faults(json.loads(path.read_text()))


# The checks above must be able to fail.


def notebook(*cells, title="# Does it fail?"):
    code = [
        {
            "cell_type": "code",
            "source": text,
            "outputs": [],
            "execution_count": None,
            "metadata": {},
        }
        for text in cells
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    first = {"cell_type": "markdown", "source": [title + "\n", "More."], "metadata": {}}
    return {"cells": [first, *code], "metadata": kernel, "nbformat": 4, "nbformat_minor": 4}


SHORT = "def f(x):\n    return x"
LONG = "def f(x):\n" + "    x += 1\n" * 6


def test_a_good_notebook_has_no_faults():
    assert faults(notebook("%matplotlib inline\n!ls\n" + SHORT)) == []


@pytest.mark.parametrize(
    "bad, fault",
    [
        (notebook(title="# A title"), "not a question"),
        (notebook(title="Is this a title?"), "not a question"),
        (notebook(LONG), "more than 6 lines"),
        (notebook("1", "class A:\n    pass"), "cell 2 defines the class A"),
    ],
)
def test_faults_are_seen(bad, fault):
    (found,) = faults(bad)
    assert fault in found


def test_large_outputs_and_stored_errors_are_seen():
    bad = notebook("1")
    bad["cells"][1]["outputs"] = [{"output_type": "error", "traceback": ["x" * LARGEST_OUTPUT]}]
    assert [fault.split()[2] for fault in faults(bad)] == ["holds", "take"]


def test_a_notebook_that_raises_is_seen_and_one_that_does_not_passes(tmp_path):
    good, bad = tmp_path / "good.ipynb", tmp_path / "bad.ipynb"
    good.write_text(
        json.dumps(notebook("import jaxrl, os\nassert os.environ['LATENTAX_FAST'] == '1'"))
    )
    bad.write_text(json.dumps(notebook("1 / 0")))
    done = execute(good, bad)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stdout
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
