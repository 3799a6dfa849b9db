"""Reading, printing and refusing programs of named queries."""

import sqlite3
from dataclasses import replace

import pytest

pytest.importorskip("sqlglot")
from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import parse_program, read_tables, show_program
from reasoning.synthesis.migrator.sql.parse import placed
from reasoning.synthesis.migrator.sql.program import Col, Delete, Fill, InSelect, Lit, Snapshot
from reasoning.synthesis.migrator.sql.unparse import show_statement
from reasoning.synthesis.migrator.testing.inputs import pairwise
from tests.tables import rows

DDL = """CREATE TABLE a (id INT PRIMARY KEY, x TEXT, n INT DEFAULT 7);
CREATE TABLE b (id INT PRIMARY KEY, a_id INT REFERENCES a(id), y TEXT NOT NULL, "order" INT);"""
TABLES = read_tables(DDL)
GOOD = """-- name: add(x)!
-- says why
INSERT INTO a (id, x) VALUES (FRESH(1), :x);
INSERT INTO b (id, a_id, y) VALUES (FRESH(2), FRESH(1), 'new');
-- name: find(x, most)
SELECT a.id, b.y AS why FROM a JOIN b ON b.a_id = a.id
  WHERE (a.x = :x OR NOT a.n > 3) AND b.y IN ('p', 'q') AND a.x IS NOT NULL
ORDER BY b.y DESC LIMIT :most;
-- name: total(y)
SELECT b.a_id, COUNT(*) AS c, SUM(DISTINCT b.id) AS s FROM b WHERE b.y LIKE :y GROUP BY b.a_id;
-- name: bump(n)
UPDATE a SET n = n + :n, x = NULL WHERE id IN (SELECT a_id FROM b WHERE "order" BETWEEN 1 AND :n);
-- name: gone(y)
DELETE FROM b WHERE y = :y;
"""


def test_a_program_survives_printing_in_every_dialect():
    program = parse_program(GOOD, TABLES)
    for dialect in ("sqlite", "postgres", "mysql", "duckdb"):
        ddl = DDL.replace('"', "`") if dialect == "mysql" else DDL
        bare = type(program)(
            tuple(type(f)(**{**vars(f), "text": ""}) for f in program.functions), dialect
        )
        again = parse_program(show_program(bare), read_tables(ddl, dialect), dialect)
        assert [f.statements for f in again.functions] == [
            f.statements for f in program.functions
        ], dialect
        assert [(f.name, f.params, f.suffix) for f in again.functions] == [
            (f.name, f.params, f.suffix) for f in program.functions
        ]


def test_what_was_not_changed_is_printed_as_written():
    program = parse_program(GOOD, TABLES)
    assert show_program(program).split() == GOOD.split()
    assert program.functions[0].notes == ("says why",)


def test_derived_tables_and_rows_of_a_query_are_read():
    (derived,) = parse_program(
        "-- name: f(x)\nSELECT id FROM (SELECT id, x FROM a) t WHERE x = :x;", TABLES
    ).functions
    assert derived.statements[0].sources[0].select.sources[0].table == "a"
    (filled,) = parse_program(
        "-- name: f(x)\nINSERT INTO a (id, x) SELECT id, y FROM b WHERE y = :x;", TABLES
    ).functions
    assert isinstance(filled.statements[0], Fill)
    assert [out.value.name for out in filled.statements[0].select.outs] == ["id", "y"]


def test_parameters_meet_columns():
    program = parse_program(GOOD, TABLES)
    assert placed(program.named("find")) == {"x": [("a", "x")], "most": [("", "")]}
    assert placed(program.named("bump"))["n"] == [("a", "n"), ("b", "order")]


def test_statements_over_several_tables_choose_their_rows_first():
    """The rows deleted by ours and by a set computed by hand are the same."""
    text = "-- name: f(x)\nDELETE a, b FROM a JOIN b ON b.a_id = a.id WHERE a.x = :x;\n"
    program = parse_program(text, read_tables(DDL.replace('"', "`"), "mysql"), "mysql")
    kinds = [type(s) for s in program.functions[0].statements]
    assert kinds[0] is Snapshot and kinds.count(Delete) == 2
    base = sqlite3.connect(":memory:")
    base.executescript(DDL)
    base.executescript(
        "INSERT INTO a VALUES (1,'k',0),(2,'k',0),(3,'z',0); INSERT INTO b VALUES "
        "(1,1,'u',0),(2,3,'u',0),(3,1,'u',0);"
    )
    for statement in program.functions[0].statements:
        base.execute(show_statement(statement, "sqlite", running=True), {"x": "k"})
    assert base.execute("SELECT id FROM a").fetchall() == [(2,), (3,)], (
        "row 2 of a has no partner in b and stays"
    )
    assert base.execute("SELECT id FROM b").fetchall() == [(2,)]
    base.close()


