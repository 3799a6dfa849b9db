"""Module paths and names of version 0.1, in an interpreter of their own: what is imported stays
imported.
"""

import json
import subprocess
import sys

import pytest

from quant.old_names import OLD, PATHS, SHORT

MODULES = sorted(
    {*PATHS} - {"quant.flax_module", "quant.fsq", "quant.lfq", "quant.rvq", "quant.nnx_module"}
)
CHECK = """
import importlib, sys, warnings
import quant
for old, new in zip(sys.argv[1].split(","), sys.argv[2].split(",")):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        module = importlib.import_module(old)
        again = importlib.import_module(old)
    assert module is again is importlib.import_module(new), old
    assert module.__spec__.name == module.__name__ == new, old
    found = [w for w in seen if w.category is DeprecationWarning]
    assert len(found) == 1 and old in str(found[0].message) and new in str(found[0].message), old
"""


PARENT = """
import json, os, sys, traceback
import flax.linen, flax.nnx, jax, optax
for line in sys.stdin:
    code, arguments = json.loads(line)
    child = os.fork()
    if not child:
        try:
            sys.argv[1:] = arguments
            exec(code, {"__name__": "__main__"})
        except BaseException:
            os.write(1, json.dumps(traceback.format_exc()).encode() + b"\\n")
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] == 0:
        print("null", flush=True)
"""
"""Runs each program it is sent in a child of its own, after the libraries that take long to import,
and answers with its traceback, or null.
"""


@pytest.fixture(scope="module")
def run():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:

        def in_a_child(code: str, *arguments: str) -> None:
            parent.stdin.write(json.dumps([code, arguments]) + "\n")
            parent.stdin.flush()
            error = json.loads(parent.stdout.readline())
            assert error is None, error

        yield in_a_child
        parent.stdin.close()


def test_every_old_module_path_warns_once_and_is_the_new_module(run):
    run(CHECK, ",".join(MODULES), ",".join(PATHS[name] for name in MODULES))


def test_public_modules_are_imported_from_the_package_without_a_warning(run):
    run(
        "import warnings; warnings.simplefilter('error')\n"
        f"from quant import {', '.join(SHORT)}, estimators, diagnostics, Restart, VQConfig\n"
        "assert vq.VQConfig is VQConfig"
    )


def test_renamed_modules_are_imported_from_the_package_with_one_warning(run):
    run(
        "import warnings, quant\n"
        f"for name in {sorted(OLD)!r}:\n"
        "    with warnings.catch_warnings(record=True) as seen:\n"
        "        warnings.simplefilter('always')\n"
        "        exec(f'from quant import {name}; from quant import {name}')\n"
        "    assert [w.category for w in seen] == [DeprecationWarning], (name, seen)\n"
        "    assert seen[0].filename == '<string>', (name, seen[0].filename)"
    )


@pytest.mark.parametrize(
    "line",
    [
        "from quant.vq import VQConfig, init, quantize, encode, decode, VQState",
        "from quant.data import from_arrays, gaussian_mixture, digits, Data, Split",
        "from quant.data_by_name import load, prepared",
        "from quant.fidelity import Fidelity, fidelity, fidelity_grid, gradient_gap",
        "from quant.oracle import exact_gradient, enumerate_expectation",
        "from quant.modules import Quantizer",
        "from quant.scalar import FSQConfig",
        "from quant.studies.estimators.fidelity import measure",
        "from quant.nearest import nearest, unit",
    ],
)
def test_names_inside_old_modules_are_found(line, run):
    run(line)


def test_other_names_are_still_missing(run):
    run(
        "import quant, quant.data, quant.estimators.bias_variance as b\n"
        "for owner in (quant, quant.data, b):\n"
        "    assert not hasattr(owner, 'never_there')\n"
        "try:\n    import quant.never_there\n    raise SystemExit('imported')\n"
        "except ModuleNotFoundError:\n    pass"
    )
