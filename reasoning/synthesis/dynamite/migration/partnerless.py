"""Source records that a join leaves out for want of a partner, although every such record of the
example has one: rows that an inner join loses.
"""

from collections.abc import Iterator, Sequence

from reasoning.synthesis.datalog import Rule, Var
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.engines.compile import Output, rows_used
from reasoning.synthesis.engines.duck import stored
from reasoning.synthesis.engines.memory import matches
from reasoning.synthesis.facts import Facts, plain
from reasoning.synthesis.names import quoted, table_name
from reasoning.synthesis.schema import columns, parent_of, walk

Step = tuple[int, int, tuple[Var, ...]]
"""Two atoms of a body, by number, and the variables that join the second to the first."""


def partnerless(mapping: Mapping, base, source: str) -> Iterator[str]:
    """Find the records that should make a target record, and make none.

    Those are records of an atom that all others of its rule are looked up for (a payment, not the
    accounts that it names), where each one in the example makes a target record.

    Args:
      mapping: the mapping that was run.
      base: the DuckDB connection that holds the source's tables.
      source: prefix of the names of these tables.

    Yields:
      A sentence on each such relation, with a record.
    """
    examples, output = mapping.source_facts(), Output(lambda path: source + table_name(path))
    for path, _ in walk(mapping.target):
        rules = [one for one in mapping.program.rules if one.heads[-1].relation == path]
        around = {
            atom.relation
            for rule in mapping.program.rules
            if rule.heads[-1].relation == parent_of(path)
            for atom in rule.body
        }
        found: dict[str, list[tuple[Rule, int, list[Step]]]] = {}
        for rule in rules:
            for n, atom in enumerate(rule.body):
                steps = None if atom.optional else _lookups(rule, n, examples)
                if steps and atom.relation not in around:
                    found.setdefault(atom.relation, []).append((rule, n, steps))
        for relation, looked in found.items():
            if not _all_used(relation, [(rule, n) for rule, n, _ in looked], examples):
                continue
            places = [
                (rule, n)
                for rule, n, steps in looked
                if all(_as_unique(rule, step, mapping, base, source) for step in steps)
            ]
            if not places:
                continue
            used = " UNION ".join(rows_used(*place, mapping.source, output) for place in places)
            rest = f"FROM {quoted(source + table_name(relation))} WHERE rowid NOT IN ({used})"
            number = base.execute(f"SELECT count(*) {rest}").fetchone()[0]
            if number:
                shown = [c for c in columns(mapping.source, relation) if not c.is_id]
                cells = ", ".join(map(stored, shown))
                row = base.execute(f"SELECT {cells} {rest} LIMIT 1").fetchone()
                one = {c.name: plain(value) for c, value in zip(shown, row, strict=True)}
                others = sorted({a.relation for r, m in places for a in r.body} - {relation})
                yield (
                    f"{path}: {number:,} records of {relation} without a partner in "
                    f"{' or '.join(others or [relation])} are left out, for example {one}; in the "
                    "example each one has a partner: show there what becomes of one without"
                )


def _lookups(rule: Rule, start: int, examples: Sequence[Facts]) -> list[Step]:
    """Steps from an atom to all others that are not optional, each to an atom of which the example
    holds one record at most for the values that join it; empty if there are no such steps.
    """
    rest = {n for n, atom in enumerate(rule.body) if not atom.optional and n != start}
    reached, steps = [start], []
    while rest:
        for n, m in ((n, m) for n in reached for m in sorted(rest)):
            there = rule.body[m].terms
            shared = [t for t in rule.body[n].terms if isinstance(t, Var) and t in there]
            places = [there.index(term) for term in shared]
            keys = [
                (number, *(row[p] for p in places))
                for number, facts in enumerate(examples)
                for row in facts[rule.body[m].relation]
            ]
            if shared and len(set(keys)) == len(keys):
                steps.append((n, m, tuple(shared)))
                reached.append(m)
                rest.remove(m)
                break
        else:
            return []
    return steps


def _as_unique(rule: Rule, step: Step, mapping: Mapping, base, source: str) -> bool:
    """True if the data has as few records for one value at the end of a step as at its start."""
    n, m, shared = step
    ratios = []
    for atom in (rule.body[n], rule.body[m]):
        found = columns(mapping.source, atom.relation)
        names = [stored(found[atom.terms.index(var)]) for var in shared]
        there = " AND ".join(f"{name} IS NOT NULL" for name in names)
        rows, different = base.execute(
            f"SELECT count(*), count(DISTINCT ({', '.join(names)})) FROM "
            f"{quoted(source + table_name(atom.relation))} WHERE {there}"
        ).fetchone()
        ratios.append(rows / different if different else 0.0)
    return ratios[1] <= max(ratios[0], 1.0)


def _all_used(relation: str, places: list[tuple[Rule, int]], examples: Sequence[Facts]) -> bool:
    """True if every record of a relation in the example makes a target record, and there is one."""
    number = 0
    for facts in examples:
        used = {rows[n] for rule, n in places for _, rows in matches(rule.body, facts)}
        number += len(used)
        if len(used) < len(facts[relation]):
            return False
    return number > 0
