"""Wrong programs: the textbook answers with one mistake each, which the checker must find (see
mutants.toml).
"""

from dataclasses import dataclass

from benchmarks.migrator_scenarios.scenario import Scenario, load
from benchmarks.migrator_scenarios.textbook import BY_NAME


@dataclass(frozen=True)
class Mutant:
    """A mistake in the answer to a scenario."""

    scenario: Scenario
    """Whose answer it spoils."""
    right: str
    """Text of the answer, there once or more."""
    wrong: str
    """Text that replaces its first occurrence."""

    @property
    def program(self) -> str:
        """The wrong program. Raises ValueError if the text is not there."""
        if self.right not in self.scenario.golden:
            raise ValueError(f"{self.scenario.name}: {self.right!r} is not in the answer")
        return self.scenario.golden.replace(self.right, self.wrong, 1)


MUTANTS = tuple(
    Mutant(BY_NAME[name], right, wrong) for name, right, wrong in load("mutants.toml")["mutants"]
)
