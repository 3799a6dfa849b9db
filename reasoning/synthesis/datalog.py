"""Datalog without recursion or negation: immutable terms, atoms, rules and programs, and what can
be asked of them.

Source: the target language of Dynamite (arXiv 2003.01331): rules with several heads, and connectors
that identify nested records.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.functions import check_call
from reasoning.synthesis.schema import Schema, layout


@dataclass(frozen=True)
class Var:
    """A variable."""

    name: str
    """Unique in its rule."""
    firm: bool = False
    """Written `name!` in bodies: never NULL. The same wherever it stands in the rule."""


@dataclass(frozen=True)
class Const:
    """A value; NULL is `Const(None)` and may stand in heads only."""

    value: Any
    """The value, of the type of the column it stands in."""


@dataclass(frozen=True)
class Wild:
    """`_`: any value, NULL included."""


@dataclass(frozen=True)
class Call:
    """A value computed from others (`functions.py`); in heads only."""

    name: str
    """One of `functions.FUNCTIONS`."""
    args: tuple["Term", ...]
    """Variables and constants."""


Term = Var | Const | Wild | Call


@dataclass(frozen=True)
class Atom:
    """A relation and its arguments."""

    relation: str
    """The path of a collection."""
    terms: tuple[Term, ...]
    """Its terms, as many as the relation has columns."""
    optional: bool = False
    """Written `[relation(...)]`: where no fact fits, its own variables are NULL (a LEFT JOIN). Our
    choice: the paper's language has none.
    """


@dataclass(frozen=True)
class Connector:
    """`var = id(terms)`: the identity of a target record is a function of its parent and its
    values.
    """

    var: Var
    """Used in the heads."""
    terms: tuple[Term, ...]
    """The parent's connector first, if there is one."""


@dataclass(frozen=True)
class Rule:
    """Whenever the body holds, all heads hold."""

    heads: tuple[Atom, ...]
    """A record and the ones around it, outermost first."""
    body: tuple[Atom, ...]
    """At least one."""
    connectors: tuple[Connector, ...] = ()
    """One for every head that holds nested records."""
    distinct: bool = False
    """Equal records of the last head are one; otherwise source rows are kept."""
    counted: tuple[int, ...] | None = None
    """Atoms, by number, whose rows a record of the last head stands for; None: those that give it
    values (`engines.identity.default_counted`).
    """


@dataclass(frozen=True)
class Program:
    """Rules; those with the same head are united."""

    rules: tuple[Rule, ...]
    """The rules, in the order of the target's collections."""


def variables(atoms: tuple[Atom, ...]) -> Counter[Var]:
    """Count how often each variable occurs in the atoms."""
    return Counter(var for atom in atoms for term in atom.terms for var in variables_of(term))


def variables_of(term: Term) -> tuple[Var, ...]:
    """The variables in a term."""
    if isinstance(term, Call):
        return tuple(arg for arg in term.args if isinstance(arg, Var))
    return (term,) if isinstance(term, Var) else ()


def head_variables(rule: Rule) -> set[Var]:
    """The variables that the heads take from the body: all but the connectors."""
    inside = {
        var
        for connector in rule.connectors
        for term in connector.terms
        for var in variables_of(term)
    }
    return (set(variables(rule.heads)) | inside) - {connector.var for connector in rule.connectors}


def components(body: tuple[Atom, ...]) -> list[set[int]]:
    """The atoms, by number, that are tied to one another by variables."""
    groups: list[set[int]] = []
    for n, atom in enumerate(body):
        mine = {term for term in atom.terms if isinstance(term, Var)}
        touching = [
            group for group in groups if any(mine & set(body[other].terms) for other in group)
        ]
        groups = [group for group in groups if group not in touching] + [{n}.union(*touching)]
    return groups


