"""Places in an image that patterns rest on: the activation that each pattern loses when a square of
the image is covered.

A covered square also changes what is around it for the network, so a map shows reliance on places,
not a segmentation. Our choice: squares of a quarter of the side in gray of the image's mean, at
steps of an eighth.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

CELLS = 8
"""Cells of a map along each side."""
COVERED = 2
"""Cells along each side of a covered square."""


STRONGEST = 3
"""Cases of a pattern from which its place is named and its evidence shown."""


class Evidence(NamedTuple):
    """Places that patterns rest on in one image."""

    image: np.ndarray
    """uint8 `[S, S]`: the image as the network sees it."""
    maps: np.ndarray
    """`[P, G, G]`: activation that each pattern loses when a place is covered."""


def remembered(find: Callable[[np.ndarray], Evidence]) -> Callable[[np.ndarray], Evidence]:
    """The same function, which computes nothing twice: patterns share their strongest cases."""
    known: dict[bytes, Evidence] = {}

    def again(pixels: np.ndarray) -> Evidence:
        key = hashlib.sha256(pixels.tobytes()).digest()
        if key not in known:
            known[key] = find(pixels)
        return known[key]

    return again


def covered(image: np.ndarray) -> np.ndarray:
    """An image, and copies of it with one square covered in each, uint8 `[1 + K, S, S]`.

    Args:
      image: uint8 `[S, S]`.
    """
    edges = np.linspace(0, len(image), CELLS + 1).round().astype(int)
    steps = CELLS - COVERED + 1
    copies = np.repeat(image[None], 1 + steps**2, 0)
    gray = np.uint8(round(float(image.mean())))
    for number, (row, column) in enumerate(np.ndindex(steps, steps), 1):
        copies[
            number, edges[row] : edges[row + COVERED], edges[column] : edges[column + COVERED]
        ] = gray
    return copies


def maps(strengths: np.ndarray) -> np.ndarray:
    """Mean loss of activation over the covered squares that hold a cell, `[P, CELLS, CELLS]`;
    below 0 where covering raises it.

    Args:
      strengths: activations of the P patterns on `covered(image)`, `[1 + K, P]`.
    """
    strengths = np.asarray(strengths, np.float64)
    lost = (strengths[0] - strengths[1:]).T
    steps = CELLS - COVERED + 1
    total, count = np.zeros((len(lost), CELLS, CELLS)), np.zeros((CELLS, CELLS))
    for number, (row, column) in enumerate(np.ndindex(steps, steps)):
        square = np.s_[..., row : row + COVERED, column : column + COVERED]
        total[square] += lost[:, number, None, None]
        count[square] += 1
    return total / count


def overlay(image: np.ndarray, map_: np.ndarray, side: int = 208) -> np.ndarray:
    """An image with its evidence in orange, uint8 `[side, side, 3]`; gray alone where there is
    none.

    Args:
      image: uint8 `[S, S]`.
      map_: `[CELLS, CELLS]`.
      side: pixels of the result.
    """
    from PIL import Image

    gray = Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)
    heat = np.clip(map_ / max(float(map_.max()), 1e-12), 0, 1).astype(np.float32)
    smooth = Image.fromarray(heat).resize((side, side), Image.Resampling.BILINEAR)
    weight = 0.65 * np.asarray(smooth)[..., None]
    orange = np.array([255, 140, 0], np.float32)
    mixed = (1 - weight) * np.asarray(gray, np.float32)[..., None] + weight * orange
    return np.round(mixed).astype(np.uint8)


LOCAL = 0.5
"""Share of the evidence that a quarter of the image must hold for a place to be named. Our choice.
"""
PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("middle left", "middle", "middle right"),
    ("lower left", "lower middle", "lower right"),
)


def place(map_: np.ndarray) -> str:
    """The part of the image (as it is seen) that the most evidence lies in, "lower left" say; ""
    if it is spread over the image, or covering lowers nothing.
    """
    positive = np.clip(map_, 0, None)
    largest = np.sort(positive, axis=None)[-(positive.size // 4) :]
    if not largest.sum() > LOCAL * positive.sum():
        return ""
    row, column = np.unravel_index(int(np.argmax(positive)), positive.shape)
    third = [int(3 * (at + 0.5) / len(positive)) for at in (row, column)]
    return PLACES[third[0]][third[1]]
