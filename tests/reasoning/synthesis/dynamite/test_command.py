"""The commands as a script uses them: exit codes, files, and one sentence for what is refused."""

import builtins
import json
import re

import pytest

pytest.importorskip("duckdb")
pytest.importorskip("pysat")
pytest.importorskip("sqlglot")
from reasoning.synthesis.dynamite.__main__ import main

SOURCE = {
    "r": [{"id": 1, "home": 5, "away": 6}, {"id": 2, "home": 6, "away": 5}],
    "t": [{"id": 5, "n": "a"}, {"id": 6, "n": "b"}],
}
TARGET = {"w": [{"n": "a"}, {"n": "b"}]}
SAMPLE = {
    "r": [{"id": 1, "home": 5, "away": 6}],
    "t": [{"id": 5, "n": "a"}, {"id": 6, "n": "b"}, {"id": 8, "n": "d"}],
}


@pytest.fixture
def folder(tmp_path):
    for name, data in (("s", SOURCE), ("t", TARGET), ("sample", SAMPLE)):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    return tmp_path


def answer(folder, given):
    files = ["--mapping", f"{folder}/m.json", "--question", f"{folder}/q.json"]
    return main(["ask", *files, "--answer", given])


def learn(folder, *more):
    return main(
        [
            "learn",
            "--source-example",
            f"{folder}/s.json",
            "--target-example",
            f"{folder}/t.json",
            "--out",
            f"{folder}/m.json",
            *more,
        ]
    )


DATED = [{"id": 1, "at": "2024-01-02T03:04:05", "p": 3}, {"id": 2, "at": "2024-02-02", "p": 4}]


def test_json_has_the_types_that_the_target_declares(folder, capsys):
    (folder / "s.json").write_text(json.dumps({"e": DATED}))
    rows = [{"k": 1, "t": "2024-01-02 03:04:05", "c": 3}, {"k": 2, "t": "2024-02-02", "c": 4}]
    (folder / "t.json").write_text(json.dumps({"f": rows}))
    declared = folder / "t.sql"
    declared.write_text("CREATE TABLE f (k int, t timestamp, c double precision)")
    assert learn(folder, "--target-schema", str(declared)) == 0
    said = capsys.readouterr().err
    assert "e.at of the source is datetime, as f.t" in said and "e.p of the source is float" in said
    more = [{"id": 3, "at": "2024-03-03T00:00:00.5", "p": 1.5}, {"id": 4, "at": None, "p": None}]
    for records, status in ((more, 0), ([{"id": 5, "at": "2024-03-03T00:00:00Z", "p": 1}], 2)):
        (folder / "d.json").write_text(json.dumps({"e": records}))
        paths = ["--source", f"{folder}/d.json", "--target", f"{folder}/o.json", "--overwrite"]
        assert main(["run", "--mapping", f"{folder}/m.json", *paths]) == status
    made = json.loads((folder / "o.json").read_text())["f"]
    assert made == [{"k": 3, "t": more[0]["at"], "c": 1.5}, {"k": 4, "t": None, "c": None}]
    assert "no time zone" in capsys.readouterr().err


def test_a_value_held_under_another_type_is_named(folder, capsys):
    (folder / "s.json").write_text(json.dumps({"e": DATED}))
    (folder / "t.json").write_text(json.dumps({"f": [{"k": e["id"], "t": e["at"]} for e in DATED]}))
    for name, kind in (("s", "at timestamp, id int, p int"), ("t", "k int, t text")):
        (folder / f"{name}.sql").write_text(f"CREATE TABLE {'ef'[name == 't']} ({kind})")
    both = ["--source-schema", f"{folder}/s.sql", "--target-schema", f"{folder}/t.sql"]
    assert learn(folder, *both) == 3
    assert "e.at holds it as datetime" in capsys.readouterr().err