def map_terms(rule: Rule, change: Callable[[Term], Term]) -> Rule:
    """The rule with every term replaced."""

    def changed(term):
        if isinstance(term, Call):
            return Call(term.name, tuple(map(change, term.args)))
        return change(term)

    def atoms(found):
        return tuple(
            Atom(atom.relation, tuple(map(changed, atom.terms)), atom.optional) for atom in found
        )

    connectors = tuple(
        Connector(change(c.var), tuple(map(changed, c.terms))) for c in rule.connectors
    )  # type: ignore[arg-type]
    return Rule(atoms(rule.heads), atoms(rule.body), connectors, rule.distinct, rule.counted)


def renamed(rule: Rule) -> Rule:
    """The rule with variables called x0, x1, ... in order of first use: equal for rules that differ
    in names only.
    """
    order = dict.fromkeys(
        var for atom in rule.body + rule.heads for term in atom.terms for var in variables_of(term)
    )
    names = {var: Var(f"x{n}", var.firm) for n, var in enumerate(order)}
    return map_terms(rule, lambda term: names.get(term, term) if isinstance(term, Var) else term)


def check_program(program: Program, source: Schema, target: Schema) -> Program:
    """The program itself, if it can be run from one schema to the other.

    Raises:
      UserError: an unknown relation, another number of arguments, a head variable without a source,
        `_` in a head, an empty body, a variable over columns of unlike types, a nested head without
        its parent and connector.
    """
    plans = layout(source), layout(target)
    for n, rule in enumerate(program.rules):
        _check_rule(rule, plans, f"rule {n + 1}")
    return program


def _check_rule(rule, plans, where):
    if not rule.body or not rule.heads:
        raise UserError(f"{where}: a rule needs at least one head and one atom in its body")
    kinds: dict[Var, str] = {}
    made = {connector.var for connector in rule.connectors}
    for atom, plan in [(atom, plans[0]) for atom in rule.body] + [
        (atom, plans[1]) for atom in rule.heads
    ]:
        if atom.relation not in plan:
            raise UserError(f"{where}: there is no relation {atom.relation!r} in the schema")
        if len(atom.terms) != len(plan[atom.relation]):
            raise UserError(
                f"{where}: {atom.relation} has {len(plan[atom.relation])} columns, not "
                f"{len(atom.terms)}"
            )
        for term, column in zip(atom.terms, plan[atom.relation], strict=True):
            if isinstance(term, Var) and kinds.setdefault(term, column.type) != column.type:
                raise UserError(
                    f"{where}: {term.name} is {kinds[term]} and, in {atom.relation}.{column.name}, "
                    f"{column.type}"
                )
            if column.is_id and plan is plans[1] and term not in made:
                raise UserError(
                    f"{where}: {atom.relation}.{column.name} needs a connector, _v = id(...)"
                )
    _check_terms(rule, where)
    if any(isinstance(term, Wild) for atom in rule.heads for term in atom.terms):
        raise UserError(f"{where}: `_` in a head: name the variable")
    if wrong := [n for n in rule.counted or () if not 0 <= n < len(rule.body)]:
        raise UserError(
            f"{where}: @rows names the atom {wrong[0]}, and there is none of that number"
        )
    if unbound := head_variables(rule) - set(variables(rule.body)):
        raise UserError(
            f"{where}: {sorted(var.name for var in unbound)[0]} is in the head and not in the body"
        )


def _check_terms(rule, where):
    """Calls stand in heads, optional atoms in bodies, and one atom at least is not optional."""
    for atom in rule.heads:
        for term in atom.terms:
            if isinstance(term, Call):
                check_call(term.name, term.args, where)
    if any(isinstance(term, Call) for atom in rule.body for term in atom.terms):
        raise UserError(f"{where}: a function in the body: functions stand in heads")
    if any(atom.optional for atom in rule.heads) or all(atom.optional for atom in rule.body):
        raise UserError(f"{where}: [...] stands in bodies, next to an atom that is not optional")
    started = False
    for atom in rule.body:
        if started and not atom.optional:
            raise UserError(f"{where}: atoms in [...] stand behind all the others")
        started = atom.optional


def outputs(program: Program) -> Iterator[tuple[Rule, Atom]]:
    """All rules with each of their heads."""
    return ((rule, head) for rule in program.rules for head in rule.heads)
