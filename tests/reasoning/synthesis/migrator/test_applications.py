"""Thirty refactorings after real applications, on real databases with data: the old program before
gives the same answers as the new one after.
"""

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.applications import APPLICATIONS
from benchmarks.migrator_scenarios.maintained import FOREIGN
from tests.reasoning.synthesis.migrator.engines import in_postgres, in_sqlite

FEW = range(0, len(APPLICATIONS), 5)
"""One of each kind, for the quick suite; the slow one runs all, in PostgreSQL too."""


@pytest.mark.parametrize("number", FEW)
def test_an_application_of_each_kind_in_sqlite(number):
    in_sqlite(APPLICATIONS[number])


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(APPLICATIONS)))
def test_all_applications_in_both_engines(number, postgres):
    in_sqlite(APPLICATIONS[number])
    in_postgres(APPLICATIONS[number], postgres)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(FOREIGN)))
def test_refactorings_of_maintained_schemas_in_both_engines(number, postgres):
    in_sqlite(FOREIGN[number])
    in_postgres(FOREIGN[number], postgres)


def test_there_are_thirty():
    assert len({one.name for one in APPLICATIONS}) == 30
