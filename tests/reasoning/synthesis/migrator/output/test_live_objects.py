"""What only the live database has stops the script before anything moves."""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor

OLD = (
    "CREATE TABLE notes (id int PRIMARY KEY, title varchar(40) NOT NULL, body varchar(40), "
    "tag varchar(40), UNIQUE (title), CHECK (id > 0));"
    "CREATE INDEX by_tag ON notes (tag);"
)
NEW = (
    "CREATE TABLE notes (id int PRIMARY KEY, title varchar(40) NOT NULL, tag varchar(40), "
    "UNIQUE (title), CHECK (id > 0));"
    "CREATE TABLE bodies (note_id int PRIMARY KEY, body varchar(40), "
    "FOREIGN KEY (note_id) REFERENCES notes (id));"
    "CREATE INDEX by_tag ON notes (tag);"
)
REBUILT = NEW.replace("tag varchar(40)", "tag varchar(40) NOT NULL")
PROGRAM = """-- name: all()
SELECT id, title, body, tag FROM notes;
"""
ROWS = "INSERT INTO notes VALUES (1, 'a', 'b', 'c');"
HARMLESS = "CREATE INDEX only_here ON notes (tag, title);"
QUIET = (
    "CREATE FUNCTION tags() RETURNS bigint LANGUAGE plpgsql AS "
    "'BEGIN RETURN (SELECT COUNT(nobody) FROM (SELECT tag AS nobody FROM notes) AS x); END';"
)
LOST = {
    "the index only_here": "CREATE INDEX only_here ON notes (body, tag);",
    "the index over": "CREATE UNIQUE INDEX over ON notes (lower(body));",
    "the index part": "CREATE INDEX part ON notes (tag) WHERE body IS NOT NULL;",
    "the constraint": "ALTER TABLE notes ADD UNIQUE (body, tag);",
    "the constraint chk": "ALTER TABLE notes ADD CONSTRAINT chk CHECK (body <> tag);",
    "statistics kinds": "CREATE STATISTICS kinds ON body, tag FROM notes;",
    "the grant on the column body": "GRANT SELECT (body) ON notes TO PUBLIC;",
    "function longest": "CREATE FUNCTION longest() RETURNS text LANGUAGE plpgsql AS "
    "'BEGIN RETURN (SELECT MAX(body) FROM notes); END';",
    "procedure blank": "CREATE PROCEDURE blank() LANGUAGE plpgsql AS "
    "$$BEGIN UPDATE notes SET BODY = NULL; END$$;",
}


def script(dialect: str, old: str = OLD, new: str = NEW, program: str = PROGRAM) -> str:
    found = refactor(program, old, new, Options(dialect, bound=0, verify="off"))
    assert isinstance(found, Refactoring), found
    return migration_sql(found.mapping, dialect)


@pytest.mark.slow
def test_postgres_keeps_what_goes_with_a_column(postgres):
    psycopg = pytest.importorskip("psycopg")
    text = script("postgres")
    for found, more in LOST.items():
        postgres.execute(OLD + ROWS + more)
        with pytest.raises(
            psycopg.Error, match=f"{found}.* on notes, which (is renamed or )?loses"
        ):
            postgres.execute(text)
        postgres.execute("ROLLBACK; DROP TABLE notes")
        postgres.execute("DROP ROUTINE IF EXISTS longest; DROP ROUTINE IF EXISTS blank")
    postgres.execute(OLD + ROWS + HARMLESS + QUIET)
    postgres.execute(text)
    assert postgres.execute("SELECT body FROM bodies").fetchall() == [("b",)]


def merged(columns: str, old: str, new: str, dialect: str) -> str:
    """The script that puts cats and dogs into one table."""
    program = (
        f"-- name: c()\nSELECT {columns} FROM cats;\n-- name: d()\nSELECT {columns} FROM dogs;\n"
    )
    return script(dialect, old, new, program)


@pytest.mark.slow
def test_postgres_keeps_what_goes_with_a_table(postgres):
    psycopg = pytest.importorskip("psycopg")
    columns = "(id int PRIMARY KEY, name text, kg int CHECK (kg > 0)"
    old = f"CREATE TABLE cats {columns}); CREATE TABLE dogs {columns});"
    new = f"CREATE TABLE pets {columns}, kind text NOT NULL);"
    text = merged("name, kg", old, new, "postgres")
    for what, more in {
        "the index extra": "CREATE INDEX extra ON cats (name)",
        "policy mine": "CREATE POLICY mine ON dogs USING (kg > 1)",
        "the column age": "ALTER TABLE dogs ADD age int",
        "rule quiet": "CREATE RULE quiet AS ON DELETE TO cats DO INSTEAD NOTHING",
        "statistics kinds": "CREATE STATISTICS kinds ON name, kg FROM cats",
        "the constraint light": "ALTER TABLE cats ADD CONSTRAINT light CHECK (kg < 9)",
        "the grant on the column kg": "GRANT SELECT (kg) ON dogs TO PUBLIC",
    }.items():
        postgres.execute(old + more)
        with pytest.raises(psycopg.Error, match=f"{what} on (cats|dogs), which is rebuilt"):
            postgres.execute(text)
        postgres.execute("ROLLBACK; DROP TABLE cats, dogs")
    postgres.execute(old)
    postgres.execute(text)


