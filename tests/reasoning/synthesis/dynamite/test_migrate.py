"""Whole migrations on real files: into every kind of target and back, stopped anywhere and resumed,
and refused at the door.
"""

import json
import random
import sqlite3
import subprocess
import sys
import tracemalloc
from dataclasses import replace

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
import duckdb

from benchmarks.dynamite_scenarios import SCENARIOS
from reasoning.synthesis.connect import sinks, sources, sqlite_sink
from reasoning.synthesis.connect.sources import records
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration import nesting
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.dynamite.migration.verify import verify
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.facts import flatten, to_facts
from reasoning.synthesis.infer import infer_schema
from reasoning.synthesis.syntax import parse_program


def scenario(name):
    return next(one for one in SCENARIOS if one.name == name)


def prepared(name, folder, size=12):
    """A mapping with the golden program, and a source file."""
    one = scenario(name)
    data = one.generate(random.Random(1), size)
    (folder / "source.json").write_text(json.dumps(data))
    return (
        Mapping(one.source, one.target, one.golden, (one.example(),)),
        str(folder / "source.json"),
        one.answer(data),
    )


def same(schema, url, expected):
    """Whether what was written is the instance expected, read record by record without DuckDB where
    that can be.
    """
    found = {}
    for name, record in records(schema, url):
        found.setdefault(name, []).extend([] if record is None else [record])
    one, other = (flatten(schema, to_facts(schema, data)) for data in (found, expected))
    return all(sorted(one[path], key=repr) == sorted(other[path], key=repr) for path in other)


@pytest.mark.parametrize("engine", ["duckdb", "sqlite", "memory"])
@pytest.mark.parametrize(
    "name, target",
    [
        ("films doc-rel", "out.db"),
        ("rentals rel-doc", "out.json"),
        ("clubs graph-doc", "out"),
        ("law rel-graph", "out.json"),
    ],
)
def test_every_engine_writes_what_the_golden_program_means(name, target, engine, tmp_path):
    mapping, source, expected = prepared(name, tmp_path)
    report = migrate(Plan(mapping, source, str(tmp_path / target), engine=engine, chunk=5))
    assert report.problems == [] and report.rows_written == sum(map(len, expected.values()))
    assert same(mapping.target, str(tmp_path / target), expected)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["source.json", target])


@pytest.mark.parametrize(
    "target", ["out.duckdb", "csv:///{}/out", "parquet:///{}/out", "jsonl:///{}/out"]
)
def test_files_of_every_kind_hold_the_same(target, tmp_path):
    mapping, source, _ = prepared("docks rel-graph", tmp_path)
    url = target.format(tmp_path) if "://" in target else str(tmp_path / target)
    migrate(Plan(mapping, source, url, chunk=4))
    assert verify(mapping, source, url).problems == []


@pytest.mark.parametrize("name", ["rentals rel-doc", "clubs graph-doc"])
def test_documents_put_together_in_buckets_are_the_same(name, tmp_path, monkeypatch):
    monkeypatch.setattr(nesting, "BUCKET", 3)
    mapping, source, expected = prepared(name, tmp_path)
    migrate(Plan(mapping, source, str(tmp_path / "out"), memory="500MB"))
    assert same(mapping.target, str(tmp_path / "out"), expected)


def test_null_and_empty_text_stay_apart_in_csv(tmp_path):
    data = {
        "r": [
            {"k": 1, "v": ""},
            {"k": 2, "v": None},
            {"k": 3, "v": 'a,"b\nc'},
            {"k": 4, "v": "null"},
        ]
    }
    schema = infer_schema(data)
    (tmp_path / "s.json").write_text(json.dumps(data))
    mapping = Mapping(schema, schema, parse_program("r(k, v) :- r(k, v)."))
    migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "out")))
    with duckdb.connect() as base:
        sources.load(base, schema, str(tmp_path / "out"), tmp_path / "t")
        assert base.execute("SELECT c_k, c_v FROM t_r ORDER BY c_k").fetchall() == [
            (1, ""),
            (2, None),
            (3, 'a,"b\nc'),
            (4, "null"),
        ]


