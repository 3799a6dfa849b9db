"""Scenarios, and how its examples and held-out data come about."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from reasoning.synthesis.datalog import Program
from reasoning.synthesis.engines.memory import evaluate
from reasoning.synthesis.facts import from_facts, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema


@dataclass(frozen=True)
class Scenario:
    """A migration with its right answer."""

    name: str
    """Domain and kinds, e.g. "films doc-rel"."""
    source: Schema
    """Schema of the data as it is."""
    target: Schema
    """Schema of the data as it should be."""
    golden: Program
    """The right program, used to make examples and to judge, never shown to the search."""
    generate: Callable[[random.Random, int], Instance]
    """Source data of a size."""
    size: int = 4
    """Size of the example."""
    sets: bool = True
    """Equal records of the target are one, as in the paper; False: source rows are kept."""

    def __post_init__(self):
        if self.sets:
            rules = tuple(replace(rule, distinct=True) for rule in self.golden.rules)
            object.__setattr__(self, "golden", Program(rules))

    def example(self, seed: int = 0) -> tuple[Instance, Instance]:
        """A small source instance and the target that the golden program makes of it."""
        source = self.generate(random.Random(f"{self.name} {seed}"), self.size)
        return source, self.answer(source)

    def answer(self, source: Instance) -> Instance:
        """Answer of a person who knows the right program would say the target of `source` is."""
        return from_facts(
            self.target, evaluate(self.golden, to_facts(self.source, source), self.target)
        )

    def held_out(self, number: int, size: int = 30) -> Instance:
        """Source data that no search has seen."""
        return self.generate(random.Random(f"{self.name} held out {number}"), size)


def records(instance: Instance) -> int:
    """The number of top-level records."""
    return sum(map(len, instance.values()))
