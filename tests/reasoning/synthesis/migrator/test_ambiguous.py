"""Where names and types do not say which column becomes which, nothing is guessed."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import Options, Refactoring, migration_sql, refactor
from reasoning.synthesis.migrator.cli import Check, run_check
from reasoning.synthesis.migrator.correspondence.similarity import evidence, same_word
from reasoning.synthesis.migrator.output.explain import explain

QUICK = Options(bound=0, verify="off")

TRANSFERS = "CREATE TABLE transfers (id INTEGER PRIMARY KEY, debtor INT, creditor INT, cents INT);"
ACCOUNTS = "CREATE TABLE transfers (id INTEGER PRIMARY KEY, payer INT, payee INT, amount INT);"
KEPT = """-- name: add(id, a, b, c)
INSERT INTO {0} VALUES (:id, :a, :b, :c);
-- name: all()
SELECT id, {1} FROM {0};
"""
TRANSFER = KEPT.format("transfers", "debtor, creditor, cents")

PEOPLE = """CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE managers (id INTEGER PRIMARY KEY, name TEXT);"""
OTHERS = PEOPLE.replace("users", "members").replace("managers", "supervisors")
PERSON = """-- name: add_user(id, name)
INSERT INTO users VALUES (:id, :name);
-- name: add_manager(id, name)
INSERT INTO managers VALUES (:id, :name);
-- name: users()
SELECT name FROM users;
-- name: managers()
SELECT name FROM managers;
"""


def moved(found: Refactoring, old: str, rows: str, query: str) -> list[tuple]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.executescript(old + rows)
        base.executescript(migration_sql(found.mapping))
        return base.execute(query).fetchall()


def test_columns_with_a_common_word_stay_together():
    old = """CREATE TABLE orders (id INTEGER PRIMARY KEY, buyer TEXT, ship_street TEXT,
        ship_zip TEXT, bill_street TEXT, bill_zip TEXT);"""
    address = "(order_id INTEGER PRIMARY KEY REFERENCES orders(id), street TEXT, zip TEXT);"
    new = f"""CREATE TABLE orders (id INTEGER PRIMARY KEY, buyer TEXT);
        CREATE TABLE shipping_addresses {address} CREATE TABLE billing_addresses {address}"""
    program = """-- name: place(id, buyer, ss, sz, bs, bz)
INSERT INTO orders VALUES (:id, :buyer, :ss, :sz, :bs, :bz);
-- name: label(id)
SELECT buyer, ship_street, ship_zip FROM orders WHERE id = :id;
-- name: invoice(id)
SELECT buyer, bill_street, bill_zip FROM orders WHERE id = :id;
"""
    found = refactor(program, old, new, QUICK)
    assert isinstance(found, Refactoring)
    rows = "INSERT INTO orders VALUES (1, 'b', 'ss', 'sz', 'bs', 'bz');"
    assert moved(found, old, rows, "SELECT * FROM shipping_addresses") == [(1, "ss", "sz")]


def test_columns_that_could_change_places_are_asked_for_in_declared_order():
    asked = "transfers.debtor=transfers.payer transfers.creditor=transfers.payee"
    with pytest.raises(UserError, match=f"as by --rename {asked} transfers.cents=transfers.amount"):
        refactor(TRANSFER, TRANSFERS, ACCOUNTS, QUICK)
    found = refactor(TRANSFER, TRANSFERS, ACCOUNTS, replace(QUICK, renames=tuple(asked.split())))
    assert isinstance(found, Refactoring)
    rows = "INSERT INTO transfers VALUES (1, 2, 3, 4);"
    query = "SELECT payer, payee, amount FROM transfers"
    assert moved(found, TRANSFERS, rows, query) == [(2, 3, 4)]


def test_one_decision_settles_which_table_becomes_which():
    with pytest.raises(UserError, match="--rename users.id=members.id managers.id=supervisors.id"):
        refactor(PERSON, PEOPLE, OTHERS, QUICK)
    found = refactor(PERSON, PEOPLE, OTHERS, replace(QUICK, renames=("users.id=members.id",)))
    assert isinstance(found, Refactoring)
    rows = "INSERT INTO users VALUES (1, 'u'); INSERT INTO managers VALUES (1, 'm');"
    assert moved(found, PEOPLE, rows, "SELECT name FROM members") == [("u",)]


def test_references_decide_between_tables():
    order = "CREATE TABLE orders (id INTEGER PRIMARY KEY, who INT REFERENCES {}(id));"
    more = "-- name: order(id, who)\nINSERT INTO orders VALUES (:id, :who);\n"
    found = refactor(
        PERSON + more, PEOPLE + order.format("users"), OTHERS + order.format("members"), QUICK
    )
    assert isinstance(found, Refactoring)
    assert found.correspondence.images["users", "id"][0] == ("members", "id")


def test_of_two_new_columns_for_one_none_is_guessed():
    old = "CREATE TABLE people (id INTEGER PRIMARY KEY, contact TEXT);"
    new = "CREATE TABLE people (id INTEGER PRIMARY KEY, phone TEXT, mail TEXT);"
    program = """-- name: add(id, c)
