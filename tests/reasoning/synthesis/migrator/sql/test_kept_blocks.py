"""Blocks that are kept by hand with their reason, so that the rest of the file is done."""

import pytest

pytest.importorskip("sqlglot")

from reasoning.synthesis.errors import UserError
from reasoning.synthesis.migrator import parse_program, read_tables
from reasoning.synthesis.migrator.sql.unparse import show_program

DDL = (
    "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y INT);"
    "CREATE TABLE b (id INTEGER PRIMARY KEY, x TEXT, y INT);"
)
FINE = "-- name: fine(x)\nSELECT id FROM a WHERE x = :x;\n"
CORRELATED = (
    "SELECT x FROM a WHERE y = (SELECT MAX(b.y) FROM b WHERE b.x = a.x)",
    "SELECT x FROM a WHERE x IN (SELECT b.x FROM b WHERE b.y = a.y)",
    "SELECT x FROM a WHERE EXISTS (SELECT 1 FROM b WHERE b.x = a.x AND b.y IN "
    "(SELECT c.y FROM b AS c WHERE c.id = a.id))",
    "SELECT x, (SELECT COUNT(*) FROM b WHERE b.x = a.x) AS n FROM a",
    "DELETE FROM a WHERE y < (SELECT MAX(b.y) FROM b WHERE b.x = a.x)",
    "UPDATE a SET x = (SELECT b.x FROM b WHERE b.id = a.id)",
)


def parsed(text: str, keep: bool = True):
    return parse_program(text, read_tables(DDL), keep=keep)


@pytest.mark.parametrize("sql", CORRELATED)
def test_a_subquery_that_refers_to_the_query_around_it(sql):
    program = parsed(f"{FINE}-- name: tied()\n{sql};\n")
    assert program.named("fine").statements
    assert "refers to the query around it" in program.named("tied").outside


def test_an_unknown_name_in_a_subquery_is_still_refused():
    with pytest.raises(UserError, match="no table 'c'"):
        parsed("-- name: f()\nSELECT x FROM a WHERE y = (SELECT MAX(b.y) FROM b WHERE b.x = c.x);")


@pytest.mark.parametrize("bad", ["SELECT FROM WHERE a 'x;", "SELEC * FROM (a;"])
def test_a_block_that_is_no_sql(bad):
    text = f"{FINE}\n-- name: bad(x)\n{bad}\n\n-- name: last()\nSELECT y FROM b;\n"
    program = parsed(text)
    assert [f.name for f in program.functions] == ["fine", "bad", "last"]
    kept = program.named("bad")
    assert "does not parse" in kept.outside and kept.tables == {"a"}
    assert bad.rstrip(";") in show_program(program)
    for other, keep in ((text, False), (f"-- name: bad(x)\n{bad}\n", True)):
        with pytest.raises(UserError, match="correct the SQL"):
            parsed(other, keep)


def test_a_text_may_hold_a_line_that_looks_like_a_name():
    text = "-- name: f(x)\nUPDATE a SET x = 'begin\n-- name: evil\nend' WHERE x = :x;\n" + FINE
    program = parsed(text, keep=False)
    assert [f.name for f in program.functions] == ["f", "fine"]
    assert program.named("f").statements[0].sets[0][1].value == "begin\n-- name: evil\nend"
