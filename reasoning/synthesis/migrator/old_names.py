"""Names of version 0.1, until 0.3: they work, and warn once."""

from collections.abc import Callable
from typing import Any

from jaxrl.app.old_names import attributes, modules

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


def names_of(place: str, names: dict[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for a module or folder some of whose names are elsewhere now.

    Args:
      place: the module, inside of the package.
      names: old name, and module and name now, with a colon between them.
    """
    return attributes(
        f"{PACKAGE}.{place}", {old: f"{PACKAGE}.{present}" for old, present in names.items()}
    )


def install() -> None:
    """Make the old paths importable."""
    modules({f"{PACKAGE}.{old}": f"{PACKAGE}.{new}" for old, new in MODULES.items()})
