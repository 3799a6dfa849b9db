"""Pictures as files that loaders read."""

import io

from PIL import Image


def png(pixels) -> io.BytesIO:
    """A PNG file in memory, of bytes `[H, W, 3]` or `[H, W]`."""
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    data.seek(0)
    return data
