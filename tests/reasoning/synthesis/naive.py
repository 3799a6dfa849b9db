"""The slowest engine: every combination of facts is tried. Shares no code with the engines under
test.
"""

import itertools

from reasoning.synthesis.datalog import Const, Var, Wild


def bindings(body, facts):
    """All values of variables that make a body true; a firm variable, or one in two
    places, is never NULL.
    """
    places = [term for atom in body for term in atom.terms if isinstance(term, Var)]
    for rows in itertools.product(*(facts.get(atom.relation, []) for atom in body)):
        found, fits = {}, True
        for atom, row in zip(body, rows, strict=True):
            for term, value in zip(atom.terms, row, strict=True):
                if isinstance(term, Const):
                    fits &= value is not None and value == term.value
                elif isinstance(term, Var):
                    may_be_null = places.count(term) == 1 and not term.firm
                    fits &= (value is not None or may_be_null) and (
                        found.setdefault(term, value) == value
                    )
                else:
                    assert isinstance(term, Wild)
        if fits:
            yield found


def flat_records(program, path, facts):
    """The records of a collection with the values of its ancestors in front, by the heads as they
    stand.
    """
    found = set()
    for rule in program.rules:
        for head in rule.heads:
            if head.relation != path:
                continue
            around = [
                other
                for other in rule.heads
                if path == other.relation or path.startswith(other.relation + "?")
            ]
            made = {connector.var for connector in rule.connectors}
            terms = [term for atom in around for term in atom.terms if term not in made]
            for binding in bindings(rule.body, facts):
                found.add(
                    tuple(
                        term.value if isinstance(term, Const) else binding[term] for term in terms
                    )
                )
    return found
