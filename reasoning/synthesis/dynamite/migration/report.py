"""Report of what a migration did to the data, checked on the tables themselves: nothing is lost
without being said.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.datalog import Call, Const, Rule, variables
from reasoning.synthesis.dynamite.doubts import cut_at_places
from reasoning.synthesis.dynamite.lineage import sources_behind, unmapped
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration.partnerless import partnerless
from reasoning.synthesis.engines.compile import (
    Output,
    flat_names,
    key_names,
    rows_used,
    shown_names,
    values_of,
)
from reasoning.synthesis.engines.duck import stored
from reasoning.synthesis.engines.identity import derivations_of, flat_terms
from reasoning.synthesis.engines.nest import tied_levels
from reasoning.synthesis.facts import plain
from reasoning.synthesis.names import inner, quoted, table_name
from reasoning.synthesis.schema import NEST, columns, find, flat_columns, parent_of, walk

SAMPLES = 3
"""Rows shown of everything that is found."""


@dataclass(frozen=True)
class Report:
    """Figures of a migration; `problems` is empty if the target is what it should be."""

    source_rows: dict[str, int]
    """Records in each source relation."""
    target_rows: dict[str, int]
    """Records in each target collection."""
    dropped: dict[str, dict[str, Any]]
    """Source relations with records that no rule uses: their number and some of them."""
    unmapped: list[str]
    """Source columns that nothing is made of."""
    checksums: list[dict[str, Any]]
    """For each target column and the source column behind it: distinct values and a sum of hashes
    on both sides.
    """
    childless: dict[str, dict[str, Any]]
    """Nested collections that are empty in some parents, if they were to be flagged: number and
    samples.
    """
    unread: list[str] = field(default_factory=list)
    """Sentences on fields of the source that its schema does not name, with counts."""
    problems: list[str] = field(default_factory=list)
    """Sentences about what is wrong: repeated keys, NULLs, references to nothing, records missing
    or too many.
    """
    merged: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Collections marked `@distinct` of which equal records became one: derivations and records."""
    lost: list[str] = field(default_factory=list)
    """Sentences about records that were derived and are not there, and values that became NULL."""
    new: dict[str, int] = field(default_factory=dict)
    """In an incremental run: records of each top-level collection beyond the high-water marks."""
    first: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """In a dry run: the first records of each top-level collection; nothing was written."""
    round_trip: str = "not tried"
    """Result of making the source again from the target, in words."""
    rows_written: int = 0
    """Rows written in this run."""
    seconds: float = 0.0
    """Seconds from the first byte read to the last one written, without this report."""
    processor_seconds: float = 0.0
    """The same in time of processors, all threads together: on a shared machine it says more."""

    def timed(self, rows: int, seconds: float, processor_seconds: float) -> "Report":
        """The same report with the time taken."""
        taken = {"seconds": seconds, "processor_seconds": processor_seconds}
        return dataclasses.replace(self, rows_written=rows, **taken)

    def text(self) -> str:
        """The report as text, a line for each finding."""
        lines = [f"source {path}: {count:,} records" for path, count in self.source_rows.items()]
        lines += [f"target {path}: {count:,} records" for path, count in self.target_rows.items()]
        lines += [f"new {path}: {count:,} records" for path, count in self.new.items()]
        for path, records in self.first.items():
            lines += [
                f"first of {path}: {json.dumps(one, default=plain, ensure_ascii=False)}"
                for one in records
            ]
        for path, found in self.merged.items():
            lines.append(
                f"merged {path}: {found['derivations']:,} derivations, {found['records']:,} "
                "records (equal ones are one: @distinct)"
            )
        for path, found in self.dropped.items():
            lines.append(
                f"not used: {found['count']:,} records of {path}, for example {found['samples'][0]}"
            )
        lines += [f"not mapped: {column}" for column in self.unmapped]
        lines += [f"not read: {sentence}" for sentence in self.unread]
        for path, found in self.childless.items():
            lines.append(
                f"without {path}: {found['count']:,} parents, for example {found['samples'][0]}"
            )
        same = sum(check["agree"] for check in self.checksums)
        lines.append(f"columns whose values are all there: {same} of {len(self.checksums)}")
        lines += [
            f"  not all of {one['source']}: {one['target']} has {one['target_distinct']:,} of "
            f"{one['source_distinct']:,} values"
            for one in self.checksums
            if not one["agree"]
        ]
        lines.append(f"round trip: {self.round_trip}")
        if self.first:
            lines.append("nothing was written: a dry run")
        if self.seconds:
            lines.append(f"{self.rows_written:,} records written, {self.seconds:.1f} s")
        return "\n".join(
            lines
            + (
                [f"LOST: {sentence}" for sentence in self.lost]
                + [f"PROBLEM: {problem}" for problem in self.problems]
                or ["no problem found"]
            )
        )