def test_parents_without_children_are_kept_and_flagged_on_request(tmp_path):
    mapping, source, _ = prepared("rentals rel-doc", tmp_path)
    data = json.loads((tmp_path / "source.json").read_text())
    data["host"].append({"hid": 1, "hname": None})
    (tmp_path / "source.json").write_text(json.dumps(data))
    expected = scenario("rentals rel-doc").answer(data)
    report = migrate(Plan(mapping, source, str(tmp_path / "out.json"), childless="flag"))
    childless = sum(not host["listings"] for host in expected["host"])
    empty = sum(not listing["reviews"] for host in expected["host"] for listing in host["listings"])
    assert childless and empty
    assert report.childless["host?listings"]["count"] == childless
    assert report.childless["host?listings?reviews"]["count"] == empty


def test_the_report_counts_what_no_rule_uses(tmp_path):
    data = {"a": [{"x": 1, "y": 5}, {"x": 2, "y": 6}, {"x": None, "y": 7}], "b": [{"x": 1, "z": 1}]}
    target = infer_schema({"t": [{"y": 5}]})
    (tmp_path / "s.json").write_text(json.dumps(data))
    mapping = Mapping(infer_schema(data), target, parse_program("t(y) :- a(x, y), b(x, _)."))
    report = migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "out")))
    assert report.dropped == {"a": {"count": 2, "samples": [{"x": 2, "y": 6}, {"x": None, "y": 7}]}}
    assert report.unmapped == ["b.z"]
    (check,) = report.checksums
    assert (check["source_distinct"], check["target_distinct"], check["agree"]) == (3, 1, False)


def test_a_repeated_key_and_a_null_are_problems(tmp_path):
    data = {"a": [{"x": 1, "y": 5}, {"x": 1, "y": 6}, {"x": 2, "y": None}]}
    target = parse_schema(
        {
            "kind": "relational",
            "collections": {"t": {"key": ["x"], "fields": {"x": "int!", "y": "int!"}}},
        }
    )
    (tmp_path / "s.json").write_text(json.dumps(data))
    mapping = Mapping(infer_schema(data), target, parse_program("t(x, y) :- a(x, y)."))
    problems = migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "out"))).problems
    assert [p.split(",")[0] for p in problems] == [
        "t: the key (x) repeats",
        "t.y is NULL in 1 records",
    ]


PARENTS = (
    "r(k, _r) :- r(k, _), _r = id(k).\nr(k, _r), r?l(_r, x) :- r(k, s), r?l(s, x), _r = id(k)."
)


class Stop(Exception):
    """The power fails."""


@pytest.mark.parametrize(
    "name, target",
    [("films doc-rel", "out.db"), ("clubs graph-doc", "out"), ("venues doc-graph", "out.duckdb")],
)
@pytest.mark.parametrize("when", [0, 1, 3])
def test_a_run_stopped_anywhere_goes_on_and_loses_nothing(
    name, target, when, tmp_path, monkeypatch
):
    mapping, source, expected = prepared(name, tmp_path)
    plan = Plan(mapping, source, str(tmp_path / target), chunk=3)
    kind = sqlite_sink.SqliteSink if target.endswith(".db") else sinks.PartsSink
    write, count = kind.write, [0]

    def failing(self, *arguments):
        count[0] += 1
        if count[0] > when:
            raise Stop
        return write(self, *arguments)

    monkeypatch.setattr(kind, "write", failing)
    with pytest.raises(Stop):
        migrate(plan)
    monkeypatch.setattr(kind, "write", write)
    assert not (tmp_path / target).exists()
    with pytest.raises(UserError, match="unfinished run: --resume"):
        migrate(plan)
    report = migrate(Plan(mapping, source, str(tmp_path / target), chunk=3, resume=True))
    total = sum(map(len, expected.values()))
    assert total - 3 * when <= report.rows_written <= total - when
    assert verify(mapping, source, str(tmp_path / target)).problems == []


def test_a_run_of_a_changed_source_is_not_resumed(tmp_path, monkeypatch):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    plan = Plan(mapping, source, str(tmp_path / "out"), resume=True)
    monkeypatch.setattr(sinks.PartsSink, "finish", lambda *_: (_ for _ in ()).throw(Stop()))
    with pytest.raises(Stop):
        migrate(plan)
    (tmp_path / "source.json").write_text((tmp_path / "source.json").read_text() + "\n")
    with pytest.raises(UserError, match="a source that has changed"):
        migrate(plan)


