"""The data script: executed in SQLite and in DuckDB, on the schema of a clinic and on
awkward ones.
"""

import contextlib
import sqlite3

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
from reasoning.synthesis.migrator import (
    Options,
    migration_sql,
    parse_program,
    read_tables,
    refactor,
)
from reasoning.synthesis.migrator.correspondence.mapping import mappings
from reasoning.synthesis.migrator.correspondence.problem import make_problem
from reasoning.synthesis.migrator.correspondence.required_columns import read_places
from reasoning.synthesis.migrator.correspondence.search import correspondences
from reasoning.synthesis.migrator.output.exports import alembic_file
from reasoning.synthesis.migrator.sql.unparse import show_statement
from reasoning.synthesis.migrator.sql.visitors import parameters
from tests.reasoning.synthesis.migrator import clinic

ROWS = """INSERT INTO patient VALUES (1, 'Ann', '11', 'AOK', 'p1'), (2, 'Bob', NULL, NULL, NULL);
INSERT INTO room VALUES ('A', 1, 0), ('B', 1, 2);
INSERT INTO visit VALUES (1, '2024-01-01', 'A', 1, 'cough', 12.5, TRUE),
  (2, '2024-01-01', 'B', 1, 'check-up', 8.25, FALSE);
INSERT INTO remark VALUES (7, 1, 'a;b -- c');"""
ASKED = {
    "SELECT id, name, phone FROM patient ORDER BY id": [(1, "Ann", "11"), (2, "Bob", None)],
    "SELECT * FROM policy ORDER BY patient_id": [(1, "AOK", "p1"), (2, None, None)],
    "SELECT patient_id, CAST(day AS TEXT), building, room_no, reason FROM visit ORDER BY "
    "patient_id": [(1, "2024-01-01", "A", 1, "cough"), (2, "2024-01-01", "B", 1, "check-up")],
    "SELECT patient_id, CAST(fee AS FLOAT), CAST(paid AS INT) FROM bill ORDER BY patient_id": [
        (1, 12.5, 1),
        (2, 8.25, 0),
    ],
    "SELECT * FROM remark": [(7, 1, "a;b -- c")],
    "SELECT COUNT(*) FROM room": [(2,)],
}
"""Queries over the new schema, and their answers by hand."""


def mapping_of(source_ddl, target_ddl, program, dialect="sqlite"):
    source, target = read_tables(source_ddl, dialect), read_tables(target_ddl, dialect)
    problem = make_problem(
        source, target, frozenset(read_places(parse_program(program, source, dialect), source))
    )
    return next(mappings(source, target, next(correspondences(problem))))


def moved(source_ddl, target_ddl, program, rows):
    """A SQLite database after the script."""
    base = sqlite3.connect(":memory:")
    base.executescript(f"PRAGMA foreign_keys = ON;{source_ddl};{rows}")
    base.executescript(migration_sql(mapping_of(source_ddl, target_ddl, program)))
    return contextlib.closing(base)


def test_the_script_in_sqlite():
    with moved(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM, ROWS) as base:
        assert {asked: base.execute(asked).fetchall() for asked in ASKED} == ASKED
        assert base.execute("PRAGMA foreign_key_check").fetchall() == []

        def names(kind):
            return {
                row[0]
                for row in base.execute(
                    "SELECT name FROM sqlite_master WHERE type = ? AND sql <> ''", [kind]
                )
            }

        assert names("table") == {"patient", "policy", "room", "visit", "bill", "remark"}
        assert names("index") == {"visit_day", "room_no", "bill_paid"}
        base.execute("INSERT INTO visit (patient_id, day) VALUES (1, 'x')")
        assert base.execute("SELECT reason FROM visit WHERE day = 'x'").fetchall() == [
            ("check-up; -- routine",)
        ]
        with pytest.raises(
            sqlite3.IntegrityError
        ):  # remark was not touched: its reference leads to the new patient
            base.execute("INSERT INTO remark VALUES (8, 99, '')")


def test_the_script_in_duckdb():
    duckdb = pytest.importorskip("duckdb")
    script = migration_sql(
        mapping_of(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM, "duckdb"), "duckdb"
    )
    with duckdb.connect() as base:
        base.execute(clinic.SOURCE + ROWS)
        base.execute(script)
        assert {asked: base.execute(asked).fetchall() for asked in ASKED} == ASKED
        tables = {
            row[0] for row in base.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        }
        indices = {
            row[0] for row in base.execute("SELECT index_name FROM duckdb_indexes()").fetchall()
        }
        assert tables == {"patient", "policy", "room", "visit", "bill", "remark"} and indices == {
            "visit_day",
            "room_no",
            "bill_paid",
        }
        with pytest.raises(duckdb.ConstraintException):
            base.execute("INSERT INTO remark VALUES (8, 99, '')")


@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_invented_keys_are_numbers_where_the_old_key_has_two_columns(dialect):
    source = "CREATE TABLE r (a INT, b TEXT, x TEXT, PRIMARY KEY (a, b));"
    target = """CREATE TABLE r (a INT, b TEXT, PRIMARY KEY (a, b));
CREATE TABLE s (sid INT PRIMARY KEY, a INT, b TEXT, x TEXT, FOREIGN KEY (a, b) REFERENCES r(a,
  b));"""
    program = "-- name: x_of(a, b)\nSELECT x FROM r WHERE a = :a AND b = :b;"
    script = migration_sql(mapping_of(source, target, program, dialect), dialect)
    rows = "INSERT INTO r VALUES (2, 'q', 'y'), (1, 'p', 'x');"
    if dialect == "sqlite":
        base = sqlite3.connect(":memory:")
        base.executescript(source + rows + script)
    else:
        base = pytest.importorskip("duckdb").connect()
        base.execute(source + rows + script)
    assert base.execute("SELECT sid, a, b, x FROM s ORDER BY sid").fetchall() == [
        (1, 1, "p", "x"),
        (2, 2, "q", "y"),
    ]
    base.close()