def report_of(
    mapping: Mapping,
    base,
    source: str,
    flat: str,
    flag_childless: bool = False,
    keys: dict[str, list[str | None]] | None = None,
) -> Report:
    """Count the records in the tables of a migration, and list those that were lost.

    Args:
      mapping: the mapping that made them.
      base: a connection of DuckDB.
      source: prefix of the names of the source relations' tables.
      flat: prefix of the names of the target's flattened tables.
      flag_childless: list parents without children.
      keys: the columns of the identities in the flattened tables; None: those of the mapping.
    """

    def count(table):
        return base.execute(f"SELECT count(*) FROM {quoted(table)}").fetchone()[0]

    fewer = merged(mapping, base, source, flat)
    return Report(
        source_rows={path: count(source + table_name(path)) for path, _ in walk(mapping.source)},
        target_rows={path: count(flat + table_name(path)) for path, _ in walk(mapping.target)},
        dropped=_dropped(mapping, base, source),
        unmapped=unmapped(mapping),
        checksums=_checksums(mapping, base, source, flat),
        childless=_childless(mapping, base, flat) if flag_childless else {},
        merged=fewer[0],
        lost=fewer[1]
        + _outside_tables(mapping, base, source)
        + _orphans(mapping, base, flat, keys),
        problems=[
            *repeated_keys(mapping, base, flat),
            *_nulls(mapping, base, flat),
            *_references(mapping, base, flat),
            *_cut_elsewhere(mapping, base, source),
            *partnerless(mapping, base, source),
        ],
    )


def note_unread(report: Report, mapping: Mapping, unread: Unread):
    """List in the report what the schema does not name, and as problems the fields that the mapping
    needs and that no record has, though it has others: they may be the same under another name.

    Args:
      report: the report to add to.
      mapping: the mapping that was run.
      unread: as `sources.load` returned it.
    """
    report.unread.extend(unread.sentences())
    idle = set(report.unmapped)
    for path, name in sorted(unread.missing):
        below = find(mapping.source, path)
        below = next((c for c in below.children if c.name == name), None if name else below)
        place = path if not name else f"{path}{NEST}{name}"
        names = [f"{place}.{a.name}" for a in below.attrs] if below else [f"{path}.{name}"]
        if not idle.issuperset(names):
            others = unread.others(path) if name else unread.collections
            said = (
                f"{path}.{name} is in no record of the source" if name else f"{path} is not there"
            )
            report.problems.append(
                f"{said}, and {others[0]!r} is, which is not read: is it the same under another "
                "name?"
            )


def _dropped(mapping, base, source):
    """Records that take part in no rule. Relations that no rule names are unmapped altogether and
    listed as such.
    """
    found = {}
    for path, _ in walk(mapping.source):
        used = [
            (rule, n)
            for rule in mapping.program.rules
            for n, atom in enumerate(rule.body)
            if atom.relation == path
        ]
        table = quoted(source + table_name(path))
        if any(takes_all(rule) for rule, _ in used):
            continue
        joined = " UNION ".join(
            rows_used(rule, n, mapping.source, Output(lambda one: source + table_name(one)))
            for rule, n in used
        )
        rest = f"FROM {table} WHERE rowid NOT IN ({joined})" if used else f"FROM {table}"
        number = base.execute(f"SELECT count(*) {rest}").fetchone()[0]
        if number:
            found_columns = [c for c in columns(mapping.source, path) if not c.is_id]
            names = [column.name for column in found_columns]
            found[path] = {
                "count": number,
                "samples": _samples(
                    base, f"SELECT {', '.join(map(stored, found_columns))} {rest}", names
                ),
            }
    return found


def takes_all(rule: Rule) -> bool:
    """One atom without constants or repeated variables: every record is used."""
    (first, *others) = rule.body
    return (
        not others
        and not any(var.firm for var in variables(rule.body))
        and not any(isinstance(t, Const) for t in first.terms)
        and max(variables(rule.body).values(), default=0) < 2
    )


def _samples(base, query, names, values=()):
    rows = base.execute(f"{query} LIMIT {SAMPLES}", list(values)).fetchall()
    return [{name: plain(value) for name, value in zip(names, row, strict=True)} for row in rows]


