"""Names at the border: hostile ones come out as they went in, or are refused by a sentence."""

import contextlib
import json
import shutil
from collections import Counter

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.datalog import Atom, Program, Rule, Var
from reasoning.synthesis.dynamite import (
    Mapping,
    Plan,
    load_mapping,
    migrate,
    save_mapping,
    synthesize_mapping,
    verify,
)
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.infer import infer_schema
from reasoning.synthesis.names import SYSTEM_COLUMNS, file_name, inner, masked, quoted
from reasoning.synthesis.schema import Attr, Collection, Schema, checked
from tests.reasoning.synthesis import on_postgres

HOSTILE = [
    't"x; DROP TABLE y',
    "a`b",
    "a\nb",
    "select",
    "rowid",
    "_rowid_",
    "oid",
    "price DOUBLE",
    "x'y",
    "v0",
    "__k0",
    "é",
    'n" := 1)) AS "__list" FROM x; COPY (SELECT 42) TO \'pwn.csv\'; --',
]
TARGETS = ["o.json", "o.duckdb", "o.db", "out", "parquet://pq"]


def learned(source, target):
    found = synthesize_mapping(infer_schema(source), infer_schema(target), [(source, target)])
    assert isinstance(found, Mapping)
    return found


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_keeps_every_row(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = [("x'); DROP TABLE t;--", 10), ('a"b', 0), ("<b>", 1), ("<b>", 1)]
    source = {"src": [{"a": a, "b": b} for a, b in rows]}
    target = {name: [{name: b, "other": a} for a, b in rows]}
    (tmp_path / "s.json").write_text(json.dumps(source))
    mapping = learned(source, target)
    for place in TARGETS:
        migrate(Plan(mapping, "s.json", place))
        assert verify(mapping, "s.json", place).problems == []
        found = read_whole(mapping.target, place)[name]
        assert sorted(map(repr, found)) == sorted(map(repr, target[name])), place
    assert not (tmp_path / "pwn.csv").exists()


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_nested_name_keeps_every_row(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = {"src": [{"a": "p", "b": 1}, {"a": "q", "b": 2}]}
    target = {"d": [{"x": "p", name: [{name: 1}]}, {"x": "q", name: [{name: 2}]}]}
    (tmp_path / "s.json").write_text(json.dumps(source))
    mapping = learned(source, target)
    migrate(Plan(mapping, "s.json", "o.json"))
    assert json.loads((tmp_path / "o.json").read_text()) == target
    assert not (tmp_path / "pwn.csv").exists()


def test_names_in_upper_and_lower_case_stay_apart_or_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = {"s": [{"X": 1, "x": "a"}, {"X": 2, "x": "b"}]}
    target = {"D": [{"X": 1, "x": "a"}, {"X": 2, "x": "b"}]}
    (tmp_path / "s.json").write_text(json.dumps(source))
    mapping = learned(source, target)
    migrate(Plan(mapping, "s.json", "o.json"))
    assert json.loads((tmp_path / "o.json").read_text()) == target
    for place in ("o.duckdb", "o.db", "parquet://pq"):
        with pytest.raises(UserError, match="are one name to"):
            migrate(Plan(mapping, "s.json", place))
        assert not (tmp_path / place.removeprefix("parquet://")).exists()


@pytest.mark.parametrize("name", ["../../../evil", "./x", "/tmp/x", "..", "a\0b", "a" * 300, ".h"])
def test_a_file_name_stays_in_its_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="the collection"):
        file_name(name, "csv")
    source = {"src": [{"a": 1}, {"a": 2}]}
    (tmp_path / "s.json").write_text(json.dumps(source))
    mapping = learned(source, {name: [{"x": 1}, {"x": 2}]})
    with pytest.raises(UserError, match="the collection"):
        migrate(Plan(mapping, "s.json", "out"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["s.json"]


@given(st.text(min_size=1), st.text(min_size=1))
def test_inner_names_differ_whatever_the_case(one, other):
    assert (inner(one).lower() == inner(other).lower()) == (one == other)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@h/d",
        "postgresql://u:se@cret@h/d",
        "ftp://u:secret@h/d",
        "postgresql://h/d?user=u&password=secret",
    ],
)
def test_no_message_shows_a_password(url):
    assert "secret" not in masked(url) and "cret@" not in masked(url)


def test_a_second_run_is_refused_while_the_first_lasts(tmp_path):
    source = {"src": [{"a": 1}, {"a": 2}]}
    (tmp_path / "s.json").write_text(json.dumps(source))
    mapping = learned(source, {"t": [{"x": 1}, {"x": 2}]})
    plan = Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "o.db"), overwrite=True, chunk=1)
    import subprocess
    import sys

    from reasoning.synthesis.dynamite import save_mapping

    save_mapping(mapping, tmp_path / "m.json")
    command = [sys.executable, "-m", "reasoning.synthesis.dynamite", "run", "--overwrite"]
    command += ["--mapping", str(tmp_path / "m.json"), "--source", plan.source]
    command += ["--target", plan.target]
    seen = []

    def during(line):
        if not seen:
            seen.append(subprocess.run(command, capture_output=True, text=True, check=False))

    migrate(plan, during)
    assert seen[0].returncode == 2 and "Traceback" not in seen[0].stderr
    assert verify(mapping, plan.source, plan.target).problems == []


