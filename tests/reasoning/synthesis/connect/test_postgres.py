"""A real PostgreSQL server: as a source, as a target that is cut off in the middle, and the SQL
that is printed for it.
"""

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
import psycopg

from benchmarks.dynamite_scenarios import SCENARIOS
from reasoning.synthesis.connect import postgres_sink, sqlite_sink
from reasoning.synthesis.connect.postgres_sink import PostgresSink
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.dynamite.migration.verify import verify
from reasoning.synthesis.engines import memory
from reasoning.synthesis.engines.compile import compile_program
from reasoning.synthesis.engines.nest import nested_queries
from reasoning.synthesis.errors import ConnectionLost, UserError
from reasoning.synthesis.facts import flatten, to_facts
from reasoning.synthesis.schema import flat_columns

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
    as_user = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["runuser", "-u", "postgres", "--"]

    def call(*command):
        return subprocess.run([*as_user, *command], check=True, capture_output=True, cwd="/")

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
        connection.execute(f"DROP SCHEMA IF EXISTS {postgres_sink.STAGING} CASCADE")
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
    expected = memory.run(scenario.golden, scenario.source, scenario.target, facts)
    queries = compile_program(scenario.golden, scenario.source, scenario.target, "postgres")
    with psycopg.connect(empty) as connection:
        for path, query in queries.items():
            assert set(connection.execute(query).fetchall()) == expected[path], path
        for name, query in nested_queries(scenario.target, queries, "postgres").items():
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
            "SELECT count(*) FROM pg_namespace WHERE nspname = %s", [postgres_sink.STAGING]
        ).fetchone() == (0,)
    with pytest.raises(UserError, match="is there already"):
        PostgresSink(scenario.target, empty, overwrite=False)


def test_no_server_is_a_sentence(tmp_path):
    scenario = next(one for one in SCENARIOS if one.name == "films doc-rel")
    with pytest.raises(ConnectionLost, match="--resume"):
        PostgresSink(scenario.target, f"postgresql://tester@/none?host={tmp_path}", overwrite=False)
