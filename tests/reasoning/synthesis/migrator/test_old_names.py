"""Names of version 0.1 still work, and warn once."""

import importlib
import subprocess
import sys

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
from reasoning.synthesis.migrator import old_names

PACKAGE = "reasoning.synthesis.migrator"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", sorted(old_names.MODULES))
def test_a_module_has_its_old_path_too(name):
    new = importlib.import_module(f"{PACKAGE}.{old_names.MODULES[name]}")
    assert importlib.import_module(f"{PACKAGE}.{name}") is new


def test_renamed_functions_and_folders_that_were_files_warn_once():
    lines = [
        "import warnings",
        "warnings.simplefilter('always')",
        "with warnings.catch_warnings(record=True) as seen:",
        f"    from {PACKAGE}.likeness import likeness",
        f"    from {PACKAGE}.likeness import likeness as again",
        f"    from {PACKAGE}.correspondence import Problem",
        f"    from {PACKAGE}.sketch import make_sketch",
        f"from {PACKAGE}.correspondence.similarity import similarity",
        "assert likeness is again is similarity",
        "ours = [str(w.message) for w in seen if 'migrator' in str(w.message)]",
        "assert len(ours) == 4, ours",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)
