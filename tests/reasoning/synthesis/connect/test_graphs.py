"""Graphs in a real embedded database, and as files for the importers of others."""

import csv
import datetime
import decimal
import json
import re
import shlex
import shutil
import subprocess

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("sqlglot")
pytest.importorskip("ladybug")
import ladybug

from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.datalog import check_program
from reasoning.synthesis.ddl import from_ddl
from reasoning.synthesis.describe import parse_schema
from reasoning.synthesis.dynamite import Mapping, Plan, migrate, verify
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.schema import Attr, Collection, Schema, with_kind
from reasoning.synthesis.syntax import parse_program

TABLES = from_ddl(
    "CREATE TABLE p (id bigint PRIMARY KEY, name text, born date, seen timestamp, w float,"
    " ok boolean, m decimal); CREATE TABLE k (a bigint, b bigint, since bigint)"
)
GRAPH = parse_schema(
    {
        "nodes": {
            "P": {"_id": "int", "name": "str", "born": "date", "seen": "datetime"}
            | {"w": "float", "ok": "bool", "m": "decimal"},
            "Q": {"_id": "int"},
        },
        "edges": {"K": {"from": "P", "to": "P", "properties": {"since": "int"}}},
    }
)
RULES = "P(i, n, b, s, w, o, m) :- p(i, n, b, s, w, o, m). Q(i) :- p(i, _, _, _, _, _, _).\n"
RULES += "K(a, b, s) :- k(a, b, s)."
DATA = {
    "p": [
        {"id": -(2**63), "name": "l\nl\"'`\\", "born": "0001-01-01", "m": "0.1234567891"},
        {"id": 2, "name": "", "seen": "9999-12-31T23:59:59.999999", "w": 1e22, "ok": True},
        {"id": 3, "m": "9999999999999999999999999999.9999999999", "w": 1 / 3, "ok": False},
    ],
    "k": [{"a": 2, "b": 3, "since": 2**62}] * 2 + [{"a": 3, "b": 2}],
}


