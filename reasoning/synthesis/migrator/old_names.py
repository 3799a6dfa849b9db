"""Names of version 0.1, until 0.3: they work, and warn once."""

import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

PACKAGE = "reasoning.synthesis.migrator"
MOVED = """
check equivalence.bounded_test
claims equivalence.results
clusters equivalence.clusters
commands cli
conditions sql.conditions
convert sql.statements
data output.data_migration
database testing.database
explain output.explain
exports output.exports
formulas equivalence.z3_formulas
images testing.mapped_databases
inserts sketch.inserts
joins correspondence.join_trees
likeness correspondence.similarity
mapping correspondence.mapping
maxsat correspondence.maxsat
names sql.names
order sketch.order
outcome result
parse sql.parse
program sql.program
queries sketch.queries
reading correspondence.required_columns
refactor synthesize
report output.report
scripts output.counterexample_sql
search completion.sat_search
selects sql.selects
show sql.unparse
simulate completion.simulate
starts equivalence.initial_states
symbols equivalence.z3_tables
tables sql.tables
target sketch.target
trees sql.visitors
trials completion.candidate_tests
values testing.inputs
verify equivalence.z3_check
world equivalence.paired_run
written sql.ddl_text
"""
"""Module, and where it is now."""
MODULES = dict(line.split() for line in MOVED.strip().splitlines())
_said: set[str] = set()


def _say(old: str, new: str, level: int = 4) -> None:
    """Warn of an old name, the first time."""
    if old not in _said:
        _said.add(old)
        text = f"{PACKAGE}.{old} is {PACKAGE}.{new} now; the old name ends with version 0.3"
        warnings.warn(text, DeprecationWarning, level)


def names_of(place: str, names: dict[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a module or folder some of whose names are elsewhere now.

    Args:
      place: the module, inside of the package.
      names: old name, and module and name now, with a colon between them.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module '{PACKAGE}.{place}' has no attribute {name!r}")
        module, _, new = names[name].partition(":")
        _say(f"{place}.{name}", f"{module}.{new}")
        return getattr(importlib.import_module(f"{PACKAGE}.{module}"), new)

    return find


class _Moved:
    """Finds modules under their old paths; both names mean the same module."""

    def find_spec(self, fullname, path=None, target=None) -> ModuleSpec | None:
        before, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, self) if before == PACKAGE and name in MODULES else None

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty module, which the one that has the code replaces."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__.rpartition(".")[2]
        _say(name, MODULES[name], 3)
        sys.modules[module.__name__] = importlib.import_module(f"{PACKAGE}.{MODULES[name]}")


def install() -> None:
    """Make the old paths importable, behind all that is there."""
    if not any(isinstance(one, _Moved) for one in sys.meta_path):
        sys.meta_path.append(_Moved())  # type: ignore[arg-type]
