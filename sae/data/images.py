"""Reading one radiograph from a file: JPEG, PNG and the like with Pillow, DICOM with pydicom (see
`dicom`), as bytes with bright bone.
"""

from pathlib import Path

import numpy as np

from sae.data.cases import Unreadable
from sae.data.dicom import MOST_PIXELS, is_dicom, read_dicom, robust_range, window

__all__ = ["read_dicom", "read_image", "to_bytes", "windowed"]


def read_image(path: Path) -> np.ndarray:
    """Read a file by its content, whatever its suffix.

    Returns:
      uint8 `[H, W]` or `[H, W, 3]`.

    Raises:
      Unreadable: there is no such file, or it is damaged, too large, or no image.
      UserError: it is DICOM, and pydicom is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise Unreadable("there is no such file")
    if is_dicom(path):
        return read_dicom(path)
    import warnings

    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as image:
                if image.width * image.height > MOST_PIXELS:  # known before anything is decoded
                    raise Unreadable(
                        f"it declares {image.height} x {image.width} pixels, more than the "
                        f"{MOST_PIXELS:,} that are decoded"
                    )
                pages = getattr(image, "n_frames", 1)
                if pages > 1 and image.format != "MPO":  # a photograph with its preview
                    raise Unreadable(f"it holds {pages} images: a film, not one radiograph")
                image.load()
                upright = ImageOps.exif_transpose(image)
                if image.mode.startswith(("I", "F")):  # 16 bits
                    shown = to_bytes(np.asarray(upright, np.float64))
                    return 255 - shown if _white_is_zero(image) else shown
                return np.asarray(upright.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from None


FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")
"""Forms that are read; others start programs (PostScript) or are no images of radiographs."""


def _white_is_zero(image) -> bool:
    """Return whether a TIFF says that its smallest number is white, which Pillow heeds for 8 bits
    only.
    """
    return image.format == "TIFF" and image.tag_v2.get(262) == 0


def to_bytes(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Numbers as uint8: `low` becomes 0, `high` 255; by default `robust_range`."""
    least, most = robust_range(values)
    low = least if low is None else low
    high = most if high is None else high
    share = np.nan_to_num((values - low) / max(high - low, 1e-9))  # what is no number is black
    return np.round(255 * np.clip(share, 0, 1)).astype(np.uint8)


def windowed(
    values: np.ndarray, center: float | None, width: float | None, turned: bool
) -> np.ndarray:
    """Numbers as uint8 through a linear window; without one (or with a width of at most 1) through
    their whole range.

    Args:
      values: numbers `[H, W]`.
      center: middle of the window, in units of the values; None: there is no window.
      width: of the window, in the same units.
      turned: turn bright into dark and dark into bright.
    """
    share = window(values, center, width)
    shown = to_bytes(values) if share is None else np.round(255 * share).astype(np.uint8)
    return 255 - shown if turned else shown