def test_from_examples_to_a_verified_target(folder, capsys):
    assert learn(folder) == 0
    stored = json.loads((folder / "m.json").read_text())
    assert stored["datalog"] == "w(n) :- t(_, n).\n" == capsys.readouterr().out
    assert set(stored["statistics"]) == {"candidates", "conflicts"}
    assert stored["options"]["seed"] == 0
    run = [
        "run",
        "--mapping",
        f"{folder}/m.json",
        "--source",
        f"{folder}/sample.json",
        "--target",
        f"{folder}/out.db",
    ]
    assert main([*run, "--report", f"{folder}/r.json"]) == 0
    assert json.loads((folder / "r.json").read_text())["target_rows"] == {"w": 3}
    verify = ["verify", *run[1:]]
    assert main(verify) == 0
    assert "not used: 1 records of r" in capsys.readouterr().out
    assert main(run) == 2
    assert "is there already" in capsys.readouterr().err
    (folder / "sample.json").write_text(json.dumps({"r": [], "t": [{"id": 1, "n": "z"}]}))
    assert main(verify) == 1
    assert "PROBLEM: w: 1 records missing, for example n = 'z'" in capsys.readouterr().out


def test_every_way_to_show_a_mapping(folder, capsys):
    learn(folder)
    for dialect, said in (
        ("datalog", "w(n) :-"),
        ("postgres", 'FROM "t" AS "a0"'),
        ("spark", "FROM `t` AS `a0`"),
    ):
        assert main(["show", "--mapping", f"{folder}/m.json", "--dialect", dialect]) == 0
        assert said in capsys.readouterr().out
    assert (
        main(["explain", "--mapping", f"{folder}/m.json", "--sample", f"{folder}/sample.json"]) == 0
    )
    said = capsys.readouterr().out
    for part in ("For every t: a record of w.", "w.n  <-  t.n"):
        assert part in said
    assert "Nothing is made of: r.id, r.home, r.away, t.id" in said
    assert "Open: w could be made in another way" in said
    assert main(["explain", "--mapping", f"{folder}/m.json", "--html", f"{folder}/x.html"]) == 0
    page = (folder / "x.html").read_text()
    # The drawing has a form for wide and one for narrow windows.
    assert (
        page.count("<path ") == 2
        and "<svg" in page
        and "http://" not in page
        and "https://" not in page
    )


def test_questions_for_a_script(folder, capsys):
    learn(folder)
    ask = [
        "ask",
        "--mapping",
        f"{folder}/m.json",
        "--question",
        f"{folder}/q.json",
        "--sample",
        f"{folder}/sample.json",
    ]
    for _ in range(6):
        assert main(ask) == 0
        question = json.loads((folder / "q.json").read_text())
        if question["source"] is None:
            break
        # What is meant: the names of those at home.
        homes = {record["home"] for record in question["source"]["r"]}
        meant = {
            "w": [{"n": record["n"]} for record in question["source"]["t"] if record["id"] in homes]
        }
        (folder / "a.json").write_text(json.dumps(meant))
        assert answer(folder, f"{folder}/a.json") == 0
    stored = json.loads((folder / "m.json").read_text())
    assert len(stored["examples"]) > 1
    assert stored["datalog"].startswith("w(n) :- r(_, ")
    assert "nothing is open" in capsys.readouterr().out


def test_questions_on_a_terminal(folder, capsys, monkeypatch):
    learn(folder)
    asked = []
    monkeypatch.setattr(
        builtins, "input", lambda prompt: asked.append(prompt) or ("1" if len(asked) < 9 else "")
    )
    assert main(["ask", "--mapping", f"{folder}/m.json", "--sample", f"{folder}/sample.json"]) == 0
    assert asked and "nothing is open" in capsys.readouterr().out
    assert json.loads((folder / "m.json").read_text())["datalog"] == "w(n) :- t(_, n).\n"


def test_an_answer_that_nothing_fits_changes_nothing(folder, capsys):
    learn(folder)
    before = (folder / "m.json").read_text()
    (folder / "q.json").write_text(
        json.dumps({"source": SAMPLE, "answers": [{"w": [{"n": "zed"}]}, {"w": []}]})
    )
    assert answer(folder, "1") == 3
    assert (
        "w.n has no source" in capsys.readouterr().err and (folder / "m.json").read_text() == before
    )


def test_no_program_is_code_3_and_no_time_code_4(folder, capsys):
    (folder / "t.json").write_text(json.dumps({"w": [{"n": "a+b"}]}))
    assert learn(folder) == 3
    assert (
        "no program: w.n has no source: no source column of its type holds all its values (for "
        'example "a+b")' in capsys.readouterr().err
    )
    (folder / "t.json").write_text(json.dumps(TARGET))
    assert learn(folder, "--budget", "1e-9") == 4
    assert not (folder / "m.json").exists()


