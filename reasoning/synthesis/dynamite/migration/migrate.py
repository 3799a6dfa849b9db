"""Run a mapping on all the data: load, apply the rules, nest, write in ranges, rename; each step
once, also after a crash.
"""

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxrl.app.lock import locked
from reasoning.synthesis.connect import sources
from reasoning.synthesis.connect.places import SERVERS, kind_of, path_of
from reasoning.synthesis.connect.postgres_sink import PostgresSink
from reasoning.synthesis.connect.sinks import Sink, check_target, open_sink
from reasoning.synthesis.connect.sqlite_sink import cells
from reasoning.synthesis.connect.unread import Unread
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration.flat_rows import load_flat
from reasoning.synthesis.dynamite.migration.nesting import FINAL, FLAT, nest
from reasoning.synthesis.dynamite.migration.report import (
    SAMPLES,
    Report,
    note_unread,
    repeated_keys,
    report_of,
    takes_all,
)
from reasoning.synthesis.dynamite.migration.since import (
    copy_old,
    read_marks,
    subtract_old,
    write_marks,
)
from reasoning.synthesis.engines import memory, sqlite
from reasoning.synthesis.engines.compile import Output, compile_program, key_names
from reasoning.synthesis.engines.duck import confine, connect
from reasoning.synthesis.engines.identity import needed_rules
from reasoning.synthesis.errors import UserError, need, writing
from reasoning.synthesis.names import masked, quoted, table_name, text
from reasoning.synthesis.schema import NEST, Collection, find, is_edge, walk

Engine = Literal["duckdb", "sqlite", "memory"]
CHUNK = 1_000_000
"""Rows written in one range, each range a point to resume from."""
WRITTEN = "written"
"""A file in the folder of a run: there as soon as the target has its first range."""
NEW = "new__"
"""Prefix of the names of finished tables that hold only what high-water marks leave."""
SOURCE = "s__"
"""Prefix of the names of the source's tables; those of the target have the prefixes of
`nesting.py`.
"""


@dataclass(frozen=True)
class Plan:
    """Plan of what `migrate` is asked to do."""

    mapping: Mapping
    """The rules and schemas."""
    source: str
    """Path or URL of the data; opened for reading only."""
    target: str
    """Path or URL of the target to make."""
    engine: Engine = "duckdb"
    """The engine that applies the rules; "sqlite" and "memory" hold all data in memory."""
    resume: bool = False
    """Continue an unfinished run."""
    overwrite: bool = False
    """Replace a target that is there, and forget an unfinished run."""
    childless: Literal["keep", "flag"] = "keep"
    """Parents without children are kept; "flag" lists them in the report as well."""
    chunk: int = CHUNK
    """Rows in one range."""
    memory: str | None = None
    """The most that DuckDB may hold, e.g. "2GB"; None: most of the machine's memory. Beyond that it
    uses the disk.
    """
    work: Path | None = None
    """Folder for what is unfinished; None: next to the target."""
    dry_run: bool = False
    """Write no target: count, and show what would be refused."""
    since: tuple[str, ...] = ()
    """COLLECTION.ATTRIBUTE=VALUE of the source: carry over only what records above it add."""
    marks: Path | None = None
    """A file of such values: read if it is there, written after the run."""
    unread: Literal["list", "refuse"] = "list"
    """Fields and columns of the source that its schema does not name are listed; "refuse": they end
    the run before anything is written.
    """

    @property
    def incremental(self) -> bool:
        """True if only records above marks are carried over."""
        return bool(self.since or self.marks)


def migrate(plan: Plan, progress: Callable[[str], None] = lambda line: None) -> Report:
    """Carry all data over, and report.

    Args:
      plan: see `Plan`.
      progress: gets a line after each range, with the rate.

    Returns:
      The report of `report.report_of`: counts, dropped rows, keys, nulls, checksums, unmapped
      columns.

    Raises:
      UserError: the source cannot be read or does not fit; the target is there; an unfinished run
        is there and neither `resume` nor `overwrite` is given; no space. What is written stays for
        `resume`.
    """
    need("duckdb")
    _check(plan)
    if plan.dry_run:
        return _dry_run(plan)
    work = _work_path(plan)
    with writing(work):
        work.parent.mkdir(parents=True, exist_ok=True)
    # Held until the end: a second run on this target, --overwrite too, is refused by our number.
    with locked(work.with_name(work.name + ".lock"), masked(plan.target)):
        return _migrate(plan, progress)


