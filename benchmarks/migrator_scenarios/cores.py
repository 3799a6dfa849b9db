"""The refactorings inside the generated applications: the tables that change, and the functions
that touch them, by hand: see cores.toml.
"""

import re
from dataclasses import dataclass

from benchmarks.migrator_scenarios.scenario import read


@dataclass(frozen=True)
class Core:
    """Change and size of an application."""

    name: str
    """Number and refactoring."""
    functions: int
    """Functions of the whole application."""
    tables: int
    """Tables of its old schema."""
    columns: int
    """Columns of its old schema."""
    parent: str
    """The core table that generated tables refer to."""
    parent_column: str
    """By which generated functions look it up."""
    source: str
    """Old DDL of the tables that change."""
    target: str
    """New DDL of them."""
    program: str
    """Functions on them."""
    tied: float = 0.35
    """Number of generated tables that refer to `parent`."""

    @property
    def used(self) -> set[str]:
        """Names of core tables."""
        return set(re.findall(r"CREATE TABLE (\w+)", self.source + self.target))

    @property
    def source_columns(self) -> int:
        """Columns of the old core tables."""
        return sum(
            part.count(",") + 1
            for part in re.findall(
                r"CREATE TABLE \w+ \((.*?)\);",
                re.sub(r", PRIMARY KEY \(.*?\)\)", ")", self.source),
                re.S,
            )
        )


CORES = tuple(read("cores.toml", Core).values())
