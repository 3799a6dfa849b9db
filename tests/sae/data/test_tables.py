"""Tables as people write them: separators, encodings, labels, sides and patients."""

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.data.cases import side
from sae.data.folder import folder
from sae.data.tables import decoded, label, person, read_table
from sae.patterns.labels import acquisition_aucs

ROWS = [("a.png", "12", "1"), ("b.png", "12.0", "0"), ("c.png", "13", "")]


def written(path, separator=",", encoding="utf-8", head=("path", "patient", "Effusion"), rows=ROWS):
    """Write a small table."""
    lines = [separator.join(head), *(separator.join(row) for row in rows)]
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_separators_and_encodings_give_one_table(tmp_path, separator, encoding):
    cases, _ = folder(written(tmp_path / "t.csv", separator, encoding), ("Effusion",))
    assert cases.patients == ("12", "12", "13")
    np.testing.assert_array_equal(cases.labels[:, 0], [1, 0, np.nan])


def test_letters_of_latin_1_and_spaces_in_headers(tmp_path):
    file = written(
        tmp_path / "t.csv",
        encoding="latin-1",
        head=(" path", "patient ", "Effusion"),
        rows=[("Ergu\xdf.png", "1", "1")],
    )
    assert read_table(file, ("path", "patient"))[0]["path"] == "Ergu\xdf.png"


@pytest.mark.parametrize(
    ("text", "value"), [("True", 1), ("false", 0), ("1.0", 1), (" -1 ", -1), ("nan", np.nan)]
)
def test_labels_in_other_forms(text, value):
    np.testing.assert_equal(label(text, "here"), value)


def test_probabilities_are_refused_with_the_remedy():
    with pytest.raises(UserError, match="a probability"):
        label("0.8", "here")
    with pytest.raises(UserError, match="labels are 1, 0, -1 or blank"):
        label("2", "here")


def test_sides_and_patients_have_one_name():
    assert [side(name) for name in ("val", "VALID", "test ", "Train")] == [
        "validate",
        "validate",
        "test",
        "train",
    ]
    assert side("holdout") == "holdout"
    assert person("0012") == "0012" and person("12.50") == "12.50" and person("a.0") == "a.0"
    assert person("12,0") == person(" 12.00") == "12" and person("3E7") == "3E7"
    for text in ("1.2E+12", "1.23E7", "1E+07"):
        with pytest.raises(UserError, match="shortened a long number"):
            person(text)
    for text in ("", " ", "nan", "NA"):
        with pytest.raises(UserError, match="names no patient"):
            person(text)


def test_bytes_that_windows_has_no_character_for_are_latin_1():
    assert decoded(b"caf\xe9 \x93a\x94") == "café \u201ca\u201d"  # of Windows
    assert decoded(b"caf\xe9 \x81") == "café \x81"


def test_patients_that_zeros_alone_tell_apart_are_refused(tmp_path):
    rows = [("a.png", "12", "1"), ("b.png", "0012", "0")]
    with pytest.raises(UserError, match="patients 12 and 0012, which zeros in front"):
        folder(written(tmp_path / "t.csv", rows=rows), ("Effusion",))
    cases, _ = folder(
        written(tmp_path / "t.csv", rows=[("a.png ", "0013", "1"), (" b.png", "0012", "0")]),
        ("Effusion",),
    )
    assert cases.patients == ("0013", "0012") and cases.ids == ("a.png", "b.png")


def test_blank_acquisition_numbers_are_left_out_of_measures(tmp_path):
    rows = [("a.png", "1", "1", "2"), ("b.png", "2", "0", ""), ("c.png", "3", "0", "nan")]
    file = written(tmp_path / "t.csv", head=("path", "patient", "Effusion", "mAs"), rows=rows)
    cases, _ = folder(file, ("Effusion",), ("mAs",))
    np.testing.assert_array_equal(cases.acquisition["mAs"], [2, np.nan, np.nan])
    signal, values = np.array([0.0, 1, 2, 3, 9, 9]), np.array([0, 0, 1, 1, np.nan, np.nan])
    assert acquisition_aucs(signal, {"AP": values})["AP"] == 1.0
    assert acquisition_aucs(signal, {"AP": values * np.nan})["AP"] == 0.5


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,patient,report,Effusion\na.png,1,heart,lungs clear,1\n", "row 2 .* has 5 fields"),
        ("path,patient,Effusion,report\na.png,1,1,heart,lungs clear\n", "row 2 .* has 5 fields"),
        ("path,patient,report,Effusion\na.png,1,x\n", "row 2 .* has 3 fields where the header"),
        ("path,patient,Effusion,Effusion\na.png,1,1,0\n", "several columns called Effusion"),
        ('path,patient,report,Effusion\na.png,1,"open,1\nb.png,2,ok,0\n', "unexpected end of data"),
        ("path,patient,Effusion\na.png,1.23457E+12,1\n", "shortened a long number"),
        ("path,patient,Effusion\na.png,1\0,1\n", "save it as UTF-8"),
    ],
)
def test_tables_whose_fields_moved_are_refused(tmp_path, text, sentence):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        folder(tmp_path / "t.csv", ("Effusion",))


def test_what_excel_adds_is_read(tmp_path):
    (tmp_path / "t.csv").write_text("sep=;\r\npath;patient;Effusion;\r\na.png;5E12;1;\r\n\r\n")
    cases, _ = folder(tmp_path / "t.csv", ("Effusion",))
    assert cases.patients == ("5E12",) and cases.labels.tolist() == [[1.0]]