def _work_path(plan: Plan) -> Path:
    """The folder of a run, next to its target."""
    if plan.work:
        return plan.work
    server = kind_of(plan.target) in SERVERS
    near = Path("postgres-target").resolve() if server else path_of(plan.target).resolve()
    return near.with_name(near.name + ".partial")


def _migrate(plan: Plan, progress: Callable[[str], None]) -> Report:
    duckdb = need("duckdb")
    work, fresh = _work_folder(plan)
    started, worked, loaded = time.monotonic(), time.process_time(), False
    try:
        sink = open_sink(plan.mapping.target, plan.target, work, plan.overwrite)
        if isinstance(sink, PostgresSink) and fresh:
            sink.reset()
        with connect(str(work / "work.duckdb")) as base:
            base.execute(f"SET temp_directory = {text(str(work / 'spill'))}")
            _limit(base, plan.memory)
            confine(base, [work], plan.source)
            steps = _Steps(base)
            _load(plan, base, steps, work)
            loaded = True
            _transform(plan, base, steps, work)
            _check_keys(plan, base)
            new = _only_new(plan, base, steps, work)
            written, lost = _write(plan, base, sink, progress, work / WRITTEN)
            seconds = time.monotonic() - started, time.process_time() - worked
            report = report_of(plan.mapping, base, SOURCE, FLAT, plan.childless == "flag")
            report.lost.extend(lost)
            note_unread(report, plan.mapping, Unread.stored(base))
            report.new.update(new)
            sink.finish(base)
            if plan.marks:
                marks = read_marks(plan.mapping.source, plan.since, plan.marks)
                write_marks(base, marks, _source_table, plan.marks)
    except (duckdb.Error, UserError) as error:
        if fresh and not loaded:
            shutil.rmtree(work)
        raise (
            error
            if isinstance(error, UserError)
            else sources.refusal_of(error, masked(plan.target))
        ) from error
    shutil.rmtree(work)
    return report.timed(written, *seconds)


def _dry_run(plan: Plan) -> Report:
    """Load, apply the rules and report, in a folder that is removed."""
    with tempfile.TemporaryDirectory() as folder, connect(str(Path(folder) / "dry.duckdb")) as base:
        work = Path(folder)
        _limit(base, plan.memory)
        confine(base, [work], plan.source)
        steps = _Steps(base)
        try:
            _load(plan, base, steps, work)
            _transform(plan, base, steps, work)
            report = report_of(plan.mapping, base, SOURCE, FLAT, plan.childless == "flag")
            note_unread(report, plan.mapping, Unread.stored(base))
            report.new.update(_only_new(plan, base, steps, work))
            for top in plan.mapping.target.collections:
                names = [field.name for field in [*top.attrs, *top.children]]
                listed = ", ".join(cells(top))
                rows = base.execute(f"SELECT {listed} FROM {_made(plan, top)} LIMIT {SAMPLES}")
                report.first[top.name] = [
                    dict(zip(names, row, strict=True)) for row in rows.fetchall()
                ]
        except need("duckdb").Error as error:
            raise sources.refusal_of(error, masked(plan.source)) from error
    return report


def _load(plan: Plan, base, steps: "_Steps", work: Path):
    def load():
        unread = sources.load(base, plan.mapping.source, plan.source, work / "load", _source_table)
        if unread.found and plan.unread == "refuse":
            raise UserError(
                f"{masked(plan.source)}: not read: {unread.sentences()[0]}: add it to the schema, "
                "or leave --unread refuse out"
            )
        unread.store(base)

    steps.once("load", load)


def _made(plan: Plan, top: Collection) -> str:
    """The quoted table of a finished top-level collection: what is written."""
    name = (FINAL if top.children else FLAT) + table_name(top.name)
    return quoted((NEW if plan.incremental else "") + name)


def _only_new(plan: Plan, base, steps: "_Steps", work: Path) -> dict[str, int]:
    """The records that those up to the marks do not make; their numbers."""
    if not plan.incremental:
        return {}
    schema, target = plan.mapping.source, plan.mapping.target
    marks = read_marks(schema, plan.since, plan.marks)
    old = work / "old.duckdb"
    # By hand: a file that is attached cannot be written in one transaction with the first.
    if not steps.done("old"):
        old.unlink(missing_ok=True)
        copy_old(base, schema, marks, _source_table, old)
        with connect(str(old)) as before:
            confine(before, [work], plan.source)
            _transform(plan, before, _Steps(before), work)
        subtract_old(base, target, NEW, old)
        steps.note("old")
    return {
        top.name: base.execute(f"SELECT count(*) FROM {_made(plan, top)}").fetchone()[0]
        for top in target.collections
    }


