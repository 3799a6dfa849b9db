"""The layers, read from the source: who may import whom, no cycles, late imports, names,
docstrings, the places of tests.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.tables import rows

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("jaxrl", "quant", "sae", "reasoning")

APP = ("jaxrl.app",)
SHARED = (*APP, "jaxrl.nn", "jaxrl.train")
PARTS = ("jaxrl.diffusion", "jaxrl.rl", "jaxrl.envs", "jaxrl.replay")
SYMBOLIC = (
    "jaxrl.app",
    "reasoning.synthesis",
    "reasoning.synthesis.dynamite",
    "reasoning.synthesis.migrator",
)
SEES = {
    "jaxrl": (),
    "jaxrl.app": (),
    "jaxrl.nn": APP,
    "jaxrl.train": APP,
    **dict.fromkeys(PARTS, SHARED),
    "jaxrl.jedi": (*SHARED, *PARTS),
    "quant": SHARED,
    "sae": SHARED,
    "reasoning": APP,
    "reasoning.e2c": SHARED,
    "reasoning.compositionality": SHARED,
    "reasoning.synthesis": APP,
    "reasoning.synthesis.dynamite": (*APP, "reasoning.synthesis"),
    "reasoning.synthesis.migrator": (*APP, "reasoning.synthesis"),
}
"""Every package, and the packages it sees apart from itself. Only `__main__.py` may import
anything.
"""

LATE = {
    "aiohttp",
    "ale_py",
    "cv2",
    "duckdb",
    "etils",
    "gcsfs",
    "grain",
    "gymnasium",
    "httpx",
    "jinja2",
    "markdown_it",
    "markupsafe",
    "math_verify",
    "matplotlib",
    "orbax",
    "psycopg",
    "pyarrow",
    "pydicom",
    "pysat",
    "qwix",
    "rich",
    "rliable",
    "safetensors",
    "scipy",
    "sklearn",
    "sqlglot",
    "tensorboardX",
    "tensorflow_datasets",
    "tokenizers",
    "transformers",
    "tunix",
    "tyro",
    "z3",
}
"""Slow or optional: imported inside the function that needs them, but for the files named below."""
EAGER = ("__main__", "commands", "cli", "options", "report")
"""Modules and folders that may import them at the top: a command line, its options, reports."""
NUMERIC = {"chex", "flax", "jax", "jaxlib", "optax", "orbax"}
PRIVATE = ("jax._src", "jax.core", "jax.interpreters", "jax.experimental.hijax")
ATTICS = {"utils", "helpers", "misc", "common", "base", "tools"}


class Import(NamedTuple):
    """One imported name: `from a.b import c` imports "a.b.c"."""

    target: str
    line: int
    late: bool


def imports(source: str, module: str, is_package: bool = False) -> list[Import]:
    """All imports of a source text, relative ones resolved; those inside functions are late."""
    tree = ast.parse(source)
    functions = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    inner = {id(node) for function in functions for node in ast.walk(function)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = node.module or ""
            if node.level:
                above = module.split(".") if is_package else module.split(".")[:-1]
                start = ".".join([*above[: len(above) - node.level + 1], *start.split(".")]).rstrip(
                    "."
                )
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        found += [Import(name, node.lineno, id(node) in inner) for name in names]
    return found


def layer(name: str) -> str | None:
    """The package that a dotted name lies in; None outside the project."""
    parts = name.split(".")
    return next(
        (here for n in range(len(parts), 0, -1) if (here := ".".join(parts[:n])) in SEES), None
    )


def breaches(source: str, module: str, is_package: bool = False) -> list[str]:
    """Sentences about the imports of one module that break a rule."""
    found, here, name = [], layer(module), module.split(".")[-1]
    if name == "__main__":
        return found
    for target, line, late in imports(source, module, is_package):
        there, top = layer(target), target.split(".")[0]
        if there and there != here and there not in SEES[here]:
            found.append(f"line {line} imports {target}: {here} does not see {there}")
        if top in ("tests", "benchmarks", "notebooks"):
            found.append(f"line {line} imports {target}: packages do not see {top}")
        if here in SYMBOLIC and top in NUMERIC:
            found.append(f"line {line} imports {target}: {here} is plain Python")
        if top in LATE and not late and not set(module.split(".")) & set(EAGER):
            found.append(
                f"line {line} imports {target} at the top: import it inside the function that "
                "needs it"
            )
        if any(target == name or target.startswith(name + ".") for name in PRIVATE):
            found.append(f"line {line} imports {target}: it is private to JAX and changes with it")
    return found


def modules() -> dict[str, Path]:
    """All modules of the four packages by dotted name."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


@pytest.mark.parametrize("module", MODULES)
def test_imports_keep_to_the_floors(module):
    path = MODULES[module]
    found = breaches(path.read_text(), module, path.name == "__init__.py")
    assert not found, f"{path.relative_to(ROOT)}: " + "; ".join(found)