def test_a_target_that_is_there_is_left_alone(tmp_path):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("precious")
    with pytest.raises(UserError, match="is there already"):
        migrate(Plan(mapping, source, str(tmp_path / "out")))
    assert (tmp_path / "out" / "mine").read_text() == "precious"
    with pytest.raises(UserError, match="holds 'mine', which no migration wrote"):
        migrate(Plan(mapping, source, str(tmp_path / "out"), overwrite=True))
    assert (tmp_path / "out" / "mine").read_text() == "precious"
    (tmp_path / "out" / "mine").unlink()
    for _ in range(2):
        migrate(Plan(mapping, source, str(tmp_path / "out"), overwrite=True))
    assert verify(mapping, source, str(tmp_path / "out")).problems == []
    with pytest.raises(UserError, match="is a folder and a file is to be written"):
        (tmp_path / "x.db").mkdir()
        migrate(Plan(mapping, source, str(tmp_path / "x.db"), overwrite=True))
    with pytest.raises(UserError, match="is a file and a folder is to be written"):
        (tmp_path / "x").touch()
        migrate(Plan(mapping, source, str(tmp_path / "x"), overwrite=True))


@pytest.mark.parametrize(
    "source, target", [("s.json", "s.json"), ("in", "in"), ("in", "."), ("in", "in/r.csv")]
)
def test_a_target_that_would_destroy_the_source_is_refused(source, target, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "r.csv").write_text("k\n1\n")
    (tmp_path / "s.json").write_text('{"r": [{"k": 1}]}')
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    schema = infer_schema({"r": [{"k": 1}]})
    with pytest.raises(UserError):
        migrate(
            Plan(
                Mapping(schema, schema, parse_program("r(k) :- r(k).")),
                source,
                target,
                overwrite=True,
            )
        )
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_source_is_never_touched(tmp_path):
    one = scenario("law rel-doc")
    data = one.generate(random.Random(2), 5)
    base = sqlite3.connect(tmp_path / "s.db")
    for collection in one.source.collections:
        base.execute(sqlite_sink.create_table(collection, f'"{collection.name}"'))
        names = [attr.name for attr in collection.attrs]
        base.executemany(
            f'INSERT INTO "{collection.name}" VALUES ({", ".join("?" for _ in names)})',
            [[record.get(name) for name in names] for record in data[collection.name]],
        )
    base.commit()
    base.close()
    before = (tmp_path / "s.db").read_bytes()
    mapping = Mapping(one.source, one.target, one.golden)
    migrate(Plan(mapping, f"sqlite:///{tmp_path}/s.db", str(tmp_path / "out.json")))
    assert same(one.target, str(tmp_path / "out.json"), one.answer(data))
    assert (tmp_path / "s.db").read_bytes() == before


def test_a_run_that_wrote_nothing_goes_on_with_a_mended_source(tmp_path, monkeypatch):
    schema = infer_schema({"r": [{"k": 1}]})
    mapping, source = Mapping(schema, schema, parse_program("r(k) :- r(k).")), tmp_path / "s.json"
    source.write_text('{"r": [{"k": "one"}]}')
    plan = Plan(mapping, str(source), str(tmp_path / "out"))
    with pytest.raises(UserError, match="is no int"):
        migrate(plan)
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]
    source.write_text('{"r": [{"k": 1}]}')
    monkeypatch.setattr(sinks.PartsSink, "write", lambda *_: (_ for _ in ()).throw(Stop()))
    with pytest.raises(Stop):
        migrate(plan)
    monkeypatch.undo()
    source.write_text('{"r": [{"k": 1}, {"k": 2}]}')
    assert migrate(replace(plan, resume=True)).target_rows == {"r": 2}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "s.json"]


def test_from_duckdb(tmp_path):
    schema = infer_schema({"r": [{"k": 1, "l": [{"x": "a"}]}]})
    mapping = Mapping(schema, schema, parse_program(PARENTS))
    with duckdb.connect(str(tmp_path / "s.duckdb")) as base:
        base.execute("CREATE TABLE r AS SELECT 1 AS k, [{'x': 'a'}, {'x': 'b'}] AS l")
    migrate(Plan(mapping, str(tmp_path / "s.duckdb"), str(tmp_path / "out.json")))
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "r": [{"k": 1, "l": [{"x": "a"}, {"x": "b"}]}]
    }
    for query, complaint in (
        ("1.5 AS k, l", "k is DECIMAL"),
        ("k", "no column 'l'"),
        ("k, ['a'] AS l", "not a list of records"),
    ):
        with duckdb.connect(str(tmp_path / "s.duckdb")) as base:
            base.execute(f"CREATE OR REPLACE TABLE q AS SELECT {query} FROM r")
            base.execute("ALTER TABLE r RENAME TO o; ALTER TABLE q RENAME TO r")
        with pytest.raises(UserError, match=complaint):
            migrate(Plan(mapping, str(tmp_path / "s.duckdb"), str(tmp_path / "x.json")))
        with duckdb.connect(str(tmp_path / "s.duckdb")) as base:
            base.execute("DROP TABLE r; ALTER TABLE o RENAME TO r")


