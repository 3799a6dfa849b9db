"""Figures without global state: a new figure, lines with bands, heat-maps, and images as bytes.

Colors are those of Okabe and Ito, which color-blind readers can distinguish.
"""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette without its yellow, which is too light for lines on white."""
COLOR_MAP = "cividis"
"""Color map of heat-maps; reads the same with and without color vision."""
STYLE = {
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "white",
    "grid.alpha": 0.25,
    "image.cmap": COLOR_MAP,
    "legend.frameon": False,
}
"""Matplotlib settings of every figure."""


def _context():
    import matplotlib
    from cycler import cycler

    settings: Any = {**STYLE, "axes.prop_cycle": cycler(color=COLORS)}
    return matplotlib.rc_context(settings)  # the caller's own settings come back afterwards


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1, **options: Any):
    """Make a figure with a grid of axes.

    Args:
      width: inches.
      height: inches.
      rows: rows of axes.
      columns: columns of axes.
      **options: as for matplotlib's `Figure.subplots`.

    Returns:
      The figure, and its axes as an array `[rows, columns]`.
    """
    from matplotlib.figure import Figure

    with _context():
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots(rows, columns, squeeze=False, **options)


def empty_figure(width: float, height: float):
    """Make a figure without axes, for layouts that are not a grid (size in inches)."""
    from matplotlib.figure import Figure

    with _context():
        return Figure(figsize=(width, height), layout="constrained")


def to_png(figure, dpi: int = 110) -> bytes:
    """Render a figure as a PNG file."""
    buffer = io.BytesIO()
    with _context():
        figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def line_with_band(axes, x: Any, mean: Any, low: Any = None, high: Any = None, **style: Any):
    """Draw a line, and the band between two bounds if there are any.

    Args:
      axes: matplotlib axes.
      x: `[N]`.
      mean: `[N]`; NaN interrupts the line.
      low: lower bounds `[N]`, or None.
      high: upper bounds `[N]`, or None.
      **style: as for `axes.plot`.

    Returns:
      The line.
    """
    (line,) = axes.plot(x, mean, **style)
    if low is not None and high is not None:
        low, high = np.asarray(low, float), np.asarray(high, float)
        axes.fill_between(x, low, high, color=line.get_color(), alpha=0.18, linewidth=0)
    return line


def heatmap(
    axes,
    values: Any,
    row_labels: Sequence[Any] = (),
    column_labels: Sequence[Any] = (),
    write: str | None = None,
    **style: Any,
):
    """Draw a matrix as colored cells.

    Args:
      axes: matplotlib axes.
      values: `[R, C]`; NaN stays empty.
      row_labels: R names, first row on top.
      column_labels: C names.
      write: format of the numbers written into the cells, for example ".2f"; None for none.
      **style: as for `axes.imshow`.

    Returns:
      The image, for a color bar.
    """
    values = np.asarray(values, float)
    axes.grid(False)
    image = axes.imshow(
        np.ma.masked_invalid(values), **{"aspect": "auto", "cmap": COLOR_MAP, **style}
    )
    if len(row_labels):
        axes.set_yticks(range(len(row_labels)), [str(label) for label in row_labels])
    if len(column_labels):
        axes.set_xticks(range(len(column_labels)), [str(label) for label in column_labels])
    if write is not None:
        for (row, column), value in np.ndenumerate(values):
            if not np.isfinite(value):
                continue
            red, green, blue, _ = image.cmap(image.norm(value))
            light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
            color = "black" if light else "white"
            text = format(float(value), write)
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    return image


def array_to_png(image: Any) -> bytes:
    """Encode an image, uint8 `[H, W]` or `[H, W, 3]`, as a PNG file."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, format="png")
    return buffer.getvalue()


def frames_to_gif(frames: Sequence[Any], milliseconds: int = 120) -> bytes:
    """Encode frames, uint8 `[T, H, W, 3]`, as a GIF that repeats; one color table for all.

    Raises:
      ValueError: there are no frames.
    """
    from PIL import Image

    if not len(frames):
        raise ValueError("no frames to encode")
    images = [Image.fromarray(np.asarray(frame)) for frame in frames]
    buffer = io.BytesIO()
    images[0].save(
        buffer, format="gif", save_all=True, append_images=images[1:], duration=milliseconds, loop=0
    )
    return buffer.getvalue()