def _check(plan: Plan):
    """Refuse what cannot be, before anything is written: above all a target whose writing would
    destroy the source.
    """
    if plan.chunk < 1:
        raise UserError(f"the chunk is {plan.chunk} rows: give at least 1")
    check_target(plan.mapping.target, plan.target, plan.overwrite)
    if kind_of(plan.source) in SERVERS or kind_of(plan.target) in SERVERS:
        names = {c.name for c in plan.mapping.source.collections} & {
            c.name for c in plan.mapping.target.collections
        }
        clash = plan.source == plan.target and bool(names)
    else:
        source, target = path_of(plan.source).resolve(), path_of(plan.target).resolve()
        clash = (
            target == source
            or target in source.parents
            or (source in target.parents and target.exists())
        )
    if clash:
        raise UserError(
            f"{masked(plan.target)} is, or holds, the source, which would be replaced: choose "
            "another target"
        )


def _work_folder(plan: Plan) -> tuple[Path, bool]:
    """The folder of this run, and whether it is new. A run of another mapping or source is never
    resumed; one that wrote nothing yet is begun anew.
    """
    work = _work_path(plan)
    mark = work / "plan"
    said = _fingerprint(plan)
    with writing(work):
        if work.exists() and plan.overwrite and not plan.resume:
            shutil.rmtree(work)
        if work.exists() and not plan.resume:
            raise UserError(
                f"{work} holds an unfinished run: --resume continues it, --overwrite begins anew"
            )
        if work.exists() and (not mark.exists() or mark.read_text() != said):
            if (work / WRITTEN).exists() or not mark.exists():
                raise UserError(
                    f"{work} holds a run of another mapping or of a source that has changed: "
                    "--overwrite begins anew"
                )
            shutil.rmtree(work)
        fresh = not work.exists()
        work.mkdir(parents=True, exist_ok=True)
        mark.write_text(said)
    return work, fresh


def _fingerprint(plan: Plan) -> str:
    said = [
        plan.mapping.datalog,
        plan.source,
        plan.target,
        plan.engine,
        repr(
            (plan.since, plan.marks, plan.marks and plan.marks.exists() and plan.marks.read_text())
        ),
        repr(plan.mapping.source),
        repr(plan.mapping.target),
    ]
    place = path_of(plan.source) if kind_of(plan.source) not in SERVERS else None
    names = {c.name for c in plan.mapping.source.collections}
    files = (
        sorted(f for f in place.iterdir() if f.stem in names)
        if place and place.is_dir()
        else [place]
        if place
        else []
    )
    said += [
        f"{file} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in files if file.exists()
    ]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _source_table(path: str) -> str:
    return SOURCE + table_name(path)


def _limit(base, most: str | None):
    if most:
        try:
            base.execute("SET memory_limit = ?", [most])
        except need("duckdb").Error as error:
            raise UserError(
                f"the memory is {most!r}, which is no size: give one such as 2GB"
            ) from error


class _Steps:
    """Steps that are done, kept in the same database and the same transaction as what they made."""

    def __init__(self, base):
        self.base = base
        base.execute("CREATE TABLE IF NOT EXISTS steps (name TEXT)")

    def done(self, name: str) -> bool:
        """Test whether a step was done."""
        found = self.base.execute("SELECT 1 FROM steps WHERE name = ?", [name]).fetchone()
        return found is not None

    def note(self, name: str):
        """Write down a step that was done."""
        self.base.execute("INSERT INTO steps VALUES (?)", [name])

    def once(self, name: str, do: Callable[[], Any]):
        """Do it, unless it was done."""
        if self.done(name):
            return
        self.base.begin()
        try:
            do()
            self.note(name)
            self.base.commit()
        except BaseException:
            self.base.rollback()
            raise


def _transform(plan: Plan, base, steps: _Steps, work: Path):
    """Flattened target tables, nested target tables."""
    mapping = plan.mapping
    keys = {
        path: key_names(mapping.program, path, mapping.target) for path, _ in walk(mapping.target)
    }
    if plan.engine == "duckdb":
        for path, query in _queries(mapping).items():
            steps.once(
                f"rule {path}", lambda path=path, query=query: _apply(plan, base, path, query)
            )
    else:
        steps.once("rules", lambda: _small_engine(plan, base, work))
    for collection in mapping.target.collections:
        if collection.children:
            nest(base, mapping.target, keys, collection.name, steps.once)