@pytest.mark.parametrize(
    "dialect, sql",
    [
        ("postgres", "DELETE FROM b USING a WHERE b.a_id = a.id AND a.x = :x"),
        ("mysql", "DELETE b FROM b JOIN a ON b.a_id = a.id WHERE a.x = :x"),
        ("postgres", "UPDATE b SET y = :x FROM a WHERE b.a_id = a.id AND a.x = :x"),
        ("mysql", "UPDATE b JOIN a ON b.a_id = a.id SET b.y = :x WHERE a.x = :x"),
    ],
)
def test_joins_of_one_changed_table_become_a_subquery(dialect, sql):
    ddl = DDL.replace('"', "`") if dialect == "mysql" else DDL
    (statement,) = (
        parse_program(f"-- name: f(x)\n{sql};", read_tables(ddl, dialect), dialect)
        .functions[0]
        .statements
    )
    assert statement.table == "b" and isinstance(statement.where, InSelect)
    assert statement.where.columns == (Col("b", "id"),) and len(statement.where.select.sources) == 2


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("-- name: f(x)\nSELECT id\nFROM a WHERE WHERE x = :x;", "line 3, column"),
        ("-- name: f(x)\nSELECT idd FROM a WHERE x = :x;", "no column 'idd' (did you mean id"),
        ("-- name: f(x)\nSELECT id FROM aa WHERE x = :x;", "no table 'aa' (did you mean a"),
        ("-- name: f(x)\nSELECT c.id FROM a WHERE x = :x;", "no table 'c' here"),
        (
            "-- name: f(x)\nSELECT id FROM a JOIN b ON b.a_id = a.id WHERE x = :x;",
            "'id' is in a and in b",
        ),
        ("-- name: f(x)\nSELECT id FROM a WHERE x = :y;", ":y is not among its parameters"),
        ("-- name: f(x)\nSELECT id FROM a WHERE :x = 1;", "it has no type"),
        ("-- name: f(x)\nSELECT id FROM a WHERE x = :x AND n = :x;", "use two"),
        (
            "-- name: f(x)\nSELECT id FROM a WHERE x = :x;\n-- name: f(x)\nSELECT n FROM a WHERE x "
            "= :x;",
            "line 3: the function f is there already, in line 1",
        ),
        (
            "-- name: f(x)\nINSERT INTO a (x) VALUES (:x);",
            "no value for the key a.id: write FRESH(1)",
        ),
        ("-- name: f(x)\nINSERT INTO a (id, x) VALUES (:x);", "names 2 columns and gives 1"),
        (
            "-- name: f(x)\nSELECT a.id FROM a FULL JOIN b ON b.a_id = a.id WHERE a.x = :x;",
            "line 2: f: FULL JOIN is outside the fragment",
        ),
        (
            "-- name: f(x)\nWITH RECURSIVE c AS (SELECT id FROM a UNION SELECT id + 1 FROM c) "
            "SELECT id FROM c WHERE id = :x;",
            "RECURSIVE",
        ),
        (
            (
                "-- name: f(x)\nINSERT INTO a (id, x) SELECT id, y FROM b WHERE y = :x UNION "
                "SELECT 1, 'k';"
            ),
            "an INSERT of anything but VALUES or a SELECT",
        ),
        (
            "-- name: f(x)\nSELECT id FROM a JOIN b USING (idd) WHERE x = :x;",
            "no column 'idd' (did you mean id",
        ),
        ("-- name: f(x)\nSELECT q.* FROM a WHERE x = :x;", "no table 'q' here"),
        ("-- name: f(x, x)\nSELECT id FROM a WHERE x = :x;", "has the parameter x twice"),
        ("-- name: f(x)\nINSERT INTO a (id, x, x) VALUES (1, :x, :x);", "names a column twice"),
        (
            "-- name: f(x)\nINSERT INTO a (id, x) VALUES (FRESH('k'), :x);",
            "FRESH takes one whole number",
        ),
        ("-- name: f(x)\n", "has no SQL"),
        ("-- name: f x\nSELECT 1;", "is no `-- name: function(parameter, ...)` line"),
        ("SELECT 1;", "SQL before the first"),
        ("\n", "there is no `-- name: FUNCTION` line"),
    ],
)
def test_bad_programs_are_one_sentence_with_its_place(text, complaint):
    with pytest.raises(UserError) as refusal:
        parse_program(text, TABLES, where="p.sql")
    assert (
        complaint in str(refusal.value)
        and str(refusal.value).startswith("p.sql")
        and "\n" not in str(refusal.value)
    )


@pytest.mark.parametrize("dialect, sql, word", rows(__file__, "lost_in_reading"))
def test_what_would_be_lost_in_reading_is_refused(dialect, sql, word):
    ddl = DDL.replace('"', "`") if dialect == "mysql" else DDL
    with pytest.raises(
        UserError, match="is outside the fragment|are outside the fragment"
    ) as refusal:
        parse_program(f"-- name: f(x)\n{sql};", read_tables(ddl, dialect), dialect)
    assert word in str(refusal.value)


@pytest.mark.parametrize("dialect, sql, word", rows(__file__, "read_again"))
def test_what_is_read_is_printed_and_read_again(dialect, sql, word):
    ddl = DDL.replace('"', "`") if dialect == "mysql" else DDL
    tables = read_tables(ddl, dialect)
    program = parse_program(f"-- name: f(x)\n{sql};", tables, dialect)
    (function,) = program.functions
    shown = show_program(replace(program, functions=(replace(function, text=""),)))
    assert word in shown
    again = parse_program(shown, tables, dialect)
    assert again.functions[0].statements == function.statements


