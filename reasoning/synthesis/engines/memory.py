"""The reference engine: joins in plain Python, slow and easy to check, with the source rows behind
every result.
"""

from collections.abc import Iterator
from typing import Any

from reasoning.synthesis.datalog import Atom, Const, Program, Rule, Term, Var, Wild, variables
from reasoning.synthesis.facts import Facts, flatten
from reasoning.synthesis.schema import Schema, layout

Binding = dict[Var, Any]
Rows = tuple[int, ...]
"""For every atom of a body, the number of the fact that it stands for."""


def matches(body: tuple[Atom, ...], facts: Facts) -> Iterator[tuple[Binding, Rows]]:
    """All ways to make a body true.

    A variable in two places joins by equality and never by NULL, as in SQL; a variable in one place
    may be NULL.

    Yields:
      The values of the variables, and the facts used. The dictionary is changed by the next step:
      copy what you keep.
    """
    used = variables(body)
    joining = {var for var, count in used.items() if count > 1}
    order = _plan(body, facts)
    indexes = _indexes(body, order, facts)
    binding: Binding = {}
    rows = [0] * len(body)

    def extend(step):
        if step == len(order):
            yield binding, tuple(rows)
            return
        atom_number = order[step]
        positions, index = indexes[step]
        terms = body[atom_number].terms
        key = tuple(_value(terms[p], binding) for p in positions)
        for row, fact in index.get(key, ()):
            fresh = _bind(terms, fact, binding, joining)
            if fresh is None:
                continue
            rows[atom_number] = row
            yield from extend(step + 1)
            for var in fresh:
                del binding[var]

    yield from extend(0)


def _plan(body, facts) -> list[int]:
    """Atoms in the order of joining: those with bound arguments first, then small relations."""
    order: list[int] = []
    bound: set[Term] = set()

    def cost(n):
        return (
            -sum(isinstance(t, Const) or t in bound for t in body[n].terms),
            len(facts.get(body[n].relation, ())),
        )

    while len(order) < len(body):
        best = min((n for n in range(len(body)) if n not in order), key=cost)
        order.append(best)
        bound |= {term for term in body[best].terms if isinstance(term, Var)}
    return order


def _indexes(body, order, facts):
    """For every step, the positions that are bound by then and a hash table of the facts by their
    values there.
    """
    bound: set[Term] = set()
    found = []
    for number in order:
        atom = body[number]
        positions = [
            p for p, term in enumerate(atom.terms) if isinstance(term, Const) or term in bound
        ]
        index: dict[tuple, list] = {}
        for row, fact in enumerate(facts.get(atom.relation, ())):
            index.setdefault(tuple(fact[p] for p in positions), []).append((row, fact))
        found.append((positions, index))
        bound |= {term for term in atom.terms if isinstance(term, Var)}
    return found


def _value(term, binding):
    return term.value if isinstance(term, Const) else binding[term]


def _bind(terms, fact, binding, joining):
    """Bind the variables to a fact; the new ones, or None (and nothing bound) if it does
    not fit.
    """
    fresh: list[Var] = []
    for term, value in zip(terms, fact, strict=True):
        if isinstance(term, Wild):
            continue
        fits = value is not None
        if isinstance(term, Const):
            fits = fits and value == term.value
        elif term in binding:
            fits = fits and binding[term] == value
        else:
            fits = fits or term not in joining
            binding[term] = value
            fresh.append(term)
        if not fits:
            for var in fresh:
                del binding[var]
            return None
    return fresh


def head_facts(rule: Rule, binding: Binding) -> list[tuple[str, tuple]]:
    """The facts of all heads under a binding; a connector becomes ("id", relation, values), equal
    exactly for equal records.
    """
    values = dict(binding)
    owners = {head.terms[-1]: head.relation for head in rule.heads}
    for connector in rule.connectors:
        values[connector.var] = (
            "id",
            owners[connector.var],
            *(_value(term, values) for term in connector.terms),
        )
    return [
        (head.relation, tuple(_value(term, values) for term in head.terms)) for head in rule.heads
    ]


def evaluate(program: Program, facts: Facts) -> Facts:
    """The target's facts, each once, in the order of their first derivation."""
    found: dict[str, dict[tuple, None]] = {}
    for rule in program.rules:
        for binding, _ in matches(rule.body, facts):
            for relation, fact in head_facts(rule, binding):
                found.setdefault(relation, {})[fact] = None
    return {relation: list(rows) for relation, rows in found.items()}


def run(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, set[tuple]]:
    """The flattened target data: the contract that all engines share."""
    del source
    empty: Facts = {path: [] for path in layout(target)}
    return {
        path: set(rows) for path, rows in flatten(target, empty | evaluate(program, facts)).items()
    }
