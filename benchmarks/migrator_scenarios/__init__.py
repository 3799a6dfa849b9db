"""Refactoring scenarios of the project's own: ten by hand, ten generated applications, five that
must be refused, mutants.
"""

from benchmarks.migrator_scenarios.apps import APPLICATIONS
from benchmarks.migrator_scenarios.refused import REFUSED
from benchmarks.migrator_scenarios.textbook import TEXTBOOK

SCENARIOS = (*TEXTBOOK, *APPLICATIONS)

__all__ = ["APPLICATIONS", "REFUSED", "SCENARIOS", "TEXTBOOK"]
