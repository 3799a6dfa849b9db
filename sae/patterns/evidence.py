"""Places in an image that patterns rest on: the activation that each pattern loses when a square of
the image is covered.

A covered square also changes what is around it for the network, so a map shows reliance on places,
not a segmentation. Our choice: squares of a quarter of the side, at steps of an eighth, are filled
from the pixels around them, as a gray of their own would add edges that patterns answer to: a
square in gray of the image's mean, on a dark ground, was found to lower patterns of a bright mark
as much as covering the mark did (docs/lab/sae.md).
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
"""Cases of a pattern whose evidence is shown."""
NAMED_FROM = 8
"""Strongest cases of a pattern over which evidence is averaged to name its place: in three, what
else these images have in common can outweigh it. Our choice.
"""


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
    for number, (row, column) in enumerate(np.ndindex(steps, steps), 1):
        rows = slice(edges[row], edges[row + COVERED])
        columns = slice(edges[column], edges[column + COVERED])
        copies[number, rows, columns] = surroundings(image, rows, columns)
    return copies


def surroundings(image: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
    """Fill of a rectangle from around it, uint8: each pixel is the mean of the four next to the
    rectangle in its row and its column, by inverse distance. Sides at the image's edge say nothing.

    Args:
      image: uint8 `[S, S]`.
      rows, columns: the rectangle, less than the whole image.
    """
    values = image.astype(np.float64)
    down = np.arange(rows.start, rows.stop)[:, None]
    across = np.arange(columns.start, columns.stop)[None]
    total = weight = np.zeros((down.size, across.size))
    # Each side: the pixels next to it, and the distance from them.
    sides = (
        (rows.start - 1, columns, down - rows.start + 1),
        (rows.stop, columns, rows.stop - down),
        (rows, columns.start - 1, across - columns.start + 1),
        (rows, columns.stop, columns.stop - across),
    )
    for at_row, at_column, distance in sides:
        if -1 in (at_row, at_column) or len(image) in (at_row, at_column):
            continue
        line = values[at_row, at_column]
        line = line[:, None] if isinstance(at_row, slice) else line[None]
        total, weight = total + line / distance, weight + 1 / distance
    return np.round(total / weight).astype(np.uint8)


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
"""Share of the evidence that a square of a quarter of the image must hold for a place to be named;
evidence that is spread evenly has a quarter there. Our choice.
"""
PLACES = (
    ("upper left", "upper middle", "upper right"),
    ("middle left", "middle", "middle right"),
    ("lower left", "lower middle", "lower right"),
)


def place(map_: np.ndarray) -> str:
    """The part of the image (as it is seen) that most of the evidence lies in, "lower left" say; ""
    if no square of half the side holds most of it, or covering lowers nothing.
    """
    positive = np.clip(map_, 0, None)
    half = len(positive) // 2
    squares = np.lib.stride_tricks.sliding_window_view(positive, (half, half))
    held = squares.sum((-1, -2))
    if not held.max() > LOCAL * positive.sum():
        return ""
    top, left = np.unravel_index(int(np.argmax(held)), held.shape)
    weights = squares[top, left]
    center = [
        start + (weights.sum(axis) @ (np.arange(half) + 0.5)) / weights.sum()
        for start, axis in ((top, 1), (left, 0))
    ]
    third = [int(3 * at / len(positive)) for at in center]
    return PLACES[third[0]][third[1]]
