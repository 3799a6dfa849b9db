"""Related databases that sequences of calls begin in, apart from the empty ones."""

import itertools
import time
from collections.abc import Mapping

from reasoning.synthesis.migrator.completion.simulate import (
    Simulation,
    Unrelated,
    simulation,
    unwritten,
)
from reasoning.synthesis.migrator.correspondence.mapping import DataMapping, Unfilled, mappings
from reasoning.synthesis.migrator.correspondence.problem import make_problem
from reasoning.synthesis.migrator.correspondence.required_columns import read_places
from reasoning.synthesis.migrator.correspondence.search import correspondences
from reasoning.synthesis.migrator.equivalence.results import EMPTY, Start
from reasoning.synthesis.migrator.sketch.build import affected
from reasoning.synthesis.migrator.sketch.target import view_of
from reasoning.synthesis.migrator.sql.program import Insert, Program
from reasoning.synthesis.migrator.sql.tables import Place, Tables

MOST_STARTS = 5
"""Related databases that sequences begin in, apart from the empty ones, where no function fills a
table.
"""

LEAST_MAPPINGS, MOST_MAPPINGS, SECONDS = 3, 60, 2.0
"""Correspondences tried for two given programs: at least, at most, and the seconds after which no
more are.
"""


def starts_of(program: Program, world: Simulation) -> tuple[Start, ...]:
    """The empty databases, and, if no function fills some table, or some column that is read,
    related ones in which it is filled.
    """
    filled = {s.table for f in program.functions for s in f.statements if isinstance(s, Insert)}
    open_ = [table for table, _ in unwritten(program, world.source.tables)]
    if set(world.source.names) <= filled and not set(open_) & set(world.source.names):
        return (EMPTY,)
    return (
        EMPTY,
        *(
            Start((start.source, start.target))
            for start in world.starts
            if any(start.source.values())
        ),
    )[: 1 + MOST_STARTS]


def related_starts(
    program: Program, source: Tables, target: Tables, seed: int = 0
) -> tuple[Start, ...]:
    """Make the databases that sequences of calls begin in, for two programs of which the second is
    given: related by the likeliest data mapping, if there is one.

    Args:
      program: the old program.
      source: the old schema.
      target: the new schema.
      seed: seed of the random rows.

    Returns:
      The empty databases, and related ones in which tables are filled that no function fills.
    """
    return related(program, source, target, seed)[0]


def related(
    program: Program,
    source: Tables,
    target: Tables,
    seed: int = 0,
    decided: Mapping[Place, Place] | None = None,
) -> tuple[tuple[Start, ...], DataMapping | None]:
    """Make the databases of `related_starts`, with the data mapping that relates them.

    Args:
      program: the old program.
      source: the old schema.
      target: the new schema.
      seed: seed of the random rows.
      decided: places of old columns that the user gives.

    Returns:
      The databases and the mapping; the empty databases and None if no mapping relates the
        schemas.
    """
    required = frozenset(read_places(program, source))
    problem = make_problem(source, target, required, decided=decided)
    started = time.process_time()
    for number, found in enumerate(itertools.islice(correspondences(problem), MOST_MAPPINGS)):
        if number >= LEAST_MAPPINGS and time.process_time() - started > SECONDS:
            break
        try:
            for mapping in mappings(source, target, found):
                concerned = [
                    f
                    for f in program.functions
                    if f.statements and affected(f, view_of(mapping, found))
                ]
                world = simulation(program, mapping, concerned, seed)
                world.close()
                return starts_of(program, world), mapping
        except (Unfilled, Unrelated):
            continue
    return (EMPTY,), None
