import json

import pytest

from reasoning.synthesis.ddl import dialect_of, from_ddl
from reasoning.synthesis.describe import parse_schema, read_schema
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.infer import infer_schema
from reasoning.synthesis.schema import Attr, ForeignKey, columns, find, flat_columns, to_json, walk

FILMS = {
    "kind": "document",
    "collections": {
        "film": {
            "key": ["id"],
            "fields": {
                "id": "int!",
                "title": "str",
                "crew": {"fields": {"name": "str", "prizes": {"fields": {"prize": "str"}}}},
            },
        }
    },
}


def test_nested_collections_get_identities_where_they_are_needed():
    schema = parse_schema(FILMS)
    assert [path for path, _ in walk(schema)] == ["film", "film?crew", "film?crew?prizes"]
    assert [c.name for c in columns(schema, "film")] == ["id", "title", "__id"]
    assert [(c.name, c.type) for c in columns(schema, "film?crew")] == [
        ("__parent", "id:film"),
        ("name", "str"),
        ("__id", "id:film?crew"),
    ]
    assert [c.name for c in columns(schema, "film?crew?prizes")] == ["__parent", "prize"]
    assert [attr.name for _, attr in flat_columns(schema, "film?crew?prizes")] == [
        "id",
        "title",
        "name",
        "prize",
    ]


def test_a_schema_comes_back_from_json():
    schema = parse_schema(FILMS)
    assert parse_schema(json.loads(json.dumps(to_json(schema)))) == schema


def test_tables_come_from_sql():
    schema = from_ddl(
        "CREATE TABLE a (id INT PRIMARY KEY, name VARCHAR(9) NOT NULL, price NUMERIC(4,2));"
        'CREATE TABLE "b c" (a_id BIGINT REFERENCES a, n INT, d DATE, PRIMARY KEY (a_id, n)); DROP '
        "TABLE x;"
    )
    a, b = schema.collections
    assert a.attrs == (
        Attr("id", "int", False),
        Attr("name", "str", False),
        Attr("price", "decimal"),
    )
    assert (b.name, b.key) == ("b c", ("a_id", "n"))
    assert schema.foreign_keys == (ForeignKey("b c", ("a_id",), "a", ("id",)),)


def test_a_composite_foreign_key_is_read():
    schema = from_ddl(
        "CREATE TABLE a (x int, y int, PRIMARY KEY (x, y)); CREATE TABLE b (p int, q int, FOREIGN "
        "KEY (p, q) REFERENCES a (x, y))"
    )
    assert schema.foreign_keys == (ForeignKey("b", ("p", "q"), "a", ("x", "y")),)


def test_json_schema_with_references():
    schema = parse_schema(
        {
            "properties": {"film": {"type": "array", "items": {"$ref": "#/$defs/film"}}},
            "$defs": {
                "film": {
                    "type": "object",
                    "required": ["id"],
                    "properties": {
                        "id": {"type": "integer"},
                        "seen": {"type": "string", "format": "date"},
                        "note": {"type": ["string", "null"]},
                        "crew": {
                            "type": "array",
                            "items": {"properties": {"name": {"type": "string"}}},
                        },
                    },
                }
            },
        }
    )
    film = find(schema, "film")
    assert film.attrs == (Attr("id", "int", False), Attr("seen", "date"), Attr("note", "str"))
    assert film.children[0].attrs == (Attr("name", "str"),)


def test_a_graph_gets_its_columns_and_references():
    schema = parse_schema(
        {
            "nodes": {"P": {"_id": "str", "n": "int"}},
            "edges": {"K": {"from": "P", "to": "P", "properties": {"w": "float"}}},
        }
    )
    assert [a.name for a in find(schema, "K").attrs] == ["_start", "_end", "w"]
    assert find(schema, "K").attrs[0].type == "str" and find(schema, "P").key == ("_id",)
    assert {f.attrs for f in schema.foreign_keys} == {("_start",), ("_end",)}


def test_inference_takes_the_narrowest_types():
    schema = infer_schema({"r": [{"a": 1, "b": 1, "c": None, "d": True}, {"a": 2.5, "b": 2}]})
    assert {a.name: (a.type, a.nullable) for a in find(schema, "r").attrs} == {
        "a": ("float", False),
        "b": ("int", False),
        "c": ("str", True),
        "d": ("bool", True),
    }
    assert schema.kind == "relational"
    assert infer_schema({"r": [{"x": [{"y": 1}]}]}).kind == "document"
    assert infer_schema({"P": [{"_id": 1}], "E": [{"_start": 1, "_end": 1}]}).kind == "graph"


@pytest.mark.parametrize(
    "data, complaint",
    [
        ({"collections": {"a": {"fields": {"x": "integer"}}}}, "none of the types"),
        ({"collections": {"a": {"fields": {"x": "int"}, "key": ["y"]}}}, "key of a names 'y'"),
        ({"collections": {"a?b": {"fields": {"x": "int"}}}}, "cannot be a name"),
        ({"collections": {"a": {"fields": {"__id": "int"}}}}, "cannot be a name"),
        (
            {
                "kind": "relational",
                "collections": {"a": {"fields": {"x": {"fields": {"y": "int"}}}}},
            },
            "is a table and cannot hold",
        ),
        ({"kind": "graph", "collections": {"a": {"fields": {"x": "int"}}}}, "neither _id"),
        ({"kind": "heap", "collections": {"a": {"fields": {"x": "int"}}}}, "is none of relational"),
        ({"collections": {}}, "no collection"),
        ({"collections": [1]}, "not an object"),
        ({"nodes": {"P": {}}, "edges": {"E": {"from": "P", "to": "Q"}}}, "joins 'Q'"),
        ({"properties": {"a": {"type": "string"}}}, "no array of objects"),
        (
            {
                "collections": {"a": {"fields": {"x": "int"}}},
                "foreign_keys": [{"from": "a", "attrs": ["x"], "to": "b", "to_attrs": ["x"]}],
            },
            "'b', which is not there",
        ),
        ([1], "expected an object"),
    ],
)
def test_what_makes_no_sense_is_refused(data, complaint):
    with pytest.raises(UserError, match=complaint):
        parse_schema(data)


