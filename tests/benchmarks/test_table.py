"""The results table: a table written out by hand, refusals, and the command."""

import json

import pytest

from benchmarks.table import EMPTY, main, number, table

CPU = {"cpu": "Some CPU", "cores": 2, "device": "cpu", "platform": "cpu", "devices": 1}
GPU = {"cpu": "Some CPU", "cores": 16, "device": "H200", "platform": "gpu", "devices": 1}


def result(name, hardware, **claim):
    whole = {
        "claim": "it is faster, times",
        "goal": 3.0,
        "direction": ">=",
        "measured": 4.125,
        "holds": True,
        "seeds": 5,
    } | claim
    return {
        "name": name,
        "date": "DAY",
        "commit": "0123456789ab",
        "hardware": hardware,
        "claims": [whole],
    }


def write(folder, file, content):
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(content if isinstance(content, str) else json.dumps(content))


README = "# Title\n\n<!-- results -->\n{}\n<!-- /results -->\n\nMore.\n"
BY_HAND = """
| claim | goal | measured | holds | seeds | hardware | date, commit | benchmark |
| --- | --- | --- | --- | --- | --- | --- | --- |
| it is faster, times | >= 3 | 4.12 | yes | 5 | 1 x H200 | DAY, 0123456789ab | `a-h200.json` |
| it is faster, times | >= 3 | 2.5 | no | 5 | Some CPU, 2 cores | DAY, 0123456789ab | `b.json` |
| it wins \\| always | >= 3 | not run |  |  | Some CPU, 2 cores | DAY, 0123456789ab | `c.json` |
"""


def test_the_table_by_hand(tmp_path):
    write(tmp_path, "b.json", result("b", CPU, measured=2.5, holds=False))
    write(tmp_path, "a-h200.json", result("a", GPU))
    write(tmp_path, "c.json", result("c", CPU, measured=None, holds=None, claim="it wins | always"))
    assert table(tmp_path) == BY_HAND.strip()


def test_no_results_are_said_to_be_none(tmp_path):
    assert table(tmp_path / "none") == EMPTY


@pytest.mark.parametrize("content", ["{", "[]", "{}", json.dumps({"hardware": CPU})])
def test_a_file_that_is_no_result_is_named(tmp_path, content):
    write(tmp_path, "x.json", content)
    with pytest.raises(ValueError, match=r"x\.json is not a benchmark result"):
        table(tmp_path)


def test_a_claim_that_contradicts_its_figures_is_refused(tmp_path):
    write(tmp_path, "x.json", result("x", CPU, measured=2.0, holds=True))
    with pytest.raises(ValueError, match=r"x\.json: the claim .* marked holds=True"):
        table(tmp_path)


@pytest.mark.parametrize(
    "value, text",
    [
        (3.0, "3"),
        (0.123456, "0.123"),
        (12345.678, "12346"),
        (-2.5, "-2.5"),
        (1e-7, "1e-07"),
        (99.96, "100"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A README, a page and a folder of results, and the options that name them."""
    monkeypatch.setattr("benchmarks.table.HIGHLIGHTS", (("a", "it is faster"),))
    readme, page, results = tmp_path / "README.md", tmp_path / "page.md", tmp_path / "results"
    readme.write_text(README.format("old"))
    page.write_text("old")
    write(results, "a.json", result("a", CPU))
    return readme, page, ["--readme", str(readme), "--page", str(page), "--results", str(results)]


def test_write_then_check(files, capsys):
    readme, page, options = files
    assert main(["--check", *options]) == 1
    assert capsys.readouterr().err.count("--write") == 2
    assert main(["--write", *options]) == 0
    assert main(["--check", *options]) == 0
    assert "| it is faster, times | >= 3 | 4.12 | yes |\n" in readme.read_text()
    assert page.read_text().endswith("| `a.json` |\n")
    page.write_text("changed by hand")
    assert main(["--check", *options]) == 1


def test_a_highlight_without_a_record_is_named(files, monkeypatch, capsys):
    _, page, options = files
    monkeypatch.setattr("benchmarks.table.HIGHLIGHTS", (("a", "it is slower"),))
    assert main(["--write", *options]) == 2
    assert "it is slower" in capsys.readouterr().err
    assert page.read_text() == "old"


@pytest.mark.parametrize(
    "text", ["", "<!-- results -->", "<!-- /results --> <!-- results -->", README.format("") * 2]
)
def test_a_readme_without_its_markers_is_refused(files, capsys, text):
    readme, _, options = files
    readme.write_text(text)
    assert main(["--write", *options]) == 2
    assert "markers" in capsys.readouterr().err
    assert readme.read_text() == text
