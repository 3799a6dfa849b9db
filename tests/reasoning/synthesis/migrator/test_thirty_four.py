"""Thirty-four kinds of everyday statements: at least thirty are rewritten, the others kept by hand
with a reason, and what is rewritten does the same on SQLite, NULL among the data.
"""

import re
import sqlite3
from contextlib import closing

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor, show_program
from tests.reasoning.synthesis.migrator.test_everyday import ADD, ROWS, SOURCE, TARGET

KINDS = {
    "upsert": (
        "INSERT INTO users (id, name, email, bio) VALUES (:id, :n, :e, :b) "
        "ON CONFLICT (id) DO UPDATE SET name = excluded.name, bio = excluded.bio"
    ),
    "ignore": (
        "INSERT INTO posts (id, user_id, title) VALUES (:id, 1, :n) ON CONFLICT (id) DO NOTHING"
    ),
    "or_ignore": "INSERT OR IGNORE INTO users (id, name, bio) VALUES (:id, :n, :b)",
    "upsert_count": (
        "INSERT INTO posts (id, user_id, title, score) VALUES (:id, 1, :n, 1) "
        "ON CONFLICT (id) DO UPDATE SET score = score + 1"
    ),
    "insert_returning": (
        "INSERT INTO users (id, name, bio) VALUES (:id + 10, :n, :b) RETURNING id, name, bio"
    ),
    "update_returning": "UPDATE users SET name = :n WHERE id = :id RETURNING id, name",
    "delete_returning": "DELETE FROM posts WHERE id = :id RETURNING title",
    "insert_select": (
        "INSERT INTO posts (id, user_id, title) SELECT id + 100, id, name FROM users WHERE age > :k"
    ),
    "insert_select_split": (
        "INSERT INTO users (id, name, bio) SELECT id + 200, name, bio FROM users WHERE id = :id"
    ),
    "union": "SELECT name AS label FROM users UNION SELECT title FROM posts ORDER BY label",
    "union_all": "SELECT bio FROM users WHERE age > :k UNION ALL SELECT title FROM posts",
    "except": "SELECT id FROM users EXCEPT SELECT user_id FROM posts",
    "cte": (
        "WITH adults AS (SELECT id, name, bio FROM users WHERE age > :k) SELECT name, bio "
        "FROM adults ORDER BY name"
    ),
    "cte_counts": (
        "WITH n AS (SELECT user_id, COUNT(*) AS posts FROM posts GROUP BY user_id) SELECT u.name, "
        "n.posts FROM users u JOIN n ON n.user_id = u.id"
    ),
    "derived": (
        "SELECT d.bio, d.n FROM (SELECT bio, COUNT(*) AS n FROM users GROUP BY bio) AS d "
        "WHERE d.n > :k"
    ),
    "derived_left": (
        "SELECT u.name, s.total FROM users u LEFT "
        "JOIN (SELECT user_id, SUM(score) AS total FROM posts GROUP BY user_id) s "
        "ON s.user_id = u.id"
    ),
    "window": "SELECT title, SUM(score) OVER (PARTITION BY user_id) AS total FROM posts",
    "rank": "SELECT name, bio, RANK() OVER (ORDER BY age DESC) AS place FROM users",
    "filter": "SELECT COUNT(*) FILTER (WHERE bio IS NOT NULL) AS n, COUNT(*) AS whole FROM users",
    "boolean_out": "SELECT name, bio IS NULL AS empty, age > 2 AS old FROM users",
    "nulls_last": "SELECT name FROM users ORDER BY bio DESC NULLS FIRST, name",
    "right_join": "SELECT p.title, u.bio FROM posts p RIGHT JOIN users u ON u.id = p.user_id",
    "having": "SELECT bio, COUNT(*) AS n FROM users GROUP BY bio HAVING n > :k",
    "offset": "SELECT name FROM users ORDER BY name LIMIT 2 OFFSET :k",
    "exists": (
        "SELECT name FROM users u WHERE EXISTS (SELECT 1 FROM posts p "
        "WHERE p.user_id = u.id AND p.score > :k)"
    ),
    "case": (
        "SELECT name, CASE WHEN bio IS NULL THEN 'empty' WHEN age > :k THEN 'old' ELSE 'young' "
        "END AS kind FROM users"
    ),
    "coalesce": "SELECT COALESCE(bio, email, '-') AS shown FROM users",
    "cast": "SELECT CAST(age AS text) || bio AS label FROM users",
    "left_join_null": (
        "SELECT u.name FROM users u LEFT JOIN posts p ON p.user_id = u.id WHERE p.id IS NULL"
    ),
    "self_join": (
        "SELECT a.name, b.name FROM users a JOIN users b ON a.bio = b.bio WHERE a.id < b.id"
    ),
    "distinct_count": "SELECT COUNT(DISTINCT bio) AS n FROM users WHERE active",
    "row_values": "SELECT title FROM posts WHERE (user_id, title) IN (SELECT id, name FROM users)",
    "update_case": (
        "UPDATE users SET bio = CASE WHEN bio IS NULL THEN :b ELSE bio END WHERE age > :k"
    ),
    "recursive": (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 3) "
        "SELECT u.name, n.x FROM users u JOIN n ON n.x = u.id"
    ),
}
VALUES = {"id": 2, "n": "Eve", "e": "e@x", "b": "b9", "k": 1}
LOOK = (
    "SELECT u.id, name, email, bio, age FROM users u ORDER BY 1",
    (
        "SELECT u.id, full_name, email, bio, age FROM users u LEFT JOIN profiles p "
        "ON p.user_id = u.id ORDER BY 1"
    ),
    "SELECT * FROM posts ORDER BY 1",
)


@pytest.fixture(scope="module")
def found():
    program = ADD + "".join(f"-- name: {name}\n{query};\n" for name, query in KINDS.items())
    made = refactor(program, SOURCE, TARGET, Options(verify="off", bound=1, budget=300))
    assert isinstance(made, Refactoring), made
    return made


def test_at_least_thirty_are_rewritten_and_the_rest_has_reasons(found):
    assert len(KINDS) == 34 and len(found.by_hand) <= 4, found.by_hand
    assert "recursive" in found.by_hand
    for name in found.by_hand:
        assert found.old.named(name).outside


@pytest.mark.parametrize("name", KINDS)
def test_a_statement_does_the_same_after_the_data_is_moved(found, name):
    if name in found.by_hand:
        return
    shown = show_program(found.new)
    body = re.search(rf"-- name: {name}\b[^\n]*\n(.*?)(?=-- name:|\Z)", shown, re.DOTALL)[1]
    with closing(sqlite3.connect(":memory:")) as base:
        base.executescript(SOURCE + ROWS)
        old = base.execute(KINDS[name], VALUES).fetchall()
        before = [base.execute(query).fetchall() for query in (LOOK[0], LOOK[2])]
        base.rollback()
        base.executescript(migration_sql(found.mapping))
        for statement in filter(str.strip, body.split(";")):
            got = base.execute(statement, VALUES)
            new = got.fetchall() if got.description else []
        assert sorted(old, key=repr) == sorted(new, key=repr)
        assert before == [base.execute(query).fetchall() for query in LOOK[1:]]
