"""Sketches as SAT: one-hot holes, equalities between them, and a price for every completion.

Source: arXiv 2003.01331 encodes holes as integers for an SMT solver. Ours is propositional and
knows no names of variables: a hole
chooses the first position that it equals, or a constant, so that renamed programs are one solution.
Programs come cheapest first.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

from reasoning.synthesis.dynamite.completion.candidate import Candidate
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.sat import Sat

ATOM, CONSTANT, LIKELY, FIRM = 4, 3, 2, 1
"""Prices: an atom in the body, a constant, one that the target's names hold, that a column holds
something; equalities and sources of head columns have theirs in the sketch.
"""
FIRST_COST = 16
"""Bounds that are prepared before the search; most rules cost less."""
MOST_COST = 60
"""Bounds beyond this are not counted any more: the search then takes any program."""


class Fact(NamedTuple):
    """Something that is true or false of a completion: the literals of clauses that are learned."""

    kind: Literal["equal", "constant", "head", "copy", "present"]
    """Two positions are equal; a position equals a constant; a head column comes from a position; a
    copy takes part; a position holds something.
    """
    one: int
    """A position; for "head" the number of the column, for "copy" that of the copy."""
    other: Any = None
    """The other position (for "head" the position), or the constant."""
    holds: bool = True
    """False: the opposite."""


Clause = frozenset[Fact]
"""One of these is so."""


class Encoding:
    """A sketch in a solver."""

    def __init__(self, sketch: Sketch, seed: int):
        self.sketch, self.sat = sketch, Sat(seed)
        self.copy = [self.sat.new() for _ in sketch.copies]
        self.same = {pair: self.sat.new() for pair in sketch.partners}
        self.chosen: list[dict[int, int]] = []
        self.fixed: dict[tuple[int, int], int] = {}
        self.head = [{p: self.sat.new() for p in options} for options in sketch.sources]
        self.named = [{p: self.sat.new() for p in options} for options in sketch.sources]
        self.present = {p: self.sat.new() for p in sorted(sketch.firm)}
        self.tied = self.sat.new()
        self.seen: set[Clause] = set()
        self._holes()
        self._equalities()
        self._heads()
        self._copies()
        self._prices()

    def _holes(self):
        """Every position is the first of its class, equals an earlier first, or equals a
        constant.
        """
        partners = self.sketch.partners
        for p in range(len(self.sketch.positions)):
            options = {p: self.sat.new()} | {
                q: self.sat.new() for q in range(p) if (q, p) in partners
            }
            values = [self.sat.new() for _ in self.sketch.constants.get(p, ())]
            self.fixed |= {(p, n): literal for n, literal in enumerate(values)}
            self.sat.one_hot([*options.values(), *values])
            self.chosen.append(options)
            for q, literal in options.items():
                if q != p:
                    self.sat.add((-literal, self.chosen[q][q]))

    def _equalities(self):
        """`same[p, q]` holds exactly if p and q chose the same first position."""
        for (p, q), same in self.same.items():
            common = self.chosen[p].keys() & self.chosen[q].keys()
            for first in common:
                one, other = self.chosen[p][first], self.chosen[q][first]
                self.sat.add((-one, -other, same))
                self.sat.add((-same, -one, other))
                self.sat.add((-same, -other, one))
            for position, options in ((p, self.chosen[p]), (q, self.chosen[q])):
                for first in options.keys() - common:
                    self.sat.add((-same, -options[first]))
                self._never_both(same, position)

    def _never_both(self, same, position):
        for n in range(len(self.sketch.constants.get(position, ()))):
            self.sat.add((-same, -self.fixed[position, n]))

    def _heads(self):
        """A head column comes from one class, which lies within its sources; `named` picks the
        member that the price goes by.
        """
        for literals, names in zip(self.head, self.named, strict=True):
            if not literals:
                continue
            self.sat.one_hot(list(names.values()))
            for p, literal in literals.items():
                self.sat.add((-names[p], literal))
                self.sat.add((-literal, self.copy[self.sketch.positions[p][0]]))
                self.sat.add([-literal, *(lit for lit in self._variable(p))])
            self._one_class(literals)

    def _variable(self, position):
        """Literals of which one holds if the position is not a constant."""
        return self.chosen[position].values()

    def _one_class(self, literals):
        for (p, q), same in self.same.items():
            for a, b in ((p, q), (q, p)):
                if a in literals:
                    self.sat.add(
                        (-literals[a], -same, literals[b])
                        if b in literals
                        else (-literals[a], -same)
                    )
        for p in literals:
            for q in literals:
                if p < q:
                    self.sat.add(
                        (
                            -literals[p],
                            -literals[q],
                            *([self.same[p, q]] if (p, q) in self.same else []),
                        )
                    )

    def _copies(self):
        """A copy that takes no part constrains nothing; of several copies of a relation the first
        ones are used.
        """
        for copy, active in enumerate(self.copy):
            for p in self.sketch.of_copy(copy):
                self.sat.add((active, self.chosen[p][p]))
                for pair in (pair for pair in self.same if p in pair):
                    self.sat.add((active, -self.same[pair]))
                if p in self.present:
                    self.sat.add((active, -self.present[p]))
            if copy and self.sketch.copies[copy - 1] == self.sketch.copies[copy]:
                self.sat.add((-active, self.copy[copy - 1]))
        self.sat.add(self.copy)

    def _prices(self):
        """Weights of copies, equalities, constants and names. A position of a class is priced by
        its equality with the first of it, in the order of names (docs/lab/dynamite.md).
        """
        weights = dict.fromkeys(self.copy, ATOM)
        for (p, n), literal in self.fixed.items():
            likely = (p, self.sketch.constants[p][n]) in self.sketch.likely
            weights[literal] = LIKELY if likely else CONSTANT
        for p, options in enumerate(self.chosen):
            for q, literal in options.items():
                if q != p:
                    weights[literal] = self.sketch.partners[q, p]
        for names, options in zip(self.named, self.sketch.sources, strict=True):
            weights |= {names[p]: price for p, price in options.items() if price}
        weights |= dict.fromkeys(self.present.values(), FIRM)
        self.weights = weights
        self.sat.weigh(weights, MOST_COST, FIRST_COST)

    def literal(self, fact: Fact) -> int | None:
        """The literal of a fact; None if the sketch cannot make it true."""
        match fact.kind:
            case "equal":
                found = self.same.get((min(fact.one, fact.other), max(fact.one, fact.other)))
            case "constant":
                options = self.sketch.constants.get(fact.one, ())
                found = (
                    self.fixed[fact.one, options.index(fact.other)]
                    if fact.other in options
                    else None
                )
            case "present":
                found = self.present.get(fact.one)
            case "head":
                found = self.head[fact.one].get(fact.other)
            case _:
                found = self.copy[fact.one]
        return found if found is None or fact.holds else -found

    def learn(self, clause: Clause, selector: int | None = None) -> bool:
        """Add a clause; with a selector it holds only while that is assumed. Returns False if it
        was known.
        """
        if clause in self.seen:
            return False
        self.seen.add(clause)
        literals = [(self.literal(fact), fact.holds) for fact in clause]
        if any(literal is None and not holds for literal, holds in literals):
            return True
        # Sorted: the order of a set of facts differs from process to process, and the solver's way
        # depends on it.
        known = sorted(lit for lit, _ in literals if lit is not None)
        self.sat.add(known + ([-selector] if selector else []))
        return True

    def tie(self, groups: Sequence[set[int]]):
        """Forbid a body that falls into groups of copies: they are to be joined, or one side left
        out, while `tied` is assumed.
        """
        group, rest = groups[0], set().union(*groups[1:])
        across = [
            literal
            for (p, q), literal in self.same.items()
            if (self.sketch.positions[p][0] in group) != (self.sketch.positions[q][0] in group)
        ]
        for other in rest:
            self.sat.add(
                [-self.tied, *across, *(-self.copy[copy] for copy in group), -self.copy[other]]
            )

    def solve(self, assumptions: Iterable[int], bound: int, in_time) -> bool | None:
        """Look for a completion of at most this price. See `Sat.solve`."""
        return self.sat.solve([*assumptions, *self.sat.at_most(bound)], in_time)

    def candidate(self) -> Candidate:
        """The completion that was found."""
        true = self.sat.true
        groups: dict[int, set[int]] = {}
        for p, options in enumerate(self.chosen):
            for first, literal in options.items():
                if literal in true:
                    groups.setdefault(first, set()).add(p)
        classes = tuple(frozenset(group) for _, group in sorted(groups.items()) if len(group) > 1)
        fixed = tuple(
            (p, self.sketch.constants[p][n])
            for (p, n), literal in self.fixed.items()
            if literal in true
        )
        head = tuple(
            next((p for p, lit in literals.items() if lit in true), None) for literals in self.named
        )
        copies = frozenset(copy for copy, literal in enumerate(self.copy) if literal in true)
        firm = frozenset(p for p, literal in self.present.items() if literal in true)
        return Candidate(copies, classes, fixed, head, firm)

    def price(self) -> int:
        """The price of the completion that was found."""
        return sum(weight for literal, weight in self.weights.items() if literal in self.sat.true)

    def close(self):
        """Give the solver's memory back."""
        self.sat.close()
