"""Compare a target that is there with what the mapping makes of the source; and the way back."""

import dataclasses
import tempfile
from pathlib import Path

from reasoning.synthesis.connect import sources
from reasoning.synthesis.dynamite.mapping import Mapping, Options
from reasoning.synthesis.dynamite.migration.flat_rows import flatten_tables
from reasoning.synthesis.dynamite.migration.report import SAMPLES, Report, report_of
from reasoning.synthesis.dynamite.synthesize import synthesize_mapping
from reasoning.synthesis.engines.compile import compile_program, flat_names, table_name
from reasoning.synthesis.engines.duck import connect, quoted
from reasoning.synthesis.errors import need
from reasoning.synthesis.schema import walk

SOURCE, EXPECTED, FOUND, RELATION = "s__", "e__", "f__", "r__"


def verify(
    mapping: Mapping, source: str, target: str, way_back: bool = False, budget: float = 30.0
) -> Report:
    """Read both sides and compare them record by record.

    Args:
      mapping: what should have been done.
      source: path or URL of the data it was done to.
      target: path or URL of what came out.
      way_back: look for a mapping from target to source, and try it.
      budget: seconds for finding that mapping.

    Returns:
      A report on the target as it is; `problems` names records missing, too many, or repeated.

    Raises:
      Refusal: one of the sides cannot be read or does not fit its schema.
    """
    duckdb = need("duckdb")
    with (
        tempfile.TemporaryDirectory() as folder,
        connect(str(Path(folder) / "verify.duckdb")) as base,
    ):
        try:
            sources.load(
                base,
                mapping.source,
                source,
                Path(folder) / "load",
                lambda path: SOURCE + table_name(path),
            )
            sources.load(
                base,
                mapping.target,
                target,
                Path(folder) / "load",
                lambda path: RELATION + table_name(path),
                False,
            )
            flatten_tables(base, mapping.target, RELATION, FOUND)
            queries = compile_program(
                mapping.program,
                mapping.source,
                mapping.target,
                "duckdb",
                lambda path: SOURCE + table_name(path),
            )
            for path, query in queries.items():
                base.execute(f"CREATE TABLE {quoted(EXPECTED + table_name(path))} AS {query}")
            report = report_of(mapping, base, SOURCE, FOUND)
            problems = [
                problem
                for path, _ in walk(mapping.target)
                for problem in differences(base, mapping, path)
            ]
            trip = round_trip(base, mapping, budget) if way_back else report.round_trip
        except duckdb.Error as error:
            raise sources.refusal_of(error, target) from error
    return dataclasses.replace(report, problems=report.problems + problems, round_trip=trip)


def differences(base, mapping: Mapping, path: str) -> list[str]:
    """Sentences on records of one collection that are missing, too many or repeated."""
    names = flat_names(mapping.target, path)
    cells = ", ".join(map(quoted, names))
    expected, found = (
        f"SELECT {cells} FROM {quoted(side + table_name(path))}" for side in (EXPECTED, FOUND)
    )
    sentences = []
    for one, other, what in ((expected, found, "missing"), (found, expected, "too many")):
        number = base.execute(f"SELECT count(*) FROM ({one} EXCEPT {other})").fetchone()[0]
        if number:
            rows = base.execute(f"{one} EXCEPT {other} ORDER BY ALL LIMIT {SAMPLES}").fetchall()
            shown = ", ".join(
                f"{name} = {value!r}" for name, value in zip(names, rows[0], strict=True)
            )
            sentences.append(f"{path}: {number:,} records {what}, for example {shown}")
    count = (
        f"SELECT (SELECT count(*) FROM ({found})) - (SELECT count(*) FROM (SELECT DISTINCT * "
        f"FROM ({found})))"
    )
    if repeated := base.execute(count).fetchone()[0]:
        sentences.append(f"{path}: {repeated:,} records repeat another")
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
        back.program, back.source, back.target, "duckdb", lambda path: RELATION + table_name(path)
    )
    flatten_tables(base, mapping.source, SOURCE, "o__")
    lost = []
    for path, query in queries.items():
        original = f"SELECT * FROM {quoted('o__' + table_name(path))}"
        number = base.execute(
            f"SELECT count(*) FROM (({original} EXCEPT ({query})) UNION ALL (({query}) EXCEPT "
            f"{original}))"
        ).fetchone()[0]
        lost += [f"{number:,} records of {path}"] if number else []
    return f"differs in {', '.join(lost)}" if lost else "the source came back whole"