PARTS = st.sampled_from(
    [
        *HOSTILE,
        "_ROWID_",
        "OID",
        "../x",
        "a/b",
        "..",
        "\x00",
        "",
        "x" * 300,
        "D",
        "d",
        "X",
        "x",
        "progress__",
        "__latentax_progress",
        "latentax_progress__",
        "pg_class",
        "%(x)s",
        "a%",
        "sqlite_x",
        "__id",
        "__parent",
        "r",
        "c0",
        "table",
        "_id",
        "%s",
        "{0}",
        "$1",
        "?",
        "#",
        ".",
        "*",
        "\ufeff",
        "\u202e",
        "a;b",
        "--",
        "/*",
        "\r",
    ]
)
NAMES = st.one_of(PARTS, st.text(max_size=8), st.tuples(PARTS, PARTS).map("".join))


FOLDERS = [*TARGETS, "jsonl://jl", "csv://cs", "mongoexport://mo"]


def mappings(name: str, attr: str, other: str) -> tuple[Mapping, Mapping] | None:
    """From a plain table to one with hostile names, and back; None: no schema has them."""
    kinds = {"a": "str", "b": "int"}
    plain = Schema("relational", (Collection("src", tuple(Attr(n, k) for n, k in kinds.items())),))
    named = (Attr(attr, "str"), Attr(other, "int"))
    try:
        hostile = checked(Schema("relational", (Collection(name, named),)))
    except UserError:
        return None
    rule = (Atom("src", (Var("x"), Var("y"))), Atom(name, (Var("x"), Var("y"))))
    there = Mapping(plain, hostile, Program((Rule((rule[1],), (rule[0],)),)))
    return there, Mapping(hostile, plain, Program((Rule((rule[0],), (rule[1],)),)))


ROWS = [{"a": "x'); DROP TABLE t;--", "b": 10}, {"a": "", "b": 0}, {"a": "", "b": 0}]


def same_rows(found) -> bool:
    return sorted(map(repr, found)) == sorted(map(repr, ROWS))


def carried(name: str, attr: str, other: str, tmp_path, engines) -> int:
    """Carry three rows through every sink and source under hostile names; returns the number of
    places that held them. What is refused leaves nothing behind.
    """
    made = mappings(name, attr, other)
    if made is None:
        return 0
    again, back = load_again(made[0], tmp_path), made[1]
    (tmp_path / "s.json").write_text(json.dumps({"src": ROWS}))
    held = 0
    for place in [*TARGETS, "jsonl://jl", "csv://cs", "mongoexport://mo"]:
        try:
            migrate(Plan(again, "s.json", place))
        except UserError as error:
            assert "please report" not in str(error)
            assert not (tmp_path / place.rpartition("/")[2]).exists()
            continue
        held += 1
        for engine in engines:
            migrate(Plan(back, place, "back.json", engine, overwrite=True))
            found = json.loads((tmp_path / "back.json").read_text())["src"]
            assert same_rows(found), (place, engine)
        gone = tmp_path / place.rpartition("/")[2]
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"back.json", "m.json", "s.json"}
    return held


