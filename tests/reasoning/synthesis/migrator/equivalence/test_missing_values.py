"""NULL, the empty text and zero after several updates: a wrong program is found, without calls
that it does not need.
"""

import pytest

pytest.importorskip("sqlglot")

from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.sql.parse import parse_program
from reasoning.synthesis.migrator.sql.tables import read_tables

OLD = read_tables("""CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT,
  excerpt TEXT);
""")
NEW = read_tables("""CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL);
CREATE TABLE bodies (post_id INTEGER PRIMARY KEY REFERENCES posts(id), body TEXT, excerpt TEXT);
""")
BEFORE = """-- name: publish(title)
INSERT INTO posts (title) VALUES (:title);
-- name: edit(id, body, excerpt)
UPDATE posts SET body = :body, excerpt = COALESCE(:excerpt, excerpt) WHERE id = :id;
-- name: empty()
UPDATE posts SET excerpt = 'none' WHERE body = '';
-- name: short()
SELECT id, excerpt FROM posts;
"""
AFTER = """-- name: publish(title)
INSERT INTO posts (title) VALUES (:title);
INSERT INTO bodies (post_id) VALUES (last_insert_rowid());
-- name: edit(id, body, excerpt)
UPDATE bodies SET body = :body, excerpt = COALESCE(:excerpt, excerpt) WHERE post_id = :id;
-- name: empty()
UPDATE bodies SET excerpt = 'none' WHERE body = '';
-- name: short()
SELECT post_id AS id, excerpt FROM bodies;
"""


def difference(right, wrong):
    assert right in AFTER
    old = parse_program(BEFORE, OLD)
    new = parse_program(AFTER.replace(right, wrong), NEW)
    return Comparison(old, OLD, new, NEW).run(2, lambda: True).failure


def test_the_right_program_is_right():
    assert difference("body = ''", "body = ''") is None


def test_null_in_an_update_behind_others_is_tried():
    failure = difference("COALESCE(:excerpt, excerpt)", ":excerpt")
    assert failure.functions == ("publish", "edit", "edit", "short")
    assert [made.get("excerpt") for _, made in failure.calls] == [None, "a", None, None]


def test_the_constants_of_a_program_are_tried():
    failure = difference("WHERE body = ''", "WHERE body = 'a'")
    assert failure is not None
