"""ON DELETE and ON UPDATE: part of what programs do, kept where the schema keeps them, written out
where it drops them; run on SQLite with references switched on.
"""

from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from benchmarks.migrator_scenarios.applications import Application
from reasoning.synthesis.migrator import Options, Refactoring, parse_program, read_tables, refactor
from reasoning.synthesis.migrator.equivalence.bounded_test import Comparison
from reasoning.synthesis.migrator.testing.actions import also_changed
from tests.reasoning.synthesis.migrator.engines import in_postgres, in_sqlite

OLD = """CREATE TABLE users (id int PRIMARY KEY, name text NOT NULL, bio text);
CREATE TABLE posts (id int PRIMARY KEY, user_id int REFERENCES users (id) ON DELETE CASCADE,
  title text);
CREATE TABLE notes (id int PRIMARY KEY, post_id int DEFAULT 9, body text,
  FOREIGN KEY (post_id) REFERENCES posts (id) ON DELETE SET NULL);
"""
PROGRAM = """-- name: add_user(id, name, bio)
INSERT INTO users (id, name, bio) VALUES (:id, :name, :bio);
-- name: post(id, u, title)
INSERT INTO posts (id, user_id, title) VALUES (:id, :u, :title);
-- name: note(id, p, body)
INSERT INTO notes VALUES (:id, :p, :body);
-- name: drop_user(id)
DELETE FROM users WHERE id = :id;
-- name: titles()
SELECT p.title, u.name, u.bio FROM posts p JOIN users u ON u.id = p.user_id ORDER BY p.id;
-- name: bodies()
SELECT id, body, post_id FROM notes ORDER BY id;
"""
ROWS = """INSERT INTO users VALUES (1, 'a', 'x'), (2, 'b', NULL);
INSERT INTO posts VALUES (1, 1, 't'), (2, 2, 'u'), (3, 2, NULL), (9, 1, 'default');
INSERT INTO notes VALUES (1, 1, 'n'), (2, 2, 'm'), (3, NULL, NULL);"""
CALLS = (("note", {"id": 7, "p": 3, "body": "b"}), ("drop_user", {"id": 2}))
SPLIT = OLD.replace(
    ", bio text);",
    (
        ");\nCREATE TABLE profiles (user_id int PRIMARY KEY REFERENCES users (id) "
        "ON DELETE CASCADE, bio text);"
    ),
)
TARGETS = {
    "split, kept": SPLIT,
    "dropped": OLD.replace(" ON DELETE CASCADE", ""),
    "split, all dropped": SPLIT.replace(" ON DELETE CASCADE", "").replace(
        " ON DELETE SET NULL", ""
    ),
    "another": OLD.replace("ON DELETE SET NULL", "ON DELETE CASCADE"),
    "default": OLD.replace("ON DELETE SET NULL", "ON DELETE SET DEFAULT"),
}


applications = pytest.mark.parametrize(
    "cascades",
    [Application("cascades", OLD, target, PROGRAM, ROWS, CALLS) for target in TARGETS.values()],
    ids=TARGETS.keys(),
)


@applications
def test_rows_that_refer_go_as_before(cascades):
    in_sqlite(cascades)


@pytest.mark.slow
@applications
def test_rows_that_refer_go_as_before_in_postgres(cascades, postgres):
    in_postgres(cascades, postgres)


def test_a_key_that_moves_takes_its_references_along():
    def moving(ddl):
        return ddl.replace("ON DELETE CASCADE", "ON UPDATE CASCADE")

    program = PROGRAM + "-- name: move(id, other)\nUPDATE users SET id = :other WHERE id = :id;\n"
    post = ("post", {"id": 12, "u": 8, "title": "v"})
    calls = (("move", {"id": 2, "other": 8}), post, CALLS[0])
    in_sqlite(Application("moves", moving(OLD), moving(SPLIT), program, ROWS, calls))


def test_an_action_that_is_new_is_said():
    old = OLD.replace(" ON DELETE CASCADE", "")
    found = refactor(PROGRAM, old, OLD, Options(bound=1, verify="off"))
    assert isinstance(found, Refactoring) and not found.rewritten
    assert len(found.notes) == 1 and "posts.user_id is ON DELETE CASCADE" in found.notes[0]


def test_a_reference_that_is_new_is_said():
    old = OLD.replace(" REFERENCES users (id) ON DELETE CASCADE", "")
    new = OLD.replace(" ON DELETE CASCADE", "")
    found = refactor(PROGRAM, old, new, Options(bound=1, verify="off"))
    assert isinstance(found, Refactoring)
    assert found.notes == (
        (
            "posts.user_id refers to users in the new schema alone: calls that leave it open fail "
            "there"
        ),
    )


def test_a_dropped_action_is_a_difference():
    tables = [read_tables(OLD), read_tables(TARGETS["dropped"])]
    programs = [parse_program(PROGRAM, one) for one in tables]
    checked = Comparison(programs[0], tables[0], programs[1], tables[1]).run(3, lambda: True)
    assert checked.failure is not None and "drop_user" in checked.failure.functions


def test_actions_are_read_wherever_they_stand():
    ddl = """CREATE TABLE "U" (id int PRIMARY KEY);
    CREATE TABLE c (id int PRIMARY KEY, "U" int);
    ALTER TABLE ONLY c ADD CONSTRAINT x FOREIGN KEY ("U") REFERENCES "U" (id) ON UPDATE CASCADE
      ON DELETE SET NULL;
    """
    tables = read_tables(ddl, "postgres")
    assert tables.actions == {("c", ("U",)): ("SET NULL", "CASCADE")} and not tables.not_read
    gone = parse_program('-- name: f(i)\nDELETE FROM "U" WHERE id = :i;', tables, "postgres")
    assert also_changed(gone.functions[0].statements[0], tables) == {"c"}
    assert also_changed(gone.functions[0].statements[0], replace(tables, actions={})) == set()