@pytest.fixture
def graph(tmp_path, monkeypatch):
    """A mapping from tables to a graph, its source, and a way to order what is read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.json").write_text(json.dumps(DATA))
    return Mapping(TABLES, GRAPH, check_program(parse_program(RULES), TABLES, GRAPH))


def bag(instance):
    return {name: sorted(map(repr, records)) for name, records in instance.items()}


@pytest.mark.parametrize("chunk", [1, 100])
def test_a_graph_goes_into_ladybug_and_back(chunk, graph, tmp_path):
    migrate(Plan(graph, "s.json", "g.lbug", chunk=chunk))
    assert verify(graph, "s.json", "g.lbug").problems == []
    found = read_whole(GRAPH, "g.lbug")
    migrate(Plan(graph, "s.json", "g.json"))
    assert bag(found) == bag(read_whole(GRAPH, "g.json")) and len(found["K"]) == 3
    with ladybug.Database("g.lbug", read_only=True) as base, ladybug.Connection(base) as run:
        rows = run.execute("MATCH (a:P)-[e:K]->(b:P) WHERE a.id = 3 RETURN b.name").get_all()
        tables = {row[1] for row in run.execute("CALL show_tables() RETURN *").get_all()}
    assert rows == [[""]] and tables == {"P", "Q", "K"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.json", "g.lbug", "s.json"]


def test_an_edge_to_nowhere_is_reported_as_lost(graph, tmp_path):
    (tmp_path / "s.json").write_text(json.dumps({**DATA, "k": [{"a": 2, "b": 77}]}))
    report = migrate(Plan(graph, "s.json", "g.lbug"))
    assert "0 of 1 records" in report.lost[0]


def test_what_ladybug_cannot_hold_is_refused(graph):
    open_ends = Schema("graph", GRAPH.collections)
    for target, said in (
        (open_ends, "leaves open"),
        (with_kind(TABLES, "document"), "only graphs"),
        (Schema("graph", (Collection("x", (Attr("_id", "bool"),)),)), "primary key column"),
        (Schema("graph", (Collection("x", (Attr("_id", "int"), Attr("RowID", "str"))),)), "keeps"),
    ):
        mapping = Mapping(TABLES, target, parse_program(""))
        with pytest.raises(UserError, match=said):
            migrate(Plan(mapping, "s.json", "g.lbug"))
    with pytest.raises(UserError, match="not a valid"):
        read_whole(GRAPH, "ladybug://s.json")
    migrate(Plan(graph, "s.json", "g.lbug"))
    with pytest.raises(UserError, match="has no NODE table 'R'"):
        read_whole(Schema("graph", (Collection("R", (Attr("_id", "int"),)),)), "g.lbug")


@pytest.mark.parametrize("name", ["a`b", "a\nb", "order", "q\"'; DROP TABLE x", "oid", "é", "id"])
def test_hostile_names_in_a_graph_database(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    node = Collection(f"N{name}", (Attr("_id", "int"), Attr(name, "str")), key=("_id",))
    edge = Collection(f"E{name}", (Attr("_start", "int"), Attr("_end", "int"), Attr(name, "int")))
    schema = Schema("graph", (edge, node))
    data = {node.name: [{"_id": 1, name: "x"}], edge.name: [{"_start": 1, "_end": 1, name: 5}]}
    (tmp_path / "s.json").write_text(json.dumps(data))
    quoted = [f"`{n.replace('`', '``')}`" for n in (node.name, edge.name)]
    rules = f"{quoted[0]}(a, b) :- {quoted[0]}(a, b). {quoted[1]}(a, b, c) :- {quoted[1]}(a, b, c)."
    migrate(Plan(Mapping(schema, schema, parse_program(rules)), "s.json", "g.lbug"))
    assert read_whole(schema, "g.lbug") == data


def test_files_for_neo4j_admin(graph, tmp_path):
    migrate(Plan(graph, "s.json", "neo4j-admin://out"))
    with (tmp_path / "out" / "P.csv").open(newline="") as file:
        head, *rows = csv.reader(file)
    assert head[:4] == [
        "_id:ID(P){id-type: long}",
        "name:string",
        "born:date",
        "seen:localdatetime",
    ]
    assert head[4:] == ["w:double", "ok:boolean", "m:string"]
    assert rows[0] == [
        str(-(2**63)),
        DATA["p"][0]["name"],
        "0001-01-01",
        "",
        "",
        "",
        "0.1234567891",
    ]
    assert rows[1][3] == "9999-12-31T23:59:59.999999" and float(rows[1][4]) == 1e22
    assert rows[2][6] == "9999999999999999999999999999.9999999999"
    text = (tmp_path / "out" / "P.csv").read_text()
    assert '\n2,"",,' in text and "\n3,,," in text, "empty text in quotes, NULL without"
    edges = (tmp_path / "out" / "K.csv").read_text().splitlines()
    assert edges == [":START_ID(P),:END_ID(P),since:long", *[f"2,3,{2**62}"] * 2, "3,2,"]
    script = (tmp_path / "out" / "import.sh").read_text()
    assert "--nodes=P=P.csv" in script and "--relationships=K=K.csv" in script
    with pytest.raises(UserError, match="cannot read the name"):
        bad = Schema("graph", (Collection("a:b", (Attr("_id", "int"),)),))
        migrate(Plan(Mapping(TABLES, bad, parse_program("")), "s.json", "neo4j-admin://o2"))


HEADER = re.compile(
    r"(?P<name>[^:;{}(),\"]*):(?:(?P<kind>long|double|boolean|date|localdatetime|string)"
    r"|(?P<role>ID|START_ID|END_ID)\((?P<space>[^()]+)\)(?P<of>\{id-type: long\})?)"
)
"""A column of a header as the importer's manual has it."""
KINDS = {
    "long": int,
    "double": float,
    "boolean": {"true": True, "false": False}.__getitem__,
    "date": datetime.date.fromisoformat,
    "localdatetime": datetime.datetime.fromisoformat,
    "string": str,
}


