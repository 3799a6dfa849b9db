"""Queries as people write them, rewritten, and run on both schemas with the same data,
NULLs too.
"""

import ast
import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis import migrator

SOURCE = """CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, email text, bio text,
  age int, active boolean);
CREATE TABLE posts (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users(id),
  title text NOT NULL, score int);
"""
TARGET = """CREATE TABLE users (id int PRIMARY KEY, full_name text NOT NULL, email text, age int,
  active boolean);
CREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users(id), bio text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int NOT NULL REFERENCES users(id),
  title text NOT NULL, score int);
"""
ADD = """-- name: add(id, name, email, bio, age)
INSERT INTO users (id, name, email, bio, age, active) VALUES (:id, :name, :email, :bio, :age, true);
-- name: post(id, u, t, s)
INSERT INTO posts (id, user_id, title, score) VALUES (:id, :u, :t, :s);
"""
QUERIES = [
    "SELECT u.name, p.title FROM users u LEFT JOIN posts p ON p.user_id = u.id ORDER BY u.name",
    "SELECT p.title, u.bio FROM posts p LEFT JOIN users u ON u.id = p.user_id AND u.age > 1",
    (
        "SELECT u.name, COUNT(p.id) AS n FROM users u JOIN posts p ON p.user_id = u.id "
        "GROUP BY u.name HAVING COUNT(p.id) > :k ORDER BY n DESC"
    ),
    (
        "SELECT u.name, COUNT(p.id) AS n FROM users u LEFT JOIN posts p ON p.user_id = u.id "
        "GROUP BY u.name"
    ),
    "SELECT name FROM users ORDER BY name LIMIT :k OFFSET 1",
    "SELECT COALESCE(bio, 'none') AS bio, UPPER(name) AS loud FROM users",
    (
        "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM posts p "
        "WHERE p.user_id = u.id AND p.score > 1)"
    ),
    "SELECT name FROM users u WHERE NOT EXISTS (SELECT 1 FROM posts p WHERE p.user_id = u.id)",
    "SELECT name, CASE WHEN age > 1 THEN 'old' ELSE 'young' END AS kind FROM users",
    "SELECT name FROM users WHERE lower(email) = lower(:e) AND active",
    "SELECT AVG(age) AS mean, MAX(name) AS top FROM users WHERE bio IS NOT NULL",
    "SELECT age + 1 AS next, name || '!' AS loud FROM users WHERE age BETWEEN 1 AND 3",
    "SELECT COALESCE(SUM(score), 0) AS total FROM posts",
    "SELECT bio, COUNT(*) AS n FROM users GROUP BY bio ORDER BY 2 DESC",
    "SELECT name FROM users WHERE age IN (1, :k) AND NOT bio = 'b1'",
    "SELECT DISTINCT LENGTH(bio) AS size FROM users WHERE :e IS NULL OR email = :e",
    "SELECT COUNT(DISTINCT bio) AS n, SUM(age * 2) AS twice FROM users",
    "SELECT name FROM users WHERE id IN (SELECT user_id FROM posts WHERE title LIKE 't%')",
]
ROWS = """INSERT INTO users VALUES (1, 'Ann', 'A@x', 'b1', 3, 1), (2, 'Bo', NULL, NULL, NULL, 1),
  (3, 'Cy', 'c@x', 'b1', 1, 0), (4, 'Di', 'd@x', 'b2', 2, 1);
INSERT INTO posts VALUES (1, 1, 't1', 5), (2, 1, 't2', NULL), (3, 3, 'u3', 1), (4, 4, 't4', 2);
"""
PROGRAM = ADD + "".join(f"-- name: q{n}\n{query};\n" for n, query in enumerate(QUERIES))


@pytest.fixture(scope="module")
def found():
    made = migrator.refactor(PROGRAM, SOURCE, TARGET, migrator.Options(verify="off", bound=2))
    assert isinstance(made, migrator.Refactoring), made
    return made


@pytest.mark.parametrize("number", range(len(QUERIES)))
def test_a_query_gives_the_same_rows_before_and_after_the_data_is_moved(found, number):
    assert not found.by_hand
    new = migrator.show_program(found.new)
    after = re.search(rf"-- name: q{number}\b[^\n]*\n(.*?);\n", new, re.DOTALL)[1]
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(SOURCE + ROWS)
        values = {"k": 1, "e": "a@X"}
        old = base.execute(QUERIES[number], values).fetchall()
        base.executescript(migrator.migration_sql(found.mapping))
        got = base.execute(after, values).fetchall()
    key = repr
    assert sorted(old, key=key) == sorted(got, key=key)
    if "ORDER BY" in QUERIES[number] and "LIMIT" in QUERIES[number]:
        assert old == got


def test_what_is_outside_is_kept_by_hand_and_the_rest_is_done():
    replacing = "-- name: put(x)\nINSERT OR REPLACE INTO users (id, name) VALUES (1, :x);\n"
    made = migrator.refactor(
        ADD + replacing, SOURCE, TARGET, migrator.Options(verify="off", bound=1)
    )
    assert isinstance(made, migrator.Refactoring) and made.by_hand == ("put",)
    assert "REPLACE" in made.old.named("put").outside.upper()
    assert "INSERT OR REPLACE INTO users" in migrator.show_program(made.new)


@pytest.mark.parametrize(
    "header, parameter",
    [("-- name: f :many", "$1"), ("-- name: f(c)^", "%(c)s"), ("-- name: f", "?")],
)
def test_parameters_are_written_as_they_were_read(header, parameter):
    text = f"{header}\nSELECT bio, '?' AS q FROM users WHERE age = {parameter};"
    dialect = "postgres" if parameter == "$1" else "sqlite"
    made = migrator.refactor(
        ADD + text, SOURCE, TARGET, migrator.Options(verify="off", bound=1, dialect=dialect)
    )
    shown = migrator.show_program(made.new)
    assert re.search(r"users\.age = " + re.escape(parameter), shown), shown
    assert header.split("(")[0] in shown
    assert (
        migrator.parse_program(shown, migrator.read_tables(TARGET, dialect), dialect)
        .functions[2]
        .statements
    )


@pytest.mark.parametrize("name", ["Order Items", "select", 'a"b', "it's", "a\nb", "x:y", "e\\\\"])
def test_hostile_names_survive_scripts_and_alembic_files(name):
    quoted = '"' + name.replace('"', '""') + '"'
    source = f"CREATE TABLE {quoted} (id INTEGER PRIMARY KEY, name TEXT);"
    target = "CREATE TABLE purchase (id INTEGER PRIMARY KEY, name TEXT);"
    program = (
        f"-- name: add(id, n)\nINSERT INTO {quoted} (id, name) VALUES (:id, :n);\n"
        f"-- name: get(id)\nSELECT name FROM {quoted} WHERE id = :id;"
    )
    there = migrator.refactor(program, source, target, migrator.Options(verify="off", bound=1))
    assert isinstance(there, migrator.Refactoring), there
    ast.parse(migrator.alembic_file(there.mapping, "sqlite", 'x"""y', 'a"b'))
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(source)
        base.execute(f"INSERT INTO {quoted} VALUES (1, 'a')")
        base.executescript(migrator.migration_sql(there.mapping))
        assert base.execute("SELECT * FROM purchase").fetchall() == [(1, "a")]
