"""Radiographs as BiomedCLIP sees them: shorter side to 224 (bicubic, antialiased), the middle, RGB,
normalized.
"""

import numpy as np

from jaxrl.app.old_names import attributes
from sae.biomedclip.config import ClipConfig


def prepared(radiograph: np.ndarray, config: ClipConfig) -> np.ndarray:
    """uint8 `[H, W]` or `[H, W, 3]` as uint8 `[size, size, 3]`. Resized and cropped before gray
    becomes RGB, as torchvision does.
    """
    from PIL import Image

    image, size = Image.fromarray(radiograph), config.vision.size
    wide, high = image.size
    short, long = min(wide, high), max(wide, high)
    if short != size:
        grown = int(size * long / short)
        image = image.resize(
            (size, grown) if wide <= high else (grown, size), Image.Resampling.BICUBIC
        )
    left, top = (round((n - size) / 2) for n in image.size)
    return np.asarray(image.crop((left, top, left + size, top + size)).convert("RGB"))


def normalized(pixels, config: ClipConfig):
    """uint8 `[..., 3]` as float32, `(pixels / 255 - mean) / std`; NumPy's or JAX's arrays."""
    shape = (1,) * (pixels.ndim - 1) + (3,)
    mean, std = (
        np.array(values, np.float32).reshape(shape) for values in (config.mean, config.std)
    )
    return (pixels.astype(np.float32) / np.float32(255) - mean) / std


_OLD = {"normalised": "sae.biomedclip.preprocess:normalized"}  # old name
__getattr__ = attributes(__name__, _OLD)
