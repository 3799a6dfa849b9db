"""Reading one film from a file: JPEG, PNG and the like with Pillow, DICOM with pydicom, as bytes
with bright bone.
"""

from pathlib import Path

import numpy as np

from jaxrl.train.errors import Refusal
from sae.data.cases import Unreadable

DICOM = (".dcm", ".dicom")


def read_film(path: Path) -> np.ndarray:
    """uint8 `[H, W]` or `[H, W, 3]`.

    Raises:
      Unreadable: there is no such file, or it is damaged or no film.
      Refusal: it is DICOM, and pydicom is not installed.
    """
    if not path.is_file():
        raise Unreadable("there is no such file")
    if path.suffix.lower() in DICOM:
        return read_dicom(path)
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            if image.mode.startswith(("I", "F")):  # 16 bits
                return to_bytes(np.asarray(image, np.float64))
            return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Unreadable(
            str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        ) from None


def to_bytes(values: np.ndarray, low: float | None = None, high: float | None = None) -> np.ndarray:
    """Numbers as uint8: `low` becomes 0, `high` 255; by default the smallest and the largest."""
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    return np.round(255 * np.clip((values - low) / max(high - low, 1e-9), 0, 1)).astype(np.uint8)


def read_dicom(path: Path) -> np.ndarray:
    """The film of a DICOM file as uint8 `[H, W]`, bone bright.

    The rescale is applied, then the first linear window (centre and width, by the formula of DICOM
    PS3.3 C.11.2.1.2.1), or else the whole range of the stored numbers; MONOCHROME1 is turned over,
    as its small numbers are bright.

    Raises:
      Unreadable: no pixels, several frames, colour, or damage.
      Refusal: pydicom is not installed.
    """
    try:
        import pydicom
    except ImportError:
        raise Refusal("reading DICOM needs pydicom: pip install 'latentax[films]'") from None
    try:
        data = pydicom.dcmread(path)
        values = data.pixel_array.astype(np.float64)
        values = values * float(data.get("RescaleSlope", 1) or 1) + float(
            data.get("RescaleIntercept", 0) or 0
        )
        window = _first(data.get("WindowCenter")), _first(data.get("WindowWidth"))
        turned = data.get("PhotometricInterpretation", "MONOCHROME2") == "MONOCHROME1"
    except Exception as error:  # pydicom and its decoders raise their own kinds
        raise Unreadable(
            f"no readable DICOM ({str(error).splitlines()[0][:150] if str(error) else type(error).__name__})"
        ) from None
    if values.ndim != 2:
        raise Unreadable(f"its pixels have shape {values.shape}: colour or several frames")
    return windowed(values, *window, turned)


def _first(value):
    """The first of several windows; None where there is none."""
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:
        return float(value[0]) if len(value) else None


def windowed(
    values: np.ndarray, centre: float | None, width: float | None, turned: bool
) -> np.ndarray:
    """Numbers as uint8 through a window; without one (or with a width of at most 1) through their
    whole range.
    """
    if centre is None or width is None or width <= 1:
        shown = to_bytes(values)
    else:
        shown = np.round(255 * np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)).astype(
            np.uint8
        )
    return 255 - shown if turned else shown
