"""Data scripts and rewritten programs in PostgreSQL itself; skipped where there is no server."""

import re

import pytest

pytest.importorskip("psycopg")
pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
import psycopg

from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor, show_program
from tests.reasoning.synthesis.migrator import clinic, shop
from tests.reasoning.synthesis.migrator.output.test_data_migration import ROWS, mapping_of

pytestmark = pytest.mark.slow
SHOP_ROWS = """INSERT INTO "order" VALUES (1, 'ann', '2024-01-01 10:00:00', 's1', 'rome', 3.5),
  (2, 'bob', NULL, 's2', 'oslo', NULL);
INSERT INTO item VALUES (1, 1, 'pen', 2), (2, 1, 'cup', 1);
INSERT INTO staff VALUES (1, 'eve', NULL, 'b1', 'front'), (2, 'max', 1, 'b2', NULL);
INSERT INTO shift VALUES (2, '2024-05-05');"""


@pytest.fixture
def base(postgres):
    return postgres


def refactored(room):
    found = refactor(
        room.PROGRAM, room.SOURCE, room.TARGET, Options("postgres", bound=1, verify="off")
    )
    assert isinstance(found, Refactoring), found
    return found


def test_a_clinic_moves(base):
    found = refactored(clinic)
    base.execute(clinic.SOURCE + ROWS)
    base.execute(migration_sql(found.mapping, "postgres"))
    assert base.execute("SELECT * FROM policy ORDER BY 1").fetchall() == [
        (1, "AOK", "p1"),
        (2, None, None),
    ]
    assert base.execute("SELECT reason FROM visit ORDER BY 1").fetchall() == [
        ("check-up",),
        ("cough",),
    ]
    names = base.execute(
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE "
        "'%key%'"
    ).fetchall()
    assert sorted(names) == [("bill_paid",), ("room_no",), ("visit_day",)]
    with pytest.raises(
        psycopg.errors.ForeignKeyViolation
    ):  # remark was not touched, and refers to the new patient
        base.execute("INSERT INTO remark VALUES (8, 99, '')")


def run(base, program, name, arguments):
    """A function of a printed program, each call a transaction."""
    body = re.search(rf"-- name: {name}\([^\n]*\n(.*?)(?=-- name:|\Z)", program, re.DOTALL)[1]
    rows = None
    with base.transaction():
        for statement in filter(str.strip, body.split(";")):
            done = base.execute(
                re.sub(r"(?<!:):(\w+)", r"%(\1)s", statement.replace("FRESH(1)", "77")), arguments
            )
            rows = done.fetchall() if done.description else None
    return rows


def test_a_shop_moves_and_its_program_runs(base):
    """The old program before, the new one after, on the same rows: the same answers."""
    found = refactored(shop)
    asked = [
        ("to_city", {"city": "rome"}),
        ("to_city", {"city": "oslo"}),
        ("count_city", {"city": "rome"}),
        ("bosses_desk", {"badge": "b2"}),
    ]
    calls = [
        ("place", {"id": 9, "customer": "zoe", "placed": None, "street": "s", "city": "rome"}),
        ("double", {"city": "rome"}),
        ("cancel_in", {"city": "oslo"}),
        ("drop_empty_city", {"city": "oslo"}),
        ("drop_empty_city", {"city": "rome"}),
        ("hire", {"id": 3, "name": "kim", "boss": 2, "badge": "b3", "desk": "back"}),
        ("fire", {"badge": "b3"}),
    ]
    answers = []
    for new in (False, True):
        base.execute("DROP SCHEMA public CASCADE")
        base.execute("CREATE SCHEMA public")
        base.execute(shop.SOURCE + SHOP_ROWS)
        if new:
            base.execute(migration_sql(found.mapping, "postgres"))
        program = show_program(found.new) if new else shop.PROGRAM
        seen = [run(base, program, name, arguments) for name, arguments in asked]
        for name, arguments in calls:
            run(base, program, name, arguments)
            seen += [run(base, program, query, given) for query, given in asked]
        answers.append(seen)
    assert answers[0] == answers[1] and len(set(map(str, answers[0]))) > 4
    assert base.execute("SELECT COUNT(*) FROM purchase, shipping").fetchall() == [(1,)]
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        base.execute("INSERT INTO shift VALUES (99, '2024-05-05')")


def test_numbers_go_on_behind_the_keys_that_were_moved(base):
    found = refactored(shop)
    base.execute(shop.SOURCE + SHOP_ROWS)
    base.execute(migration_sql(found.mapping, "postgres"))
    assert base.execute(
        "INSERT INTO purchase (customer) VALUES ('new') RETURNING id"
    ).fetchall() == [(3,)]


def test_keys_that_were_given_once_are_not_given_again(base):
    source = "CREATE TABLE users (id SERIAL PRIMARY KEY, email text NOT NULL, bio text);"
    target = (
        "CREATE TABLE accounts (id BIGSERIAL PRIMARY KEY, email text NOT NULL);"
        "CREATE TABLE profiles (account_id integer PRIMARY KEY REFERENCES accounts (id), bio text);"
    )
    program = "-- name: all()\nSELECT id, email, bio FROM users;"
    base.execute(source + "INSERT INTO users (email, bio) VALUES ('a', 'x'), ('b', NULL);")
    base.execute("DELETE FROM users WHERE id = 2")
    base.execute(migration_sql(mapping_of(source, target, program, "postgres"), "postgres"))
    base.execute("INSERT INTO accounts (email) VALUES ('c')")
    assert base.execute("SELECT id FROM accounts ORDER BY 1").fetchall() == [(1,), (3,)]
    assert base.execute("SELECT * FROM profiles").fetchall() == [(1, "x")]
    with pytest.raises(psycopg.errors.NotNullViolation):  # no default of the old key is left
        base.execute("INSERT INTO profiles (bio) VALUES ('y')")
