"""Dry runs, incremental runs, what is lost, and a pipe that is closed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.datalog import check_program
from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite import Mapping, Plan, __main__, migrate, save_mapping
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.schema import Schema, with_kind
from reasoning.synthesis.syntax import parse_program

ROOT = Path(__file__).parents[4]
SHOP = from_ddl(
    "CREATE TABLE orders (id bigint PRIMARY KEY, who bigint, note text);"
    "CREATE TABLE people (id bigint PRIMARY KEY, name text);"
)
FLAT = from_ddl("CREATE TABLE sold (name text, note text)")
SOLD = "sold(n, t) :- orders(_, w, t), people(w, n)."
DATA = {
    "people": [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bo"}],
    "orders": [{"id": 10, "who": 1, "note": "x"}, {"id": 11, "who": 1, "note": "x"}],
}
MORE = {
    "people": DATA["people"],
    "orders": DATA["orders"] + [{"id": 12, "who": 1, "note": "x"}, {"id": 13, "who": 2}],
}
NESTED = with_kind(
    parse_schema(
        {
            "kind": "document",
            "collections": {
                "person": {"fields": {"name": "str", "bought": {"fields": {"note": "str"}}}}
            },
        }
    ),
    "document",
)
DOCUMENTS = """person(n, _v) :- people(i, n), _v = id(n).
person(n, _v), person?bought(_v, t) :- people(i, n), orders(_, i, t), _v = id(n)."""


def mapped(target: Schema, rules: str) -> Mapping:
    return Mapping(SHOP, target, check_program(parse_program(rules), SHOP, target))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(DATA))
    return tmp_path


def test_a_dry_run_counts_and_writes_nothing(here, capsys):
    save_mapping(mapped(FLAT, SOLD), here / "m.json")
    before = sorted(here.iterdir())
    command = ["run", "--mapping", "m.json", "--source", "s.json", "--target", "o.db", "--dry-run"]
    assert __main__.main(command) == 0
    said = capsys.readouterr().out
    assert "target sold: 2 records" in said and "nothing was written" in said
    assert 'first of sold: {"name": "Ann", "note": "x"}' in said
    assert sorted(here.iterdir()) == before


def test_a_dry_run_names_what_a_run_refuses(here):
    keyed = from_ddl("CREATE TABLE sold (name text PRIMARY KEY, note text)")
    report = migrate(Plan(mapped(keyed, SOLD), "s.json", "o.db", dry_run=True))
    assert "the key (name) repeats, 2 times" in report.problems[0]
    with pytest.raises(UserError, match=r"repeats, 2 times for example in \{.*\} and \{"):
        migrate(Plan(mapped(keyed, SOLD), "s.json", "o.db"))
    with pytest.raises(UserError, match="is there already"):
        migrate(Plan(mapped(FLAT, SOLD), "s.json", "s.json", dry_run=True, overwrite=False))


def test_only_what_new_rows_add_is_carried_over(here):
    (here / "s.json").write_text(json.dumps(MORE))
    plan = Plan(mapped(FLAT, SOLD), "s.json", "o.json", since=("orders.id=11",))
    report = migrate(plan)
    wanted = [{"name": "Ann", "note": "x"}, {"name": "Bo", "note": None}]
    assert read_whole(FLAT, "o.json")["sold"] == wanted and report.new == {"sold": 2}
    assert report.target_rows == {"sold": 4}


def test_marks_are_saved_and_read(here):
    mapping, target = mapped(FLAT, SOLD), "o.json"

    def run(name):
        plan = Plan(mapping, "s.json", name, since=("orders.id",), marks=here / "marks.json")
        return migrate(plan).new["sold"]

    assert run("o1.json") == 2
    assert json.loads((here / "marks.json").read_text()) == {"orders.id": 11}
    (here / "s.json").write_text(json.dumps(MORE))
    assert run("o2.json") == 2 and run("o3.json") == 0
    assert json.loads((here / "marks.json").read_text()) == {"orders.id": 13}
    assert target not in [path.name for path in here.iterdir()]


def test_a_document_that_changed_is_written_whole(here):
    (here / "s.json").write_text(json.dumps(MORE))
    migrate(Plan(mapped(NESTED, DOCUMENTS), "s.json", "o.json", since=("orders.id=12",)))
    assert read_whole(NESTED, "o.json")["person"] == [{"name": "Bo", "bought": [{"note": None}]}]


@pytest.mark.parametrize(
    "since, said",
    [
        ("orders.id", "give COLLECTION.ATTRIBUTE=VALUE"),
        ("orders.x=1", "is no attribute"),
        ("orders.id=x", "is no int"),
        ("orders.id=1.5", "is no int"),
        ("orders.note=a", "is NULL in 1 records"),
    ],
)
def test_marks_that_cannot_be_are_refused(since, said, here):
    (here / "s.json").write_text(json.dumps(MORE))
    with pytest.raises(UserError, match=said):
        migrate(Plan(mapped(FLAT, SOLD), "s.json", "o.json", since=(since,)))
    assert not (here / "o.json").exists()


def test_fewer_records_than_derivations_are_code_4(here, capsys):
    """A mapping edited by hand: one of two rules merges, and does not say so for both."""
    rules = "sold(n, n) :- people(_, n). sold(n, t) :- orders(_, w, t), people(w, n) @distinct."
    save_mapping(mapped(FLAT, rules), here / "m.json")
    command = ["run", "--mapping", "m.json", "--source", "s.json", "--target", "o.json"]
    assert __main__.main(command) == 4
    said = capsys.readouterr().out
    assert "LOST: sold: " in said and "derivations became" in said and "no problem" not in said


def test_values_outside_a_table_are_code_4(here, capsys):
    rules = 'sold(n, table(t, "y", "why")) :- orders(_, w, t), people(w, n).'
    save_mapping(mapped(FLAT, rules), here / "m.json")
    command = ["run", "--mapping", "m.json", "--source", "s.json", "--target", "o.json"]
    assert __main__.main(command) == 4
    assert "became NULL, for example 'x'" in capsys.readouterr().out


def test_a_closed_pipe_is_no_traceback(here):
    save_mapping(mapped(FLAT, SOLD), here / "m.json")
    (here / "s.json").write_text(json.dumps(DATA))
    command = [sys.executable, "-m", "reasoning.synthesis.dynamite", "show", "--mapping"]
    command += [str(here / "m.json")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": ROOT}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said and process.returncode == 141