def test_names_with_quotes_are_no_trouble(tmp_path):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    for target in ("o'x.duckdb", "o'x", f"parquet://{tmp_path}/o'y"):
        url = target if "://" in target else str(tmp_path / target)
        migrate(Plan(mapping, source, url, chunk=4))
        assert verify(mapping, source, url).problems == []


def test_a_chunk_of_nothing_is_refused(tmp_path):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    with pytest.raises(UserError, match="chunk is 0"):
        migrate(Plan(mapping, source, str(tmp_path / "out"), chunk=0))
    with pytest.raises(UserError, match="the memory is 'lots'"):
        migrate(Plan(mapping, source, str(tmp_path / "out"), memory="lots"))


def test_verify_names_repeated_keys_and_nulls_of_a_target(tmp_path):
    schema = parse_schema(
        {
            "kind": "relational",
            "collections": {"t": {"key": ["x"], "fields": {"x": "int!", "y": "int!"}}},
        }
    )
    (tmp_path / "s.json").write_text('{"t": [{"x": 1, "y": 2}]}')
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "t.csv").write_text("x,y\n1,2\n1,\n")
    mapping = Mapping(schema, schema, parse_program("t(x, y) :- t(x, y)."))
    problems = verify(mapping, str(tmp_path / "s.json"), str(tmp_path / "out")).problems
    assert [p.split(",")[0] for p in problems] == [
        "t: the key (x) repeats",
        "t.y is NULL in 1 records",
        "t: 1 records too many",
    ]


def test_a_full_disk_is_told_and_can_be_resumed(tmp_path, monkeypatch):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    full = OSError(28, "No space left on device")
    monkeypatch.setattr(sinks.PartsSink, "_assemble", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(UserError, match="no space is left to write .* --resume"):
        migrate(Plan(mapping, source, str(tmp_path / "out")))
    monkeypatch.undo()
    migrate(Plan(mapping, source, str(tmp_path / "out"), resume=True))
    assert verify(mapping, source, str(tmp_path / "out")).problems == []


def test_verify_sees_what_is_missing_changed_or_repeated(tmp_path):
    mapping, source, _ = prepared("films doc-rel", tmp_path)
    migrate(Plan(mapping, source, str(tmp_path / "out.db")))
    base = sqlite3.connect(tmp_path / "out.db")
    base.execute("DELETE FROM Actor WHERE rowid = 1")
    base.execute("UPDATE Award SET won = NOT won WHERE rowid = 1")
    base.execute("INSERT INTO Genre SELECT * FROM Genre LIMIT 1")
    base.commit()
    base.close()
    problems = verify(mapping, source, str(tmp_path / "out.db")).problems
    assert [problem.split(",")[0] for problem in problems] == [
        "Genre: 1 records too many",
        "Actor: 1 records missing",
        "Award: 1 records missing",
        "Award: 1 records too many",
    ]


def test_a_round_trip_is_tried_where_there_is_a_way_back(tmp_path):
    data = {"a": [{"x": 1, "y": "p"}, {"x": 2, "y": "q"}]}
    example = {"b": [{"u": "p", "v": 1}, {"u": "q", "v": 2}]}
    mapping = Mapping(
        infer_schema(data),
        infer_schema(example),
        parse_program("b(y, x) :- a(x, y)."),
        ((data, example),),
    )
    (tmp_path / "s.json").write_text(json.dumps({"a": [*data["a"], {"x": 3, "y": "r"}]}))
    migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "out")))
    assert (
        verify(mapping, str(tmp_path / "s.json"), str(tmp_path / "out"), way_back=True).round_trip
        == "the source came back whole"
    )
    lossy = Mapping(
        infer_schema(data),
        infer_schema({"b": [{"v": 1}]}),
        parse_program("b(x) :- a(x, _)."),
        ((data, {"b": [{"v": 1}, {"v": 2}]}),),
    )
    migrate(Plan(lossy, str(tmp_path / "s.json"), str(tmp_path / "less")))
    assert (
        "impossible"
        in verify(lossy, str(tmp_path / "s.json"), str(tmp_path / "less"), way_back=True).round_trip
    )


