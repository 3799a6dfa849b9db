"""Imports of notebooks and of the examples in README and docs: each name is where they say."""

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("benchmarks", "jaxrl", "quant", "reasoning", "sae")
TEXTS = sorted(
    [*(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
)


def codes(path: Path) -> list[str]:
    """Python code of a notebook's cells, or of a page's examples."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    cells = [c for c in json.loads(text)["cells"] if c["cell_type"] == "code"]
    lines = ["".join(cell["source"]).splitlines() for cell in cells]
    return ["\n".join("pass" if one.startswith(("%", "!")) else one for one in of) for of in lines]


def missing(code: str) -> list[str]:
    """Names that our packages do not have, of all that the code imports from them."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in PACKAGES:
            module = importlib.import_module(node.module)
            for name in (alias.name for alias in node.names):
                if not hasattr(module, name):
                    place = f"{node.module}.{name}"
                    if importlib.util.find_spec(place) is None:
                        found.append(place)
    return found


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_an_example_imports_is_there(path):
    assert [name for code in codes(path) for name in missing(code)] == []


def test_a_missing_name_is_seen():
    assert missing("from quant import vq, nothing") == ["quant.nothing"]
