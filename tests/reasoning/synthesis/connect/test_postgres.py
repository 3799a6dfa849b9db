"""A real PostgreSQL server: as a source, as a target that is cut off in the middle, and the SQL
that is printed for it.
"""

import json
import os
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
import psycopg

from benchmarks.dynamite_scenarios import SCENARIOS
from reasoning.synthesis.connect import postgres_sink, sqlite_sink
from reasoning.synthesis.connect.postgres_sink import PostgresSink
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.dynamite.migration.verify import verify
from reasoning.synthesis.engines import memory
from reasoning.synthesis.engines.compile import Output, compile_program
from reasoning.synthesis.errors import ConnectionLost, UserError
from reasoning.synthesis.facts import flatten, to_facts
from reasoning.synthesis.schema import TYPES, flat_columns
from reasoning.synthesis.syntax import parse_program
from tests.reasoning.synthesis.connect.test_values import copying, values_of

pytestmark = pytest.mark.slow
BIN = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own on a Unix socket; run as the user postgres where tests run as root, which
    it refuses.
    """
    if BIN is None:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    folder = Path("/tmp") / f"latentax-postgres-{os.getpid()}"
    folder.mkdir()
    user = None
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        user = "postgres"

    def call(*command):
        return subprocess.run(command, check=True, capture_output=True, cwd="/", user=user)

    try:
        call(str(BIN / "initdb"), "-D", str(folder / "data"), "-A", "trust", "-U", "tester")
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        call(
            str(BIN / "pg_ctl"),
            "-D",
            str(folder / "data"),
            "-o",
            options,
            "-l",
            str(folder / "log"),
            "-w",
            "start",
        )
        yield f"postgresql://tester@/postgres?host={folder}"
        call(str(BIN / "pg_ctl"), "-D", str(folder / "data"), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def empty(server):
    """The server with nothing in it."""
    with psycopg.connect(server) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        staged = "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s"
        for (name,) in connection.execute(staged, [f"{postgres_sink.STAGING}%"]).fetchall():
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')
        connection.execute("CREATE SCHEMA public")
    return server


def fill(url, schema, data):
    with psycopg.connect(url) as connection:
        for collection in schema.collections:
            connection.execute(sqlite_sink.create_table(collection, f'"{collection.name}"'))
            names = [attr.name for attr in collection.attrs]
            rows = [[record.get(name) for name in names] for record in data[collection.name]]
            with connection.cursor() as cursor:
                cursor.executemany(
                    f'INSERT INTO "{collection.name}" VALUES ({", ".join(["%s"] * len(names))})',
                    rows,
                )


RELATIONAL = [one for one in SCENARIOS if one.source.kind == "relational"]


@pytest.mark.parametrize("scenario", RELATIONAL, ids=lambda one: one.name)
def test_printed_sql_gives_what_the_reference_gives(scenario, empty):
    data = scenario.generate(random.Random(3), 8)
    fill(empty, scenario.source, data)
    facts = to_facts(scenario.source, data)
    expected = memory.bags(scenario.golden, scenario.source, scenario.target, facts)
    queries = compile_program(
        scenario.golden, scenario.source, scenario.target, "postgres", Output(str, str)
    )
    nested = Mapping(scenario.source, scenario.target, scenario.golden).to_sql("postgres")
    with psycopg.connect(empty) as connection:
        for path, query in queries.items():
            assert Counter(connection.execute(query).fetchall()) == expected[path], path
        for name, query in nested.items():
            fields = [
                *(top := next(c for c in scenario.target.collections if c.name == name)).attrs,
                *top.children,
            ]
            names = [field.name for field in fields]
            documents = [
                dict(zip(names, row, strict=True)) for row in connection.execute(query).fetchall()
            ]
            one, other = (
                flatten(scenario.target, to_facts(scenario.target, {name: instance}, loose=True))
                for instance in (documents, scenario.answer(data)[name])
            )
            assert {path: set(rows) for path, rows in one.items()} == {
                path: set(rows) for path, rows in other.items()
            }
    assert all(len(flat_columns(scenario.target, path)) for path in queries)


@pytest.mark.parametrize("name", ["law rel-rel", "rentals rel-doc"])
def test_from_postgres_to_files(name, empty, tmp_path):
    scenario = next(one for one in SCENARIOS if one.name == name)
    fill(empty, scenario.source, data := scenario.generate(random.Random(4), 10))
    mapping = Mapping(scenario.source, scenario.target, scenario.golden)
    migrate(Plan(mapping, empty, str(tmp_path / "out")))
    (tmp_path / "s.json").write_text(json.dumps(data))
    assert verify(mapping, str(tmp_path / "s.json"), str(tmp_path / "out")).problems == []


@pytest.mark.parametrize("name", ["films doc-rel", "rentals rel-doc"])
def test_a_lost_connection_is_survived(name, empty, tmp_path, monkeypatch):
    scenario = next(one for one in SCENARIOS if one.name == name)
    (tmp_path / "s.json").write_text(json.dumps(scenario.generate(random.Random(5), 10)))
    mapping = Mapping(scenario.source, scenario.target, scenario.golden)

    def plan(resume):
        return Plan(
            mapping, str(tmp_path / "s.json"), empty, chunk=4, resume=resume, work=tmp_path / "work"
        )

    cell, seen = postgres_sink._cell, [0]

    def cut(value):
        seen[0] += 1
        if seen[0] == 10:
            with psycopg.connect(empty) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> "
                    "pg_backend_pid() AND datname = 'postgres'"
                )
        return cell(value)

    monkeypatch.setattr(postgres_sink, "_cell", cut)
    with pytest.raises(ConnectionLost, match="run the same command with --resume"):
        migrate(plan(False))
    with psycopg.connect(empty) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone() == (0,)
    report = migrate(plan(True))
    assert report.rows_written > 0
    assert verify(mapping, str(tmp_path / "s.json"), empty).problems == []
    with psycopg.connect(empty) as connection:
        assert connection.execute(
            "SELECT count(*) FROM pg_namespace WHERE nspname LIKE %s", [f"{postgres_sink.STAGING}%"]
        ).fetchone() == (0,)
    with pytest.raises(UserError, match="is there already"):
        PostgresSink(scenario.target, empty, overwrite=False)


EXTENDED = """
t(i, after(n, " "), x) :- e(i, n, d), [d(d, x)].
u(i, part(n, "-", 2), table(d, 1, "one", 2, "two")) :- e(i, n!, d).
v(before_last(n, " "), after_last(n, " "), concat(upper(n), "#", i)) :- e(i, n, _).
"""


def test_optional_atoms_and_functions_in_postgres(empty):
    schemas = [
        parse_schema(
            {"kind": "relational", "collections": {k: {"fields": v} for k, v in one.items()}}
        )
        for one in (
            {"e": {"i": "int", "n": "str", "d": "int"}, "d": {"d": "int", "x": "str"}},
            {
                "t": {"a": "int", "b": "str", "c": "str"},
                "u": {"a": "int", "b": "str", "c": "str"},
                "v": {"a": "str", "b": "str", "c": "str"},
            },
        )
    ]
    names = ["Ann Bo Lee", "x-y-z", None, "Cher", ""]
    data = {
        "e": [
            {"i": n % 3, "n": name, "d": d} for n, name in enumerate(names) for d in (1, 9, None)
        ],
        "d": [{"d": 1, "x": "one"}, {"d": 1, "x": "uno"}, {"d": None, "x": "none"}],
    }
    fill(empty, schemas[0], data)
    program = parse_program(EXTENDED.replace("upper(n)", "n"))
    expected = memory.bags(program, *schemas, to_facts(schemas[0], data))
    with psycopg.connect(empty) as connection:
        for path, query in compile_program(program, *schemas, "postgres", Output(str, str)).items():
            assert Counter(connection.execute(query).fetchall()) == expected[path], path


@pytest.mark.parametrize("kind", TYPES)
def test_edges_of_values_are_kept_there_and_back(kind, empty, tmp_path):
    one, other, there, back = copying(kind)
    rows = [{"n": n, "v": value} for n, value in enumerate(values_of(kind, "postgres"))]
    (tmp_path / "s.json").write_text(json.dumps({"t": rows}))
    migrate(Plan(there, str(tmp_path / "s.json"), empty, work=tmp_path / "work"))
    assert verify(there, str(tmp_path / "s.json"), empty).problems == []
    migrate(Plan(back, empty, str(tmp_path / "back.json")))
    wanted = read_whole(one, str(tmp_path / "s.json"))["t"]
    assert read_whole(one, str(tmp_path / "back.json"))["t"] == wanted
    assert sorted(read_whole(other, empty)["u"], key=lambda row: row["n"]) == wanted


CELLS = [
    ("int", "numeric", "1.5", None),
    ("int", "numeric", "9223372036854775808", None),
    ("float", "float8", "'NaN'", None),
    ("float", "float8", "'-Infinity'", None),
    ("float", "float4", "0.1", 0.1),
    ("decimal", "numeric", "'NaN'", None),
    ("decimal", "numeric(20,12)", "0.123456789012", None),
    ("decimal", "numeric(12,2)", "19.90", "19.9000000000"),
    ("datetime", "timestamptz", "'2024-01-02 03:04:05+02'", None),
    ("datetime", "timestamp", "'infinity'", None),
    ("date", "date", "'0044-03-15 BC'", None),
    ("date", "date", "'12345-01-01'", None),
    (
        "str",
        "uuid",
        "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    ),
    ("str", "char(4)", "'a'", "a   "),
    ("str", "bytea", "'x'", None),
    ("str", "int", "7", None),
    ("bool", "int", "1", None),
]


@pytest.mark.parametrize("kind, of, cell, kept", CELLS)
def test_native_cells_are_kept_or_refused(kind, of, cell, kept, empty):
    with psycopg.connect(empty) as connection:
        connection.execute(f"CREATE TABLE t (n bigint, v {of})")
        connection.execute(f"INSERT INTO t VALUES (1, {cell})")
    schema = copying(kind)[0]
    if kept is None:
        with pytest.raises(UserError, match=r"\bt\b.*v is|year|date|timestamp"):
            read_whole(schema, empty)
    else:
        assert read_whole(schema, empty)["t"] == [{"n": 1, "v": kept}]


def test_no_server_is_a_sentence(tmp_path):
    scenario = next(one for one in SCENARIOS if one.name == "films doc-rel")
    with pytest.raises(ConnectionLost, match="--resume"):
        PostgresSink(scenario.target, f"postgresql://tester@/none?host={tmp_path}", overwrite=False)
