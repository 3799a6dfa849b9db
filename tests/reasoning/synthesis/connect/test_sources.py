"""Sources: streamed JSON against the json module, XML by hand, folders of three kinds alike;
malformed files said with their place.
"""

import contextlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.synthesis.connect import json_stream
from reasoning.synthesis.connect.json_stream import read_instance
from reasoning.synthesis.connect.places import kind_of, path_of
from reasoning.synthesis.connect.sources import facts_of, load, read_whole
from reasoning.synthesis.connect.xml_stream import stream_xml
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.engines.duck import connect
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.names import table_name
from reasoning.synthesis.schema import Attr, Collection, Schema
from tests.tables import rows

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=6),
)
trees = st.dictionaries(
    st.text(max_size=3),
    scalars | st.lists(st.dictionaries(st.text(max_size=2), scalars, max_size=2), max_size=2),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(st.text(max_size=3), st.lists(trees, max_size=4), max_size=3),
    st.sampled_from([None, 1]),
    st.integers(1, 7),
)
def test_streaming_reads_what_json_reads(tmp_path_factory, data, indent, chunk):
    path = tmp_path_factory.mktemp("json") / "i.json"
    path.write_text(json.dumps(data, indent=indent), encoding="utf-8")
    before, json_stream.CHUNK = json_stream.CHUNK, chunk
    try:
        assert read_instance(path) == data
    finally:
        json_stream.CHUNK = before