def cells_of(text: str) -> list[list[str | None]]:
    """CSV by the importer's rules: quotes are doubled, a cell in quotes may hold lines, nothing is
    NULL and nothing in quotes is empty text.
    """
    rows, row, cell, quotes, at = [], [], "", False, 0
    while at < len(text):
        if text[at] == '"':
            assert not cell
            stop = at + 1
            while text[stop : stop + 2] == '""' or text[stop] != '"':
                stop += 2 if text[stop] == '"' else 1
            cell, quotes, at = text[at + 1 : stop].replace('""', '"'), True, stop + 1
            assert text[at] in ",\n"
        elif text[at] in ",\n":
            row.append(cell if cell or quotes else None)
            cell, quotes = "", False
            if text[at] == "\n":
                rows.append(row)
                row = []
            at += 1
        else:
            cell += text[at]
            at += 1
    assert not row and not cell
    return rows


def imported(folder) -> dict[str, list[dict]]:
    """What the importer makes of a folder: the files that its command line names."""
    script = (folder / "import.sh").read_text()
    assert subprocess.run(["sh", "-n", folder / "import.sh"], check=False).returncode == 0
    words = shlex.split(script.partition("|| exit 1\n")[2])
    # The database stands before the options, of which --nodes takes every word that follows.
    assert words[:5] == ["neo4j-admin", "database", "import", "full", "neo4j"]
    assert "--multiline-fields=true" in words
    found, nodes = {}, {}
    for word in words[5:]:
        option, _, value = word.partition("=")
        if option not in ("--nodes", "--relationships"):
            continue
        label, file = value.split("=")
        (path,) = [one for one in folder.iterdir() if re.fullmatch(file, one.name)]
        head, *rows = cells_of(path.read_bytes().decode())
        columns = [HEADER.fullmatch(cell) for cell in head]
        assert all(columns), head
        roles = [column["role"] for column in columns]
        ends = ["ID"] if option == "--nodes" else ["START_ID", "END_ID"]
        assert [role for role in roles if role] == ends
        found[label] = []
        for row in rows:
            record = {}
            for column, cell in zip(columns, row, strict=True):
                if column["role"] == "ID":
                    value = int(cell) if column["of"] else cell
                    assert cell not in nodes.setdefault(column["space"], set())
                    nodes[column["space"]].add(cell)
                    record[column["name"]] = value
                elif column["role"]:
                    assert cell in nodes[column["space"]]
                    record[column["role"]] = cell
                else:
                    record[column["name"]] = None if cell is None else KINDS[column["kind"]](cell)
            found[label].append(record)
    return found


def test_an_importer_by_the_manual_reads_the_files_for_neo4j_admin(graph, tmp_path):
    migrate(Plan(graph, "s.json", "neo4j-admin://out"))
    found = imported(tmp_path / "out")
    assert found["K"] == [
        {"START_ID": "2", "END_ID": "3", "since": 2**62},
        {"START_ID": "2", "END_ID": "3", "since": 2**62},
        {"START_ID": "3", "END_ID": "2", "since": None},
    ]
    assert [one["_id"] for one in found["Q"]] == [-(2**63), 2, 3]
    assert [one["name"] for one in found["P"]] == [DATA["p"][0]["name"], "", None]
    assert [one["w"] for one in found["P"]] == [None, 1e22, 1 / 3]
    assert found["P"][1]["seen"] == datetime.datetime(9999, 12, 31, 23, 59, 59, 999999)
    assert found["P"][2]["m"] == DATA["p"][2]["m"] and found["P"][2]["ok"] is False


TEXTS = [
    "",
    " ",
    '"',
    '""',
    'a"',
    '"a',
    "a\nb",
    "\r\n",
    "\r",
    ",",
    "\\",
    '\\"',
    "é",
    "\t",
    "null",
    "#",
]


