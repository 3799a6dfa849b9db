"""Refactoring scenarios of the project's own: ten by hand, ten generated applications, five that
must be refused, mutants.
"""

from benchmarks.migrator_scenarios.apps import APPLICATIONS
from benchmarks.migrator_scenarios.refused import REFUSED
from benchmarks.migrator_scenarios.textbook import MERGE, MERGE_ONE, MOVE, RENAME, SPLIT, SPLIT_ONE
from benchmarks.migrator_scenarios.textbook_more import ASSOCIATION, COPIED, DENORMALISED, NATURAL

TEXTBOOK = (
    MERGE,
    SPLIT,
    SPLIT_ONE,
    MERGE_ONE,
    MOVE,
    RENAME,
    ASSOCIATION,
    NATURAL,
    COPIED,
    DENORMALISED,
)
SCENARIOS = (*TEXTBOOK, *APPLICATIONS)

__all__ = ["APPLICATIONS", "REFUSED", "SCENARIOS", "TEXTBOOK"]
