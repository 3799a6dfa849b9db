"""Data scripts and rewritten programs in MariaDB itself; skipped where there is none."""

import re
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.maintained import GITLAB, REDMINE, WORDPRESS
from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor, show_program
from reasoning.synthesis.migrator.output.dry_run import dry_run_sql
from reasoning.synthesis.migrator.sql.unparse import literal
from tests.reasoning.synthesis.migrator.engines import both
from tests.reasoning.synthesis.migrator.merges import CHILDREN, COMMENTS, COMPOSITE, INTERNAL

pytestmark = pytest.mark.slow
SOURCE = """CREATE TABLE users (id int PRIMARY KEY, `fullName` varchar(40) NOT NULL,
  bio varchar(200), age int DEFAULT 3);
CREATE TABLE posts (id int AUTO_INCREMENT PRIMARY KEY, user_id int, title varchar(40),
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
"""
TARGET = """CREATE TABLE users (id int PRIMARY KEY, name varchar(40) NOT NULL, age int DEFAULT 3);
CREATE TABLE profiles (user_id int PRIMARY KEY, bio varchar(200), FOREIGN KEY (user_id)
  REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE posts (id int AUTO_INCREMENT PRIMARY KEY, user_id int, title varchar(40),
  FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE);
"""
PROGRAM = """-- name: add(id, name, bio)
INSERT INTO users (id, fullName, bio) VALUES (:id, :name, :bio);
-- name: put(id, name, bio)
INSERT INTO users (id, fullName, bio) VALUES (:id, :name, :bio) ON DUPLICATE KEY UPDATE fullName =
  VALUES(fullName), bio = VALUES(bio);
-- name: who(id)
SELECT fullName, bio, age FROM users WHERE id = :id;
-- name: texts()
SELECT u.bio, p.title FROM users u JOIN posts p ON p.user_id = u.id ORDER BY p.id;
"""
ROWS = (
    "INSERT INTO users VALUES (1, 'Ann', 'b', 5), (2, 'Bo', NULL, NULL); "
    "INSERT INTO posts VALUES (7, 1, 't'), (9, 2, NULL);"
)


@pytest.fixture(scope="module")
def found():
    made = refactor(PROGRAM, SOURCE, TARGET, Options("mysql", bound=1, verify="off", budget=200))
    assert isinstance(made, Refactoring) and not made.by_hand, made
    return made


def test_data_moves_and_the_program_runs(found, mariadb):
    assert mariadb(SOURCE + ROWS).returncode == 0
    counted = mariadb(dry_run_sql(found.mapping, "mysql"))
    assert counted.returncode == 0 and "rows of profiles\t2" in counted.stdout, counted
    done = mariadb(migration_sql(found.mapping, "mysql"))
    assert done.returncode == 0, done.stderr
    shown = mariadb(
        "SELECT u.name, p.bio, u.age FROM users u JOIN profiles p ON p.user_id = u.id "
        "ORDER BY u.id;"
    )
    assert shown.stdout == "Ann\tb\t5\nBo\tNULL\tNULL\n"
    program = show_program(found.new)
    for name in ("add", "put"):
        body = program.split(f"-- name: {name}(")[1].split("\n", 1)[1].split("-- name:")[0]
        values = {":id": "4", ":name": f"'{name}'", ":bio": "NULL"}
        for mark, value in values.items():
            body = body.replace(mark, value)
        ran = mariadb(f"START TRANSACTION; {body} COMMIT;")
        assert ran.returncode == 0, ran.stderr
    asked = (
        "SELECT u.name, p.bio, u.age FROM users u JOIN profiles p ON p.user_id = u.id "
        "WHERE u.id = 4;"
    )
    assert mariadb(asked).stdout == "put\tNULL\t3\n"
    assert (
        mariadb("INSERT INTO posts (title) VALUES ('x'); SELECT MAX(id) FROM posts;").stdout
        == "10\n"
    )


def test_rows_in_the_way_stop_the_script(mariadb):
    target = TARGET.replace("bio varchar(200)", "bio varchar(200) NOT NULL")
    made = refactor(PROGRAM, SOURCE, target, Options("mysql", bound=1, verify="off", budget=200))
    assert mariadb(SOURCE + ROWS).returncode == 0
    done = mariadb(migration_sql(made.mapping, "mysql"))
    assert done.returncode != 0 and "NULL for 1 rows of users" in done.stderr
    assert mariadb("SELECT COUNT(*) FROM users;").stdout == "2\n"


def in_backticks(application):
    """The same, with names quoted as MySQL does, and references declared as it reads them."""
    texts = {
        name: re.sub(r'"([^"]+)"', r"`\1`", getattr(application, name)).replace(
            " text", " longtext"
        )
        for name in ("source", "target", "program", "rows")
    }
    return replace(application, **texts)


MOVED = [REDMINE, WORDPRESS, GITLAB, COMPOSITE, CHILDREN, INTERNAL, COMMENTS]


@pytest.mark.parametrize("application", MOVED, ids=lambda one: one.name[:9])
def test_maintained_schemas_before_and_after(application, mariadb):
    """Lookup tables, renamed columns, invented keys, tables merged behind a constant."""

    def run(statements, arguments):
        def given(seen):
            return literal(arguments[seen[1]], "mysql")

        body = "; ".join(re.sub(r"(?<!:):(\w+)", given, one) for one in statements)
        done = mariadb(f"START TRANSACTION; {body}; COMMIT;")
        assert done.returncode == 0, done.stderr
        return done.stdout

    def fresh(scripts):
        mariadb("DROP DATABASE t; CREATE DATABASE t;")
        for script in scripts:
            done = mariadb(script)
            assert done.returncode == 0, done.stderr

    both(in_backticks(application), "mysql", run, fresh)
