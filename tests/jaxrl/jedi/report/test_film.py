"""Strips and animations: every picture in its place, captions only where something happened."""

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.diagnostics.open_loop import Comparison
from jaxrl.jedi.report.film import CAPTION, GAP, TOP, WORDS, animation, film_strip
from jaxrl.jedi.report.imagine import write_comparisons


def comparison(base: int, steps: int = 3) -> Comparison:
    """Frames of one gray each: real t, seen base + t, imagined base + 50 + t."""

    def plain(first):
        return np.stack([np.full((4, 4, 3), first + t, np.uint8) for t in range(steps + 1)])

    zeros = np.zeros(steps, np.float32)
    reward = np.array([0, 2, -1], np.float32)[:steps]
    never = np.zeros(steps, bool)
    return Comparison(
        plain(0),
        plain(base),
        plain(base + 50),
        np.zeros(steps, np.int32),
        reward,
        zeros,
        never,
        never,
    )


def middle(sheet, row, column, rows_with_captions=(), size=16, left=70):
    """The gray in the middle of a picture."""
    y = (
        TOP
        + sum(size + GAP + (CAPTION if r in rows_with_captions else 0) for r in range(row))
        + size // 2
    )
    return sheet.getpixel((left + column * (size + GAP) + size // 2, y))[0]


def test_a_strip_of_one_shows_real_probe_and_imagined():
    sheet = film_strip(comparison(100), size=16)
    for row, first in enumerate((0, 100, 150)):
        assert [middle(sheet, row, t) for t in range(4)] == [first + t for t in range(4)]


def test_a_strip_of_several_has_one_row_each():
    names = {"a": comparison(100), "b": comparison(180)}
    sheet = film_strip(names, size=16)
    for row, first in enumerate((0, 150, 230)):
        assert [middle(sheet, row, t, (1, 2)) for t in range(4)] == [first + t for t in range(4)]
    assert sheet.height == TOP + 3 * (16 + GAP) + 2 * CAPTION


def test_a_long_name_makes_room_and_few_columns_are_evenly_spaced():
    name = "a-run-with-quite-a-long-name-of-a-folder"
    sheet = film_strip({name: comparison(100), "b": comparison(1)}, columns=2, size=16)
    left = sheet.width - 2 * (16 + GAP) - (WORDS - 16)
    assert left > 100
    assert [middle(sheet, 0, t, (), left=left) for t in range(2)] == [0, 3]


def test_animations_show_all_sides_at_every_step():
    for shown, sides in (
        (comparison(100), (0, 150)),
        ({"a": comparison(100), "b": comparison(180)}, (0, 150, 230)),
    ):
        pictures = animation(shown, size=32)
        assert len(pictures) == 4
        for t, picture in enumerate(pictures):
            assert [
                picture.getpixel((i * 38 + 16, 2 * CAPTION + 16))[0] for i in range(len(sides))
            ] == [s + t for s in sides]


def test_arrays_of_one_and_of_several(tmp_path):
    one, other = comparison(100), comparison(180)
    with np.load(write_comparisons({"a": one}, tmp_path / "one.npz")) as saved:
        assert set(saved) == set(vars(one))
        np.testing.assert_array_equal(saved["imagined"], one.imagined)
    with np.load(write_comparisons({"a": one, "b": other}, tmp_path / "two.npz")) as saved:
        np.testing.assert_array_equal(saved["real"], one.real)
        np.testing.assert_array_equal(saved["b.imagined"], other.imagined)
        assert "b.real" not in saved and "real" in saved


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(UserError, match="must end in"):
        write_comparisons({"a": comparison(1)}, tmp_path / "x.mp4")
