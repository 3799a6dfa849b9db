"""An incremental SAT solver with one-hot choices, weighted bounds and a budget: python-sat behind a
few methods.
"""

import random
from collections.abc import Iterable, Sequence
from typing import Any

from reasoning.synthesis.errors import need

MORE_BOUNDS = 8
"""Bounds that are prepared together once one of them is asked for."""
CONFLICTS = 500
"""Conflicts of the solver between two checks of the time limit."""


class Sat:
    """Clauses over numbered variables; literals are numbers, negative for "not"."""

    def __init__(self, seed: int = 0):
        """An empty problem.

        Args:
          seed: decides the values that the solver tries first, and nothing else.

        Raises:
          UserError: python-sat is not installed.
        """
        self.solver = need("pysat.solvers").Solver(name="glucose4")
        self.top = 0
        self.random = random.Random(seed)
        self.true: frozenset[int] = frozenset()
        self.core: frozenset[int] = frozenset()
        self.bounds: list[int] = []
        self.counter: Any = None
        self.most = 0

    def new(self) -> int:
        """A new variable."""
        self.top += 1
        self.solver.add_clause([self.top, -self.top])
        self.solver.set_phases([-self.top if self.random.random() < 0.9 else self.top])
        return self.top

    def add(self, clause: Iterable[int]):
        """One of the literals must hold."""
        self.solver.add_clause(list(clause))

    def one_hot(self, choices: Sequence[int]):
        """Exactly one of the literals must hold: pairwise for few, sequential for many."""
        self.add(choices)
        if len(choices) <= 5:
            for n, one in enumerate(choices):
                for other in choices[n + 1 :]:
                    self.add((-one, -other))
            return
        before = None
        for choice in choices:
            now = self.new()
            self.add((-choice, now))
            if before is not None:
                self.add((-before, now))
                self.add((-before, -choice))
            before = now

    def weigh(self, weights: dict[int, int], most: int, first: int | None = None):
        """Prepare bounds on the sum of the weights of literals that hold.

        Args:
          weights: positive integers by literal.
          most: the largest bound that can be asked for.
          first: the largest that is prepared at once, the others when they are asked for: clauses
            grow with its square; None: all.
        """
        literals = [literal for literal, weight in weights.items() for _ in range(weight)]
        self.most = min(most, len(literals))
        self.counter = need("pysat.card").ITotalizer(
            lits=literals, ubound=min(self.most, first or self.most), top_id=self.top
        )
        self._count(self.counter.cnf.clauses)

    def _count(self, clauses):
        """Take over what the counter of weights has made."""
        for clause in clauses:
            self.solver.add_clause(clause)
        self.top = max(self.top, self.counter.top_id)
        self.bounds = list(self.counter.rhs)

    def at_most(self, bound: int) -> list[int]:
        """Assumptions that hold the weighted sum at or below a bound; none if the bound is beyond
        what was prepared.
        """
        if len(self.bounds) <= bound <= self.most:
            counter = self.counter
            counter.increase(ubound=min(bound + MORE_BOUNDS, self.most), top_id=self.top)
            self._count(counter.cnf.clauses[len(counter.cnf.clauses) - counter.nof_new :])
        return [-self.bounds[bound]] if bound < len(self.bounds) else []

    def solve(self, assumptions: Sequence[int], in_time) -> bool | None:
        """Look for values; `true` has those of a solution, `core` the assumptions behind a failure.

        Args:
          assumptions: literals that must hold this time.
          in_time: called now and then; the search ends once it says False.

        Returns:
          Whether there are any; None if time ran out.
        """
        while in_time():
            self.solver.conf_budget(CONFLICTS)
            found = self.solver.solve_limited(assumptions=list(assumptions))
            if found:
                self.true = frozenset(literal for literal in self.solver.get_model() if literal > 0)
                return True
            if found is False:
                self.core = frozenset(self.solver.get_core() or ())
                return False
        return None

    @property
    def work(self) -> int:
        """Propagations of the solver so far, the same on every machine and near to its time."""
        return self.solver.accum_stats()["propagations"]

    def close(self):
        """Give the solver's memory back."""
        self.solver.delete()
        if self.counter is not None:
            self.counter.delete()
