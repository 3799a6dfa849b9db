"""Identity of target records: which source rows, or which values, make a record one record.

Our choice (the paper works with sets): rows are kept. A rule makes one record for every combination
of source rows of its counted atoms; the other atoms only ask that something exists. A rule marked
`@distinct` makes one record for every combination of values. A nested record hangs on the identity
of the record around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from reasoning.synthesis import datalog
from reasoning.synthesis.containment import contained
from reasoning.synthesis.schema import Schema, ancestors, parent_of

Level = tuple[int, ...] | None
"""Counted atoms of one record, by number; None: its values are its identity."""


@dataclass(frozen=True)
class Derived:
    """One head of a rule, and the identities of its record and the ones around it."""

    rule: datalog.Rule
    """The rule."""
    head: int
    """The number of the head."""
    levels: tuple[Level, ...]
    """Level of each record from the top one to the record itself."""
    source: tuple[int, ...]
    """Number of the rule that makes the record of each level, among the rules of its collection."""


def flat_terms(rule: datalog.Rule, head_number: int, target: Schema) -> list[datalog.Term]:
    """The terms of a head with those of the heads around it in front, connectors left out."""
    made = {connector.var for connector in rule.connectors}
    wanted = ancestors(rule.heads[head_number].relation)
    by_path = {head.relation: head for head in rule.heads[: head_number + 1]}
    assert set(wanted) <= set(by_path), f"{wanted[-1]} stands in a rule without the heads around it"
    del target
    return [term for path in wanted for term in by_path[path].terms if term not in made]


def needed_rules(
    program: datalog.Program, path: str, target: Schema
) -> list[tuple[datalog.Rule, int]]:
    """The rules, with the number of the head, that make records of a collection, without those that
    another one of them contains.
    """
    found = [
        (rule, n)
        for rule in program.rules
        for n, head in enumerate(rule.heads)
        if head.relation == path
    ]
    kept: list[tuple[datalog.Rule, int]] = []
    for rule, n in found:
        terms = flat_terms(rule, n, target)
        if not any(
            contained(rule, terms, other, flat_terms(other, m, target)) for other, m in kept
        ):
            kept = [
                (r, m) for r, m in kept if not contained(r, flat_terms(r, m, target), rule, terms)
            ]
            kept.append((rule, n))
    return kept


def own_variables(rule: datalog.Rule, head: int) -> set[datalog.Term]:
    """The variables of a head that hold values, those of the heads around it left out."""
    made = {connector.var for connector in rule.connectors}
    return set(datalog.variables((rule.heads[head],))) - made


def default_counted(
    rule: datalog.Rule, head: int, kept: frozenset[int] = frozenset()
) -> tuple[int, ...]:
    """The atoms whose rows a record stands for: those that give it values, and those that tie them
    together; an atom at the edge that only asks for something is left out.

    Args:
      rule: a rule with at least one atom.
      head: the number of the head.
      kept: atoms that count in any case: those of the record around it.

    An optional atom always counts: it may stand for several rows.
    """
    kept |= {n for n, atom in enumerate(rule.body) if atom.optional}
    giving = _givers(rule, own_variables(rule, head), kept)
    counted, before = set(range(len(rule.body))), None
    while counted != before:
        before = set(counted)
        for n in sorted(counted - giving, reverse=True):
            rest = counted - {n}
            if rest and _pieces(rule, rest) <= _pieces(rule, counted):
                counted = rest
    if giving:
        # Atoms in a component of their own that give nothing only have to exist.
        for piece in _components(rule, counted):
            if not piece & giving:
                counted -= piece
    return tuple(sorted(counted))


def _givers(rule: datalog.Rule, own: set[datalog.Term], kept: frozenset[int]) -> set[int]:
    """Atoms that together hold all variables of a head, those that hold most of them first."""
    found, left = set(kept), set(own)
    for n in kept:
        left -= set(rule.body[n].terms)
    while left:
        best = max(range(len(rule.body)), key=lambda n: (len(left & set(rule.body[n].terms)), -n))
        if not left & set(rule.body[best].terms):
            return found
        found.add(best)
        left -= set(rule.body[best].terms)
    return found


def _components(rule: datalog.Rule, atoms: set[int]) -> list[set[int]]:
    order = sorted(atoms)
    return [
        {order[n] for n in group}
        for group in datalog.components(tuple(rule.body[n] for n in order))
    ]


def _pieces(rule: datalog.Rule, atoms: set[int]) -> int:
    return len(_components(rule, atoms))


def derivations_of(program: datalog.Program, path: str, target: Schema) -> list[Derived]:
    """All rules that make records of a collection, with the identities of these records."""
    above = parent_of(path)
    parents = derivations_of(program, above, target) if above else []
    found = []
    for number, (rule, head) in enumerate(needed_rules(program, path, target)):
        levels, source = _inherited(rule, head, parents, target)
        around = frozenset(n for level in levels if level for n in level)
        last: Level = None
        if not (rule.distinct and head == len(rule.heads) - 1):
            given = rule.counted if head == len(rule.heads) - 1 else None
            last = given if given is not None else default_counted(rule, head, around)
        found.append(Derived(rule, head, (*levels, last), (*source, number)))
    return found


def keyed(derived: list[Derived]) -> tuple[bool, ...]:
    """For every level, whether source rows identify its records in all rules of the collection."""
    if not derived:
        return ()
    by_level = zip(*(one.levels for one in derived), strict=True)
    return tuple(all(one is not None for one in level) for level in by_level)


def _inherited(rule, head, parents, target):
    """The identities of the records around, in terms of this rule's atoms; by values where the rule
    does not contain the one that makes the record around.
    """
    depth = len(ancestors(rule.heads[head].relation)) - 1
    for number, parent in enumerate(parents):
        terms = flat_terms(parent.rule, parent.head, target)
        here = flat_terms(rule, head, target)[: len(terms)]
        if (to := _atoms_onto(parent.rule, terms, rule, here)) is not None:
            levels = tuple(
                None if level is None else tuple(to[n] for n in level) for level in parent.levels
            )
            return levels, (*parent.source[:-1], number)
    return (None,) * depth, (0,) * depth


def _atoms_onto(small: datalog.Rule, terms, large: datalog.Rule, wanted) -> dict[int, int] | None:
    """A map from the atoms of one rule to those of another under which heads agree."""
    start: dict[datalog.Term, datalog.Term] = {}
    for old, new in _pairs(terms, wanted):
        if isinstance(old, datalog.Var):
            if start.setdefault(old, new) != new:
                return None
        elif old != new:
            return None
    for found in _extended(small, large, 0, start, {}):
        return found
    return None


def _pairs(terms, wanted) -> Iterator[tuple[datalog.Term, datalog.Term]]:
    """Terms of two heads side by side, those inside equal calls one by one."""
    for old, new in zip(terms, wanted, strict=True):
        same = (
            isinstance(old, datalog.Call) and isinstance(new, datalog.Call) and old.name == new.name
        )
        if same and len(old.args) == len(new.args):
            yield from zip(old.args, new.args, strict=True)
        else:
            yield old, new


def _extended(small, large, n, known, atoms) -> Iterator[dict[int, int]]:
    if n == len(small.body):
        yield atoms
        return
    for m, atom in enumerate(large.body):
        # The row of an optional atom is the same where another rule demands it.
        if atom.relation != small.body[n].relation or atom.optional > small.body[n].optional:
            continue
        found = dict(known)
        if all(
            isinstance(a, datalog.Wild)
            or (
                a == b
                if isinstance(a, datalog.Const)
                else not isinstance(b, datalog.Wild) and found.setdefault(a, b) == b
            )
            for a, b in zip(small.body[n].terms, atom.terms, strict=True)
        ):
            yield from _extended(small, large, n + 1, found, {**atoms, n: m})