def test_quoted_names_and_new_columns_of_tables_that_otherwise_stay():
    source = (
        'CREATE TABLE "my t" (id INT PRIMARY KEY, "a b" TEXT); CREATE TABLE u (id INT '
        "PRIMARY KEY, n INT);"
    )
    target = (
        'CREATE TABLE "my t" (id INT PRIMARY KEY, "a c" TEXT); CREATE TABLE u (id INT '
        "PRIMARY KEY, n INT, extra TEXT DEFAULT '-');"
    )
    program = (
        '-- name: g(id)\nSELECT "a b" FROM "my t" WHERE id = :id;\n-- name: n(id)\nSELECT n '
        "FROM u WHERE id = :id;"
    )
    with moved(
        source,
        target,
        program,
        "INSERT INTO \"my t\" VALUES (1, 'x'); INSERT INTO u VALUES (1, 5);",
    ) as base:
        assert base.execute('SELECT id, "a c" FROM "my t"').fetchall() == [(1, "x")]
        assert base.execute("SELECT id, n, extra FROM u").fetchall() == [(1, 5, "-")]


def test_views_are_made_and_the_rest_is_left_to_the_reader():
    source = "CREATE TABLE t (id INT PRIMARY KEY, x TEXT);"
    target = (
        "CREATE TABLE t (id INT PRIMARY KEY, y TEXT);\nCREATE VIEW v AS SELECT y "
        "FROM t;\nINSERT INTO t VALUES (1, 'a');"
    )
    script = migration_sql(
        mapping_of(source, target, "-- name: g(id)\nSELECT x FROM t WHERE id = :id;")
    )
    assert "-- Not done here (the new schema, line 3): INSERT INTO t VALUES (1, 'a')" in script
    assert "; CREATE VIEW v AS SELECT y FROM t\n" in script


def test_postgres_declares_references_of_tables_that_stay_anew():
    mapping = mapping_of(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM, "postgres")
    script = migration_sql(mapping, "postgres")
    assert (
        "ALTER TABLE remark ADD CONSTRAINT remark_patient_id_fkey FOREIGN KEY" in script
        and "old_remark" not in script
    )
    assert "old_remark" in migration_sql(
        mapping, "mysql"
    )  # printed and not run: a table that refers is built anew with its reference


def test_postgres_numbers_as_the_new_schema_says():
    source = "CREATE TABLE users (id SERIAL PRIMARY KEY, email text NOT NULL, bio text);"
    target = (
        "CREATE TABLE accounts (id BIGSERIAL PRIMARY KEY, email text NOT NULL);"
        "CREATE TABLE profiles (account_id integer PRIMARY KEY REFERENCES accounts (id), bio text);"
    )
    program = "-- name: all()\nSELECT id, email, bio FROM users;"
    script = migration_sql(mapping_of(source, target, program, "postgres"), "postgres")
    # No SERIAL becomes another type in place: its default would stay, and its sequence be lost.
    assert "ALTER TABLE users" not in script
    assert "pg_sequence_last_value(CAST(pg_get_serial_sequence('users', 'id')" in script
    wider = source.replace("SERIAL", "BIGSERIAL")
    assert "TYPE BIGSERIAL" not in migration_sql(
        mapping_of(source, wider, program, "postgres"), "postgres"
    )


def test_an_alembic_file_moves_the_data(monkeypatch):
    """With stand-ins for Alembic and SQLAlchemy, whose `text` takes a backslash from before a
    colon.
    """
    text = alembic_file(mapping_of(clinic.SOURCE, clinic.TARGET, clinic.PROGRAM), "sqlite", "0001")
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.executescript(clinic.SOURCE + ROWS)
        body = text.replace("import sqlalchemy as sa\nfrom alembic import op\n", "")

        def stand_in(**names):
            return type("module", (), {name: staticmethod(rule) for name, rule in names.items()})

        space = {
            "sa": stand_in(text=lambda sql: sql.replace("\\:", ":")),
            "op": stand_in(execute=base.execute),
        }
        exec(compile(body, "0001.py", "exec"), space)
        space["upgrade"]()
        assert {asked: base.execute(asked).fetchall() for asked in ASKED} == ASKED


def test_rewritten_deletions_in_duckdb():
    """Every statement a transaction of its own, because DuckDB checks references against rows
    deleted in the same transaction.
    """
    duckdb = pytest.importorskip("duckdb")
    found = refactor(
        clinic.PROGRAM, clinic.SOURCE, clinic.TARGET, Options("duckdb", bound=1, verify="off")
    )
    with duckdb.connect() as base:
        base.execute(clinic.SOURCE + ROWS)
        base.execute(migration_sql(found.mapping, "duckdb"))
        for name, arguments in (("cancel_unpaid", {"insurer": None}), ("forget", {"id": 1})):
            for statement in found.new.named(name).statements:
                sql, wanted = show_statement(statement, "duckdb"), parameters(statement)
                base.execute(sql.replace(":", "$"), {name: arguments[name] for name in wanted})
        left = {
            table: base.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("patient", "policy", "visit", "bill")
        }
        assert left == {"patient": 1, "policy": 1, "visit": 1, "bill": 1}, (
            "Bob has no insurer, so that nothing of his is cancelled"
        )