@pytest.mark.slow
def test_mariadb_keeps_what_goes_with_a_column(mariadb):
    text = script("mysql")
    for more in ("CREATE INDEX only_here ON notes (body, tag);", "CREATE INDEX x ON notes (body);"):
        assert mariadb(OLD + ROWS + more).returncode == 0
        done = mariadb(text)
        assert done.returncode != 0 and "loses columns of it" in done.stderr, done.stderr
        assert mariadb("SELECT body FROM notes; DROP TABLE notes;").stdout == "b\n"
    assert mariadb(OLD + ROWS + HARMLESS).returncode == 0
    done = mariadb(text)
    assert done.returncode == 0, done.stderr
    assert mariadb("SELECT body FROM bodies;").stdout == "b\n"


@pytest.mark.slow
def test_mariadb_leaves_nothing_that_leads_nowhere(mariadb):
    columns = "(id int PRIMARY KEY, name varchar(40) CHECK (name <> ''), kg int, info json"
    old = (
        f"CREATE TABLE cats {columns}, CONSTRAINT named CHECK (kg > 0)); "
        f"CREATE TABLE dogs {columns});"
    )
    new = f"CREATE TABLE pets {columns}, kind varchar(9) NOT NULL);"
    text, toys = (
        merged("name, kg, info", old, new, "mysql"),
        "CREATE TABLE toys (id int PRIMARY KEY",
    )
    for what, more in {
        "the reference owner of toys": (
            f"{toys}, c int, CONSTRAINT owner FOREIGN KEY (c) REFERENCES cats (id));"
        ),
        "the view lean": "CREATE VIEW lean AS SELECT id FROM dogs;",
        "one of the CHECKs big,name": "ALTER TABLE cats ADD CONSTRAINT big CHECK (kg < 99);",
        "trigger copy": (
            f"{toys}); CREATE TRIGGER copy AFTER INSERT ON toys FOR EACH ROW DELETE FROM cats;"
        ),
    }.items():
        assert mariadb(old + more).returncode == 0
        done = mariadb(text)
        assert re.search(f"{what} on (cats|dogs), which is rebuilt", done.stderr), done.stderr
        assert (
            mariadb("SELECT COUNT(*) FROM cats; DROP DATABASE t; CREATE DATABASE t;").stdout
            == "0\n"
        )
    assert mariadb(old).returncode == 0
    done = mariadb(text)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_mariadb_keeps_what_reads_a_column(mariadb):
    text = script("mysql")
    for what, more in {
        (
            "the view texts on notes, which is renamed or loses"
        ): "CREATE VIEW texts AS SELECT body FROM notes;",
        (
            "the CHECK chk on notes, which loses"
        ): "ALTER TABLE notes ADD CONSTRAINT chk CHECK (body <> tag);",
        (
            "procedure blank on notes, which is renamed or loses"
        ): "CREATE PROCEDURE blank() UPDATE notes SET body = NULL;",
        "function longest on notes": (
            "CREATE FUNCTION longest() RETURNS varchar(40) READS SQL DATA RETURN (SELECT "
            "MAX(body) FROM notes);"
        ),
    }.items():
        assert mariadb(OLD + more).returncode == 0
        done = mariadb(text)
        assert what in done.stderr, done.stderr
        assert mariadb("DROP DATABASE t; CREATE DATABASE t;").returncode == 0
    harmless = "CREATE PROCEDURE tags() UPDATE notes SET tag = NULL;"
    assert mariadb(OLD + "ALTER TABLE notes ADD CHECK (tag <> 'x');" + harmless).returncode == 0
    done = mariadb(text)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "more",
    ["CREATE INDEX only_here ON notes (body, tag);", "ALTER TABLE notes ADD COLUMN age int;"],
)
@pytest.mark.parametrize("dialect", ["sqlite", "duckdb"])
def test_tables_built_anew_keep_all_that_is_there(dialect, more):
    text = script(dialect, new=REBUILT)
    assert "which is rebuilt or dropped" in text, text
    if dialect == "sqlite":
        module, base = sqlite3, sqlite3.connect(":memory:", isolation_level=None)
        run = base.executescript
    else:
        module = pytest.importorskip("duckdb")
        base = module.connect()
        run = base.execute
    with closing(base):
        run(OLD + ROWS + more)
        with pytest.raises(module.Error, match="which is rebuilt or dropped"):
            run(text)
        base.execute("ROLLBACK")
        for fresh in ("DROP TABLE notes;", OLD + ROWS, text):
            run(fresh)
