"""Migrations of our own with known answers: twelve domains, 28 scenarios, and some that must be
refused.
"""

from benchmarks.dynamite_scenarios.scenario import Scenario
from benchmarks.dynamite_scenarios.to_graphs_and_tables import (
    DOCUMENTS_TO_GRAPHS,
    TABLES_TO_GRAPHS,
    TABLES_TO_TABLES,
)
from benchmarks.dynamite_scenarios.to_tables_and_documents import (
    DOCUMENTS_TO_TABLES,
    GRAPHS_TO_DOCUMENTS,
    GRAPHS_TO_TABLES,
    TABLES_TO_DOCUMENTS,
)

SCENARIOS: tuple[Scenario, ...] = (
    *DOCUMENTS_TO_TABLES,
    *TABLES_TO_DOCUMENTS,
    *GRAPHS_TO_TABLES,
    *GRAPHS_TO_DOCUMENTS,
    *DOCUMENTS_TO_GRAPHS,
    *TABLES_TO_GRAPHS,
    *TABLES_TO_TABLES,
)
"""In the order of the kinds in the paper's table of benchmarks."""
