"""Evidence maps: covering a place takes away what rests on it, and nothing else."""

import numpy as np

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
    again = labels.titled(labels.with_places(made, places, 0.65).patterns[0], 0.65)
    assert again.name == named[0]  # the place stays when names are made again
