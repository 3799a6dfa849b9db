"""A completed sketch: which copies take part, which positions are equal, what they equal, and where
the head comes from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.datalog import Atom, Call, Connector, Const, Rule, Term, Var, Wild
from reasoning.synthesis.dynamite.sketch.sketch import Sketch
from reasoning.synthesis.engines.memory import Rows, matches
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.schema import Schema, ancestors, find, layout


@dataclass(frozen=True)
class Candidate:
    """A completion of a sketch, free of the names of variables: two are the same program exactly if
    they are equal.
    """

    copies: frozenset[int]
    """The copies that take part."""
    classes: tuple[frozenset[int], ...]
    """Positions that are equal, in groups of two or more."""
    constants: tuple[tuple[int, Any], ...]
    """Positions that equal a constant."""
    head: tuple[int | None, ...]
    """The position behind each head column; None: the sketch's literal."""
    firm: frozenset[int] = frozenset()
    """Positions that must hold something."""


def body_of(sketch: Sketch, candidate: Candidate) -> tuple[tuple[Atom, ...], dict[int, Var]]:
    """The atoms, in the order of the copies, and the variable at every position that has one."""
    named = {p: Var(f"v{min(group)}") for group in candidate.classes for p in group}
    fixed = dict(candidate.constants)
    alone = {p for p in candidate.head if p is not None} | candidate.firm
    alone |= {q for p in alone if p in sketch.calls for q in columns_of(sketch, p)} - set(fixed)
    named |= {p: Var(f"v{p}", p in candidate.firm) for p in sorted(alone) if p not in named}

    def term(p):
        return named.get(p) or (Const(fixed[p]) if p in fixed else Wild())

    body = tuple(
        Atom(sketch.copies[copy], tuple(map(term, sketch.of_copy(copy))))
        for copy in sorted(candidate.copies)
    )
    return body, named


def columns_of(sketch: Sketch, position: int) -> list[int]:
    """The positions that a function takes to make the column at a position."""
    start = sketch.of_copy(sketch.positions[position][0])[0]
    return [start + arg for arg in sketch.calls[position].args if isinstance(arg, int)]


def derivations(sketch: Sketch, candidate: Candidate, facts: Facts) -> Iterator[tuple[tuple, Rows]]:
    """Every flattened target record that the candidate makes, with the facts behind it, in the
    order of the sorted copies.
    """
    body, named = body_of(sketch, candidate)
    for binding, rows in matches(body, facts, sketch.tables):
        made = (
            v if p is None else binding[named[p]]
            for p, v in zip(candidate.head, sketch.literals, strict=True)
        )
        yield tuple(made), rows


def to_rule(sketch: Sketch, candidate: Candidate, target: Schema, source: Schema) -> Rule:
    """Write the candidate as a rule, its variables named after the columns they stand for.

    Args:
      sketch: the sketch that it completes.
      candidate: the completion.
      target: the target schema.
      source: the source schema, without columns that functions make: those become calls.

    Returns:
      The rule, with a head for the collection and for each one around it.
    """
    body, named = body_of(sketch, candidate)
    nice = _names(sketch, candidate, named, source)
    plan, fixed = layout(source), dict(candidate.constants)
    body = tuple(
        Atom(
            a.relation,
            tuple(
                nice.get(t, t) if isinstance(t, Var) else t
                for t in a.terms[: len(plan[a.relation])]
            ),
        )
        for a in body
    )

    def term(p):
        if p not in sketch.calls:
            return nice[named[p]]
        columns = iter(columns_of(sketch, p))
        args = tuple(
            arg
            if isinstance(arg, Const)
            else (Const(fixed[q]) if (q := next(columns)) in fixed else nice[named[q]])
            for arg in sketch.calls[p].args
        )
        return Call(sketch.calls[p].function, args)

    terms: list[Term] = [
        Const(v) if p is None else term(p)
        for p, v in zip(candidate.head, sketch.literals, strict=True)
    ]
    own = [[terms.pop(0) for _ in find(target, at).attrs] for at in ancestors(sketch.path)]
    return rule_of(target, sketch.path, own, body)


def rule_of(
    target: Schema, path: str, own: Sequence[Sequence[Term]], body: tuple[Atom, ...]
) -> Rule:
    """A rule for a collection and those around it, which identities hold together.

    Args:
      target: the target schema.
      path: the collection.
      own: terms of the attributes of each collection from the outermost to this one.
      body: atoms over the source.
    """
    heads, connectors, above = [], [], ()
    for at, terms in zip(ancestors(path), own, strict=True):
        children, identity = find(target, at).children, Var("_" + at.replace("?", "_"))
        if children:
            connectors.append(Connector(identity, (*above, *terms)))
        heads.append(Atom(at, (*above, *terms, *((identity,) if children else ()))))
        above = (identity,)
    used = {term for head in heads for term in head.terms}
    return Rule(tuple(heads), body, tuple(c for c in connectors if c.var in used))


def _names(sketch, candidate, named, source) -> dict[Var, Var]:
    """A readable name for every variable, none of them twice: the head column's, or the source
    column's.
    """
    wanted: dict[Var, str] = {}
    for (_, attr), p in zip(sketch.head, candidate.head, strict=True):
        if p is not None and p not in sketch.calls:
            wanted.setdefault(named[p], attr.name)
    for p, var in sorted(named.items()):
        if p in sketch.calls:
            continue
        relation, argument = sketch.place(p)
        column = layout(source)[relation][argument]
        is_id = column.type.removeprefix("id:").rpartition("?")[2] if column.is_id else column.name
        wanted.setdefault(var, is_id)
    taken: set[str] = {"_", "id", "true", "false", "null"}
    found = {}
    for var, name in wanted.items():
        name = (
            "".join(
                letter if letter.isalnum() and letter.isascii() else "_" for letter in name
            ).strip("_")
            or "x"
        )
        name = name if name[0].isalpha() else f"x{name}"
        while name in taken:
            stem, _, number = name.rpartition("_")
            name = f"{stem}_{int(number) + 1}" if stem and number.isdigit() else f"{name}_2"
        taken.add(name)
        found[var] = Var(name, var.firm)
    return found