def test_capitals_and_comments_tell_nothing_apart():
    plain = (
        "-- name: f(x)\nSELECT a.id AS id, b.y AS why FROM a JOIN b ON b.a_id = a.id WHERE "
        "a.x = :x ORDER BY b.y;"
    )
    loud = (
        "-- name: f(x)\nSELECT A.ID AS id, B.Y AS why /* :no */ FROM A JOIN B ON B.A_ID = A.ID "
        "-- nor :this\n"
    )
    loud += "WHERE A.X = :x ORDER BY B.Y;"
    one, other = (parse_program(text, TABLES).functions[0] for text in (plain, loud))
    assert one.statements == other.statements and one.tables == other.tables == {"a", "b"}


def test_an_order_names_outputs_first_and_is_printed_so():
    """By hand, as SQL has it: `n` is the output, which holds x."""
    text = "-- name: f()\nSELECT x AS n, n AS x, id FROM a ORDER BY n, id;"
    select = parse_program(text, TABLES).functions[0].statements[0]
    assert [column.name for column, _ in select.order] == ["x", "id"]
    shown = show_statement(select)
    assert shown == "SELECT x AS n, n AS x, id FROM a ORDER BY a.x, id"
    base = sqlite3.connect(":memory:")
    base.executescript(DDL + "INSERT INTO a VALUES (1, 'q', 1), (2, 'p', 2);")
    assert (
        base.execute(shown).fetchall()
        == base.execute(text.split("\n")[1]).fetchall()
        == [("p", 2, 2), ("q", 1, 1)]
    )
    base.close()


KEYS = """CREATE TABLE t (a INT UNIQUE NOT NULL, b INT, c TEXT CHECK (c <> ''),
  d TIMESTAMP DEFAULT CURRENT_TIMESTAMP, UNIQUE (b, c));
CREATE UNIQUE INDEX ti ON t (c, a DESC);
CREATE UNIQUE INDEX tj ON t (b) WHERE b > 1;
CREATE TABLE u (id INT PRIMARY KEY, t INT REFERENCES t(a)
  ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, s TEXT DEFAULT ';--' UNIQUE);"""


@pytest.mark.parametrize("dialect", ["sqlite", "postgres", "duckdb"])
def test_unique_keys_are_read_and_the_rest_is_named(dialect):
    tables = read_tables(KEYS, dialect)
    assert tables["t"].key == ("a",) and tables["t"].unique == (("b", "c"), ("c", "a"))
    assert tables["u"].unique == (("s",),) and tables["u"].defaults == {"s": ";--"}
    assert tables.deferred == {("u", ("t",))}
    assert tables.not_read == (
        "line 1: CHECK of t is not read",
        "line 1: a computed DEFAULT of t is not read",
        "line 4: a unique index over some rows or over expressions of t is not read",
    )
    assert tables.actions[("u", ("t",))][0] == "CASCADE"


@pytest.mark.parametrize(
    "ddl, complaint",
    [
        (
            "CREATE TABLE t (a INT, UNIQUE (aa));",
            "t is unique by aa, which it does not have (did you mean a?)",
        )
    ],
)
def test_keys_that_cannot_be_read(ddl, complaint):
    with pytest.raises(UserError) as refusal:
        read_tables(ddl, "postgres", "a.sql")
    assert complaint in str(refusal.value)


def test_functions_outside_the_fragment_pass_where_nothing_changes_or_by_option():
    text = "-- name: f(x)\nSELECT a.id FROM a FULL JOIN b ON b.a_id = a.id WHERE a.x = :x;"
    assert parse_program(text, TABLES, unchanged=frozenset({"a", "b"})).functions[0].outside
    assert parse_program(text, TABLES, keep=True).functions[0].statements == ()
    with pytest.raises(UserError, match="--strict"):
        parse_program(text, TABLES, unchanged=frozenset({"a"}))


@pytest.mark.parametrize("sizes", [(3,), (3, 3), (3, 2, 4), (3,) * 6, (2,) * 9])
def test_every_pair_of_values_occurs(sizes):
    rows = pairwise([range(size) for size in sizes])
    for a in range(len(sizes)):
        for b in range(a + 1, len(sizes)):
            assert len({(row[a], row[b]) for row in rows}) == sizes[a] * sizes[b]
    if len(sizes) > 4:
        assert len(rows) < 3 ** len(sizes) / 20


@pytest.mark.parametrize("text", ["a\n-- no comment\nb", "a\u2028b", "a\x85\x0b\x0cb", "it''s\n--"])
def test_texts_keep_their_lines_and_dashes(text):
    tables = read_tables("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT);")
    program = (
        f"-- name: add\n-- don't mind this: it's a note\nINSERT INTO t VALUES (:id, '{text}');\n"
    )
    add = parse_program(program, tables).functions[0]
    assert add.notes == ("don't mind this: it's a note",)
    assert add.statements[0].values[1] == Lit(text.replace("''", "'"))