def test_cypher_is_written_nodes_first(tmp_path):
    mapping, source, expected = prepared("venues doc-graph", tmp_path)
    migrate(Plan(mapping, source, str(tmp_path / "g.cypher")))
    lines = (tmp_path / "g.cypher").read_text().splitlines()
    kinds = [line.split(" ")[0] for line in lines]
    assert kinds == sorted(kinds) and kinds.count("CREATE") == len(expected["Place"]) + len(
        expected["Guest"]
    )
    assert any(
        line.startswith("MATCH (a:`Guest` {_id: ") and ":`VISITED` " in line for line in lines
    )


@pytest.mark.parametrize(
    "source, target, complaint",
    [
        ("none.json", "out", "is not there"),
        ("source.json", "ftp://x/y", "ftp:// is none of"),
        ("source.json", "mongodb://x/y", "mongodb:// is none of"),
    ],
)
def test_what_cannot_be_is_refused(source, target, complaint, tmp_path):
    mapping, _, _ = prepared("films doc-rel", tmp_path)
    target = target if "://" in target else str(tmp_path / target)
    with pytest.raises(UserError, match=complaint):
        migrate(Plan(mapping, str(tmp_path / source), target))


def test_documents_do_not_go_into_sqlite(tmp_path):
    mapping, source, _ = prepared("rentals rel-doc", tmp_path)
    with pytest.raises(UserError, match="SQLite holds tables"):
        migrate(Plan(mapping, source, str(tmp_path / "out.db")))


MEASURE = """
import pathlib, resource, sys, duckdb
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.syntax import parse_program
parents, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
key, word = {"k": "int!", "v": "str"}, {"i": "int!", "w": "str"}
source = parse_schema({"kind": "relational", "collections": {
    "p": {"key": ["k"], "fields": key}, "c": {"fields": {"k": "int!", **word}}}})
target = parse_schema({"collections": {"d": {"fields": key | {"l": {"fields": word}}}}})
program = parse_program('''d(k, v, _d) :- p(k, v), _d = id(k, v).
    d(k, v, _d), d?l(_d, i, w) :- p(k, v), c(k, i, w), _d = id(k, v).''')
with duckdb.connect(config={"memory_limit": "60MB",
  "temp_directory": str(folder / "spill")}) as base:
    base.execute("SET enable_progress_bar = false")
    base.execute("COPY (SELECT i AS k, 'parent ' || i AS v "
      f"FROM range({parents}) r(i)) TO '{folder}/p.parquet'")
    base.execute("COPY (SELECT i // 2 AS k, i, 'child ' || i AS w "
      f"FROM range({2 * parents}) r(i)) TO '{folder}/c.parquet'")
report = migrate(Plan(Mapping(source, target, program), str(folder), str(folder / "out"),
  memory="160MB", chunk=100_000))
assert report.target_rows == {"d": parents, "d?l": 2 * parents} and not report.problems, report
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_only_a_range_of_documents_is_held_at_a_time(tmp_path):
    source, target = (
        parse_schema(
            {"collections": {name: {"fields": {"k": "int", "l": {"fields": {"w": "str"}}}}}}
        )
        for name in "sd"
    )
    rule = "d(k, i), d?l(i, w) :- s(k, a), s?l(a, w), i = id(k)."
    mapping = Mapping(source, target, parse_program("d(k, i) :- s(k, _), i = id(k).\n" + rule))
    peaks: dict[int, int] = {}
    (tmp_path / "s.json").write_text('{"s": []}')
    migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "o")))
    for number in (300, 2_400):
        records = [{"k": k, "l": [{"w": f"word {k}"}] * 2} for k in range(number)]
        (tmp_path / "s.json").write_text(json.dumps({"s": records}))
        plan = Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "o"), chunk=300)
        del records
        tracemalloc.start()
        try:
            migrate(replace(plan, overwrite=True))
            peaks[number] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    # Held all at once they would be 2 MB more.
    assert peaks[2_400] < peaks[300] + 1_000_000, peaks


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_documents(tmp_path):
    """Above the interpreter and what DuckDB may hold stands a part that is the same for ten times
    as many documents.
    """
    peaks = {}
    for parents in (100_000, 1_000_000):
        folder = tmp_path / str(parents)
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(parents), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        peaks[parents] = int(done.stdout)
    assert peaks[1_000_000] < peaks[100_000] + 120, peaks
