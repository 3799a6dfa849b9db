"""Migrator (arXiv 1904.05498): a database program rewritten after its schema changed, and checked
to do the same.
"""

from reasoning.synthesis.migrator.check import Comparison
from reasoning.synthesis.migrator.claims import Checked, Scenario
from reasoning.synthesis.migrator.data import migration_sql
from reasoning.synthesis.migrator.exports import alembic_file, datalog_of, dynamite_json
from reasoning.synthesis.migrator.outcome import NoProgram, Options, OutOfTime, Refactoring
from reasoning.synthesis.migrator.parse import parse_program
from reasoning.synthesis.migrator.refactor import refactor
from reasoning.synthesis.migrator.scripts import scenario_script
from reasoning.synthesis.migrator.show import show_program
from reasoning.synthesis.migrator.tables import read_tables

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