def carried_by_postgres(names, folder, base, address, engine: str) -> bool:
    """Carry three rows into a server and out again under hostile names, and run the SQL that is
    printed for them.

    Args:
      names: of the table, its text column and its number.
      folder: the current folder.
      base: a connection to the server.
      address: its URL.
      engine: engine of the runs.

    Returns:
      True if the server held them; False if they were refused, as only names that it cuts are.
    """
    made = mappings(*names)
    if made is None:
        return False
    again, back = load_again(made[0], folder), made[1]
    (folder / "s.json").write_text(json.dumps({"src": ROWS}))
    try:
        migrate(Plan(again, "s.json", address, engine, work=folder / "work"))
    except UserError as error:
        assert "please report" not in str(error)
        cut = any(len(name.encode()) > 63 or "\0" in name for name in names)
        assert cut or set(names[1:]) & set(SYSTEM_COLUMNS), error
        left = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'latentax%'"
        assert base.execute(left).fetchall() == [] and not (folder / "work").exists()
        return False
    migrate(Plan(back, address, "back.json", engine, overwrite=True))
    assert same_rows(json.loads((folder / "back.json").read_text())["src"])
    facts = {names[0]: [tuple(row.values()) for row in ROWS]}
    printed = on_postgres.bags(base, back.program, back.source, back.target, facts)
    assert printed["src"] == Counter(facts[names[0]])
    base.execute(f"DROP TABLE public.{quoted(names[0])}".encode())
    return True


def load_again(mapping, folder):
    """The mapping as `run` reads it: through its file."""
    save_mapping(mapping, folder / "m.json")
    return load_mapping(folder / "m.json")


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, NAMES, NAMES)
@example('t"x; DROP TABLE y', "\ufeff", 't"x; DROP TABLE y')  # a CSV whose header began with it
def test_any_name_goes_through_every_place_or_is_refused(tmp_path_factory, name, attr, other):
    folder = tmp_path_factory.mktemp("n")
    with contextlib.chdir(folder):
        carried(name, attr, other, folder, ["duckdb"])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb", "sqlite", "memory"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=NAMES, attr=NAMES, other=NAMES)
def test_any_name_goes_through_every_place_and_engine(tmp_path_factory, engine, name, attr, other):
    folder = tmp_path_factory.mktemp("n")
    with contextlib.chdir(folder):
        carried(name, attr, other, folder, [engine])


SERVER = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=4, deadline=None, suppress_health_check=SERVER)
@given(names=st.tuples(NAMES, NAMES, NAMES))
def test_postgres_holds_any_name_or_refuses_it(tmp_path_factory, postgres, postgres_address, names):
    folder = tmp_path_factory.mktemp("n")
    with contextlib.chdir(folder):
        carried_by_postgres(names, folder, postgres, postgres_address, "duckdb")


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["duckdb", "sqlite", "memory"])
@settings(max_examples=60, deadline=None, suppress_health_check=SERVER)
@given(names=st.tuples(NAMES, NAMES, NAMES))
def test_postgres_holds_many_names(tmp_path_factory, postgres, postgres_address, engine, names):
    folder = tmp_path_factory.mktemp("n")
    with contextlib.chdir(folder):
        carried_by_postgres(names, folder, postgres, postgres_address, engine)


@pytest.mark.parametrize("name", ["rowid", "latentax_progress__", "pg_class", "%s", 'a"; DROP --'])
def test_postgres_holds_a_hostile_name(name, tmp_path, monkeypatch, postgres, postgres_address):
    monkeypatch.chdir(tmp_path)
    names = (name, "v0", name)
    assert carried_by_postgres(names, tmp_path, postgres, postgres_address, "duckdb")


def test_a_column_that_postgres_has_already_is_refused(tmp_path, monkeypatch, postgres_address):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps({"src": ROWS}))
    there = mappings("t", "xmin", "b")[0]
    with pytest.raises(UserError, match="a column xmin of its own: rename it"):
        migrate(Plan(there, "s.json", postgres_address))
    assert [path.name for path in tmp_path.iterdir()] == ["s.json"]


def test_ordinary_hostile_names_are_held_by_every_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert carried("rowid", "_rowid_", "oid", tmp_path, ["duckdb", "sqlite", "memory"]) == 8
