"""Migrator (arXiv 1904.05498): a database program rewritten after its schema changed, and checked
to do the same.
"""

from reasoning.synthesis.migrator import old_names
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.equivalence.results import Checked, Scenario
from reasoning.synthesis.migrator.output.counterexample_sql import scenario_script
from reasoning.synthesis.migrator.output.data_migration import migration_sql
from reasoning.synthesis.migrator.output.exports import alembic_file, datalog_of, dynamite_json
from reasoning.synthesis.migrator.result import NoProgram, Options, OutOfTime, Refactoring
from reasoning.synthesis.migrator.sql.parse import parse_program
from reasoning.synthesis.migrator.sql.tables import read_tables
from reasoning.synthesis.migrator.sql.unparse import show_program
from reasoning.synthesis.migrator.synthesize import refactor

old_names.install()

__all__ = [
    "Checked",
    "Comparison",
    "NoProgram",
    "Options",
    "OutOfTime",
    "Refactoring",
    "Scenario",
    "alembic_file",
    "datalog_of",
    "dynamite_json",
    "migration_sql",
    "parse_program",
    "read_tables",
    "refactor",
    "scenario_script",
    "show_program",
]