@pytest.mark.parametrize(
    "name, text, complaint",
    [
        ("s", '{"r": [{"id": 1},]}', "line 1, column"),
        ("t", '{"w": [{"n": {"m": 1}}, {"n": 2}]}', "not a record or a list of records"),
        ("t", "[", "malformed JSON"),
        ("t", "[]", "it has no record"),
        ("t", '{"w": []}', "it has no record"),
    ],
)
def test_bad_examples_are_code_2_and_one_sentence(name, text, complaint, folder, capsys):
    (folder / f"{name}.json").write_text(text)
    assert learn(folder) == 2
    said = capsys.readouterr().err
    assert complaint in said and said.startswith("error: ") and said.count("\n") == 1


def test_a_schema_and_an_example_that_disagree(folder, capsys):
    (folder / "t.sql").write_text("CREATE TABLE w (n INT)")
    assert learn(folder, "--target-schema", f"{folder}/t.sql") == 2
    assert "target example: w, record 1: n is 'a', which is no int" in capsys.readouterr().err
    (folder / "t.sql").write_text("CREATE TABLE w (n TEXT PRIMARY KEY)")
    assert learn(folder, "--target-schema", f"{folder}/t.sql") == 0


def test_a_mapping_edited_by_hand_is_checked(folder, capsys):
    learn(folder)
    stored = json.loads((folder / "m.json").read_text())
    for text, complaint in (
        ("w(n) :- t(_, n, _).", "has 2 columns, not 3"),
        ("w(n) :- t(_ n).", "line 1, column"),
    ):
        (folder / "m.json").write_text(json.dumps(stored | {"datalog": text}))
        assert main(["show", "--mapping", f"{folder}/m.json"]) == 2
        assert complaint in capsys.readouterr().err


def test_files_that_are_not_what_they_should_be_are_one_sentence(folder, capsys):
    learn(folder)
    stored, mapping = json.loads((folder / "m.json").read_text()), ["--mapping", f"{folder}/m.json"]
    capsys.readouterr()
    cases = [
        (["ask", *mapping, "--sample", f"{folder}/none.{kind}"], "is not there|cannot be read")
        for kind in ("xml", "duckdb", "json")
    ]
    for n, question in enumerate(
        (
            [1],
            {"source": None},
            {"source": SAMPLE, "answers": [TARGET]},
            {"source": 3, "answers": [1, 2]},
        )
    ):
        (folder / f"q{n}.json").write_text(json.dumps(question))
        cases.append(
            (
                ["ask", *mapping, "--question", f"{folder}/q{n}.json", "--answer", "2"],
                "no question|expected an object",
            )
        )
    (folder / "n.json").write_text(json.dumps(stored | {"examples": [{"source": 3, "target": {}}]}))
    cases.append((["explain", "--mapping", f"{folder}/n.json"], "expected an object"))
    cases.append((["explain", *mapping, "--html", str(folder)], "is a folder"))
    for command, complaint in cases:
        assert main(command) == 2, command
        said = capsys.readouterr().err
        assert re.search(complaint, said) and said.count("\n") == 1, said
    assert not list(folder.glob("*.partial"))


def test_a_sample_may_be_a_folder_or_a_database(folder, capsys):
    learn(folder)
    (folder / "f").mkdir()
    for name, records in SAMPLE.items():
        lines = [",".join(records[0])] + [",".join(map(str, record.values())) for record in records]
        (folder / "f" / f"{name}.csv").write_text("\n".join(lines) + "\n")
    capsys.readouterr()
    said = []
    for sample in ("sample.json", "f"):
        assert (
            main(["explain", "--mapping", f"{folder}/m.json", "--sample", f"{folder}/{sample}"])
            == 0
        )
        said.append(capsys.readouterr().out)
    assert said[0] == said[1] and "Open: w" in said[0]


def test_a_report_without_problems_says_so_and_names_columns_with_values_missing(folder, capsys):
    learn(folder)
    run = [
        "run",
        "--mapping",
        f"{folder}/m.json",
        "--source",
        f"{folder}/s.json",
        "--target",
        f"{folder}/out",
    ]
    assert main(run) == 0
    assert capsys.readouterr().out.endswith("no problem found\n")