DUMPS = {
    "postgres": r"""
CREATE TYPE public.mood AS ENUM ('a', 'b;');
CREATE DOMAIN public.year AS integer CHECK (VALUE > 1900);
CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS $$ SELECT 1; SELECT 2; $$;
CREATE TABLE public.film (id integer NOT NULL, made public.year, feel public.mood, words tsvector);
CREATE TABLE public.part (film_id integer, n integer);
COPY public.film (id, made) FROM stdin;
1	1999
\\.
ALTER TABLE ONLY public.film ADD CONSTRAINT film_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.part ADD CONSTRAINT fk FOREIGN KEY (film_id) REFERENCES public.film(id);
ALTER TABLE public.film OWNER TO me;
CREATE VIEW public.v AS SELECT 1;
""",
    "mysql": """
/*!40101 SET NAMES utf8 */;
CREATE TABLE `film` (`id` smallint unsigned NOT NULL AUTO_INCREMENT, `made` int,
  `feel` enum('a','b'),
  `words` blob, PRIMARY KEY (`id`), KEY `i` (`made`)) ENGINE=InnoDB;
INSERT INTO `film` VALUES (1,2,'a; b',NULL);
CREATE TABLE `part` (`film_id` smallint, `n` int,
  CONSTRAINT `fk` FOREIGN KEY (`film_id`) REFERENCES `film` (`id`) ON DELETE CASCADE) ENGINE=InnoDB;
""",
    "tsql": """
CREATE TABLE [dbo].[film] ([id] INT NOT NULL IDENTITY, [made] INT, [feel] NVARCHAR(10),
  [words] VARBINARY,
  CONSTRAINT [pk] PRIMARY KEY CLUSTERED ([id]));
GO
CREATE TABLE [dbo].[part] ([film_id] INT, [n] INT);
GO
ALTER TABLE [dbo].[part] ADD CONSTRAINT [fk] FOREIGN KEY ([film_id]) REFERENCES [dbo].[film] ([id]);
GO
""",
    "sqlite": """
PRAGMA foreign_keys=ON;
CREATE TABLE IF NOT EXISTS "film" ([id] INTEGER PRIMARY KEY AUTOINCREMENT, made INTEGER, feel TEXT,
  words BLOB);
CREATE TABLE part (film_id INTEGER REFERENCES film, n INTEGER);
""",
}


@pytest.mark.parametrize("dialect", DUMPS)
def test_dumps_of_four_dialects_keep_their_keys(dialect):
    unread: list[str] = []
    text = DUMPS[dialect].replace("\\\\.", "\\.")
    schema = from_ddl(text, unread=unread)
    film = schema.collections[0]
    assert dialect_of(text) == dialect
    assert film.key == ("id",)
    assert [(a.name, a.type) for a in film.attrs] == [
        ("id", "int"),
        ("made", "int"),
        ("feel", "str"),
    ]
    assert [f.to_attrs for f in schema.foreign_keys] == [("id",)]
    assert any("film.words" in one for one in unread)
    assert any("VIEW" in one for one in unread) == (dialect == "postgres")


@pytest.mark.parametrize(
    "instance, complaint",
    [
        ({"a": [{"x": 1}, {"x": "1"}]}, "types int and str"),
        ({"a": [{"x": {"y": 1}}, {"x": 2}]}, "not a record or a list of records"),
        ({"a": []}, "no record"),
        ({"a": [{"x": [1, {"y": 2}]}]}, "not an object"),
        ({"a": [{"x": float("inf")}]}, "neither text"),
        ({}, "expected an object"),
    ],
)
def test_what_cannot_be_inferred_is_refused(instance, complaint):
    with pytest.raises(UserError, match=complaint):
        infer_schema(instance)


def test_a_malformed_file_is_refused_with_its_place(tmp_path):
    (tmp_path / "s.json").write_text('{"collections":\n  {,}}')
    with pytest.raises(UserError, match="line 2, column 4"):
        read_schema(tmp_path / "s.json")
    with pytest.raises(UserError, match="line 1, column"):
        from_ddl("CREATE TABLE a (id int")
    with pytest.raises(UserError, match="a.x has the type"):
        from_ddl("CREATE TABLE a (x BYTEA)")
    with pytest.raises(UserError, match="no CREATE TABLE"):
        from_ddl("SELECT 1")
    with pytest.raises(UserError, match="cannot be read"):
        read_schema(tmp_path / "none.sql")


def test_properties_of_edges_in_the_wrong_place_are_refused():
    with pytest.raises(
        UserError, match='the edge K has .since.: its properties stand under "properties"'
    ):
        parse_schema({"nodes": {"P": {}}, "edges": {"K": {"from": "P", "to": "P", "since": "int"}}})