def _checksums(mapping, base, source, flat):
    found = []
    for path, n, relation, column in sources_behind(mapping):
        name = flat_names(mapping.target, path)[n]
        shown = shown_names(mapping.target, path)[n]
        one = _checksum(base, source + table_name(relation), inner(column))
        other = _checksum(base, flat + table_name(path), name)
        found.append(
            {
                "target": f"{path}.{shown}",
                "source": f"{relation}.{column}",
                "agree": one == other,
                "source_distinct": one[0],
                "target_distinct": other[0],
            }
        )
    return found


def _checksum(base, table, column):
    """The number of different values, and the sum of their hashes."""
    inner = (
        f"SELECT DISTINCT {quoted(column)} AS v FROM {quoted(table)} WHERE {quoted(column)} "
        "IS NOT NULL"
    )
    return base.execute(f"SELECT count(*), coalesce(sum(hash(v)), 0) FROM ({inner})").fetchone()


def _childless(mapping, base, flat):
    found = {}
    for path, _ in walk(mapping.target):
        if above := parent_of(path):
            mine, theirs = flat_names(mapping.target, above), flat_names(mapping.target, path)
            same = " AND ".join(
                f"p.{quoted(a)} IS NOT DISTINCT FROM c.{quoted(b)}"
                for a, b in zip(mine, theirs, strict=False)
            )
            rest = (
                f"FROM {quoted(flat + table_name(above))} p ANTI JOIN "
                f"{quoted(flat + table_name(path))} c ON {same}"
            )
            number = base.execute(f"SELECT count(*) {rest}").fetchone()[0]
            if number:
                found[path] = {
                    "count": number,
                    "samples": _samples(
                        base,
                        f"SELECT {', '.join('p.' + n for n in mine)} {rest}",
                        shown_names(mapping.target, above),
                    ),
                }
    return found


def repeated_keys(mapping: Mapping, base, flat: str):
    """Sentences on declared keys of the target that repeat, each with two of the records."""
    for path, collection in walk(mapping.target):
        if collection.key:
            first = len(flat_columns(mapping.target, path)) - len(collection.attrs)
            own = [first + [a.name for a in collection.attrs].index(k) for k in collection.key]
            key = ", ".join(f"v{n}" for n in [*range(first), *own])
            query = (
                f"SELECT {key}, count(*) FROM {quoted(flat + table_name(path))} GROUP BY "
                f"{key} HAVING count(*) > 1"
            )
            if rows := base.execute(f"{query} LIMIT {SAMPLES}").fetchall():
                where = " AND ".join(f"v{n} IS NOT DISTINCT FROM ?" for n in [*range(first), *own])
                both = _samples(
                    base,
                    f"SELECT {', '.join(flat_names(mapping.target, path))} FROM "
                    f"{quoted(flat + table_name(path))} WHERE {where}",
                    shown_names(mapping.target, path),
                    list(rows[0][:-1]),
                )[:2]
                yield (
                    f"{path}: the key ({', '.join(collection.key)}) repeats, {rows[0][-1]} times "
                    f"for example in {' and '.join(map(str, both))}"
                )


def _nulls(mapping, base, flat):
    for path, collection in walk(mapping.target):
        for attr, name in zip(
            collection.attrs,
            flat_names(mapping.target, path)[-len(collection.attrs) :],
            strict=False,
        ):
            if not attr.nullable:
                query = (
                    f"SELECT count(*) FROM {quoted(flat + table_name(path))} WHERE "
                    f"{quoted(name)} IS NULL"
                )
                if number := base.execute(query).fetchone()[0]:
                    yield (
                        f"{path}.{attr.name} is NULL in {number:,} records, and the schema says "
                        "that it never is"
                    )


def _references(mapping, base, flat):
    for foreign in mapping.target.foreign_keys:
        if NEST in foreign.path or NEST in foreign.to_path:
            continue
        here_at, there_at = (
            _columns_of(mapping.target, foreign.path, foreign.attrs),
            _columns_of(mapping.target, foreign.to_path, foreign.to_attrs),
        )
        same = " AND ".join(f"r.{a} = t.{b}" for a, b in zip(here_at, there_at, strict=True))
        here = " AND ".join(f"r.{a} IS NOT NULL" for a in here_at)
        to = quoted(flat + table_name(foreign.to_path))
        query = (
            f"FROM (SELECT * FROM {quoted(flat + table_name(foreign.path))} r WHERE {here}) r "
            f"ANTI JOIN {to} t ON {same}"
        )
        if number := base.execute(f"SELECT count(*) {query}").fetchone()[0]:
            sample = base.execute(
                f"SELECT {', '.join('r.' + a for a in here_at)} {query} LIMIT 1"
            ).fetchone()
            what = (
                f"{foreign.path}.{', '.join(foreign.attrs)} names {number:,} records of "
                f"{foreign.to_path} that are not there"
            )
            yield f"{what}, for example {plain(sample[0])!r}"