INSERT INTO people VALUES (:id, :c);
-- name: all()
SELECT id, contact FROM people;
"""
    with pytest.raises(UserError, match="people.contact: people.phone or people.mail would do"):
        refactor(program, old, new, QUICK)


def test_three_columns_of_which_each_could_have_the_next_ones_place_are_asked_for():
    old = "CREATE TABLE t (id INTEGER PRIMARY KEY, home_work TEXT, work_mail TEXT, mail_home TEXT);"
    new = "CREATE TABLE t (id INTEGER PRIMARY KEY, home TEXT, work TEXT, mail TEXT);"
    program = KEPT.format("t", "home_work, work_mail, mail_home")
    with pytest.raises(UserError, match="t.home_work and t.work_mail and t.mail_home"):
        refactor(program, old, new, QUICK)
    renames = ("t.home_work=t.home", "t.work_mail=t.work", "t.mail_home=t.mail")
    assert isinstance(refactor(program, old, new, replace(QUICK, renames=renames)), Refactoring)


def test_a_doubt_is_said_before_programs_are_compared():
    old = "CREATE TABLE p (id INTEGER PRIMARY KEY, contact TEXT);"
    new = "CREATE TABLE p (id INTEGER PRIMARY KEY, phone TEXT, mail TEXT);"
    program = "-- name: all()\nSELECT id, contact FROM p;\n"
    lines: list[str] = []
    with pytest.raises(UserError, match="p.phone or p.mail"):
        refactor(program, old, new, QUICK, progress=lines.append)
    assert lines and not any("comparing sequences" in line for line in lines)


SPLIT = """CREATE TABLE accounts (id INTEGER PRIMARY KEY, email TEXT NOT NULL);
CREATE TABLE addresses (id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL UNIQUE REFERENCES accounts(id), street TEXT, zip TEXT);"""
USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, street TEXT, zip TEXT);"
USER = """-- name: add(email, street, zip)
INSERT INTO users (email, street, zip) VALUES (:email, :street, :zip);
-- name: get(id)
SELECT id, email, street, zip FROM users WHERE id = :id;
"""


def test_a_key_goes_where_the_references_to_it_point():
    order = "CREATE TABLE orders (id INTEGER PRIMARY KEY, {} INTEGER NOT NULL REFERENCES {}(id));"
    more = "-- name: orders_of(user_id)\nSELECT id FROM orders WHERE user_id = :user_id;\n"
    found = refactor(
        USER + more,
        USERS + order.format("user_id", "users"),
        SPLIT + order.format("account_id", "accounts"),
        QUICK,
    )
    assert isinstance(found, Refactoring)
    assert found.correspondence.images["users", "id"][0] == ("accounts", "id")
    assert "nothing reads it" not in explain(found)


def test_without_references_the_user_says_which_table_keeps_the_keys():
    with pytest.raises(
        UserError, match="(?:users.id=addresses.id or )?--rename users.id=accounts.id"
    ):
        refactor(USER, USERS, SPLIT, QUICK)
    found = refactor(USER, USERS, SPLIT, replace(QUICK, renames=("users.id=accounts.id",)))
    assert isinstance(found, Refactoring)
    assert found.correspondence.images["users", "id"][0] == ("accounts", "id")


def test_check_begins_where_the_user_says(tmp_path):
    new = TRANSFER.replace("debtor, creditor, cents", "payer, payee, amount")
    texts = {"a.sql": TRANSFERS, "b.sql": ACCOUNTS, "p.sql": TRANSFER, "q.sql": new}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in texts]
    command = Check(
        source_schema=paths[0],
        target_schema=paths[1],
        source_program=paths[2],
        target_program=paths[3],
        bound=1,
        verify="off",
        rename=("transfers.debtor=transfers.payer", "transfers.creditor=transfers.payee"),
    )
    assert run_check(command) == 0
    with pytest.raises(UserError, match="--rename: there is no column 'transfers.payers'"):
        run_check(replace(command, rename=("transfers.debtor=transfers.payers",)))


def test_no_column_takes_the_place_that_is_another_ones_by_its_name():
    source = "CREATE TABLE sites (id INTEGER PRIMARY KEY, region TEXT, country TEXT);"
    target = "CREATE TABLE Site (siteId INTEGER PRIMARY KEY, siteCountry TEXT);"
    program = "-- name: all()\nSELECT id, region FROM sites;"
    with pytest.raises(UserError, match=r"sites\.region would become Site\.siteCountry, which is"):
        refactor(program, source, target, QUICK)
    dropped = refactor(program, source, target, replace(QUICK, drops=("sites.country",)))
    assert isinstance(dropped, Refactoring)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("ship", "shipping", True),
        ("qty", "quantity", True),
        ("created", "creation", True),
        ("first", "given", True),
        ("debtor", "editor", False),
        ("to", "total", False),
    ],
)
def test_words_are_one_by_their_beginning_letters_or_stem(one, other, same):
    assert same_word(one, other) == same


def test_letters_alone_are_no_evidence():
    assert evidence(("t", "cents"), ("t", "from_account")) == 0
    assert evidence(("t", "postCode"), ("t", "post_code")) == 1