@pytest.mark.parametrize("name", ["a b", "é'x`", "select", "x.y", "-", "$HOME"])
def test_an_importer_by_the_manual_reads_hostile_names_and_texts(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fields = (Attr("_id", "str"), Attr(name, "str"))
    node, other = (Collection(f"{kind}{name}", fields, key=("_id",)) for kind in "NM")
    data = {node.name: [{"_id": f"{n}{text}", name: text} for n, text in enumerate(TEXTS)]}
    data[other.name] = [{"_id": "1", name: None}]
    schema = Schema("graph", (node, other))
    (tmp_path / "s.json").write_text(json.dumps(data))
    shown = [f"`{one.name.replace('`', '``')}`" for one in schema.collections]
    rules = parse_program(" ".join(f"{one}(a, b) :- {one}(a, b)." for one in shown))
    plan = Plan(Mapping(schema, schema, rules), "s.json", "neo4j-admin://out")
    if "$" in name:
        with pytest.raises(UserError, match="for a pattern: rename it"):
            migrate(plan)
        return
    migrate(plan)
    assert imported(tmp_path / "out") == data


def test_a_file_that_the_pattern_of_another_fits_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nodes = tuple(Collection(n, (Attr("_id", "int"),), key=("_id",)) for n in ("a.b", "axb"))
    (tmp_path / "s.json").write_text("{}")
    mapping = Mapping(TABLES, Schema("graph", nodes), parse_program(""))
    with pytest.raises(UserError, match="the file of 'a.b' for a pattern"):
        migrate(Plan(mapping, "s.json", "neo4j-admin://out"))


def test_cypher_says_the_types(graph, tmp_path):
    migrate(Plan(graph, "s.json", "g.cypher"))
    text = (tmp_path / "g.cypher").read_text()
    assert '`born`: date("0001-01-01")' in text
    assert '`seen`: localdatetime("9999-12-31T23:59:59.999999")' in text
    assert '`m`: "9999999999999999999999999999.9999999999"' in text
    migrate(Plan(graph, "s.json", "csv://c"))
    load = (tmp_path / "c" / "load.cypher").read_text()
    assert "MATCH (a:`P` {_id: toInteger(row.`_start`)}), (b:`P` " in load
    assert "`m`: toDecimal" not in load and "localdatetime(replace(row.`seen`" in load


OID = "507f1f77bcf86cd799439011"


def test_mongoexport_lines_in_and_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    line = {
        "_id": {"$oid": OID},
        "at": {"$date": "2024-02-29T12:00:00.5Z"},
        "day": {"$date": {"$numberLong": "0"}},
        "big": {"$numberLong": str(2**62)},
        "small": {"$numberInt": "7"},
        "price": {"$numberDecimal": "1.50"},
        "w": 2.0,
        "tags": ["a", "b"],
        "by": [{"user": {"$oid": OID}, "n": 1}],
    }
    fields = {"_id": "str", "at": "datetime", "day": "date", "big": "int", "small": "int"}
    fields |= {"price": "decimal", "w": "float"}
    fields |= {"tags": {"form": "values", "fields": {"value": "str"}}}
    fields |= {"by": {"fields": {"user": "str", "n": "int"}}}
    shape = {"kind": "document", "collections": {"Post": {"fields": fields}}}
    schema = parse_schema(shape)
    rules = """Post(i, a, d, b, s, p, w, _v) :-
      Post(i, a, d, b, s, p, w, _), _v = id(i, a, d, b, s, p, w).
    Post(i, a, d, b, s, p, w, _v), Post?tags(_v, t) :-
      Post(i, a, d, b, s, p, w, x), Post?tags(x, t), _v = id(i, a, d, b, s, p, w).
    Post(i, a, d, b, s, p, w, _v), Post?by(_v, u, n) :-
      Post(i, a, d, b, s, p, w, x), Post?by(x, u, n), _v = id(i, a, d, b, s, p, w)."""
    program = check_program(parse_program(rules), schema, schema)
    for text in (json.dumps(line) + "\n", json.dumps([line])):
        (tmp_path / "in" / "Post.json").write_text(text)
        migrate(Plan(Mapping(schema, schema, program), "mongoexport://in", "mongoexport://out"))
        text = (tmp_path / "out" / "Post.json").read_text()
        made = [json.loads(one) for one in text.splitlines()]
        wanted = line | {"small": 7, "day": {"$date": "1970-01-01T00:00:00.000Z"}}
        wanted |= {"at": {"$date": "2024-02-29T12:00:00.500Z"}, "price": {"$numberDecimal": "1.5"}}
        made[0]["price"] = {"$numberDecimal": made[0]["price"]["$numberDecimal"].rstrip("0")}
        assert made == [wanted]
        shutil.rmtree(tmp_path / "out")


def test_an_independent_reader_of_extended_json_agrees(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    json_util = pytest.importorskip("bson.json_util")
    kinds = {"_id": "str", "d": "date", "t": "datetime", "i": "int", "f": "float", "m": "decimal"}
    kinds |= {"b": "bool", "s": "str"}
    attrs = tuple(Attr(name, kind) for name, kind in kinds.items())
    schema = Schema("document", (Collection("t", attrs, (Collection("k", attrs),)),))
    rows = [
        {"_id": OID, "d": "0001-01-01", "t": "0001-01-01T00:00:00", "i": -(2**63), "f": 1e22},
        {"d": "9999-12-31", "t": "9999-12-31T23:59:59.999", "i": 2**63 - 1, "f": 5e-324},
        {"d": "1969-12-31", "t": "1969-12-31T23:59:59.001", "i": 2**31, "f": 2.0, "b": True},
        {"i": -(2**31), "f": -0.0, "m": "0.0000000001", "s": "$oid", "b": False},
        {"m": "9999999999999999999999999.999999999", "s": '\u2028\x01\\"é😀', "f": 1 / 3},
        {"s": OID.upper()},
    ]
    rows = [{name: row.get(name) for name in kinds} for row in rows]
    (tmp_path / "s.json").write_text(json.dumps({"t": [{**row, "k": [row]} for row in rows]}))
    names = ", ".join(kinds)
    rules = f"t({names}, _v) :- t({names}, _), _v = id({names})."
    inner = names.replace(", ", "2, ") + "2"
    rules += f" t({names}, _v), t?k(_v, {inner}) :- t({names}, x), t?k(x, {inner}), "
    program = check_program(parse_program(rules + f"_v = id({names})."), schema, schema)
    migrate(Plan(Mapping(schema, schema, program), "s.json", "mongoexport://out"))
    lines = (tmp_path / "out" / "t.json").read_text().removesuffix("\n").split("\n")
    options = json_util.DEFAULT_JSON_OPTIONS.with_options(tz_aware=False)
    made = [json_util.loads(line, json_options=options) for line in lines]

    def plain(value, kind):
        if value is None:
            return None
        if kind == "decimal":
            return value.to_decimal()
        return str(value) if kind == "str" else value

    def wanted(value, kind):
        if value is None or kind not in ("decimal", "date", "datetime"):
            return value
        made = {"decimal": decimal.Decimal}.get(kind, datetime.datetime.fromisoformat)
        return made(value)

    assert type(made[0]["_id"]).__name__ == "ObjectId" and type(made[0]["i"]).__name__ == "Int64"
    for record, row in zip(made, rows, strict=True):
        for one in (record, record["k"][0]):
            shown = {name: plain(one[name], kind) for name, kind in kinds.items()}
            assert shown == {name: wanted(row[name], kind) for name, kind in kinds.items()}
    # And back: what it writes is read.
    for mode in (json_util.CANONICAL_JSON_OPTIONS, json_util.RELAXED_JSON_OPTIONS):
        text = "\n".join(json_util.dumps(one, json_options=mode) for one in made)
        (tmp_path / "t.json").write_text(text)
        assert read_whole(schema, "mongoexport://out") == read_whole(schema, "mongoexport://.")


def test_times_that_mongodb_would_cut_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    schema = Schema("document", (Collection("t", (Attr("v", "datetime"),)),))
    (tmp_path / "s.json").write_text('{"t": [{"v": "2024-01-01T00:00:00.000001"}]}')
    mapping = Mapping(schema, schema, parse_program("t(v) :- t(v)."))
    with pytest.raises(UserError, match="keeps milliseconds"):
        migrate(Plan(mapping, "s.json", "mongoexport://out"))
