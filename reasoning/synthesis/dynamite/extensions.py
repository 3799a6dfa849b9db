"""Beyond the paper, tried where one rule does not make a collection: optional atoms for references
that may be absent, a rule for each label of an unpivoted table, and tables of values.

Each solves a smaller goal with the same search and puts the rest on top; the example, with the
number of its records, decides.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from reasoning.synthesis.datalog import (
    Atom,
    Call,
    Connector,
    Const,
    Rule,
    Term,
    Var,
    Wild,
    map_terms,
    variables,
    variables_of,
)
from reasoning.synthesis.dynamite.goal import Found, Goal, Work, identified
from reasoning.synthesis.dynamite.sketch.correspondence import likeness, sources_of, words
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.engines.memory import matches, value_of
from reasoning.synthesis.schema import Schema, columns, find, flat_columns
from reasoning.synthesis.syntax import show_value

MOST_LABELS, MOST_PAIRS = 8, 12
"""Labels of an unpivoted table, and pairs of a table of values."""
TABLED = {"str", "bool", "int"}
"""Types of the values of a table."""
ALIKE = 0.6
"""Names at least so like each other speak for a table of values."""
Solve = Callable[[Goal, Found | None, Work], Any]


class Solvers(NamedTuple):
    """The searches that an extension builds on."""

    whole: Solve
    """The search with all extensions."""
    one: Solve
    """The search for one rule, without any extension."""


def with_optional(goal: Goal, parent: Found | None, work: Work, solve: Solvers) -> Found | None:
    """A rule for the columns that are never NULL, and optional atoms for those that sometimes are.

    Args:
      goal: the collection to make.
      parent: the rules of the collection around it; None at the top.
      work: the options, clock and statistics that all searches share.
      solve: the searches for smaller goals.
    """
    records = sorted({row for rows in goal.rows for row in rows}, key=repr)
    groups: dict[tuple[bool, ...], list[int]] = {}
    for t in range(len(records[0])):
        empty = tuple(row[t] is None for row in records)
        if any(empty) and not all(empty):
            groups.setdefault(empty, []).append(t)
    mixed = [t for group in groups.values() for t in group]
    if not mixed or len(mixed) == len(records[0]):
        return None
    base = solve.whole(goal.narrowed(lambda row: True, dict.fromkeys(mixed)), parent, work)
    if not isinstance(base, Found) or len(base.rules) != 1:
        return None
    start = base.rules[0]
    rule, optional = start, []
    for group in groups.values():
        others = {t: None for t in mixed if t not in group}
        copied = goal.narrowed(lambda row: True, others)
        there = goal.narrowed(lambda row, group=group: row[group[0]] is not None, others)
        for part, is_optional in ((copied, False), (there, True)):
            full = solve.one(part, base, work)
            made = isinstance(full, Found) and _merged(
                goal, rule, start, full.rules[0], (tuple(group), is_optional)
            )
            if made:
                break
        else:
            return None
        rule = made
        optional += group if is_optional else []
    rules = identified(goal, (rule,))
    if rules is None:
        return None
    names = [attr.name for _, attr in flat_columns(goal.target, goal.path)]
    notes = [f"{goal.path}.{names[t]} is NULL where nothing fits (a LEFT JOIN)" for t in optional]
    return Found(base.sketch, base.candidates, rules, base.notes + notes)


def as_parent(goal: Goal, parent: Found | None, work: Work, solve: Solvers) -> Found | None:
    """A rule that takes over from the rule around it what its own records cannot show: optional
    atoms, since where nothing fits them the record around is there, and so are those inside; and
    columns that happen to be NULL in every record with something inside.

    Args:
      goal: the collection to make.
      parent: the rules of the collection around it; None at the top.
      work: the options, clock and statistics that all searches share.
      solve: the searches for smaller goals.

    Returns:
      The rule, or None if the record around has no such columns, or no rule extends its rule.
    """
    if parent is None or len(parent.rules) != 1:
        return None
    (outer,) = parent.rules
    firm = tuple(atom for atom in outer.body if not atom.optional)
    terms = flat_terms(outer, len(outer.heads) - 1, goal.target)
    bound = set(variables(firm))
    soft = [
        t
        for t, term in enumerate(terms)
        if set(variables_of(term)) - bound
        or (variables_of(term) and all(row[t] is None for rows in goal.rows for row in rows))
    ]
    if not set(soft) - set(dict(goal.fixed)):
        return None
    base = solve.whole(goal.narrowed(lambda row: True, dict.fromkeys(soft)), parent, work)
    if not isinstance(base, Found) or len(base.rules) != 1:
        return None
    (rule,) = base.rules
    here = flat_terms(rule, len(rule.heads) - 1, goal.target)
    pairs = [(a, b) for t, (a, b) in enumerate(zip(terms, here, strict=False)) if t not in soft]
    for atoms in _onto(replace(outer, body=firm), rule, pairs):
        places = {there: n for n, there in atoms.items()}
        made = _put_together(goal, rule, outer, places, soft, True)
        marked = made and identified(goal, (made,))
        if marked:
            return Found(base.sketch, base.candidates, marked, base.notes)
    return None


def _merged(goal, rule: Rule, base: Rule, full: Rule, group) -> Rule | None:
    """The rule with the atoms that another rule has beyond a common base, and some of its columns.

    Args:
      goal: the collection.
      rule: a rule that begins with the atoms of `base`.
      base: the rule that both extend.
      full: a rule that makes the columns of the group as well.
      group: numbers of columns, and True if the atoms are optional.
    """
    wanted, is_optional = group
    terms, here = (flat_terms(one, -1 % len(one.heads), goal.target) for one in (base, full))
    pairs = [(a, b) for t, (a, b) in enumerate(zip(terms, here, strict=True)) if t not in wanted]
    for atoms in _onto(base, full, pairs):
        made = _put_together(goal, rule, full, atoms, wanted, is_optional)
        if made is not None:
            return made
    return None


def _put_together(goal, rule, full, atoms, wanted, is_optional) -> Rule | None:
    names = {var.name for var in variables(rule.body + rule.heads)}
    rename: dict[Var, Var] = {}
    for n, m in atoms.items():
        for a, b in zip(rule.body[n].terms, full.body[m].terms, strict=True):
            if isinstance(a, Var) and isinstance(b, Var) and rename.setdefault(b, a) != a:
                return None
    for var in variables(full.body):
        if var not in rename:
            name = var.name
            while name in names:
                name += "_x"
            names.add(name)
            rename[var] = Var(name, var.firm and not is_optional)
    inside = [full.body[m] for m in atoms.values()]
    known = set(variables(rule.body))
    shared = variables(tuple(inside))
    if any(shared[v] > 1 and rename[v] not in known for v in shared):
        return None

    def changed(term):
        if isinstance(term, Call):
            return Call(term.name, tuple(map(changed, term.args)))
        return rename.get(term, term) if isinstance(term, Var) else term

    body = list(rule.body)
    for n, m in atoms.items():
        cells = []
        for a, b in zip(rule.body[n].terms, full.body[m].terms, strict=True):
            if isinstance(a, Wild) and isinstance(b, Const):
                return None
            cells.append(changed(b) if isinstance(a, Wild) else a)
        body[n] = Atom(rule.body[n].relation, tuple(cells), rule.body[n].optional)
    extra = [
        Atom(atom.relation, tuple(map(changed, atom.terms)), is_optional)
        for m, atom in enumerate(full.body)
        if m not in atoms.values()
    ]
    ordered = _chain(body, extra)
    if ordered is None:
        return None
    firm = [atom for atom in body if not atom.optional]
    soft = [atom for atom in body if atom.optional]
    body = firm + soft + ordered if is_optional else firm + ordered + soft
    terms = flat_terms(full, len(full.heads) - 1, goal.target)
    return with_terms(
        replace(rule, body=tuple(body)), goal.target, {t: changed(terms[t]) for t in wanted}
    )


def _chain(body: list[Atom], extra: list[Atom]) -> list[Atom] | None:
    """Atoms in an order in which each is tied to one before it; None if one is tied to nothing."""
    known, left, found = set(variables(tuple(body))), list(extra), []
    while left:
        tied = next((atom for atom in left if known & set(atom.terms)), None)
        if tied is None:
            return None
        left.remove(tied)
        found.append(tied)
        known |= set(variables((tied,)))
    return found


def _onto(small: Rule, large: Rule, pairs) -> Iterator[dict[int, int]]:
    """The ways to find the atoms of one rule in another, under which terms of the heads agree."""
    start: dict[Term, Term] = {}
    for old, new in pairs:
        both = [(old, new)]
        if isinstance(old, Call) and isinstance(new, Call):
            both = list(zip(old.args, new.args, strict=False))
        for a, b in both:
            if isinstance(a, Var) and start.setdefault(a, b) != b:
                return

    def extend(n, known, atoms):
        if n == len(small.body):
            yield dict(atoms)
            return
        for m, atom in enumerate(large.body):
            if atom.relation != small.body[n].relation or m in atoms.values():
                continue
            found = dict(known)
            if all(
                isinstance(a, Wild)
                or (a == b if isinstance(a, Const) else found.setdefault(a, b) == b)
                for a, b in zip(small.body[n].terms, atom.terms, strict=True)
            ):
                yield from extend(n + 1, found, {**atoms, n: m})

    yield from extend(0, start, {})


def with_terms(rule: Rule, target: Schema, terms: dict[int, Term]) -> Rule:
    """The rule with other terms in some columns of its flattened record."""
    heads, connectors, start, changed = [], [], 0, {}
    made = {connector.var for connector in rule.connectors}
    for head in rule.heads:
        cells = list(head.terms)
        first = 1 if "?" in head.relation else 0
        for n in range(len(find(target, head.relation).attrs)):
            cells[first + n] = terms.get(start + n, cells[first + n])
        start += len(find(target, head.relation).attrs)
        heads.append(Atom(head.relation, tuple(cells)))
        if cells and cells[-1] in made:
            changed[cells[-1]] = tuple(cells[:-1])
    for connector in rule.connectors:
        connectors.append(Connector(connector.var, changed.get(connector.var, connector.terms)))
    return replace(rule, heads=tuple(heads), connectors=tuple(connectors))


def with_labels(goal: Goal, parent: Found | None, work: Work, solve: Solvers) -> Found | None:
    """Find one rule for every value of a column that says where a record comes from: the label
    stands in the names of the source, or is given as a constant.

    Arguments as `as_parent`.

    Returns:
      The rules, or None if the extension does not apply or finds none.
    """
    known = _names(goal)
    for t, (path, attr) in enumerate(flat_columns(goal.target, goal.path)):
        labels = {row[t] for rows in goal.rows for row in rows}
        if path != goal.path or t in dict(goal.fixed) or None in labels:
            continue
        if not 1 < len(labels) <= MOST_LABELS or attr.type not in ("str", "int", "bool"):
            continue
        given = [
            v for v in labels if any(v == c and type(v) is type(c) for c in work.options.constants)
        ]
        if len(given) < len(labels) and not all(_named(label, known) for label in labels):
            continue
        rules: list[Rule] = []
        for label in sorted(labels, key=repr):
            part = goal.narrowed(lambda row, t=t, label=label: row[t] == label, {t: label})
            found = solve.whole(replace(part, hint=str(label)), parent, work)
            if not isinstance(found, Found):
                break
            rules += found.rules
        else:
            even = _even(goal, rules)
            for option in (even, rules):
                if (marked := identified(goal, tuple(option))) is not None:
                    notes = [_evened(goal)] if option is even and even != rules else []
                    return Found(None, (), marked, notes)
    return None


def _even(goal: Goal, rules: list[Rule]) -> list[Rule]:
    """The rules of all labels with the same columns of the record never NULL: an absent address of
    one kind makes no record, so one of another kind, of which the example has none absent, neither.
    """
    terms = [flat_terms(rule, len(rule.heads) - 1, goal.target) for rule in rules]
    firm = {n for one in terms for n, term in enumerate(one) if getattr(term, "firm", False)}
    found = []
    for rule, one in zip(rules, terms, strict=True):
        to = {one[n]: Var(one[n].name, True) for n in firm if isinstance(one[n], Var)}  # type: ignore[union-attr]
        found.append(map_terms(rule, lambda term, to=to: to.get(term, term)))
    return found


def _evened(goal: Goal) -> str:
    return (
        f"open: {goal.path}: the example leaves out records without a value for one label only; "
        "the other labels are treated alike"
    )


def _names(goal: Goal) -> list[set[str]]:
    """The words of the source's columns and collections."""
    found = [words(path) for path, _ in goal.values.by_place]
    return found + [words(column.name) for column in goal.values.columns.values()]


