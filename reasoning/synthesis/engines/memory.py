"""The reference engine: joins in plain Python, slow and easy to check, with the source rows behind
every result.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from reasoning.synthesis.datalog import Atom, Call, Const, Program, Term, Var, Wild, variables
from reasoning.synthesis.engines.identity import derivations_of, flat_terms, keyed
from reasoning.synthesis.facts import Facts, Id, once
from reasoning.synthesis.functions import compute
from reasoning.synthesis.schema import (
    Schema,
    ancestors,
    find,
    flat_columns,
    layout,
    parent_of,
    walk,
)

Binding = dict[Var, Any]
Rows = tuple[int, ...]
"""The number of the fact that each atom of a body stands for."""
UNMATCHED = -1
"""The number of the fact of an optional atom that no fact fits."""


def matches(
    body: tuple[Atom, ...], facts: Facts, tables: dict | None = None
) -> Iterator[tuple[Binding, Rows]]:
    """All ways to make a body true.

    A variable in two places joins by equality and never by NULL, as in SQL; a variable in one place
    may be NULL.

    Args:
      body: the atoms.
      facts: the facts of every relation.
      tables: hash tables that earlier calls made of the same facts, which live as long and are
        never changed; gets those that are missing.

    Yields:
      The values of the variables, and the facts used (`UNMATCHED` for an optional atom that none
      fits). The dictionary is changed by the next step:
      copy what you keep.
    """
    firm = tuple(atom for atom in body if not atom.optional)
    used = variables(firm)
    joining = {var for var, count in used.items() if count > 1 or var.firm}
    order = _plan(firm, facts) + list(range(len(firm), len(body)))
    indexes = _indexes(body, order, facts, {} if tables is None else tables)
    parts = [
        [(p, term) for p, term in enumerate(atom.terms) if not isinstance(term, Wild)]
        for atom in body
    ]
    binding: Binding = {}
    rows = [0] * len(body)

    def without(step):
        """Continue with NULLs for what an optional atom would have bound."""
        fresh = [var for var in variables((body[order[step]],)) if var not in binding]
        binding.update(dict.fromkeys(fresh))
        rows[order[step]] = UNMATCHED
        yield from extend(step + 1)
        for var in fresh:
            del binding[var]

    def extend(step):
        if step == len(order):
            yield binding, tuple(rows)
            return
        atom_number = order[step]
        positions, index = indexes[step]
        terms = body[atom_number].terms
        key = tuple(_value(terms[p], binding) for p in positions)
        matched = False
        for row, fact in index.get(key, ()):
            fresh = _bind(parts[atom_number], fact, binding, joining)
            if fresh is None:
                continue
            rows[atom_number], matched = row, True
            yield from extend(step + 1)
            for var in fresh:
                del binding[var]
        if body[atom_number].optional and not matched:
            yield from without(step)

    yield from extend(0)


def _plan(body, facts) -> list[int]:
    """Atoms in the order of joining: those with bound arguments first, then small relations."""
    order: list[int] = []
    bound: set[Var] = set()
    left = list(range(len(body)))
    fixed = [sum(isinstance(term, Const) for term in atom.terms) for atom in body]
    named = [[term for term in atom.terms if isinstance(term, Var)] for atom in body]
    sizes = [len(facts.get(atom.relation, ())) for atom in body]

    def cost(n):
        return -fixed[n] - sum(var in bound for var in named[n]), sizes[n]

    while left:
        best = min(left, key=cost)
        left.remove(best)
        order.append(best)
        bound.update(named[best])
    return order


def _indexes(body, order, facts, tables):
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
        rows = facts.get(atom.relation, ())
        made = (id(rows), *positions)
        index: dict[tuple, list] | None = tables.get(made) if rows else {}
        if index is None:
            index = tables[made] = {}
            for row, fact in enumerate(rows):
                index.setdefault(tuple(fact[p] for p in positions), []).append((row, fact))
        found.append((positions, index))
        bound |= {term for term in atom.terms if isinstance(term, Var)}
    return found


def _value(term, binding):
    if isinstance(term, Call):
        return compute(term.name, tuple(_value(arg, binding) for arg in term.args))
    return term.value if isinstance(term, Const) else binding[term]


value_of = _value
"""The value of a term of a head under a binding."""


def _bind(parts, fact, binding, joining):
    """Bind the variables to a fact; the new ones, or None (and nothing bound) if it does
    not fit.
    """
    fresh: list[Var] = []
    for position, term in parts:
        value = fact[position]
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


def evaluate(program: Program, facts: Facts, target: Schema) -> Facts:
    """The target's facts, one for every record, in the order of the source rows behind them.

    A nested record lies in every record around it of the same identity (`engines.identity`).
    """
    flat = {path: flat_records(program, path, target, facts) for path in layout(target)}
    modes = {path: keyed(derivations_of(program, path, target)) for path in flat}
    found: Facts = {}
    for path, collection in walk(target):
        above, own = parent_of(path), bool(collection.children)
        start = len(flat_columns(target, path)) - len(collection.attrs)
        owners: dict[tuple, list[int]] = {}
        both = [a and b for a, b in zip(modes[path], modes[above or path], strict=False)]
        if above:
            for n, (values, keys) in enumerate(flat[above]):
                owners.setdefault(_tie(target, above, values, keys, both), []).append(n)
        rows = found[path] = []
        for values, keys in flat[path]:
            around = owners.get(_tie(target, above, values, keys, both), ()) if above else (None,)
            for n in around:
                parent = () if n is None else (Id(above, n),)
                rows.append(parent + values[start:] + ((Id(path, len(rows)),) if own else ()))
        if own and above:
            # A record may lie in several around it: those inside must find each of its copies.
            flat[path] = [
                (values, keys)
                for values, keys in flat[path]
                for _ in owners.get(_tie(target, above, values, keys, both), ())
            ]
    return found


def _tie(target: Schema, path: str, values: tuple, keys: "Keys", both: list[bool]) -> tuple:
    """The columns that tie a record to one at `path`, level by level."""
    found, start = [], 0
    for n, above in enumerate(ancestors(path)):
        width = len(find(target, above).attrs)
        by_rows = n < len(both) and both[n]
        found.append(keys[n] if by_rows else ("v", *values[start : start + width]))
        start += width
    return tuple(found)


Keys = tuple[tuple | None, ...]
"""The source rows that identify the record of each level; None: its values do."""


def flat_records(
    program: Program, path: str, target: Schema, facts: Facts
) -> list[tuple[tuple, Keys]]:
    """Make the flattened records of a collection, with the identities of them and the records
    around.

    Args:
      program: the rules to apply.
      path: the target collection.
      target: the target schema.
      facts: the source data.

    Returns:
      Pairs of a record's values and its keys, in the order of the rules and source rows; records
        with the same values and the same identity are one.
    """
    derived = derivations_of(program, path, target)
    flags, seen = keyed(derived), {}
    merge = any(one.levels[-1] is None for one in derived)
    for one in derived:
        terms = flat_terms(one.rule, one.head, target)
        last = one.levels[-1]
        for binding, rows in matches(one.rule.body, facts):
            values = tuple(_value(term, binding) for term in terms)
            keys = tuple(
                (number, *(rows[n] for n in level)) if flag and level is not None else None
                for number, level, flag in zip(one.source, one.levels, flags, strict=True)
            )
            own = () if merge or last is None else (one.source[-1], *(rows[n] for n in last))
            order = tuple(rows[n] for n in last) if last else rows
            mark = (values, keys, own)
            place = (one.source[-1], *order)
            if mark not in seen or place < seen[mark]:
                seen[mark] = place
    ordered = sorted(seen.items(), key=lambda item: item[1])
    return [(values, keys) for (values, keys, _), _ in ordered]


def bags(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, Counter]:
    """Compute the flattened target data in plain Python; all engines share this contract.

    Args:
      program: the rules to apply.
      source: the source schema; other engines need it, this one does not.
      target: the target schema.
      facts: the source data.

    Returns:
      For every collection of the target, by path, the count of each flattened record.
    """
    del source
    return {
        path: Counter(values for values, _ in flat_records(program, path, target, facts))
        for path in layout(target)
    }


def run(program: Program, source: Schema, target: Schema, facts: Facts) -> dict[str, set[tuple]]:
    """Compute the flattened target data in plain Python, each record once.

    Arguments as `bags`; returns, for every collection of the target, by path, the set of its
    flattened records.
    """
    return once(bags(program, source, target, facts))
