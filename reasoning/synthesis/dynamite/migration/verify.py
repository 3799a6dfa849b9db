"""Compare a target that is there with what the mapping makes of the source; and the way back."""

import dataclasses
import functools
import tempfile
from pathlib import Path

from reasoning.synthesis.connect import sources
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.migration.flat_rows import flatten_tables
from reasoning.synthesis.dynamite.migration.report import SAMPLES, Report, note_unread, report_of
from reasoning.synthesis.dynamite.synthesize import synthesize_mapping
from reasoning.synthesis.engines.compile import (
    Output,
    compile_program,
    flat_names,
    key_names,
    shown_names,
)
from reasoning.synthesis.engines.duck import confine, connect
from reasoning.synthesis.engines.nest import Flat, nested_queries
from reasoning.synthesis.errors import need
from reasoning.synthesis.names import masked, quoted, table_name
from reasoning.synthesis.schema import Schema, walk

SOURCE, EXPECTED, FOUND, RELATION = "s__", "e__", "f__", "r__"


def verify(
    mapping: Mapping, source: str, target: str, way_back: bool = False, budget: float = 30.0
) -> Report:
    """Read both sides and compare them record by record.

    Args:
      mapping: the mapping that should have been applied.
      source: path or URL of the data it was applied to.
      target: path or URL of the migrated data.
      way_back: look for a mapping from target to source, and try it.
      budget: seconds for finding that mapping.

    Returns:
      A report on the target as it is; `problems` names records missing or too many.

    Raises:
      UserError: one of the sides cannot be read or does not fit its schema.
    """
    duckdb = need("duckdb")
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(str(Path(folder) / "verify.duckdb")) as base,
    ):
        confine(base, [Path(folder)], source, target)
        try:
            load = functools.partial(sources.load, base)
            place = Path(folder) / "load"
            left = load(mapping.source, source, place, lambda path: SOURCE + table_name(path))
            more = load(
                mapping.target, target, place, lambda path: RELATION + table_name(path), False
            )
            there = flatten_tables(base, mapping.target, RELATION, FOUND)
            queries = compile_program(
                mapping.program,
                mapping.source,
                mapping.target,
                "duckdb",
                Output(lambda path: SOURCE + table_name(path), keys=True),
            )
            for path, query in queries.items():
                base.execute(f"CREATE TABLE {quoted(EXPECTED + table_name(path))} AS {query}")
            report = report_of(mapping, base, SOURCE, FOUND, keys=there)
            note_unread(report, mapping, left)
            report.unread.extend(f"{one}, in the target" for one in more.columns_only().sentences())
            report.problems.extend(
                f"the target holds {one}, which the mapping does not make"
                for one in more.counted().sentences()
            )
            problems = [
                problem
                for path, _ in walk(mapping.target)
                for problem in differences(base, mapping, path)
            ]
            problems = problems or misplaced(base, mapping, there)
            trip = round_trip(base, mapping, budget) if way_back else report.round_trip
        except duckdb.Error as error:
            raise sources.refusal_of(error, masked(target)) from error
    return dataclasses.replace(report, problems=report.problems + problems, round_trip=trip)


def differences(base, mapping: Mapping, path: str) -> list[str]:
    """Sentences on records of one collection that are missing or too many; records that repeat are
    counted as often as they do.
    """
    names = flat_names(mapping.target, path)
    cells = ", ".join(map(quoted, names)) or "1"
    expected, found = (
        f"SELECT {cells} FROM {quoted(side + table_name(path))}" for side in (EXPECTED, FOUND)
    )
    sentences = []
    for one, other, what in ((expected, found, "missing"), (found, expected, "too many")):
        number = base.execute(f"SELECT count(*) FROM ({one} EXCEPT ALL {other})").fetchone()[0]
        if number:
            rows = base.execute(f"{one} EXCEPT ALL {other} ORDER BY ALL LIMIT {SAMPLES}").fetchall()
            shown = ", ".join(
                f"{name} = {value!r}"
                for name, value in zip(shown_names(mapping.target, path), rows[0], strict=False)
            )
            sentences.append(f"{path}: {number:,} records {what}, for example {shown}")
    return sentences


def misplaced(base, mapping: Mapping, there: dict[str, list[str | None]]) -> list[str]:
    """Sentences on documents that hold the right records in the wrong place: compared whole, the
    order of lists left aside.
    """
    target, sentences = mapping.target, []
    mine = {path: key_names(mapping.program, path, target) for path, _ in walk(target)}
    for top in target.collections:
        if not top.children:
            continue
        sides = []
        for prefix, keys in ((EXPECTED, mine), (FOUND, there)):
            tables = {p: f"SELECT * FROM {quoted(prefix + table_name(p))}" for p, _ in walk(target)}
            flat = Flat(Schema(target.kind, (top,)), tables, keys, True, True, True)
            sides.append(f"SELECT * FROM ({nested_queries(flat, 'duckdb')[top.name]})")
        number = base.execute(
            f"SELECT count(*) FROM ({sides[0]} EXCEPT ALL {sides[1]})"
        ).fetchone()[0]
        if number:
            sentences.append(f"{top.name}: {number:,} documents hold records of another one")
    return sentences


def round_trip(base, mapping: Mapping, budget: float) -> str:
    """Learn the way back from the same examples and try it on the target as it is; a sentence on
    what came of it.
    """
    swapped = [(target, source) for source, target in mapping.examples]
    if not swapped:
        return "not tried: the mapping holds no example"
    back = synthesize_mapping(
        mapping.target, mapping.source, swapped, Options(budget=budget, seed=mapping.options.seed)
    )
    if not isinstance(back, Mapping):
        reason = getattr(back, "reason", "out of time")
        return f"impossible by rules of this kind: {reason}"
    queries = compile_program(
        back.program,
        back.source,
        back.target,
        "duckdb",
        Output(lambda path: RELATION + table_name(path)),
    )
    flatten_tables(base, mapping.source, SOURCE, "o__")
    lost = []
    for path, query in queries.items():
        cells = ", ".join(map(quoted, flat_names(mapping.source, path)))
        original = f"SELECT {cells} FROM {quoted('o__' + table_name(path))}"
        number = base.execute(
            f"SELECT count(*) FROM (({original} EXCEPT ALL ({query})) UNION ALL (({query}) "
            f"EXCEPT ALL {original}))"
        ).fetchone()[0]
        lost += [f"{number:,} records of {path}"] if number else []
    return f"differs in {', '.join(lost)}" if lost else "the source came back whole"
