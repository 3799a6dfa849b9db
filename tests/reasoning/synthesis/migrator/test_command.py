"""The commands as a script uses them: exit codes, files, one sentence for what is refused."""

import contextlib
import importlib.util
import json
import sqlite3
import subprocess
import sys

import pytest

pytest.importorskip("sqlglot")
pytest.importorskip("pysat")
pytest.importorskip("z3")
from benchmarks.migrator_scenarios.refused import REFUSED
from benchmarks.migrator_scenarios.textbook import SPLIT_ONE
from reasoning.synthesis.dynamite import load_mapping
from reasoning.synthesis.migrator.__main__ import main


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, SPLIT_ONE)
    (tmp_path / "golden.sql").write_text(SPLIT_ONE.golden)
    return tmp_path


def write(folder, scenario):
    for name, text in (("a", scenario.source), ("b", scenario.target), ("p", scenario.program)):
        (folder / f"{name}.sql").write_text(text)


def schemas(folder):
    return ["--source-schema", f"{folder}/a.sql", "--target-schema", f"{folder}/b.sql"]


def synthesize(folder, *more):
    return main(
        [
            "synthesize",
            *schemas(folder),
            "--program",
            f"{folder}/p.sql",
            "--out",
            f"{folder}/q.sql",
            "--bound",
            "2",
            *more,
        ]
    )


def check(folder, new, *more):
    return main(
        [
            "check",
            *schemas(folder),
            "--source-program",
            f"{folder}/p.sql",
            "--target-program",
            f"{folder}/{new}.sql",
            "--bound",
            "2",
            *more,
        ]
    )


def test_from_schemas_to_program_data_and_report(folder, capsys):
    files = [
        "--report",
        f"{folder}/r.html",
        "--data",
        f"{folder}/d.sql",
        "--mapping",
        f"{folder}/m.json",
        "--alembic",
        f"{folder}/0001_split.py",
    ]
    assert synthesize(folder, *files) == 0
    stated = capsys.readouterr().out
    assert (
        "sequences: no difference within bound 2" in stated
        and "for all arguments, NULL wherever the old schema allows it" in stated
    )
    assert "DELETE FROM identification" in (folder / "q.sql").read_text()
    page = (folder / "r.html").read_text()
    assert (
        "no difference within bound 2" in page
        and "forget_passport" in page
        and "http://" not in page
        and "https://" not in page
        and "<script" not in page
    )
    assert check(folder, "q", "--verify", "off") == 0
    with contextlib.closing(sqlite3.connect(":memory:")) as base:
        base.executescript(
            SPLIT_ONE.source + "INSERT INTO person VALUES (1, 'n', 'b', 'p', 'i', 'c');"
        )
        base.executescript((folder / "d.sql").read_text())
        assert base.execute("SELECT * FROM identification").fetchall() == [(1, "p", "i", "c")]
    row = {"id": 1, "name": "n", "birth": "b", "passport": "p", "issued": "i", "country": "c"}
    moved = load_mapping(folder / "m.json").apply({"person": [row]})
    assert moved["identification"] == [
        {"person_id": 1, "passport": "p", "issued": "i", "country": "c"}
    ]


