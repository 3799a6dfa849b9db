"""Resizing frames by area, as the Atari protocol asks; OpenCV does it."""

import numpy as np

from jaxrl.app.errors import UserError


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
