"""Completion of all sketches together: a SAT solver picks an option for every hole, tests say which
functions were wrong.

Source: Migrator (arXiv 1904.05498), completion with minimum failing inputs: of a wrong program only
the choices of the functions that
occur in the failing scenario are blocked, not the whole assignment. Our choice: the solver keeps
each function as near to its likeliest options as it can, by a bound on the sum of ranks that grows
where the solver's core says so.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from reasoning.synthesis.migrator.sketch.build import Sketch
from reasoning.synthesis.migrator.sql.program import Function
from reasoning.synthesis.sat import Sat

MOST_RANK = 40
"""The largest sum of ranks in one function that is bounded."""


@dataclass
class Effort:
    """Work of a synthesis; its fields are reported."""

    correspondences: int = 0  # correspondences tried
    mappings: int = 0  # data mappings tried
    iterations: int = 0  # programs proposed by the solver
    candidates: int = 0  # different functions tested
    tests: int = 0  # calls compared one by one
    sequences: int = 0  # sequences of calls compared afterwards
    seconds: float = 0.0  # in all
    phases: dict[str, float] = field(default_factory=dict)  # processor seconds by part


class Completion:
    """An incremental search through the completions of some sketches."""

    def __init__(self, sketches: Iterable[Sketch], seed: int, learning: str = "mfi"):
        self.sketches = {sketch.function.name: sketch for sketch in sketches}
        self.learning, self.sat = learning, Sat(seed)
        self.variables: dict[str, list[list[int]]] = {}
        self.ranks: dict[str, list[int]] = {}
        self.allowed: dict[str, int] = {}
        for name, sketch in self.sketches.items():
            self.variables[name] = [[self.sat.new() for _ in options] for options in sketch.holes]
            weights = {}
            for row in self.variables[name]:
                self.sat.one_hot(row)
                weights |= {variable: rank for rank, variable in enumerate(row) if rank}
            if weights:
                self.sat.weigh(weights, MOST_RANK)
                self.ranks[name] = self.sat.bounds
                self.allowed[name] = 0
        self.wrong: str | None = None

    def propose(self, in_time: Callable[[], bool]) -> dict[str, tuple[int, ...]] | None:
        """Picks for every function that nothing rules out; None if there are none, or out
        of time.
        """
        while True:
            assumed = {
                -self.ranks[name][bound]: name
                for name, bound in self.allowed.items()
                if bound < len(self.ranks[name])
            }
            found = self.sat.solve(list(assumed), in_time)
            if found is None:
                return None
            if found:
                true = self.sat.true
                return {
                    name: tuple(next(n for n, v in enumerate(row) if v in true) for row in rows)
                    for name, rows in self.variables.items()
                }
            tight = [assumed[literal] for literal in self.sat.core if literal in assumed]
            if not tight:
                return None
            for name in tight:
                self.allowed[name] += 1

    def block(self, picks: dict[str, tuple[int, ...]], names: Iterable[str]):
        """Never again these picks in all of these functions at once; with whole-assignment
        learning, in all functions at once.
        """
        names = list(names) if self.learning == "mfi" else list(picks)
        self.sat.add(
            -self.variables[name][hole][pick]
            for name in names
            for hole, pick in enumerate(picks[name])
        )

    def build(self, picks: dict[str, tuple[int, ...]]) -> dict[str, Function]:
        """The functions of some picks."""
        return {name: sketch.complete(picks[name]) for name, sketch in self.sketches.items()}

    def close(self):
        """Give the solver back."""
        self.sat.close()


def complete(
    completion: Completion,
    fails: Callable[[Function, Function], str | None],
    effort: Effort,
    in_time: Callable[[], bool],
) -> tuple[dict[str, tuple[int, ...]] | None, dict[str, str]]:
    """Propose programs until every function passes its tests.

    Args:
      completion: sketches, and what is ruled out so far.
      fails: function of (old, new) that gives the fault of a candidate, None if there is none;
        called once for each candidate.
      effort: counters that the search adds to.
      in_time: the search ends once this says False.

    Returns:
      The picks, or None; and the first complaint about each function that failed, that of its
      likeliest candidate.
    """
    known: dict[tuple[str, tuple[int, ...]], str | None] = {}
    complaints: dict[str, str] = {}
    small_first = sorted(
        completion.sketches.values(), key=lambda sketch: (sketch.size, sketch.function.name)
    )
    while in_time():
        picks = completion.propose(in_time)
        if picks is None:
            return None, complaints
        effort.iterations += 1
        wrong = []
        for sketch in small_first:
            name = sketch.function.name
            mark = (name, picks[name])
            if mark not in known:
                effort.candidates += 1
                known[mark] = fails(sketch.function, sketch.complete(picks[name]))
            if known[mark]:
                complaints.setdefault(name, known[mark])
                wrong.append(name)
                if completion.learning != "mfi" or sketch.size == 1 or not in_time():
                    break
        if not wrong:
            return picks, complaints
        for name in wrong:
            completion.block(picks, [name])
    return None, complaints