def _columns_of(schema, path, attrs) -> list[str]:
    """The columns of attributes of a top-level collection in its flattened table."""
    names = [attr.name for _, attr in flat_columns(schema, path)]
    return [f"v{names.index(attr)}" for attr in attrs]


def merged(
    mapping: Mapping, base, source: str, flat: str
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """List the collections with fewer records than derivations.

    Args:
      mapping: the mapping that made the tables.
      base: the DuckDB connection that holds them.
      source: prefix of the names of the source relations' tables.
      flat: prefix of the names of the target's flattened tables.

    Returns:
      For collections whose rules say `@distinct`, by path, the numbers of "derivations" and
        "records"; and a sentence on each other one, whose records are lost.
    """
    found, lost, output = {}, [], Output(lambda path: source + table_name(path))
    for path, _ in walk(mapping.target):
        derived = derivations_of(mapping.program, path, mapping.target)
        if not any(one.levels[-1] is None for one in derived):
            continue
        made = sum(
            base.execute(
                f"SELECT count(*) FROM ({rows_used(one.rule, 0, mapping.source, output)})"
            ).fetchone()[0]
            for one in derived
        )
        there = base.execute(f"SELECT count(*) FROM {quoted(flat + table_name(path))}").fetchone()[
            0
        ]
        if there < made and all(one.rule.distinct for one in derived):
            found[path] = {"derivations": made, "records": there}
        elif there < made:
            lost.append(
                f"{path}: {made:,} derivations became {there:,} records, and not all of its rules "
                "say @distinct"
            )
    return found, lost


def _outside_tables(mapping: Mapping, base, source: str) -> list[str]:
    """Sentences on values that a table of values does not hold: they became NULL."""
    lost, output = [], Output(lambda path: source + table_name(path))
    for path, _ in walk(mapping.target):
        for one in derivations_of(mapping.program, path, mapping.target):
            terms = flat_terms(one.rule, one.head, mapping.target)
            for name, term in zip(shown_names(mapping.target, path), terms, strict=True):
                if not isinstance(term, Call) or term.name != "table":
                    continue
                var, *pairs = term.args
                held = [arg.value for arg in pairs[::2]]
                marks = ", ".join("?" for _ in held)
                values = values_of(one.rule, var, mapping.source, output)
                number, example = base.execute(
                    f"SELECT count(*), min(v) FROM ({values}) WHERE v IS NOT NULL AND "
                    f"v NOT IN ({marks})",
                    held,
                ).fetchone()
                if number:
                    lost.append(
                        f"{path}.{name}: {number:,} values are not in its table of values and "
                        f"became NULL, for example {plain(example)!r}"
                    )
    return lost


def _cut_elsewhere(mapping: Mapping, base, source: str) -> Iterator[str]:
    """Sentences on texts that are cut at places which the example shows for another length only."""
    output, examples = Output(lambda path: source + table_name(path)), mapping.source_facts()
    for rule in mapping.program.rules:
        for name, cut, length in cut_at_places(rule, mapping.target, examples):
            values = values_of(rule, cut, mapping.source, output)
            number, example = base.execute(
                f"SELECT count(*), min(v) FROM ({values}) WHERE length(v) <> {length}"
            ).fetchone()
            if number:
                yield (
                    f"{rule.heads[-1].relation}.{name} is cut at places for texts of {length} "
                    f"letters, and {number:,} have another length, for example {example!r}: show "
                    "one in the example"
                )


def _orphans(mapping: Mapping, base, flat: str, keys) -> list[str]:
    """Sentences on nested records that lie in no record around them."""
    target = mapping.target
    keys = keys or {path: key_names(mapping.program, path, target) for path, _ in walk(target)}
    lost = []
    for path, _ in walk(target):
        above = parent_of(path)
        # A collection of which nothing was derived has no identities.
        if not above or not keys[path]:
            continue
        ties = [name for level in tied_levels(target, keys, above, path) for name in level]
        same = " AND ".join(
            f"p.{quoted(name)} IS NOT DISTINCT FROM c.{quoted(name)}" for name in ties
        )
        cells = ", ".join(f"c.{quoted(name)}" for name in flat_names(target, path))
        rest = (
            f"FROM {quoted(flat + table_name(path))} c ANTI JOIN "
            f"{quoted(flat + table_name(above))} p ON {same or 'true'}"
        )
        if number := base.execute(f"SELECT count(*) {rest}").fetchone()[0]:
            shown = _samples(base, f"SELECT {cells} {rest}", shown_names(target, path))
            lost.append(f"{path}: {number:,} records lie in no {above}, for example {shown[0]}")
    return lost
