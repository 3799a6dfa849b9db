"""Fields, columns and collections outside the schema: listed, never dropped in silence."""

import json
import sqlite3

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
import duckdb

from reasoning.synthesis.connect import unread
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.datalog import check_program
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite import Mapping, Plan, migrate, verify
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.syntax import parse_program

FLAT = parse_schema(
    {"kind": "relational", "collections": {"e": {"fields": {"n": "int", "v": "str"}}}}
)
FIELDS = {"n": "int", "v": "str", "k": {"fields": {"d": "str", "o": {"fields": {"p": "int"}}}}}
DEEP = parse_schema({"collections": {"e": {"fields": FIELDS}}})
ROWS = [{"n": 1, "v": "a"}, {"n": 2, "v": "b", "x": 5}, {"n": 3, "v": None, "x": 6, "y": None}]
KEPT = [{"n": 1, "v": "a"}, {"n": 2, "v": "b"}, {"n": 3, "v": None}]


def written(folder, kind):
    """The records of ROWS in a source of a kind."""
    lines = "\n".join(map(json.dumps, ROWS))
    if kind in ("json", "lines"):
        file = folder / {"json": "s.json", "lines": "s.jsonl"}[kind]
        file.write_text(json.dumps({"e": ROWS}) if kind == "json" else lines)
    elif kind == "sqlite":
        file = folder / "s.db"
        with sqlite3.connect(file) as base:
            base.execute("CREATE TABLE e (x INT, n INT, v TEXT)")
            base.executemany(
                "INSERT INTO e VALUES (?, ?, ?)", [(r.get("x"), r["n"], r["v"]) for r in ROWS]
            )
        base.close()
    elif kind == "duckdb":
        file = folder / "s.duckdb"
        with duckdb.connect(str(file)) as base:
            base.execute(
                "CREATE TABLE e AS SELECT 5 AS x, n::BIGINT AS n, v "
                "FROM (VALUES (1, 'a'), (2, 'b'), (3, NULL)) t(n, v)"
            )
    else:
        (folder / kind).mkdir()
        file = folder / kind
        if kind == "csv":
            (file / "e.csv").write_text("v,x,n\na,,1\nb,5,2\n,6,3\n")
        elif kind == "parquet":
            duckdb.sql(
                f"COPY (SELECT 5 AS x, n::BIGINT AS n, v FROM (VALUES (1, 'a'), (2, 'b'), (3, "
                f"NULL)) t(n, v)) TO '{file}/e.parquet'"
            )
        else:
            (file / f"e.{kind}").write_text(lines)
    if kind == "json":
        return str(file)
    return f"mongoexport://{file}" if kind == "mongoexport" else str(file)


@pytest.mark.parametrize("kind", ["json", "lines", "jsonl", "csv", "sqlite", "duckdb", "parquet"])
def test_what_is_not_read_is_listed(kind, tmp_path):
    said = []
    assert read_whole(FLAT, written(tmp_path, kind), said) == {"e": KEPT}
    counted = kind not in ("sqlite", "duckdb", "parquet")
    assert said == [
        "'x' of e, in 2 records, first in record 2" if counted else "the column 'x' of e"
    ]


def test_nested_fields_collections_and_extended_json(tmp_path):
    data = {
        "page": 1,
        "e": [
            {"n": 1, "v": "a", "k": [{"d": "p", "z": 1, "o": {"p": 1, "q": [2]}}]},
            {
                "_id": {"$oid": "573a1390f29313caabcd4135"},
                "n": 2,
                "k": [{"d": "q"}, {"d": "r", "z": 2}],
            },
        ],
        "other": [{"a": 1}, 5, [6]],
    }
    (tmp_path / "s.json").write_text(json.dumps({"e": data["e"], **data}))
    said = []
    found = read_whole(DEEP, str(tmp_path / "s.json"), said)["e"]
    assert found[0]["k"] == [{"d": "p", "o": [{"p": 1}]}] and len(found[1]["k"]) == 2
    assert said == [
        "the collection 'other', 3 records, which the schema does not name",
        "'z' of e?k, in 2 records, first in record 1",
        "'_id' of e, in 1 records, first in record 2",
        "'q' of e?k?o, in 1 records, first in record 1",
        "the collection 'page', which the schema does not name",
    ]


