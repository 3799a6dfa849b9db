"""Names at the border: hostile ones come out as they went in, or are refused by a sentence."""

import contextlib
import json
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
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
from reasoning.synthesis.names import file_name, inner, masked
from reasoning.synthesis.schema import Attr, Collection, Schema, checked

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


def carried(name: str, attr: str, other: str, tmp_path, engines) -> int:
    """Carry three rows through every sink and source under hostile names; returns the number of
    places that held them. What is refused leaves nothing behind.
    """
    kinds = {"a": "str", "b": "int"}
    plain = Schema("relational", (Collection("src", tuple(Attr(n, k) for n, k in kinds.items())),))
    named = (Attr(attr, "str"), Attr(other, "int"))
    try:
        hostile = checked(Schema("relational", (Collection(name, named),)))
    except UserError:
        return 0
    rule = (Atom("src", (Var("x"), Var("y"))), Atom(name, (Var("x"), Var("y"))))
    there = Mapping(plain, hostile, Program((Rule((rule[1],), (rule[0],)),)))
    back = Mapping(hostile, plain, Program((Rule((rule[0],), (rule[1],)),)))
    again = load_again(there, tmp_path)
    rows = [{"a": "x'); DROP TABLE t;--", "b": 10}, {"a": "", "b": 0}, {"a": "", "b": 0}]
    (tmp_path / "s.json").write_text(json.dumps({"src": rows}))
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
            assert sorted(map(repr, found)) == sorted(map(repr, rows)), (place, engine)
        gone = tmp_path / place.rpartition("/")[2]
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
    left = {path.name for path in tmp_path.iterdir()}
    assert left <= {"back.json", "m.json", "s.json"}
    return held


def load_again(mapping, folder):
    """The mapping as `run` reads it: through its file."""
    save_mapping(mapping, folder / "m.json")
    return load_mapping(folder / "m.json")


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(NAMES, NAMES, NAMES)
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


def test_ordinary_hostile_names_are_held_by_every_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert carried("rowid", "_rowid_", "oid", tmp_path, ["duckdb", "sqlite", "memory"]) == 8