def _named(label: Any, known: list[set[str]]) -> bool:
    mine = words(label) if isinstance(label, str) else set()
    return bool(mine) and any(mine <= one for one in known)


def with_tables(goal: Goal, parent: Found | None, work: Work, solve: Solvers) -> Found | None:
    """Find rules for the other columns, and a table of values for one that has no source: each
    value of a source column stands for one value of it.

    Arguments and result as `with_labels`.
    """
    for t, (path, attr) in enumerate(flat_columns(goal.target, goal.path)):
        if t in dict(goal.fixed) or not _sourceless(goal, t, attr.type):
            continue
        base = solve.whole(goal.narrowed(lambda row: True, {t: None}), parent, work)
        if not isinstance(base, Found):
            return None
        tables = [_table(goal, rule, t, (path, attr.name)) for rule in base.rules]
        if not all(tables):
            return None
        rules = identified(goal, tuple(rule for rule, _ in tables))  # type: ignore[misc]
        if rules is None:
            return None
        notes = [
            f"open: {path}.{attr.name} is a table of the values of {place}: a value that the "
            "example does not have would become NULL, and be reported as lost"
            for _, place in tables  # type: ignore[misc]
        ]
        return Found(base.sketch, base.candidates, rules, base.notes + notes)
    return None


def _sourceless(goal: Goal, t: int, kind: str) -> bool:
    wanted = tuple({row[t] for row in rows} - {None} for rows in goal.rows)
    if not 1 < len(set().union(*wanted)) <= MOST_PAIRS:
        return False
    return not any(sources_of(goal.values, kind, wanted, derived=d) for d in (False, True))