def test_xml_lists_what_it_leaves_out(tmp_path):
    (tmp_path / "s.xml").write_text(
        '<r><e n="1" w="2"><v unit="m">a</v><k><d>p</d></k><z/></e>'
        '<e n="2">text<t>u</t></e><f/></r>'
    )
    said = []
    assert [one["v"] for one in read_whole(DEEP, str(tmp_path / "s.xml"), said)["e"]] == ["a", None]
    assert sorted(said) == [
        "'#text' of e, in 1 records, first in record 2",
        "'t' of e, in 1 records, first in record 2",
        "'v/unit' of e, in 1 records, first in record 1",
        "'w' of e, in 1 records, first in record 1",
        "the collection 'f', 1 records, which the schema does not name",
    ]


@pytest.mark.parametrize(
    "text, complaint",
    [
        ('{"e": [{"n": 1}, {"N": 1}]}', "e, record 2 has 'N' and no field of the schema"),
        ('{"E": [{"n": 1}]}', "e, record 1 has 'E' and no field"),
        ('{"total": 1, "e": [{"n": 1}]}', "e, record 1 has 'e' and no field"),
    ],
)
def test_what_is_no_record_of_the_schema_is_refused(text, complaint, tmp_path):
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_whole(FLAT, str(tmp_path / "s.json"))


def test_keys_that_are_data_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(unread, "MOST", 3)
    (tmp_path / "s.jsonl").write_text(json.dumps({"n": 1} | {f"k{n}": n for n in range(5)}))
    with pytest.raises(UserError, match='more than 3 fields.*"form": "map"'):
        read_whole(FLAT, str(tmp_path / "s.jsonl"))


def test_a_header_that_names_a_column_twice_is_refused(tmp_path):
    (tmp_path / "e.csv").write_text("n,v,v\n1,a,b\n")
    with pytest.raises(UserError, match="'v' must be there once"):
        read_whole(FLAT, str(tmp_path))


def mapping(source=FLAT, rule="f(n, v) :- e(n, v)."):
    fields = {"fields": {"n": "int", "v": "str"}}
    target = parse_schema({"kind": "relational", "collections": {"f": fields}})
    return Mapping(source, target, check_program(parse_program(rule), source, target))


@pytest.mark.parametrize("dry", [True, False])
def test_a_run_lists_them(dry, tmp_path):
    source, target = written(tmp_path, "json"), str(tmp_path / "o.json")
    report = migrate(Plan(mapping(), source, target, dry_run=dry))
    assert "not read: 'x' of e, in 2 records, first in record 2" in report.text().splitlines()
    assert not report.problems and (tmp_path / "o.json").exists() is not dry
    with pytest.raises(UserError, match="not read: 'x' of e.*--unread refuse"):
        migrate(Plan(mapping(), source, target, dry_run=dry, unread="refuse", overwrite=True))


def test_the_list_survives_a_crash(tmp_path, monkeypatch):
    from reasoning.synthesis.dynamite.migration import migrate as module

    source, target = written(tmp_path, "json"), str(tmp_path / "o.json")
    with monkeypatch.context() as patched:
        patched.setattr(module, "_transform", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            migrate(Plan(mapping(), source, target))
    report = migrate(Plan(mapping(), source, target, resume=True))
    assert report.unread == ["'x' of e, in 2 records, first in record 2"]


def test_a_field_of_another_name_is_a_problem(tmp_path):
    (tmp_path / "s.json").write_text('{"e": [{"n": 1, "V": "a"}, {"n": 2, "V": "b"}]}')
    places = str(tmp_path / "s.json"), str(tmp_path / "o.json")
    assert "e.v is in no record" in migrate(Plan(mapping(), *places)).problems[0]
    (tmp_path / "s.json").write_text('{"e": [{"n": 1, "V": "a"}, {"n": 2, "v": null}]}')
    assert not migrate(Plan(mapping(), *places, overwrite=True)).problems
    two = parse_schema(
        {"collections": {"e": {"fields": {"n": "int", "v": "str"}}, "g": {"fields": {"n": "int"}}}}
    )
    (tmp_path / "s.json").write_text('{"E": [{"n": 1}], "g": [{"n": 1}]}')
    found = migrate(Plan(mapping(two), *places, overwrite=True)).problems
    assert "e is not there, and 'E' is" in found[0] and len(found) == 1


def test_verify_sees_more_in_the_target(tmp_path):
    places = written(tmp_path, "json"), str(tmp_path / "o.json")
    migrate(Plan(mapping(), *places))
    assert not verify(mapping(), *places).problems
    made = json.loads((tmp_path / "o.json").read_text())
    made["f"][1]["w"] = 1
    (tmp_path / "o.json").write_text(json.dumps(made))
    assert "'w' of f, in 1 records" in verify(mapping(), *places).problems[0]