def test_a_column_that_is_always_the_same_is_filled_with_a_constant_that_is_given(folder, capsys):
    records = [
        {"n": one["n"], "kind": "team", "v": 2.0, "old": False, "none": None} for one in SOURCE["t"]
    ]
    (folder / "t.json").write_text(json.dumps({"w": records}))
    assert learn(folder) == 3
    assert (
        "w.kind has no source" in (said := capsys.readouterr().err) and '--constants "team"' in said
    )
    assert learn(folder, "--constants", "team", "2", "false") == 0
    assert capsys.readouterr().out == 'w(n, "team", 2.0, false, null) :- t(_, n).\n'
    for engine in ("duckdb", "sqlite", "memory"):
        files = ["--source", f"{folder}/sample.json", "--target", f"{folder}/{engine}.json"]
        assert main(["run", "--mapping", f"{folder}/m.json", *files, "--engine", engine]) == 0
        made = json.loads((folder / f"{engine}.json").read_text())["w"]
        assert made[2] == {"n": "d", "kind": "team", "v": 2.0, "old": False, "none": None}
    assert main(["explain", "--mapping", f"{folder}/m.json"]) == 0
    assert 'w.kind  <-  "team"' in capsys.readouterr().out
    (folder / "t.json").write_text(json.dumps({"w": [{"kind": "team"}]}))
    assert learn(folder, "--constants", "team") == 3


def test_the_drawing_shows_what_is_joined_and_compared(folder, capsys):
    learn(folder)
    stored = json.loads((folder / "m.json").read_text())
    (folder / "m.json").write_text(json.dumps(stored | {"datalog": "w(n) :- t(x, n), r(_, x, 6)."}))
    assert (
        main(
            [
                "explain",
                "--mapping",
                f"{folder}/m.json",
                "--no-questions",
                "--html",
                f"{folder}/x.html",
            ]
        )
        == 0
    )
    for form in (folder / "x.html").read_text().split('<g class="')[1:]:
        assert form.count("<path ") == 2 and form.count("stroke-dasharray") == 1
        assert form.count(">= 6</text>") == 1


CHINOOK = """
CREATE TABLE artist (artist_id int PRIMARY KEY, name text);
CREATE TABLE album (album_id int PRIMARY KEY, artist_id int REFERENCES artist (artist_id));
CREATE TABLE track (track_id int PRIMARY KEY, name text, album_id int REFERENCES album (album_id),
  price numeric(10, 2), sold date, played timestamp);
"""


def test_what_json_shows_as_text_has_the_type_that_the_source_declares(tmp_path, capsys):
    """Amounts and dates are neither text nor looked up in a table of the example's values, and a
    declared chain of references wins although album and artist have the same numbers.
    """
    source = {
        "artist": [{"artist_id": 1, "name": "A"}, {"artist_id": 2, "name": "B"}],
        "album": [{"album_id": 1, "artist_id": 1}, {"album_id": 2, "artist_id": 2}],
        "track": [
            {"track_id": n, "name": name, "album_id": album, "price": price, "sold": sold}
            for n, name, album, price, sold in (
                (7, "x", 1, "0.99", "2024-01-01"),
                (8, "y", 2, "1.99", "2024-01-02"),
                (9, "z", 2, "0.99", None),
            )
        ],
    }
    target = {
        "song": [
            {"title": "x", "by": "A", "price": "0.99", "sold": "2024-01-01"},
            {"title": "y", "by": "B", "price": "1.99", "sold": "2024-01-02"},
            {"title": "z", "by": "B", "price": "0.99", "sold": None},
        ]
    }
    for name, data in (("s", source), ("t", target)):
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    (tmp_path / "s.sql").write_text(CHINOOK)
    assert learn(tmp_path, "--source-schema", f"{tmp_path}/s.sql") == 0
    said = capsys.readouterr()
    assert "song.price is decimal, as track.price of the source" in said.err
    assert "song.sold is date" in said.err and "table(" not in said.out
    assert "album(album_id, artist_id), artist(artist_id, by)" in said.out