def graph(found: dict[str, Path]) -> dict[str, set[str]]:
    """Modules that each module imports, late imports included; the keys are all modules."""
    edges = {}
    for module, path in found.items():
        seen = imports(path.read_text(), module, path.name == "__init__.py")
        names = {
            next((n for n in (x.target, x.target.rpartition(".")[0]) if n in found), module)
            for x in seen
        }
        edges[module] = names - {module}
    return edges


def cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import each other, directly or through others, sorted."""

    def reached(start: str) -> set[str]:
        found, waiting = set(), [start]
        while waiting:
            for name in edges[waiting.pop()] - found:
                found.add(name)
                waiting.append(name)
        return found

    far = {module: reached(module) for module in edges}
    groups = {
        tuple(sorted({module} | {other for other in far[module] if module in far[other]}))
        for module in edges
        if module in far[module]
    }
    return [list(group) for group in sorted(groups)]


def test_no_import_cycles_between_or_inside_packages():
    assert cycles(graph(MODULES)) == []


def test_a_cycle_is_seen():
    assert cycles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert cycles({"a": {"b"}, "b": set()}) == []


@pytest.mark.parametrize("module", MODULES)
def test_every_module_says_what_it_is(module):
    assert ast.get_docstring(ast.parse(MODULES[module].read_text())), (
        f"{MODULES[module].relative_to(ROOT)} has no docstring"
    )


def test_every_folder_is_in_the_table_or_lies_in_one_that_is():
    """So that a new folder is entered into the table above before it is used."""
    folders = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    assert {
        name
        for name in folders
        if name.count(".") <= 1 and name.split(".")[0] in ("jaxrl", "reasoning")
    } <= set(SEES)
    holding = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in MODULES.values()}
    assert holding == folders, f"no __init__.py in {holding - folders}"


def attics(paths) -> list[Path]:
    """The paths with a name that says nothing about what is inside."""
    return [path for path in paths if any(Path(part).stem in ATTICS for part in path.parts)]


def test_no_attics():
    places = [*PACKAGES, "tests", "benchmarks", "notebooks"]
    assert not attics(
        path.relative_to(ROOT) for place in places for path in (ROOT / place).rglob("*.py")
    )


def test_tests_lie_where_the_code_lies():
    for path in (ROOT / "tests").rglob("test_*.py"):
        folder = path.parent.relative_to(ROOT / "tests")
        assert (ROOT / folder).is_dir(), (
            f"{path.relative_to(ROOT)} tests a folder that does not exist"
        )


IMPORT_ALL = """
import importlib, sys
for name in sys.argv[1].split(","):
    sys.modules[name] = None  # importing it raises ImportError
for module in sys.argv[2].split(","):
    importlib.import_module(module)
"""


def test_importing_needs_no_extra_and_starts_no_device():
    """All modules at once, without what may be missing, on a platform that does not exist: a device
    started here would raise.
    """
    names = [name for name in MODULES if not set(name.split(".")) & set(EAGER)]
    missing = sorted(
        LATE - {"etils", "orbax", "matplotlib", "rich"}
    )  # flax itself needs rich, etils and orbax
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, ",".join(missing), ",".join(names)],
        cwd=ROOT,
        env=os.environ | {"JAX_PLATFORMS": "no_such_platform", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# The checks above must be able to fail.


@pytest.mark.parametrize("module, source, complaint", rows(__file__, "breaches"))
def test_a_breach_is_seen(module, source, complaint):
    (found,) = breaches(source, module)
    assert complaint in found


@pytest.mark.parametrize(
    "module, source",
    [
        ("jaxrl.jedi.__main__", "import tyro, quant"),
        ("jaxrl.jedi.report.run", "import matplotlib"),
        ("jaxrl.jedi.cli.options", "import tyro\nfrom jaxrl.jedi import config"),
        (
            "jaxrl.jedi.agent",
            "from jaxrl.nn.conv import Conv\nfrom jaxrl.replay import buffer\nfrom . import world",
        ),
        ("jaxrl.train.progress", "def f():\n    from rich.progress import Progress"),
        (
            "reasoning.synthesis.dynamite.sketch.sketch",
            "from reasoning.synthesis import datalog\nimport sqlite3",
        ),
        ("quant.vq", "import jax.numpy as jnp\nfrom jax import lax\nfrom jaxrl.nn import mlp"),
    ],
)
def test_what_is_allowed_is_not_a_breach(module, source):
    assert breaches(source, module) == []


def test_relative_imports_start_at_the_package():
    assert imports("from . import b", "p.q", is_package=True)[0].target == "p.q.b"
    assert imports("from .r import b", "p.q.s")[0].target == "p.q.r.b"
    assert imports("from .. import b", "p.q.s")[0].target == "p.b"


def test_an_attic_is_seen():
    seen = [Path("jaxrl/utils.py"), Path("sae/common/io.py")]
    assert attics([*seen, Path("jaxrl/nn/conv.py"), Path("quant/baseline.py")]) == seen
