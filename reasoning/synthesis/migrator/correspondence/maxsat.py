"""Correspondences by weighted MaxSAT: the paper's way, and the one for problems with many
conflicts.

Source: Migrator (arXiv 1904.05498), the value correspondence as a MaxSAT problem. python-sat's RC2
solves it and enumerates in order.
"""

from collections.abc import Iterator

from reasoning.synthesis.errors import need
from reasoning.synthesis.migrator.correspondence.problem import Problem
from reasoning.synthesis.migrator.sql.tables import Place


def assignments_by_maxsat(problem: Problem) -> Iterator[tuple[int, tuple[Place, ...]]]:
    """The same (loss, places) as `correspondence.assignments`, from RC2.

    One variable for every column and place; hard: exactly one place for a column, at most one
    column for a place; soft: what a column loses with a place.

    Raises:
      UserError: python-sat is not installed.
    """
    if not problem.columns or not all(problem.ranked):
        return
    formula = need("pysat.formula").WCNF()
    number, takers = 0, {}
    variables: list[list[int]] = []
    for ranking in problem.ranked:
        row = []
        for worth, place in ranking:
            number += 1
            row.append(number)
            if place[0]:
                takers.setdefault(place, []).append(number)
            if ranking[0][0] > worth:
                formula.append([-number], weight=ranking[0][0] - worth)
        formula.append(row)
        _at_most_one(formula, row)
        variables.append(row)
    for row in takers.values():
        _at_most_one(formula, row)
    if not formula.soft:
        formula.append([variables[0][0]], weight=1)
    with need("pysat.examples.rc2").RC2(formula) as solver:
        for model in solver.enumerate():
            true = {literal for literal in model if literal > 0}
            ranks = [
                next(n for n, variable in enumerate(row) if variable in true) for row in variables
            ]
            loss = sum(
                ranking[0][0] - ranking[rank][0]
                for ranking, rank in zip(problem.ranked, ranks, strict=True)
            )
            yield (
                loss,
                tuple(
                    ranking[rank][1] for ranking, rank in zip(problem.ranked, ranks, strict=True)
                ),
            )


def _at_most_one(formula, literals):
    for n, one in enumerate(literals):
        for other in literals[n + 1 :]:
            formula.append([-one, -other])
