"""Rules without what they do not need."""

from reasoning.synthesis.datalog import (
    Atom,
    Program,
    Rule,
    Term,
    Var,
    Wild,
    head_variables,
    map_terms,
    variables,
)


def simplify(program: Program) -> Program:
    """Every rule simplified, and rules that repeat another left out. The meaning stays the same on
    all data.
    """
    return Program(tuple(dict.fromkeys(simplify_rule(rule) for rule in program.rules)))


def simplify_rule(rule: Rule) -> Rule:
    """Variables used once become `_`, and atoms that another atom implies are dropped, to a
    fixpoint.

    The paper's prototype also drops an atom that is all `_`. Our choice: only where another atom of
    its relation stays, since the atom asks that the relation is not empty.
    """
    while True:
        once = _wild_once(rule)
        body = _without_implied(once.body)
        counted = once.counted if body == once.body else None
        smaller = Rule(once.heads, body, once.connectors, once.distinct, counted)
        if smaller == rule:
            return rule
        rule = smaller


def _wild_once(rule):
    used, kept = variables(rule.body), head_variables(rule)

    def change(term):
        lonely = isinstance(term, Var) and used[term] == 1 and term not in kept
        return Wild() if lonely and not term.firm else term

    return map_terms(rule, change)


def _without_implied(body: tuple[Atom, ...]) -> tuple[Atom, ...]:
    used = variables(body)
    for n, atom in enumerate(body):
        rest = body[:n] + body[n + 1 :]
        if _stays_joined(atom, used) and any(_implies(other, atom) for other in rest):
            return _without_implied(rest)
    return body


def _stays_joined(atom, used):
    """Test whether every variable of the atom stays in two places without it: one in a single place
    may be NULL.
    """
    return not atom.optional and all(
        used[term] - count >= 2 or (term.firm and used[term] - count >= 1)
        for term, count in variables((atom,)).items()
    )


def _implies(stronger: Atom, weaker: Atom) -> bool:
    """Test whether the weaker atom holds for every fact that the stronger one holds for, whatever
    the variables are.
    """
    return (
        stronger.relation == weaker.relation
        and not stronger.optional
        and all(map(_covers, stronger.terms, weaker.terms))
    )


def _covers(stronger: Term, weaker: Term) -> bool:
    return isinstance(weaker, Wild) or stronger == weaker
