"""Run folders: made, found again, refused; files written whole or not at all."""

import json

import pytest

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.train.rundir import open_run, read_config

CONFIG = {"seed": 1, "schedule": {"steps": 100, "rate": 0.1}}


def changed(**schedule):
    return {**CONFIG, "schedule": CONFIG["schedule"] | schedule}


def test_a_new_run_is_a_folder_with_its_configuration(tmp_path):
    folder = open_run(tmp_path / "runs" / "a", CONFIG)
    assert folder.is_absolute()
    assert read_config(folder) == CONFIG
    assert [file.name for file in folder.iterdir()] == ["config.json"]


def test_the_same_configuration_opens_it_again_and_keeps_what_is_there(tmp_path):
    folder = open_run(tmp_path, CONFIG)
    (folder / "metrics.jsonl").write_text("kept")
    assert open_run(tmp_path, CONFIG) == folder
    assert (folder / "metrics.jsonl").read_text() == "kept"


def test_another_configuration_is_refused_with_the_fields_that_differ(tmp_path):
    open_run(tmp_path, CONFIG)
    with pytest.raises(
        UserError,
        match=r"\(schedule.rate is 0.1 there and 0.2 here; schedule.steps is 100 there and 5 "
        r"here\)",
    ):
        open_run(tmp_path, changed(rate=0.2, steps=5))
    assert read_config(tmp_path) == CONFIG


def test_of_many_other_fields_the_outermost_are_shown(tmp_path):
    names = [f"part.{letter}" for letter in "abcdefgh"]
    open_run(tmp_path, {"env": "a", "part": dict.fromkeys("abcdefgh", 1)})
    with pytest.raises(UserError) as error:
        open_run(tmp_path, {"env": "b", "part": dict.fromkeys("abcdefgh", 2)})
    said = str(error.value)
    assert "(env is 'a' there and 'b' here; part.a is 1 there" in said
    assert [name in said for name in names] == [True] * 4 + [False] * 4
    assert "; 4 other fields differ)" in said


def test_a_configuration_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    open_run(tmp_path, CONFIG)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "read_text", refuse)
    with pytest.raises(UserError, match="config.json cannot be read .Permission denied"):
        read_config(tmp_path)


def test_free_fields_may_change_and_are_stored(tmp_path):
    open_run(tmp_path, CONFIG)
    open_run(tmp_path, changed(steps=500), free=["schedule.steps"])
    assert read_config(tmp_path) == changed(steps=500)
    with pytest.raises(UserError, match=r"\(schedule.rate is"):
        open_run(tmp_path, changed(steps=900, rate=0.5), free=["schedule.steps"])
    assert read_config(tmp_path) == changed(steps=500)


def test_a_run_of_an_earlier_version_lacks_fields_and_goes_on(tmp_path):
    open_run(tmp_path, {"seed": 1})

    def complete(stored):
        return {"width": 0} | stored

    with pytest.raises(UserError, match=r"\(width is None there and 0 here\)"):
        open_run(tmp_path, {"seed": 1, "width": 0})
    with pytest.raises(UserError, match=r"\(width is 0 there and 2 here\)"):
        open_run(tmp_path, {"seed": 1, "width": 2}, complete=complete)
    open_run(tmp_path, {"seed": 1, "width": 0}, complete=complete)
    assert read_config(tmp_path) == {"seed": 1, "width": 0}


def test_a_folder_without_a_run_is_refused_when_reading(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        read_config(tmp_path)
    with pytest.raises(UserError, match="holds no run"):
        read_config(tmp_path / "nowhere")


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xfa", b"", b"null", b"[1]"])
def test_a_damaged_configuration_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    for opening in (lambda: read_config(tmp_path), lambda: open_run(tmp_path, CONFIG)):
        with pytest.raises(UserError, match="config.json is damaged"):
            opening()
    assert (tmp_path / "config.json").read_bytes() == content


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_in_the_way_is_refused(tmp_path, below):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="choose another folder"):
        open_run(tmp_path / "file" / below, CONFIG)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("content", ["text: ä", b"\x00\xff"])
def test_writing_replaces_the_whole_file(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text("an older and much longer content")
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("fails", ["os.fsync", "os.replace"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, fails):
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails, fail)
    with pytest.raises(UserError, match="no space is left to write .*a.json: free some"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_the_stored_configuration_is_readable(tmp_path):
    open_run(tmp_path, CONFIG)
    text = (tmp_path / "config.json").read_text()
    assert json.loads(text) == CONFIG and text.count("\n") > 3
