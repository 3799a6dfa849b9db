"""Values at the edges of their types, in every connector: kept, or refused with their place."""

import json
import sqlite3
from xml.sax.saxutils import escape

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
import duckdb

from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.datalog import check_program
from reasoning.synthesis.dynamite import Mapping, Plan, migrate, verify
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.schema import TYPES, Attr, Collection, Schema
from reasoning.synthesis.syntax import parse_program

EDGES = {
    "int": [0, -1, 2**63 - 1, -(2**63), 2**53 + 1],
    "float": [0.1, 5e-324, 1.7976931348623157e308, 1e-7, 1 / 3, 1e22, 123456789.12345679],
    "str": [
        "",
        " ",
        "null",
        "NULL",
        "1.50",
        "a,b",
        'q"q',
        "l\nl",
        "\r\n",
        "é",
        "😀",
        "\t",
        "\\N",
        "\\",
        "007",
        "2020-01-01",
        "\x01",
        "x" * 500,
        "'; DROP TABLE t; --",
    ],
    "bool": [True, False],
    "date": ["0001-01-01", "9999-12-31", "2024-02-29", "1969-12-31"],
    "datetime": ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2024-02-29T12:00:00.000001"],
    "decimal": ["0.1", "-0.0000000001", "1.50", "12345.67", "0", "1e3"],
}
LONG = ["9999999999999999999999999999.9999999999", "0.1234567891", "1234567890123456789"]
"""Decimals that SQLite, which keeps 15 digits, refuses."""
PLACES = [
    "o.json",
    "jsonl://jl",
    "csv://cs",
    "parquet://pq",
    "o.db",
    "o.duckdb",
    "mongoexport://mo",
]


def copying(kind: str, nested: bool = False):
    """A source, a target and the two mappings between them that copy everything."""
    attrs = (Attr("n", "int"), Attr("v", kind))
    if not nested:
        one, other = (Schema("relational", (Collection(name, attrs),)) for name in "tu")
        rules = ("u(n, v) :- t(n, v).", "t(n, v) :- u(n, v).")
    else:
        one, other = (
            Schema("document", (Collection(name, (Attr("n", "int"),), (Collection("k", attrs),)),))
            for name in "tu"
        )
        rules = tuple(
            f"{b}(n, _v), {b}?k(_v, m, v) :- {a}(n, x), {a}?k(x, m, v), _v = id(n)."
            for a, b in (("t", "u"), ("u", "t"))
        )
    there = check_program(parse_program(rules[0]), one, other)
    back = check_program(parse_program(rules[1]), other, one)
    return one, other, Mapping(one, other, there), Mapping(other, one, back)