@pytest.mark.parametrize("chunk", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    "text, complaint",
    [
        ('{"a": [\n{"x": 1},\n{"x": 2,}\n]}', "line 3"),
        ('{"a": [{"x": 1}\n{"x": 2}]}', "line 2, column 1: ',' or '.' was expected"),
        ('{"a": [{"x": NaN}]}', "NaN is no JSON"),
        ('{"a": [{"x": 1, "x": 2}]}', "'x' is there twice"),
        ('{"a": [], "a": []}', "'a' is there twice"),
        ('{"a": [1]}', "no object: 1"),
        ('{"a": [], "b": {}}', "line 1, column 16"),
        ('{"a": []} x', "behind the end"),
        ('{"a": [{"x": 1}', "the end of the file"),
        ("", "the end of the file"),
    ],
)
def test_malformed_json_is_told_with_its_place(text, complaint, chunk, tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", chunk)
    (tmp_path / "i.json").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_instance(tmp_path / "i.json")


@pytest.mark.parametrize(
    "name, text",
    [
        ("r.json", '[{"a": 1}, {"a": 2}]'),
        ("r.jsonl", '{"a": 1}\n{"a": 2}\n'),
        ("r.json", '{"a": 1}\n{"a": {"$numberLong": "2"}}'),
    ],
)
def test_records_without_a_collection_are_called_like_the_file(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    assert read_instance(tmp_path / name) == {"r": [{"a": 1}, {"a": 2}]}


@pytest.mark.parametrize(
    "cells, complaint",
    [
        (
            "1,2024-01-01T00:00:00+02:00,1",
            "t is '2024-01-01T00:00:00\\+02:00', which is no datetime",
        ),
        ("1,2024-01-01T00:00:00.1234567,1", "which is no datetime"),
        ("1,,0.12345678901", "m is '0.12345678901', which is no decimal"),
        ("1,,12345678901234567890123456789", "which is no decimal"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_values_that_would_change_are_refused(kind, cells, complaint, tmp_path):
    fields = {"k": "int", "t": "datetime", "m": "decimal"}
    schema = parse_schema({"kind": "relational", "collections": {"t": {"fields": fields}}})
    (tmp_path / "f").mkdir()
    k, t, m = cells.split(",")
    line = json.dumps({"k": int(k), "t": t or None, "m": m})
    text = f"k,t,m\n{cells}\n" if kind == "csv" else line + "\n"
    (tmp_path / "f" / f"t.{kind}").write_text(text)
    with pytest.raises(UserError, match=complaint):
        loaded(tmp_path / "f", schema)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "i.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(UserError, match="no UTF-8"):
        read_instance(tmp_path / "i.json")
    with pytest.raises(UserError, match="cannot be read"):
        read_instance(tmp_path / "none.json")


BOOKS = parse_schema(
    {
        "collections": {
            "book": {
                "fields": {
                    "id": "int",
                    "title": "str",
                    "sold": "bool",
                    "author": {"fields": {"#text": "str", "rank": "int"}},
                }
            }
        }
    }
)


def test_xml_by_hand(tmp_path):
    (tmp_path / "b.xml").write_text(
        '<books><book id="1"><title>A &amp; B</title><author rank="1">x</author><author '
        'rank="2">y</author></book>'
        '<book id="2" sold="true"><title/></book></books>'
    )
    assert list(stream_xml(tmp_path / "b.xml", BOOKS)) == [
        (
            "book",
            {
                "id": 1,
                "title": "A & B",
                "author": [{"rank": 1, "#text": "x"}, {"rank": 2, "#text": "y"}],
            },
        ),
        ("book", {"id": 2, "sold": True, "title": "", "author": []}),
    ]


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("<books>\n <book>\n</books>", "line 3, column"),
        ("<books><film/></books>", "'film' and none of the collections"),
        ('<books><book isbn="1"/></books>', "'isbn' and no field of the schema"),
        ("<books><book><title>a <b>b</b></title></book></books>", "next to its text"),
        ("<books><book><author>a<br/>b</author></book></books>", "text stands between"),
        ('<books><book id="one"/></books>', "'one' is no int"),
        ("<books><book><title>a</title><title>b</title></book></books>", "'title' is there twice"),
    ],
)
def test_bad_xml_is_refused(text, complaint, tmp_path):
    (tmp_path / "b.xml").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_whole(BOOKS, str(tmp_path / "b.xml"))


def test_urls_and_paths_say_what_they_are():
    said = {
        "a.json": "json",
        "a.xml": "xml",
        "x/a.db": "sqlite",
        "a.duckdb": "duckdb",
        "a": "folder",
        "sqlite:///a": "sqlite",
        "postgresql://u:p@h/d": "postgres",
        "a.cypher": "cypher",
    }
    assert {url: kind_of(url) for url in said} == said


TABLE = parse_schema(
    {
        "kind": "relational",
        "collections": {"t": {"key": ["k"], "fields": {"k": "int!", "v": "str", "d": "date"}}},
    }
)


def loaded(folder, schema=TABLE):
    duckdb = pytest.importorskip("duckdb")
    from reasoning.synthesis.connect import sources

    with duckdb.connect() as base:
        sources.load(base, schema, str(folder), folder.parent / "work")
        return base.execute("SELECT c_k, c_v, c_d::text FROM t_t ORDER BY c_k").fetchall()


def test_csv_json_lines_and_parquet_are_the_same(tmp_path):
    duckdb = pytest.importorskip("duckdb")
    expected = [(1, "a", "2024-01-02"), (2, None, None), (3, "", "1999-12-31")]
    for kind in ("csv", "jsonl", "parquet"):
        (tmp_path / kind).mkdir()
    (tmp_path / "csv" / "t.csv").write_text('k,v,d\n1,a,2024-01-02\n2,,\n3,"",1999-12-31\n')
    lines = [{"k": 1, "v": "a", "d": "2024-01-02"}, {"k": 2}, {"k": 3, "v": "", "d": "1999-12-31"}]
    (tmp_path / "jsonl" / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))
    duckdb.sql(
        "COPY (SELECT 1 k, 'a' v, DATE '2024-01-02' d UNION ALL SELECT 2, NULL, NULL UNION ALL "
        "SELECT 3, '', DATE '1999-12-31') "
        f"TO '{tmp_path}/parquet/t.parquet'"
    )
    for kind in ("csv", "jsonl", "parquet"):
        assert loaded(tmp_path / kind) == expected, kind


@pytest.mark.parametrize("name, text, complaint", rows(__file__, "bad_folders"))
def test_bad_folders_are_refused(name, text, complaint, tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / name).write_text(text)
    with pytest.raises(UserError, match=complaint):
        loaded(tmp_path / "f")


def test_csv_as_spreadsheets_save_it(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "t.csv").write_bytes(b"\xef\xbb\xbfk,v,d\r\n1,a,\r\n")
    assert loaded(tmp_path / "f") == [(1, "a", None)]
    for text in (b"k,v,d\n1,caf\xe9,\n", b"k,\xe9,d\n"):
        (tmp_path / "f" / "t.csv").write_bytes(text)
        with pytest.raises(UserError, match="not utf-8|no UTF-8"):
            loaded(tmp_path / "f")


@pytest.mark.parametrize("value", ["1", [{"k": 1}]])
def test_a_field_called_like_its_collection(value, tmp_path):
    inside = (Collection("tag", (Attr("k", "int"),)),) if isinstance(value, list) else ()
    attrs = (Attr("n", "int"),) if inside else (Attr("tag", "str"), Attr("n", "int"))
    schema = Schema("document", (Collection("tag", attrs, inside),))
    (tmp_path / "tag.json").write_text(json.dumps({"tag": value, "n": 2}) + "\n" * 2)
    for place in [f"mongoexport://{tmp_path}"] + [str(tmp_path / "tag.json")] * (not inside):
        assert read_whole(schema, place)["tag"] == [{"tag": value, "n": 2}]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_the_separators_of_other_countries(separator, tmp_path):
    (tmp_path / "f").mkdir()
    text = 'k,v,d\r\n1,"a,b",2024-01-02\r\n2,"""x""",\r\n'.replace(",", separator)
    (tmp_path / "f" / "t.csv").write_text(text.replace(f"a{separator}b", "a;\tb"))
    assert [row[:2] for row in loaded(tmp_path / "f")] == [(1, "a;\tb"), (2, '"x"')]


def test_a_number_with_a_comma_is_refused(tmp_path):
    schema = Schema("relational", (Collection("t", (Attr("k", "int"), Attr("x", "float"))),))
    (tmp_path / "t.csv").write_text("k;x\n1;1,5\n")
    with pytest.raises(UserError, match="line 2: x is '1,5', .*numbers have a point"):
        read_whole(schema, str(tmp_path))


NESTED = {
    "tags": ("values", "['a', NULL, 'a']", [{"value": "a"}, {"value": None}, {"value": "a"}]),
    "place": ("object", "{'value': 'x'}", [{"value": "x"}]),
    "items": ("list", "[{'value': 'y'}, {'value': 'y'}]", [{"value": "y"}, {"value": "y"}]),
    "words": ("map", "MAP {'k': 'v', 'l': NULL}", [{"value": "v"}, {"value": None}]),
    "sizes": ("map", "MAP {'k': {'value': 'w'}}", [{"value": "w"}]),
}


@pytest.mark.parametrize("file", ["s.duckdb", "parquet"])
@pytest.mark.parametrize("name", NESTED)
def test_nested_columns_of_duckdb_and_parquet(name, file, tmp_path):
    import duckdb

    form, cell, expected = NESTED[name]
    child = Collection(name, (Attr("value", "str"),), form=form)
    schema = Schema("document", (Collection("t", (Attr("n", "int"),), (child,)),))
    made = f"SELECT 1::BIGINT AS n, {cell} AS {name} UNION ALL SELECT 2, NULL"
    with duckdb.connect(str(tmp_path / "s.duckdb")) as base:
        base.execute(f"CREATE TABLE t AS {made}")
        base.execute(f"COPY t TO '{tmp_path / 't.parquet'}' (FORMAT parquet)")
    place = str(tmp_path / file) if "." in file else f"parquet://{tmp_path}"
    plain = replace(schema.collections[0], children=(replace(child, form="list"),))
    first, second = facts_in(schema, place), facts_in(replace(schema, collections=(plain,)), place)
    values = [{"value": value} for _, value in first[f"t?{name}"]]
    assert values == expected and [row[0] for row in first["t"]] == [1, 2]
    assert form == "values" or second == first


def facts_in(schema, place):
    """The facts of a source; none if it is refused."""
    with tempfile.TemporaryDirectory() as folder, connect() as base:
        try:
            load(base, schema, place, Path(folder))
        except UserError as error:
            assert "not a list of records" in str(error)
            return None
        return facts_of(base, schema, table_name)


@pytest.mark.parametrize("digits, kept", [("123456000", True), ("123456789", False)])
def test_nanoseconds_are_kept_or_refused(digits, kept, tmp_path):
    import duckdb

    schema = Schema("relational", (Collection("t", (Attr("at", "datetime"),)),))
    with duckdb.connect() as base:
        cell = f"SELECT '2024-01-02 03:04:05.{digits}'::TIMESTAMP_NS AS at"
        base.execute(f"COPY ({cell}) TO '{tmp_path / 't.parquet'}' (FORMAT parquet)")
    if kept:
        found = read_whole(schema, f"parquet://{tmp_path}")["t"]
        assert found == [{"at": "2024-01-02T03:04:05.123456"}]
    else:
        with pytest.raises(UserError, match="at is .*with nanoseconds"):
            read_whole(schema, f"parquet://{tmp_path}")


@pytest.mark.parametrize(
    "cell, kind",
    [("1.5", "DECIMAL"), ("1.5::DOUBLE", "DOUBLE"), ("'1'", "VARCHAR"), ("true", "BOOLEAN")],
)
def test_columns_that_a_cast_would_round_are_refused(cell, kind, tmp_path):
    duckdb = pytest.importorskip("duckdb")
    (tmp_path / "f").mkdir()
    query = f"SELECT {cell} AS k, 'a' AS v, NULL::DATE AS d"
    duckdb.sql(f"COPY ({query}) TO '{tmp_path}/f/t.parquet'")
    with duckdb.connect(str(tmp_path / "b.duckdb")) as base:
        base.execute(f"CREATE TABLE t AS {query}")
    for source in (tmp_path / "f", tmp_path / "b.duckdb"):
        with pytest.raises(UserError, match=rf"k is {kind}.*, which int does not hold"):
            loaded(source)


def test_a_column_that_sqlite_does_not_have_is_no_text(tmp_path):
    import sqlite3

    with contextlib.closing(sqlite3.connect(tmp_path / "b.db")) as base, base:
        base.executescript("CREATE TABLE t (k INT, d TEXT); INSERT INTO t VALUES (1, NULL)")
    with pytest.raises(UserError, match="no such column"):
        loaded(tmp_path / "b.db")


def test_urls_of_folders_may_be_absolute():
    said = {
        "csv:///data/x": "/data/x",
        "csv:////data/x": "/data/x",
        "parquet://x/y": "x/y",
        "sqlite:///x.db": "x.db",
        "sqlite:////x.db": "/x.db",
        "data/x": "data/x",
    }
    assert {url: str(path_of(url)) for url in said} == said


def test_a_mistake_far_from_the_end_is_told_without_reading_on(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "CHUNK", 64)
    (tmp_path / "i.json").write_text('{"a": [{"x": 1}, {"x": ?}' + ', {"x": 1}' * 10_000 + "]}")
    reads = []
    monkeypatch.setattr(
        json_stream._Stream,
        "more",
        lambda self, more=json_stream._Stream.more: reads.append(1) or more(self),
    )
    with pytest.raises(UserError, match="line 1, column 24: malformed"):
        read_instance(tmp_path / "i.json")
    assert len(reads) < 4
    (tmp_path / "i.json").write_text('{"a": [{"x": ' + "[" * 100_000)
    with pytest.raises(UserError, match="too deep"):
        read_instance(tmp_path / "i.json")
