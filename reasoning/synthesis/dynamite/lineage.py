"""Lineage: which source columns each target column is filled from, and which are not used."""

from reasoning.synthesis.datalog import Call, Rule, Var, variables_of
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.engines.compile import shown_names, uses
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.schema import columns, layout, walk
from reasoning.synthesis.syntax import show_term, show_value


def unmapped(mapping: Mapping) -> list[str]:
    """Source columns that no rule joins, compares or carries over, as "relation.column"."""
    used = uses(mapping.program)
    return [
        f"{path}.{column.name}"
        for path, found in layout(mapping.source).items()
        for p, column in enumerate(found)
        if (path, p) not in used and not column.is_id
    ]


def sources_behind(mapping: Mapping) -> list[tuple[str, int, str, str]]:
    """For each flattened target column that a single rule fills: its path and number, and the
    source relation and column.
    """
    found = []
    for path, collection in walk(mapping.target):
        rules = [rule for rule in mapping.program.rules if rule.heads[-1].relation == path]
        for rule in rules if len(rules) == 1 else ():
            terms = flat_terms(rule, len(rule.heads) - 1, mapping.target)
            first = len(terms) - len(collection.attrs)
            for n, term in enumerate(terms[first:], first):
                places = [
                    (atom.relation, column.name)
                    for atom in rule.body
                    for one, column in zip(
                        atom.terms, columns(mapping.source, atom.relation), strict=True
                    )
                    if one == term and isinstance(term, Var) and not atom.optional
                ]
                found += [(path, n, *place) for place in places[:1]]
    return found


def labels(rule: Rule) -> list[str]:
    """A name for every atom: its relation, numbered where it comes twice."""
    names = [atom.relation for atom in rule.body]
    return [
        f"{name} ({names[: n + 1].count(name)})" if names.count(name) > 1 else name
        for n, name in enumerate(names)
    ]


def lineage(mapping: Mapping) -> list[tuple[str, str]]:
    """Pairs of a target column and what it is filled from, by rule."""
    found = []
    for rule in mapping.program.rules:
        path, names = rule.heads[-1].relation, labels(rule)
        terms = flat_terms(rule, len(rule.heads) - 1, mapping.target)
        for name, term in zip(shown_names(mapping.target, path), terms, strict=True):
            places = [
                f"{names[n]}.{column.name}"
                for n, atom in enumerate(rule.body)
                for one, column in zip(
                    atom.terms, layout(mapping.source)[atom.relation], strict=True
                )
                if one in variables_of(term)
            ]
            if isinstance(term, Call):
                places = [f"{show_term(term)} of {', '.join(places)}"]
            found.append(
                (
                    f"{path}.{name}",
                    " = ".join(places) if places else show_value(getattr(term, "value", None)),
                )
            )
    return found
