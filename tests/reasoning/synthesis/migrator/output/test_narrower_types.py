"""Values that a narrower type does not hold stop the data script before anything moves; the others
move. In the engines that convert by themselves.
"""

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor
from reasoning.synthesis.migrator.output.data_checks import _unfit

OLD = "CREATE TABLE t (id integer PRIMARY KEY, a {}, b text);"
NEW = "CREATE TABLE t (id integer PRIMARY KEY, a {}, c text);"
PROGRAM = """-- name: add(id, a, b)
INSERT INTO t (id, a, b) VALUES (:id, :a, :b);
-- name: get(id)
SELECT a, b FROM t WHERE id = :id;
"""
BOTH = (
    ("varchar(40)", "varchar(3)", "'abc'", "'abcd'"),
    ("text", "varchar(3)", "'abc'", "'abcd'"),
    ("bigint", "integer", "5", "3000000000"),
    ("integer", "smallint", "-5", "40000"),
    ("decimal(10,4)", "decimal(6,2)", "1.25", "1.255"),
    ("decimal(10,2)", "decimal(4,2)", "1.25", "123.45"),
)
POSTGRES = (
    *BOTH,
    ("double precision", "real", "0.5", "0.1"),
    ("timestamp", "timestamp(0)", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:00.25'"),
    ("timestamptz", "timestamp", "NULL", "'2024-01-01 10:30:00+02'"),
)
MARIADB = (
    *BOTH,
    ("double", "float", "0.5", "0.1"),
    ("datetime(6)", "datetime", "'2024-01-01 10:00:00'", "'2024-01-01 10:00:00.25'"),
    ("int", "int unsigned", "5", "-5"),
    ("varchar(9)", "enum('x', 'y')", "'x'", "'z'"),
)


def script(old: str, new: str, dialect: str) -> str:
    texts = (PROGRAM, OLD.format(old), NEW.format(new))
    found = refactor(*texts, Options(dialect, bound=0, verify="off"))
    assert isinstance(found, Refactoring), found
    return migration_sql(found.mapping, dialect)


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "good", "bad"), POSTGRES)
def test_postgres_stops(old, new, good, bad, postgres):
    psycopg = pytest.importorskip("psycopg")
    text = script(old, new, "postgres")
    for value in (bad, good):
        postgres.execute("DROP TABLE IF EXISTS t")
        postgres.execute(OLD.format(old) + f"INSERT INTO t VALUES (7, {value}, NULL);")
        if value == bad:
            with pytest.raises(psycopg.Error, match="has no place for the values of 1 rows .* 7"):
                postgres.execute(text)
            postgres.execute("ROLLBACK")
            assert postgres.execute("SELECT b FROM t").fetchall() == [(None,)]
        else:
            postgres.execute(text)
            same = postgres.execute(f"SELECT a IS NOT DISTINCT FROM {value}, c FROM t").fetchall()
            assert same == [(True, None)]


@pytest.mark.slow
@pytest.mark.parametrize(("old", "new", "good", "bad"), MARIADB)
def test_mariadb_stops(old, new, good, bad, mariadb):
    text = script(old, new, "mysql")
    for value in (bad, good):
        mariadb("DROP TABLE IF EXISTS t")
        mariadb(OLD.format(old) + f"INSERT INTO t VALUES (7, {value}, NULL);")
        done = mariadb(text)
        if value == bad:
            assert done.returncode and "has no place for the values of 1 rows" in done.stderr
            assert mariadb("SELECT b FROM t;").stdout == "NULL\n"
        else:
            assert done.returncode == 0, done.stderr
            assert mariadb(f"SELECT a = {value}, c FROM t;").stdout == "1\tNULL\n"


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("bigint", "smallint", "v NOT BETWEEN -32768 AND 32767"),
        ("varchar(3)", "varchar(40)", ""),
        ("real", "double precision", ""),
        ("double precision", "real", "CAST(v AS REAL) <> v"),
        ("timestamptz", "timestamp", "v IS NOT NULL"),
    ],
)
def test_conditions_on_values(old, new, wanted):
    parse = pytest.importorskip("sqlglot").parse_one
    kinds = [
        parse(f"CREATE TABLE t (a {kind})", read="postgres").this.expressions[0].args["kind"]
        for kind in (old, new)
    ]
    assert _unfit("v", *kinds, "postgres") == wanted