def _apply(plan: Plan, base, path: str, query: str):
    """Compute a flattened target relation. One that only picks columns of a view needs no table:
    its rows keep their numbers.
    """
    rules = needed_rules(plan.mapping.program, path, plan.mapping.target)
    table = quoted(FLAT + table_name(path))
    views = {
        name
        for (name,) in base.execute(
            "SELECT view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    }
    if (
        len(rules) == 1
        and takes_all(rules[0][0])
        and SOURCE + table_name(rules[0][0].body[0].relation) in views
        and not rules[0][0].distinct
    ):
        base.execute(
            f"CREATE VIEW {table} AS SELECT a0.rowid AS rowid, {query.removeprefix('SELECT ')}"
        )
    else:
        base.execute(f"CREATE TABLE {table} AS {query}")


def _small_engine(plan: Plan, base, work: Path):
    """The rules by another engine, for comparison: all facts in memory."""
    mapping = plan.mapping
    facts = sources.facts_of(base, mapping.source, _source_table)
    if plan.engine == "sqlite":
        _compare(mapping, facts)
    load_flat(base, mapping.program, mapping.target, facts, work / "load", FLAT)


def _compare(mapping: Mapping, facts):
    """Refuse to continue if SQLite and the reference engine differ."""
    both = [
        e.bags(mapping.program, mapping.source, mapping.target, facts) for e in (sqlite, memory)
    ]
    if wrong := [path for path in both[0] if both[0][path] != both[1][path]]:
        raise UserError(f"{wrong[0]}: SQLite and the reference engine differ: please report it")


def _queries(mapping: Mapping) -> dict[str, str]:
    """A query for each flattened table: identities where something is nested, and an order that
    does not change where the engine keeps none.
    """
    nested = Output(_source_table, keys=True)
    found = compile_program(mapping.program, mapping.source, mapping.target, "duckdb", nested)
    plain = compile_program(
        mapping.program, mapping.source, mapping.target, "duckdb", Output(_source_table)
    )
    for path in found:
        keys = key_names(mapping.program, path, mapping.target)
        flat = NEST not in path and not find(mapping.target, path).children
        rules = needed_rules(mapping.program, path, mapping.target)
        if len(rules) == 1 and len(rules[0][0].body) == 1 and not rules[0][0].distinct:
            # A scan keeps the order of the source by itself.
            found[path] = plain[path] if flat else found[path]
        elif keys and keys[-1]:
            found[path] = f"SELECT * FROM ({found[path]}) ORDER BY {keys[-1]}"
        elif keys:
            found[path] = f"SELECT * FROM ({found[path]}) ORDER BY ALL"
    return found


def _check_keys(plan: Plan, base):
    """Refuse records that repeat a key, naming two, where the target would refuse them one by
    one.
    """
    if kind_of(plan.target) in ("sqlite", *SERVERS):
        for problem in repeated_keys(plan.mapping, base, FLAT):
            raise UserError(f"{problem}: fix the data, or take the key out of the target's schema")


def _write(plan: Plan, base, sink: Sink, progress, mark: Path) -> tuple[int, list[str]]:
    """Write every top-level collection in ranges; returns the rows written this time, and sentences
    on those that did not arrive.
    """
    written, lost, started = 0, [], time.monotonic()
    # Nodes before edges: a graph database makes no edge whose nodes are not there.
    for collection in sorted(plan.mapping.target.collections, key=is_edge):
        table = _made(plan, collection)
        total = base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        start = sink.done(collection.name)
        while start < total or (start == 0 and total == 0):
            stop = min(total, start + plan.chunk)
            arrived = sink.write(base, table, collection.name, start, stop)
            if arrived != stop - start:
                lost.append(
                    f"{collection.name}: {arrived:,} of {stop - start:,} records of a range were "
                    "written: please report this"
                )
            mark.touch()
            written += stop - start
            rate = written / max(time.monotonic() - started, 1e-9)
            progress(f"{collection.name}: {stop:,} of {total:,} rows, {rate:,.0f} rows/s")
            start = stop
            if total == 0:
                break
    return written, lost
