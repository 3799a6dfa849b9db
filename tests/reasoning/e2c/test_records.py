"""Lines of JSON: they end at a line feed and nowhere else, with or without a byte order mark."""

import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c.datagen import questions_from
from reasoning.e2c.records import Appended, is_blank, read_records, write_records


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b", "\x0c"])
def test_a_text_may_hold_any_sign(sign, tmp_path):
    record = {"question": f"one{sign}two"}
    file = Appended(tmp_path / "rows.jsonl")
    file.add(record)
    assert Appended(tmp_path / "rows.jsonl").records == [record]
    write_records(tmp_path / "whole.jsonl", [record])
    assert read_records(tmp_path / "whole.jsonl") == [record]


@pytest.mark.parametrize(
    "name, text", [("a.jsonl", '{"a": "1"}\r\n{"a": "2"}\r\n'), ("a.csv", "a\r\n1\r\n2\r\n")]
)
def test_a_byte_order_mark_is_no_part_of_the_first_name(name, text, tmp_path):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_records(tmp_path / name) == [{"a": "1"}, {"a": "2"}]


def test_half_a_letter_of_a_line_that_was_cut_off_is_removed(tmp_path, capsys):
    file = tmp_path / "rows.jsonl"
    file.write_bytes('{"a": "ü"}\n{"a": "ü'.encode()[:-1])
    assert Appended(file).records == [{"a": "ü"}]
    assert file.read_bytes() == '{"a": "ü"}\n'.encode()
    assert capsys.readouterr().err.startswith(f"warning: {file}, line 2, is cut: it is removed")


def test_a_whole_last_record_without_a_line_end_stays(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n{"a": 2}')
    Appended(file).add({"a": 3})
    assert Appended(file).records == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_row_with_more_or_fewer_fields_than_columns_is_refused(tmp_path):
    file = tmp_path / "problems.csv"
    file.write_text("question,answer\nHow many, in all?,3\n")
    with pytest.raises(UserError, match="row 2 of .* has 3 fields where the header has 2"):
        read_records(file)
    file.write_text("How many?,3\n\nAnd now?\n")
    with pytest.raises(UserError, match="row 2 of .* has 1 fields"):
        read_records(file, ("question", "answer"))
    file.write_text('"How many, in all?",3\n')
    assert read_records(file, ("question", "answer")) == [
        {"question": "How many, in all?", "answer": "3"}
    ]


def test_half_a_character_stays_an_escape(tmp_path):
    rows = [{"a": "\ud800 \u2028 ü"}, {"a": "ü"}]
    write_records(tmp_path / "a.jsonl", rows)
    assert read_records(tmp_path / "a.jsonl") == rows
    grown = Appended(tmp_path / "b.jsonl")
    for row in rows:
        grown.add(row)
    assert Appended(tmp_path / "b.jsonl").records == rows
    assert (tmp_path / "b.jsonl").read_bytes().count(b"\n") == 2


@pytest.mark.parametrize(
    "value, blank", [(None, True), (float("nan"), True), (" ", True), (0, False), ("0", False)]
)
def test_zero_is_an_answer_and_nothing_is_none(value, blank):
    assert is_blank(value) is blank
    rows = [{"question": "q", "answer": value}]
    if blank:
        with pytest.raises(UserError, match="row 1, has no answer"):
            questions_from(rows)
    else:
        assert questions_from(rows)[0].answer == "0"
