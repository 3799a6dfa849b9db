"""Test whether one rule makes everything that another makes: a containment mapping between their
bodies (Chandra and Merlin, 1977).
"""

from reasoning.synthesis.datalog import Call, Const, Rule, Term, Var, Wild, variables


def contained(rule: Rule, terms: list[Term], wider: Rule, wider_terms: list[Term]) -> bool:
    """Test whether every record that `rule` makes is made by `wider` too, on any data.

    Args:
      rule: the rule that makes the record `terms`.
      wider: the rule that makes the record `wider_terms`.

    Returns:
      True if the variables of `wider` can be replaced by terms of `rule` so that its head becomes
      the other head and every atom becomes, or is implied by, an atom of `rule`. A variable that
      joins, and so is never NULL, goes only to one that is never NULL.
    """
    if len(terms) != len(wider_terms):
        return False
    used, wider_used = (
        variables(tuple(atom for atom in one.body if not atom.optional)) for one in (rule, wider)
    )

    def firm(old, new):
        bound = wider_used[old] >= 2 or old.firm
        return not bound or isinstance(new, Const) or used[new] >= 2 or new.firm

    start: dict[Var, Term] = {}
    for old, new in zip(wider_terms, terms, strict=True):
        if isinstance(old, Call):
            if not isinstance(new, Call) or old.name != new.name or len(old.args) != len(new.args):
                return False
            if not all(_same(a, b, start, firm) for a, b in zip(old.args, new.args, strict=True)):
                return False
        elif isinstance(old, Var):
            if start.setdefault(old, new) != new or not firm(old, new):
                return False
        elif old != new:
            return False
    return _extend(wider.body, rule.body, start, firm)


def _same(old, new, start, firm):
    if isinstance(old, Var):
        return isinstance(new, Var) and start.setdefault(old, new) == new and firm(old, new)
    return old == new


def _extend(todo, atoms, known, firm) -> bool:
    if not todo:
        return True
    for atom in atoms:
        found = _onto(todo[0], atom, known, firm)
        if found is not None and _extend(todo[1:], atoms, found, firm):
            return True
    return False


def _onto(old, new, known, firm):
    """The mapping extended so that one atom becomes the other; None if it cannot."""
    # What an optional atom finds, it also finds where it is demanded; not the other way round.
    if old.relation != new.relation or new.optional > old.optional:
        return None
    found = dict(known)
    for a, b in zip(old.terms, new.terms, strict=True):
        if isinstance(a, Wild):
            continue
        if isinstance(a, Const):
            if a != b:
                return None
        elif isinstance(b, Wild) or found.setdefault(a, b) != b or not firm(a, b):
            return None
    return found
