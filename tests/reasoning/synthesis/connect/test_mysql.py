"""MariaDB as a source, on a server of its own; skipped where there is none."""

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pymysql")
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.dynamite import Mapping, Plan, migrate, verify
from reasoning.synthesis.errors import ConnectionLost, UserError
from reasoning.synthesis.schema import Attr, Collection, Schema
from reasoning.synthesis.syntax import parse_program
from tests.reasoning.synthesis.connect.test_values import EDGES

pytestmark = pytest.mark.slow
MAKE = """SET NAMES utf8mb4;
CREATE TABLE `a``b` (i BIGINT, f FLOAT, d DOUBLE, m DECIMAL(38,10), b TINYINT(1), c BIT(1),
  s VARCHAR(50) CHARACTER SET utf8mb4, t DATE, u DATETIME(6), v TIMESTAMP(6) NULL);
SET time_zone = '+02:00';
INSERT INTO `a``b` VALUES
 (-9223372036854775808, 0.1, 0.1, 9999999999999999999999999999.9999999999, 1, b'1', '😀''\\n',
  '9999-12-31', '9999-12-31 23:59:59.999999', '2024-01-01 02:00:00.000001'),
 (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
   (1, 0, 1e300, 1, 0, b'0', '', '0001-01-01', NULL, NULL),
 (1, 0, 1e300, 1, 0, b'0', '', '0001-01-01', NULL, NULL);"""
KINDS = dict(
    zip(
        "ifdmbcstuv",
        ["int", "float", "float", "decimal", "bool", "bool", "str", "date", "datetime", "datetime"],
        strict=True,
    )
)
SCHEMA = Schema("relational", (Collection("a`b", tuple(Attr(n, k) for n, k in KINDS.items())),))


def test_rows_of_mariadb_are_kept(mariadb, mariadb_socket, tmp_path):
    assert mariadb(MAKE).returncode == 0
    url = f"mariadb://root:secret@localhost/t?unix_socket={mariadb_socket}"
    first, none, one, other = read_whole(SCHEMA, url)["a`b"]
    assert first["i"] == -(2**63) and first["s"] == "😀'\n" and first["d"] == 0.1
    assert first["f"] == 0.10000000149011612, "the FLOAT itself, not its six digits"
    assert str(first["m"]) == "9999999999999999999999999999.9999999999"
    assert first["b"] is True and first["c"] is True and one["c"] is False
    assert str(first["u"]).replace("T", " ") == "9999-12-31 23:59:59.999999"
    assert str(first["v"]).replace("T", " ") == "2024-01-01 00:00:00.000001", "in UTC"
    assert set(none.values()) == {None} and one == other
    names = ", ".join(KINDS)
    same = parse_program(f"`a``b`({names}) :- `a``b`({names}).")
    mapping = Mapping(SCHEMA, SCHEMA, same)
    assert migrate(Plan(mapping, url, str(tmp_path / "o.duckdb"))).target_rows == {"a`b": 4}
    assert verify(mapping, url, str(tmp_path / "o.duckdb")).problems == []


def test_texts_of_mariadb_are_kept(mariadb, mariadb_socket):
    values = EDGES["str"]
    cells = ", ".join(f"({n}, 0x{v.encode().hex() or '20'})" for n, v in enumerate(values) if v)
    made = "CREATE TABLE texts (n BIGINT, v LONGTEXT CHARACTER SET utf8mb4);"
    assert (
        mariadb(f"{made} INSERT INTO texts VALUES {cells}, (99, ''), (98, NULL);").returncode == 0
    )
    schema = Schema("relational", (Collection("texts", (Attr("n", "int"), Attr("v", "str"))),))
    url = f"mariadb://root:secret@localhost/t?unix_socket={mariadb_socket}"
    found = {row["n"]: row["v"] for row in read_whole(schema, url)["texts"]}
    assert found == {n: v for n, v in enumerate(values) if v} | {99: "", 98: None}


def test_what_mariadb_cannot_give_is_a_sentence(mariadb, mariadb_socket):
    assert (
        mariadb(
            "SET sql_mode=''; CREATE TABLE z (t DATE); INSERT INTO z VALUES ('0000-00-00');"
        ).returncode
        == 0
    )
    url = f"mysql://root:secret@localhost/t?unix_socket={mariadb_socket}"

    def read(name, attr, kind):
        return read_whole(Schema("relational", (Collection(name, (Attr(attr, kind),)),)), url)

    with pytest.raises(UserError, match="t is '0000-00-00', which is no date"):
        read("z", "t", "date")
    with pytest.raises(UserError, match="doesn't exist") as found:
        read("missing", "t", "date")
    assert "secret" not in str(found.value)
    with pytest.raises(UserError, match="column"):
        read("z", "x", "date")


def test_no_server_is_a_sentence(tmp_path):
    with pytest.raises(ConnectionLost, match="mysql://u:\\*\\*\\*@"):
        read_whole(SCHEMA, f"mysql://u:secret@localhost/t?unix_socket={tmp_path}/none")
