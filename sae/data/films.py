"""Old name of `sae.data.images`, until 0.3."""

import warnings

from sae.data.images import read_dicom, read_image, to_bytes, windowed

__all__ = ["read_dicom", "read_film", "read_image", "to_bytes", "windowed"]

read_film = read_image  # old name

warnings.warn(
    "sae.data.films is called sae.data.images now, and read_film read_image; the old names work "
    "until 0.3",
    DeprecationWarning,
    stacklevel=2,
)
