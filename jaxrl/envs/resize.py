"""Resizing frames by area, as the Atari protocol asks; OpenCV does it."""

import numpy as np

from jaxrl.app.errors import UserError

LARGEST_SIDE = 4096
"""Side of the largest frames that are made of recordings, pixels. Our choice."""


def check_frame_size(size: int) -> None:
    """Refuse a `--frame-size` that no frame can have.

    Raises:
      UserError: it is not within 1 to `LARGEST_SIDE`.
    """
    if not 1 <= size <= LARGEST_SIDE:
        raise UserError(f"--frame-size is {size}: name a number of pixels, 1 to {LARGEST_SIDE}")


def resize_area(frame: np.ndarray, size: int) -> np.ndarray:
    """uint8 `[H, W, 3]` to `[size, size, 3]`: every pixel is the mean of the area it covers
    (`cv2.INTER_AREA`).
    """
    if frame.shape[:2] == (size, size):
        return np.ascontiguousarray(frame)
    try:
        import cv2
    except ImportError:
        raise UserError('resizing frames needs OpenCV: pip install "latentax[atari]"') from None
    return cv2.resize(np.ascontiguousarray(frame), (size, size), interpolation=cv2.INTER_AREA)
