"""Evidence maps: covering a place takes away what rests on it, and nothing else."""

import numpy as np
import pytest

from sae.patterns import evidence, labels
from sae.patterns.catalogue import Catalogue, Pattern


def test_a_pattern_of_one_place_is_found_there():
    image = np.full((32, 32), 100, np.uint8)
    image[20:28, 4:12] = 200  # lower left: rows 5 and 6, columns 1 and 2 of 8
    copies = evidence.covered(image)
    assert copies.shape == (1 + 49, 32, 32)
    np.testing.assert_array_equal(copies[0], image)
    bright = (copies == 200).mean((1, 2))  # rests on that square
    dark = (copies == 100).mean((1, 2)) * 0  # rests on nothing
    found = evidence.maps(np.stack([bright, dark], 1))
    assert evidence.place(np.ones((8, 8))) == ""  # spread over the image
    assert found.shape == (2, 8, 8)
    row, column = np.unravel_index(found[0].argmax(), (8, 8))
    assert (5 <= row <= 6) and (1 <= column <= 2)
    assert found[0, :3].max() == found[0, :, 5:].max() == 0
    assert evidence.place(found[0]) == "lower left" and evidence.place(found[1]) == ""


def test_a_covered_square_continues_what_is_around_it():
    rows, columns = np.mgrid[:32, :32]
    ramp = (3 * rows + 2 * columns + 10).astype(np.uint8)
    inner = slice(8, 16), slice(20, 28)
    np.testing.assert_array_equal(evidence.surroundings(ramp, *inner), ramp[inner])
    dark = np.zeros((32, 32), np.uint8)
    dark[24:, :8] = 255  # a mark in the corner, which covering takes away whole
    assert evidence.surroundings(dark, slice(24, 32), slice(0, 8)).max() == 0
    # By hand: two rows of one column, 10 above, 40 below, 0 at the left, 100 at the right.
    small = np.array([[0, 10, 0], [0, 7, 100], [0, 7, 100], [0, 40, 0]], np.uint8)
    found = evidence.surroundings(np.pad(small, ((0, 0), (0, 1))), slice(1, 3), slice(1, 2))
    assert found.tolist() == [[round((10 + 40 / 2 + 0 + 100) / 3.5)], [round((5 + 40 + 100) / 3.5)]]


def test_a_mark_on_dark_ground_is_found_by_a_pattern_that_also_answers_to_its_absence_elsewhere():
    image = np.zeros((32, 32), np.uint8)
    image[13:28, 11:21] = 180  # a garment
    image[27:31, 1:5] = 255  # the mark

    def found(copies):
        bright = copies.astype(float) / 255
        strength = bright[:, 27:31, 1:5].mean((1, 2)) - 60 * bright[:, :6].mean((1, 2))
        return evidence.maps(strength[:, None])[0]

    copies = evidence.covered(image)
    right = found(copies)
    assert evidence.place(right) == "lower left" and right[:5].max() == 0
    gray = copies.copy()  # covered in gray, as these squares were before
    for number, (row, column) in enumerate(np.ndindex(7, 7), 1):
        gray[number, 4 * row : 4 * row + 8, 4 * column : 4 * column + 8] = round(image.mean())
    misled = found(gray)
    assert misled.argmax() // 8 == 0 and evidence.place(misled) != "lower left"


@pytest.mark.parametrize("seed", range(20))
def test_scattered_evidence_has_no_place(seed):
    noise = np.random.default_rng(seed).exponential(size=(8, 8))
    assert evidence.place(noise) == ""  # a quarter of the cells, here and there, holds over half
    noise[2:4, 5:8] += 12
    assert evidence.place(noise) == "middle right"


@pytest.mark.parametrize(
    ("cells", "name"),
    [
        ([(0, 0)], "upper left"),
        ([(0, 3), (0, 4)], "upper middle"),
        ([(7, 7), (6, 7)], "lower right"),
        ([(3, 3), (4, 4)], "middle"),
        ([(0, 3), (7, 4)], ""),  # two places
        ([(7, 0), (7, 1), (0, 7)], "lower left"),  # most of it
    ],
)
def test_places_by_hand(cells, name):
    found = np.zeros((8, 8))
    for cell in cells:
        found[cell] = 1
    assert evidence.place(found) == name
    assert evidence.place(found - 5 * (found == 0)) == name  # what covering raises is no evidence


def test_a_map_is_the_mean_loss_over_the_squares_that_hold_a_cell():
    strengths = np.ones((50, 1))
    strengths[1] = 0.2  # the square in the corner: cells (0, 0) to (1, 1)
    found = evidence.maps(strengths)[0]
    np.testing.assert_allclose(found[:2, :2], [[0.8, 0.4], [0.4, 0.2]])
    assert found[2:].max() == 0
    raised = evidence.maps(np.where(strengths == 1, 1, 2.0))[0]
    assert raised.min() == -1 and evidence.place(raised) == ""


def test_overlays_are_orange_where_the_evidence_is():
    image = np.full((16, 16), 60, np.uint8)
    where = np.zeros((8, 8))
    where[7, 0] = 2.0
    shown = evidence.overlay(image, where, side=64)
    assert shown.shape == (64, 64, 3)
    assert (shown[:16, 32:] == 60).all()  # gray
    red, green, blue = shown[-1, 0].astype(int)
    assert red > green > blue
    np.testing.assert_array_equal(
        evidence.overlay(image, -where, side=16), np.full((16, 16, 3), 60)
    )


def test_places_tell_patterns_of_one_name_apart():
    def pattern(number, name, area):
        pure = {"finding": name, "auroc": area, "entropy": 0.0, "precision": 1.0}
        measured = {"purity": pure, "acquisition": {}}
        made = Pattern(number, ((0, number),), 1.0, 0.5, (1.0,), "", "", "", measured)
        return labels.titled(made, 0.65)

    patterns = (
        pattern(0, "Edema", 0.9),
        pattern(1, "Edema", 0.9),
        pattern(2, "Fracture", 0.9),
        pattern(3, "Pneumonia", 0.8),
        pattern(4, "Pneumonia", 0.8),
    )
    made = Catalogue(
        patterns=patterns,
        assignment=np.zeros((1, 5), int),
        activations=np.zeros((2, 5)),
        curve=[],
        filtered={},
    )
    assert labels.namesakes(made) == [[0, 1], [3, 4]]
    places = {0: "lower left", 1: "", 2: "upper left", 3: "middle", 4: "middle"}
    named = [p.name for p in labels.with_places(made, places, 0.65).patterns]
    assert named == [
        "Edema, lower left (0)",
        "Edema (1)",
        "Fracture (2)",
        "Pneumonia (3)",
        "Pneumonia (4)",
    ]
    known = [p.measures["evidence"] for p in labels.with_places(made, places, 0.65).patterns]
    assert known == [places[number] for number in range(5)]  # also of those with other names
    again = labels.titled(labels.with_places(made, places, 0.65).patterns[0], 0.65)
    assert again.name == named[0]  # the place stays when names are made again