def _table(goal: Goal, rule: Rule, t: int, column: tuple[str, str]) -> tuple[Rule, str] | None:
    """The rule with a table in a column, and the source column that it is of; None if no column
    decides the values.
    """
    terms = flat_terms(rule, len(rule.heads) - 1, goal.target)
    seen: dict[tuple[int, int], dict] = {}
    broken, count = set(), 0
    for facts, rows in zip(goal.sources, goal.rows, strict=True):
        answers: dict[tuple, set] = {}
        for row in rows:
            answers.setdefault((*row[:t], *row[t + 1 :]), set()).add(row[t])
        for binding, used in matches(rule.body, facts):
            record = tuple(value_of(term, binding) for term in terms)
            right = answers.get((*record[:t], *record[t + 1 :]), set())
            if len(right) != 1:
                return None
            count += 1
            (value,) = right
            for n, atom in enumerate(rule.body):
                fact = facts[atom.relation][used[n]] if used[n] >= 0 else ()
                for p, cell in enumerate(fact):
                    pairs = seen.setdefault((n, p), {})
                    if (cell is None) != (value is None) or pairs.setdefault(cell, value) != value:
                        broken.add((n, p))
    best, kind = None, flat_columns(goal.target, goal.path)[t][1].type
    for (n, p), pairs in seen.items():
        relation = rule.body[n].relation
        place = columns(goal.source, relation)[p]
        known = {k: v for k, v in pairs.items() if k is not None}
        alike = likeness(column[0], column[1], relation, place.name)
        if (n, p) in broken or place.is_id or not 1 < len(known) <= MOST_PAIRS:
            continue
        kinds = {kind, place.type}
        if not kinds & {"str", "bool"} or not kinds <= TABLED:
            # Numbers from numbers are computed, not looked up; times and amounts are no codes.
            continue
        akin = alike >= ALIKE or words(place.name) & words(column[1])
        if len(known) == count and (kinds == {"str"} or not akin):
            continue
        if best is None or (-alike, len(known)) < best[0]:
            best = (-alike, len(known)), n, p, known
    return None if best is None else _with_table(goal, rule, t, best[1:])


def _with_table(goal, rule, t, chosen) -> tuple[Rule, str]:
    n, p, pairs = chosen
    atom, body = rule.body[n], list(rule.body)
    var = atom.terms[p]
    if not isinstance(var, Var):
        names = {one.name for one in variables(rule.body + rule.heads)}
        stem = columns(goal.source, atom.relation)[p].name
        var = Var(next(name for k in range(99) if (name := stem + "_x" * k) not in names))
        body[n] = Atom(atom.relation, (*atom.terms[:p], var, *atom.terms[p + 1 :]), atom.optional)
    args = tuple(Const(v) for key in sorted(pairs, key=show_value) for v in (key, pairs[key]))
    changed = with_terms(
        replace(rule, body=tuple(body)), goal.target, {t: Call("table", (var, *args))}
    )
    return changed, f"{atom.relation}.{columns(goal.source, atom.relation)[p].name}"