def values_of(kind: str, place: str) -> list:
    found = EDGES[kind] + (LONG if kind == "decimal" and place != "o.db" else []) + [None]
    if kind == "decimal" and place.startswith("mongoexport"):
        found = [*EDGES[kind], "999999999999999999999999.9999999999", *LONG[1:], None]  # 34 digits
    if kind == "datetime" and place.startswith("mongoexport"):
        # MongoDB keeps milliseconds; more are refused (test_graphs.py).
        found = ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999000", "1969-12-31T23:59:59.001000"]
    return found


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", TYPES)
def test_edges_are_kept_there_and_back(kind, place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one, other, there, back = copying(kind)
    rows = [{"n": n, "v": value} for n, value in enumerate(values_of(kind, place))]
    (tmp_path / "s.json").write_text(json.dumps({"t": rows}))
    migrate(Plan(there, "s.json", place))
    assert verify(there, "s.json", place).problems == []
    migrate(Plan(back, place, "back.json"))
    wanted = read_whole(one, "s.json")["t"]
    assert read_whole(other, place)["u"] == wanted
    assert read_whole(one, "back.json")["t"] == wanted
    assert len(wanted) == len(rows)


@pytest.mark.parametrize("place", [place for place in PLACES if place not in ("csv://cs", "o.db")])
def test_edges_are_kept_inside_documents(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in TYPES:
        one, other, there, back = copying(kind, True)
        rows = [{"n": n, "v": value} for n, value in enumerate(values_of(kind, place))]
        (tmp_path / "s.json").write_text(json.dumps({"t": [{"n": 1, "k": rows}]}))
        migrate(Plan(there, "s.json", place, overwrite=True))
        migrate(Plan(back, place, "back.json", overwrite=True))
        wanted = read_whole(one, "s.json")["t"]
        assert read_whole(other, place)["u"] == wanted, kind
        assert read_whole(one, "back.json")["t"] == wanted, kind


@pytest.mark.parametrize("kind", TYPES)
def test_edges_are_read_from_xml(kind, tmp_path):
    pytest.importorskip("defusedxml")
    schema = Schema("document", copying(kind)[0].collections)
    # XML has no control characters, and makes a line of "\r\n" unless it is written as a reference.
    values = [v for v in values_of(kind, "s.xml") if v != "\x01"]
    rows = [{"n": n, "v": value} for n, value in enumerate(values)]
    (tmp_path / "s.json").write_text(json.dumps({"t": rows}))
    parts = []
    for row in rows:
        shown = json.dumps(row["v"]) if kind in ("int", "float", "bool") else str(row["v"])
        shown = escape(shown, {"\r": "&#13;", "\n": "&#10;", "\t": "&#9;", '"': "&quot;"})
        inside = "" if row["v"] is None else f"<v>{shown}</v>"
        attribute = "" if row["v"] is None else f' v="{shown}"'
        parts.append((f'<t n="{row["n"]}">{inside}</t>', f'<t n="{row["n"]}"{attribute}/>'))
    wanted = read_whole(schema, str(tmp_path / "s.json"))["t"]
    for form in zip(*parts, strict=True):
        (tmp_path / "s.xml").write_text(f"<r>{''.join(form)}</r>", encoding="utf-8")
        assert read_whole(schema, str(tmp_path / "s.xml"))["t"] == wanted


REFUSED = {
    "int": ["9223372036854775808", "1.5", '"1"', "true"],
    "float": ["9007199254740993", "1e999", '"1"', "true"],
    "decimal": [
        "0.12345678901",
        "1234567890123456789012345678.12345678901",
        "12345678901234567890123456789",
        '"NaN"',
        '"x"',
    ],
    "str": ["1", '"\\ud800"'],
    "bool": ["1", '"true"'],
    "date": ['"2024-02-30"', '"2024-01-01T00:00:00"', '"10000-01-01"', '"20240101"', "5"],
    "datetime": [
        *('"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.1234567"', '"x"', "5"),
        '{"$date": "2024-01-01T00:00:00.1234567Z"}',
    ],
}


@pytest.mark.parametrize("kind", TYPES)
def test_values_of_json_that_would_change_are_refused(kind, tmp_path):
    schema = copying(kind)[0]
    for text in REFUSED[kind]:
        (tmp_path / "s.json").write_text(f'{{"t": [{{"n": 1, "v": {text}}}]}}')
        with pytest.raises(UserError, match=r"record 1: v is|line 1"):
            read_whole(schema, str(tmp_path / "s.json"))


CSV = {
    "int": ["9223372036854775808", "1.5", "x", "1e3", "true"],
    "float": ["9007199254740993", "nan", "inf", "-Infinity", "1e999", "0x10", "1,5"],
    "decimal": ["0.12345678901", "NaN", "1e3", "12345678901234567890123456789"],
    "bool": ["yes", "no", "2", "x"],
    "date": ["2024-02-30", "2024-1-1", "10000-01-01", "infinity"],
    "datetime": ["2024-01-01T00:00:00Z", "2024-01-01 00:00:00.1234567", "infinity"],
}


@pytest.mark.parametrize("kind", CSV)
def test_cells_of_csv_that_would_change_are_refused(kind, tmp_path):
    schema = copying(kind)[0]
    for text in CSV[kind]:
        cell = f'"{text}"' if "," in text else text
        (tmp_path / "t.csv").write_text(f"n,v\n1,\n2,{cell}\n")
        with pytest.raises(UserError, match=r"t.csv, line 3: v is"):
            read_whole(schema, str(tmp_path))


NATIVE = [
    ("int", "170141183460469231731687303715884105727::HUGEINT"),
    ("int", "1.5::DOUBLE"),
    ("float", "'nan'::DOUBLE"),
    ("float", "'inf'::DOUBLE"),
    ("float", "1::BIGINT"),
    ("decimal", "1.5::DOUBLE"),
    ("decimal", "0.12345678901::DECIMAL(38,11)"),
    ("datetime", "'2024-01-01 00:00:00+02'::TIMESTAMPTZ"),
    ("datetime", "'2024-01-01 00:00:00.123456789'::TIMESTAMP_NS"),
    ("datetime", "'infinity'::TIMESTAMP"),
    ("datetime", "'12345-01-01'::TIMESTAMP"),
    ("date", "'-infinity'::DATE"),
    ("date", "'0044-03-15 (BC)'::DATE"),
    ("date", "'2024-01-01'::TIMESTAMP"),
    ("str", "'x'::BLOB"),
    ("str", "1"),
    ("str", "'2024-01-01'::DATE"),
    ("bool", "1"),
]


@pytest.mark.parametrize("kind, cell", NATIVE)
def test_cells_of_duckdb_and_parquet_that_would_change_are_refused(kind, cell, tmp_path):
    schema = copying(kind)[0]
    with duckdb.connect(str(tmp_path / "s.duckdb")) as base:
        base.execute(f"CREATE TABLE t AS SELECT 1::BIGINT AS n, {cell} AS v")
        if "(BC)" not in cell:
            base.execute(f"COPY t TO '{tmp_path / 't.parquet'}' (FORMAT parquet)")
    with pytest.raises(UserError, match=r"\bt\b.*v|int64|INT64"):
        read_whole(schema, str(tmp_path / "s.duckdb"))
    if (tmp_path / "t.parquet").exists():
        with pytest.raises(UserError, match=r"\bt\b.*v|int64|INT64"):
            read_whole(schema, f"parquet://{tmp_path}")


LITE = [
    ("int", 1.5),
    ("int", "1"),
    ("float", 2**53 + 1),
    ("float", float("inf")),
    ("decimal", "0.12345678901"),
    ("str", b"x"),
    ("str", 5),
    ("bool", 2),
    ("date", "2024-01-01 00:00:00"),
    ("datetime", "2024-01-01T00:00:00+02:00"),
    ("datetime", 1700000000),
]


@pytest.mark.parametrize("kind, value", LITE)
def test_cells_of_sqlite_that_would_change_are_refused(kind, value, tmp_path):
    with sqlite3.connect(tmp_path / "s.db") as base:
        base.execute("CREATE TABLE t (n INT, v)")
        base.execute("INSERT INTO t VALUES (1, ?)", [value])
    base.close()
    with pytest.raises(UserError, match="t, record 1: v is"):
        read_whole(copying(kind)[0], str(tmp_path / "s.db"))


TIMES = {
    "2024-01-02T03:04:05": "2024-01-02T03:04:05",
    "2024-01-02 03:04:05": "2024-01-02T03:04:05",
    "2024-01-02T03:04": "2024-01-02T03:04:00",
    "2024-01-02": "2024-01-02T00:00:00",
    "2024-01-02T03:04:05.1230000": "2024-01-02T03:04:05.123000",
    "2024-01-02T03:04:05Z": None,
    "2024-01-02T03:04:05-07:00": None,
    "2024-01-02T24:00:00": None,
    "2024-01-02T03": None,
    "2024-01-02T03:04:05,5": None,
    "2024-01-02t03:04:05": None,
    "2024-01-02_03:04:05": None,
    "20240102T030405": None,
    "2024-W01-2": None,
}
"""Texts of times, and what they are: the same in every kind of source."""


@pytest.mark.parametrize("kind", ["datetime", "str"])
def test_every_source_reads_the_same_times(kind, tmp_path):
    schema = copying(kind)[0]
    for text, kept in TIMES.items():
        kept = text if kind == "str" else kept
        record = {"n": 1, "v": text}
        for folder in ("j", "c"):
            (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / "s.json").write_text(json.dumps({"t": [record]}))
        (tmp_path / "j" / "t.jsonl").write_text(json.dumps(record))
        (tmp_path / "c" / "t.csv").write_text(f'n,v\n1,"{text}"\n')
        (tmp_path / "s.xml").write_text(f'<r><t n="1" v="{text}"/></r>')
        with sqlite3.connect(tmp_path / "s.db") as base:
            base.execute("CREATE TABLE IF NOT EXISTS t (n INT, v)")
            base.execute("DELETE FROM t")
            base.execute("INSERT INTO t VALUES (1, ?)", [text])
        base.close()
        for place in ("s.json", "j", "c", "s.xml", "s.db"):
            if kept is None:
                with pytest.raises(UserError, match=r"v is '2024"):
                    read_whole(schema, str(tmp_path / place))
            else:
                found = read_whole(schema, str(tmp_path / place))["t"]
                assert found == [{"n": 1, "v": kept}], (place, text)


@pytest.mark.parametrize("name", ["v", "V\0"])
def test_json_has_a_t_in_its_times(name, tmp_path):
    attrs = (Attr("N", "int"), Attr("n", "int"), Attr(name, "datetime"))
    deep = Collection("k", attrs, (Collection("d", attrs),))
    one, other = (Schema("document", (Collection(c, attrs, (deep,)),)) for c in "tu")
    rules = (
        "u(n, m, v, _v) :- t(n, m, v, x), _v = id(n)."
        "u(n, m, v, _v), u?k(_v, a, b, c, _k) :- t(n, m, v, x), t?k(x, a, b, c, y), _v = id(n), "
        "_k = id(a)."
        "u(n, m, v, _v), u?k(_v, a, b, c, _k), u?k?d(_k, e, f, g) :- t(n, m, v, x), "
        "t?k(x, a, b, c, y), t?k?d(y, e, f, g), _v = id(n), _k = id(a)."
    )
    mapping = Mapping(one, other, check_program(parse_program(rules), one, other))

    def made(time, **inside):
        return {"N": 1, "n": 2, name: time, **inside}

    times = ["2024-01-02T03:04:05", None, "2024-01-02T03:04:05.25", "0001-01-01T00:00:00"]
    kept = [made(times[3], d=[made(times[2]), made(times[1])]), made(times[1], d=[])]
    data = [made(times[0], k=kept)]
    (tmp_path / "s.json").write_text(json.dumps({"t": data}))
    migrate(Plan(mapping, str(tmp_path / "s.json"), str(tmp_path / "o.json")))
    migrate(Plan(mapping, str(tmp_path / "s.json"), f"jsonl://{tmp_path}/o"))
    assert json.loads((tmp_path / "o.json").read_text())["u"] == data
    assert json.loads((tmp_path / "o" / "u.jsonl").read_text()) == data[0]


def test_sqlite_refuses_decimals_that_it_would_round(tmp_path):
    there = copying("decimal")[2]
    (tmp_path / "s.json").write_text(json.dumps({"t": [{"n": 1, "v": LONG[0]}]}))
    with pytest.raises(UserError, match="more than the 15 digits"):
        migrate(Plan(there, str(tmp_path / "s.json"), str(tmp_path / "o.db")))
