import io
import os
import stat
import zipfile

import numpy as np
import pytest

from jaxrl.app import files
from jaxrl.app.errors import UserError
from jaxrl.app.files import (
    inside,
    new_folder,
    read_json,
    read_npz,
    resolve_path,
    slug,
    slugs,
    write_atomic,
    write_json,
    write_npz,
)


def test_write_atomic_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_atomic(path, "é")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(UserError, match="no space is left"):
        write_atomic(path, "new")
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_private_files_are_private_also_over_an_open_one(tmp_path):
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o644)
    write_atomic(path, "y", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_links_are_followed_and_devices_stay_devices(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real" / "a.txt")
    write_atomic(link, "through")
    assert link.is_symlink() and (tmp_path / "real" / "a.txt").read_text() == "through"
    write_atomic("/dev/null", "gone")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_folder_a_file_above_and_a_long_name_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a folder"):
        write_atomic(tmp_path, "x")
    with pytest.raises(UserError, match="cannot be created"):
        write_atomic(tmp_path / "file" / "below", "x")
    with pytest.raises(UserError, match="cannot be created"):
        write_atomic(tmp_path / ("n" * 300), "x")
    write_atomic(tmp_path / ("n" * 255), "x")


def test_json_round_trip_and_damage(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"ü": [1, 2.5, None]})
    assert read_json(path) == {"ü": [1, 2.5, None]}
    path.write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(path) == [1]
    for damaged in (b"[1", b"\xff\xfe", b"[" * 100_000):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"a\.json is damaged .*: make it again"):
            read_json(path, "make it again")
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize("compress", [False, True])
def test_npz_round_trip(tmp_path, compress):
    path = tmp_path / "a.npz"
    arrays = {"x": np.arange(6.0).reshape(2, 3), "name": np.array("text"), "none": np.zeros((0, 4))}
    write_npz(path, arrays, compress)
    found = read_npz(path)
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_npz_with_objects_is_neither_written_nor_read(tmp_path):
    path = tmp_path / "a.npz"
    with pytest.raises(ValueError, match="'x' holds Python objects"):
        write_npz(path, {"x": np.array([{}])})
    np.savez(path, x=np.array([{}]))
    with pytest.raises(UserError, match="holds Python objects"):
        read_npz(path)


def claiming(shape, data=b"\0" * 64):
    """A .npz whose header claims an array of float64 of this shape."""
    held, header = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + data)
    return held.getvalue()


def test_npz_that_claims_terabytes_is_refused_before_allocating(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(claiming((1 << 40,)))
    with pytest.raises(UserError, match="claims 8,796,093,022,208 bytes and holds"):
        read_npz(path)
    path.write_bytes(claiming((1 << 20,), bytes(8 << 20)))  # 8 KB on disk, 8 MiB in memory
    assert read_npz(path)["x"].shape == (1 << 20,)
    with pytest.raises(UserError, match="more than the 1,000,000 that are read"):
        read_npz(path, max_bytes=1_000_000)


@pytest.mark.parametrize("damage", [b"", b"text", b"PK\3\4 cut", b"\x93NUMPY"])
def test_npz_that_is_none_is_refused(tmp_path, damage):
    path = tmp_path / "a.npz"
    path.write_bytes(damage)
    with pytest.raises(UserError, match=r"a\.npz is no whole \.npz file"):
        read_npz(path)


def test_npz_cut_anywhere_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    write_npz(path, {"x": np.arange(100)}, compress=True)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 17):
        path.write_bytes(whole[:cut])
        with pytest.raises(UserError):
            read_npz(path)


HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "-rf",
    ".hidden",
    "con",
    "CON.txt",
    "nul",
    "lpt1",
    "x.",
    "x ",
    " ",
    "é",
    "e\u0301",
    "Straße 表",
    "a'b\"c`d;e",
    "<script>",
    "n" * 300,
    "\ud800",
    "*?",
    "~",
    "a:b",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_slugs_stay_in_their_folder(name, tmp_path):
    found = slug(name)
    assert len(found) <= 100 and found.isascii() and not set(found) & set("/\\\0 :*?\"'<>|`;~\n")
    assert found[0] not in ".-" and not found.endswith(".")
    assert found.split(".")[0].lower() not in files._RESERVED
    assert (tmp_path / found).resolve().parent == tmp_path.resolve()
    write_atomic(tmp_path / found, "x")


def test_slugs_are_different_and_harmless_names_stay():
    names = [*HOSTILE, "Breakout", "catch-tiny_0.5"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("Breakout") == "Breakout" and slug("catch-tiny_0.5") == "catch-tiny_0.5"
    assert slug(slug("a b")) != slug("a b")  # a name that was made to equal another's


def test_twins_in_one_folder_differ_also_without_case():
    found = slugs(["Pong", "pong", "PONG", "Breakout", "a/b", "a:b"])
    assert len({name.lower() for name in found.values()}) == 6
    assert found["Breakout"] == "Breakout"


def test_inside(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "out").symlink_to(tmp_path)
    assert inside(tmp_path / "run", "a/b.txt") == (tmp_path / "run" / "a" / "b.txt").resolve()
    for name in ("../x", "/etc/passwd", "a/../../x", "out/x", "", ".", "a\0b"):
        with pytest.raises(UserError):
            inside(tmp_path / "run", name)


def test_resolve_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert resolve_path("run") == tmp_path.resolve() / "run"
    assert resolve_path("~/run") == (tmp_path / "home" / "run").resolve()
    for address in ("s3://bucket/x", "gs://"):
        with pytest.raises(UserError, match="is no run folder"):
            resolve_path(address)
    with pytest.raises(UserError, match="NUL"):
        resolve_path("a\0b")
    monkeypatch.setattr(files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"latentax\[gcs\]"):
        resolve_path("gs://bucket/run")


def test_a_new_folder_appears_whole(tmp_path):
    target = tmp_path / "a" / "b"
    with new_folder(target) as folder:
        (folder / "one").write_text("1")
        assert list(target.iterdir()) == []
    assert [path.name for path in target.iterdir()] == ["one"]
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("error", [UserError("no"), KeyboardInterrupt()])
def test_a_new_folder_that_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(type(error)), new_folder(tmp_path / "a" / "b") as folder:
        (folder / "one").write_text("1")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_may_be_there_and_stays_after_a_failure(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "a"):
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with new_folder(tmp_path / "link") as folder:
        (folder / "one").write_text("1")
    assert (tmp_path / "a" / "one").read_text() == "1" and (tmp_path / "link").is_symlink()


def test_a_folder_that_is_not_new_is_refused_before_anything_is_written(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "old").write_text("x")
    for path, reason in (
        (tmp_path / "a", r"a holds files already \(old\): name a new folder"),
        (tmp_path / "a" / "old", "old cannot be created"),
        (tmp_path / ("n" * 300), "cannot be created"),
    ):
        with pytest.raises(UserError, match=reason), new_folder(path):
            pytest.fail("the body ran")
    assert (tmp_path / "a" / "old").read_text() == "x" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_was_filled_meanwhile_is_kept(tmp_path):
    with pytest.raises(UserError, match="cannot be created"), new_folder(tmp_path / "a") as folder:
        (folder / "mine").write_text("1")
        (tmp_path / "a" / "other").write_text("2")
    assert [path.name for path in tmp_path.rglob("*")] == ["a", "other"]