def test_an_alembic_file_runs_its_statements(folder, monkeypatch):
    assert synthesize(folder, "--alembic", f"{folder}/0001_split.py", "--verify", "off") == 0
    done = []
    made = type(sys)("sqlalchemy")
    made.text = lambda text: text
    alembic = type(sys)("alembic")
    alembic.op = type("op", (), {"execute": staticmethod(done.append)})
    monkeypatch.setitem(sys.modules, "sqlalchemy", made)
    monkeypatch.setitem(sys.modules, "alembic", alembic)
    spec = importlib.util.spec_from_file_location("migration", folder / "0001_split.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.upgrade()
    assert module.revision == "0001_split" and any(
        text.startswith("INSERT INTO identification") for text in done
    )
    del done[:]
    module.downgrade()
    assert any("DROP TABLE identification" in text for text in done)


def test_a_difference_is_a_script_that_shows_it(folder, capsys):
    (folder / "wrong.sql").write_text(
        SPLIT_ONE.golden.replace(
            "SET passport = :passport, issued", "SET country = :passport, issued"
        )
    )
    assert check(folder, "golden", "--verify", "off") == 0
    capsys.readouterr()
    assert check(folder, "wrong", "--script", f"{folder}/s.sql") == 1
    script = capsys.readouterr().out
    assert (
        script == (folder / "s.sql").read_text()
        and "-- register(" in script
        and "-- renew(" in script
    )
    answers = []
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        for statement in (
            line
            for line in "".join(x for x in script.splitlines(True) if not x.startswith("--")).split(
                ";"
            )
        ):
            rows = base.execute(statement).fetchall()
            if statement.strip().startswith("SELECT"):
                answers.append(rows)
    assert len(answers) == 2 and answers[0] != answers[1]


def test_a_script_shows_a_reference_that_leads_nowhere(folder, capsys):
    (folder / "wrong.sql").write_text(
        SPLIT_ONE.golden.replace("DELETE FROM identification WHERE passport = :passport;", "")
    )
    assert check(folder, "wrong", "--script", f"{folder}/s.sql") == 1
    script = (folder / "s.sql").read_text()
    assert "answers: fails: a reference leads nowhere" in script
    old, new = script.split("-- The new program")
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
        base.executescript(old)
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            base.executescript("--" + new)


def test_what_is_not_checked_is_told(folder, capsys):
    (folder / "a.sql").write_text(
        SPLIT_ONE.source.replace("name TEXT", "name TEXT CHECK (name <> '')", 1)
    )
    assert synthesize(folder, "--verify", "off", "--report", f"{folder}/r.html") == 0
    stated = "old schema, line 1: CHECK of person is not read"
    assert (
        f"not checked: {stated}" in capsys.readouterr().out
        and stated in (folder / "r.html").read_text()
    )


def test_explain_says_where_everything_goes(folder, capsys):
    assert main(["explain", *schemas(folder), "--program", f"{folder}/p.sql"]) == 0
    stated = capsys.readouterr().out
    assert (
        "person.passport -> identification.passport" in stated
        and "identification: one row for each of person" in stated
    )
    assert "person.id -> person.id, identification.person_id" in stated


def test_no_program_is_code_3_and_no_time_code_4(folder, capsys):
    assert synthesize(folder, "--budget", "1e-6") == 4
    write(folder, REFUSED[0])
    assert synthesize(folder) == 3
    assert (
        "email_of reads person.email" in capsys.readouterr().err and not (folder / "q.sql").exists()
    )


@pytest.mark.parametrize(
    "name, text, complaint",
    [
        ("a", "CREATE TABLE person (id INT", "line 1, column"),
        ("b", "SELECT 1;", "no CREATE TABLE"),
        ("p", "-- name: f(x)\nSELECT id FROM person WHERE nam = :x;", "did you mean name"),
        (
            "b",
            "CREATE TABLE person (id INT PRIMARY KEY, name TEXT, birth TEXT NOT NULL, age INT NOT "
            "NULL);",
            "",
        ),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(folder, name, text, complaint, capsys):
    (folder / f"{name}.sql").write_text(text)
    assert synthesize(folder) in (2, 3)
    stated = capsys.readouterr().err.splitlines()[-1]
    assert (
        complaint in stated
        and not (folder / "q.sql").exists()
        and not list(folder.glob("*.partial"))
    )


def test_a_missing_file_and_a_folder(folder, capsys):
    assert synthesize(folder, "--out", str(folder)) == 2
    (folder / "p.sql").unlink()
    assert synthesize(folder) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_no_file_is_written_if_one_cannot_be(folder, capsys):
    assert synthesize(folder, "--data", f"{folder}/nowhere/d.sql") == 2
    assert "nowhere/d.sql" in capsys.readouterr().err
    assert not (folder / "q.sql").exists() and not list(folder.glob("*.partial"))


def test_nothing_of_jax_is_imported():
    code = (
        "import sys, reasoning.synthesis.migrator.__main__\nprint([m for m in sys.modules if "
        "m.split('.')[0] in ('jax', 'flax')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_mapping_says_what_it_leaves_out(folder):
    from benchmarks.migrator_scenarios.textbook import MERGE

    write(folder, MERGE)
    assert synthesize(folder, "--mapping", f"{folder}/m.json", "--verify", "off") == 0
    assert "rows without a partner" in json.loads((folder / "m.json").read_text())["notes"][0]


def test_help_imports_no_jax_and_no_library_that_takes_long():
    code = (
        "import sys\n"
        "from reasoning.synthesis.migrator.__main__ import parse\n"
        "try:\n    parse(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('LOADED', [m for m in ('jax', 'sqlglot', 'z3', 'duckdb') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "LOADED []" in done.stdout, done.stdout + done.stderr


IDLE = """-- name: add(id, n)
INSERT INTO t (id, n) VALUES (:id, :n);
-- name: clear()
DELETE FROM t WHERE n > 1000 AND n < 1000;
-- name: all()
SELECT id, n FROM t;
"""


def test_an_update_that_changed_nothing_on_any_try_is_not_verified(tmp_path, capsys):
    (tmp_path / "a.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT);")
    (tmp_path / "b.sql").write_text("CREATE TABLE u (id INTEGER PRIMARY KEY, n INT);")
    (tmp_path / "p.sql").write_text(IDLE)
    new = IDLE.replace("INTO t", "INTO u").replace("FROM t", "FROM u")
    (tmp_path / "q2.sql").write_text(new.replace("n > 1000 AND ", "n > 2000 AND "))
    assert synthesize(tmp_path, "--verify", "off") == 2
    assert "not verified: clear changed nothing on every try" in capsys.readouterr().err
    assert not (tmp_path / "q.sql").exists()
    assert synthesize(tmp_path, "--verify", "off", "--allow-untested") == 0
    assert "clear changed nothing on any try" in capsys.readouterr().out
    assert check(tmp_path, "q2", "--verify", "off") == 2
    assert "not verified: clear" in capsys.readouterr().err


def test_a_downgrade_that_is_impossible_is_refused_before_the_checks(tmp_path, capsys):
    (tmp_path / "a.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT, more TEXT);")
    (tmp_path / "b.sql").write_text("CREATE TABLE u (id INTEGER PRIMARY KEY, n INT);")
    (tmp_path / "p.sql").write_text("-- name: all()\nSELECT id, n FROM t;\n")
    assert synthesize(tmp_path, "--downgrade", f"{tmp_path}/u.sql") == 2
    said = capsys.readouterr().err
    assert "t.more is dropped; leave out --downgrade" in said and "comparing" not in said


def test_a_program_with_functions_kept_by_hand_is_checked(tmp_path, capsys):
    (tmp_path / "a.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT);")
    (tmp_path / "b.sql").write_text("CREATE TABLE u (id INTEGER PRIMARY KEY, n INT);")
    tied = "SELECT n FROM t WHERE n = (SELECT MAX(s.n) FROM t AS s WHERE s.id > t.id)"
    text = IDLE.replace("n > 1000 AND n < 1000", "n = :n").replace("clear()", "clear(n)")
    (tmp_path / "p.sql").write_text(text + f"-- name: tied()\n{tied};\n")
    assert synthesize(tmp_path, "--verify", "off") == 0
    assert "kept by hand: tied" in capsys.readouterr().out
    assert check(tmp_path, "q", "--verify", "off") == 0
    said = capsys.readouterr().out
    assert "not compared: tied (line" in said and "it was kept by hand" in said
    changed = (tmp_path / "q.sql").read_text().replace("MAX(s.n)", "MIN(s.n)")
    (tmp_path / "s.sql").write_text(changed)
    assert check(tmp_path, "s", "--verify", "off") == 2
    assert "tied (line" in (said := capsys.readouterr().err) and "another text now" in said
    assert check(tmp_path, "s", "--verify", "off", "--allow-untested") == 0
    (tmp_path / "r.sql").write_text((tmp_path / "q.sql").read_text().replace("-- KEPT", "-- "))
    assert check(tmp_path, "r", "--verify", "off") == 2


def test_another_limit_or_lock_is_said(tmp_path, capsys):
    old = (
        "-- name: first()\nSELECT id FROM t ORDER BY id LIMIT {};\n-- name: all()\nSELECT id "
        "FROM t{};"
    )
    texts = {"p": old.format(10, " FOR UPDATE"), "q": old.format(12, "")}
    for name, text in {**texts, "a": "CREATE TABLE t (id INT PRIMARY KEY);"}.items():
        (tmp_path / f"{name}.sql").write_text(text)
    (tmp_path / "b.sql").write_text("CREATE TABLE t (id INT PRIMARY KEY);")
    assert check(tmp_path, "q", "--verify", "off", "--dialect", "postgres") == 0
    said = capsys.readouterr().out
    assert "in first: LIMIT 10 before, LIMIT 12 now" in said
    assert "in all: lock FOR UPDATE before, none now" in said


def test_a_least_count_of_none_is_tried(tmp_path):
    old = (
        "-- name: add(id)\nINSERT INTO t VALUES (:id);\n-- name: note(id, t)\nINSERT INTO u VALUES "
        "(:id, :t);\n-- name: most(n)\nSELECT t.id, COUNT(u.id) AS c FROM t {} JOIN u "
        "ON u.t = t.id "
        "GROUP BY t.id HAVING COUNT(u.id) >= :n;\n"
    )
    tables = "CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE u (id INT PRIMARY KEY, t INT);"
    texts = {"a": tables, "b": tables, "p": old.format("LEFT"), "q": old.format("INNER")}
    for name, text in texts.items():
        (tmp_path / f"{name}.sql").write_text(text)
    assert check(tmp_path, "q", "--verify", "off") == 1
