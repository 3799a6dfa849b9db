"""DDL as dumps and people write it: keys by ALTER TABLE, defaults of every kind,
generated columns.
"""

import pytest

pytest.importorskip("sqlglot")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator.sql.tables import Edge, read_tables

DUMP = """--
-- PostgreSQL database dump
--
\\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TABLE public."Post" (
    id text NOT NULL,
    "authorId" text NOT NULL,
    Title text DEFAULT 'none'::text NOT NULL
);
ALTER TABLE public."Post" OWNER TO pg;
CREATE TABLE public."User" (
    id integer NOT NULL,
    email text NOT NULL
);
CREATE SEQUENCE public."User_id_seq" AS integer START WITH 1;
ALTER TABLE ONLY public."User" ALTER COLUMN id
  SET DEFAULT nextval('public."User_id_seq"'::regclass);
COPY public."User" (id, email) FROM stdin;
1\ta;b'c
\\.
ALTER TABLE ONLY public."Post" ADD CONSTRAINT "Post_pkey" PRIMARY KEY (id);
ALTER TABLE ONLY public."User" ADD CONSTRAINT "User_pkey" PRIMARY KEY (id);
ALTER TABLE ONLY public."User" ADD CONSTRAINT one UNIQUE (email);
ALTER TABLE ONLY public."Post"
    ADD CONSTRAINT f FOREIGN KEY ("authorId") REFERENCES public."User"(id) ON DELETE CASCADE;
\\unrestrict abc
"""


def test_a_dump_of_postgres_is_read_with_its_keys():
    tables = read_tables(DUMP, "postgres")
    assert list(tables.by_name) == ["Post", "User"]
    assert tables["Post"].key == tables["User"].key == ("id",)
    assert tables["User"].unique == (("email",),) and tables["User"].numbered == {"id"}
    assert tables.edges == (Edge("Post", ("authorId",), "User", ("id",)),)
    assert list(tables["Post"].types) == ["id", "authorId", "title"]  # folded as PostgreSQL does
    assert tables["Post"].defaults == {"title": "none"} and tables["Post"].schema == "public"


@pytest.mark.parametrize(
    "dialect, column, value",
    [
        ("postgres", "a boolean DEFAULT false", False),
        ("postgres", "a boolean DEFAULT 't'", True),
        ("sqlite", "a boolean DEFAULT 0", False),
        ("sqlite", "a boolean DEFAULT true", True),
        ("postgres", "a integer DEFAULT -1", -1),
        ("postgres", "a integer DEFAULT (- 1)", -1),
        ("postgres", "a integer DEFAULT '5'::integer", 5),
        ("postgres", "a text DEFAULT 'x'::character varying", "x"),
        ("mysql", "a decimal(4,2) DEFAULT 1.50", 1.5),
        ("sqlite", "a text DEFAULT 'it''s'", "it's"),
    ],
)
def test_constants_of_every_kind_are_defaults(dialect, column, value):
    found = read_tables(f"CREATE TABLE t (id integer PRIMARY KEY, {column});", dialect)[
        "t"
    ].defaults
    assert float(found["a"]) == value if isinstance(value, float) else found == {"a": value}
    assert isinstance(value, float) or type(found["a"]) is type(value)


def test_generated_columns_and_sequences_are_the_databases():
    found = read_tables(
        "CREATE TABLE app.t (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int, "
        "b int GENERATED ALWAYS AS (a * 2) STORED, c int DEFAULT random());",
        "postgres",
    )
    table = found["t"]
    assert table.stored == ("id", "a", "c") and table.numbered == {"id"} and table.schema == "app"
    assert found.not_read == ("line 1: a computed DEFAULT of t is not read",)


def test_a_name_in_two_schemas_is_refused():
    with pytest.raises(UserError, match="line 2: a table t is there already, in line 1"):
        read_tables("CREATE TABLE a.t (x int);\nCREATE TABLE b.t (y int);", "postgres")


def test_a_table_that_does_not_parse_is_refused_with_its_line():
    with pytest.raises(UserError, match="line 3"):
        read_tables("CREATE TABLE a (x int);\n\nCREATE TABLE b (y int NOT, z int;", "postgres")


def test_serial_columns_are_whole_numbers():
    ddl = "CREATE TABLE a (id serial PRIMARY KEY, b bigserial, c smallserial);"
    tables = read_tables(ddl, "postgres")
    assert set(tables["a"].types.values()) == {"int"}
    assert tables["a"].numbered == {"id", "b", "c"}
