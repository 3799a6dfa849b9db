"""Small pictures as text: bars, histograms, lines and waterfalls in SVG, for pages that load
nothing.
"""

from collections.abc import Sequence
from html import escape

import numpy as np

INK, UP, DOWN, PALE = "#334155", "#b4413c", "#2f6f9f", "#cbd5e1"
"""Text and lines; towards the finding; away from it; everything else."""


def histogram(
    values: np.ndarray,
    bins: int = 24,
    width: int = 220,
    height: int = 60,
    label: str = "activation",
) -> str:
    """Counts of the positive values, on a square-root scale so that small counts show.

    Args:
      values: `[N]`; those up to 0 are left out.
      bins: number of bars.
      width: of the drawing in pixels.
      height: of the drawing in pixels.
      label: name of the values, written at the axis.

    Returns:
      An SVG element.
    """
    values = np.asarray(values)[np.asarray(values) > 0]
    if not len(values):
        return (
            f'{opening(width, height)} role="img" aria-label="never active">'
            f'<text x="4" y="{height // 2}" '
            f'fill="{INK}">never active</text></svg>'
        )
    counts, edges = np.histogram(values, bins)
    tall = np.sqrt(counts / counts.max()) * (height - 16)
    step = width / bins
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{height - 14 - h:.1f}" width="{step - 1:.1f}" '
        f'height="{h:.1f}" fill="{DOWN}"/>'
        for i, h in enumerate(tall)
    )
    text = f'<text x="0" y="{height - 2}" font-size="10" fill="{INK}">0</text>'
    text += (
        f'<text x="{width}" y="{height - 2}" font-size="10" text-anchor="end" '
        f'fill="{INK}">{escape(label)} {edges[-1]:.2g}</text>'
    )
    return f'{opening(width, height)} role="img" aria-label="histogram">{bars}{text}</svg>'


def line(
    xs: Sequence[float],
    ys: Sequence[float],
    width: int = 420,
    height: int = 160,
    x_label: str = "",
    y_label: str = "",
) -> str:
    """One curve with its extremes written at the axes.

    Args:
      xs: `[N]`, at least one.
      ys: `[N]`.
      width: of the drawing in pixels.
      height: of the drawing in pixels.
      x_label: below the axis.
      y_label: at the top of the axis.

    Returns:
      An SVG element.
    """
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    left, bottom, right, top = 48, height - 28, width - 10, 10

    def short(value):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

    def spread(values):
        return max(values.max() - values.min(), 1e-9)

    px = left + (xs - xs.min()) / spread(xs) * (right - left)
    py = bottom - (ys - ys.min()) / spread(ys) * (bottom - top)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))

    def mark(x, y, text, anchor):
        return (
            f'<text x="{x}" y="{y}" font-size="11" text-anchor="{anchor}" '
            f'fill="{INK}">{escape(text)}</text>'
        )

    axes = f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{PALE}"/>'
    texts = mark(left - 4, top + 8, short(ys.max()), "end") + mark(
        left - 4, bottom, short(ys.min()), "end"
    )
    texts += mark(left, bottom + 13, short(xs.min()), "middle") + mark(
        right, bottom + 13, short(xs.max()), "end"
    )
    texts += mark((left + right) / 2, bottom + 24, x_label, "middle") + mark(
        left + 6, top + 8, y_label, "start"
    )
    curve = f'<polyline points="{points}" fill="none" stroke="{UP}" stroke-width="2"/>'
    return (
        f'{opening(width, height)} role="img" '
        f'aria-label="{escape(y_label)}">{axes}{curve}{texts}</svg>'
    )


def curves(
    named: dict[str, Sequence[float]],
    width: int = 330,
    height: int = 234,
    x_label: str = "",
    y_label: str = "",
) -> str:
    """Up to two curves over 0, 1, 2, ..., each with a dashed straight line between its ends, and a
    line at 0; names stand below.

    Args:
      named: values of each curve by its name; more than two are left out.
      width: of the drawing in pixels.
      height: of the drawing in pixels.
      x_label: below the axis.
      y_label: above the axis.

    Returns:
      An SVG element.
    """
    left, bottom, right, top = 42, height - 76, width - 8, 16
    values = np.concatenate([np.asarray(v, float) for v in named.values()])
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    last = max(max(len(v) for v in named.values()) - 1, 1)

    def at_x(step):
        return left + step / last * (right - left)

    def at_y(value):
        return bottom - (value - low) / max(high - low, 1e-9) * (bottom - top)

    def mark(x, y, text, anchor="start", color=INK):
        return (
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="11" text-anchor="{anchor}" '
            f'fill="{color}">{escape(text)}</text>'
        )

    out = [
        f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{PALE}"/>',
        f'<line x1="{left}" x2="{right}" y1="{at_y(0):.1f}" y2="{at_y(0):.1f}" stroke="{PALE}"/>',
        *(
            mark(left - 4, at_y(v) + 4, f"{v:.3g}", "end")
            for v in (low, high)
            if abs(at_y(v) - at_y(0)) > 12
        ),
        mark(left - 4, at_y(0) + 4, "0", "end"),
        *(mark(at_x(step), bottom + 14, str(step), "middle") for step in (0, last)),
        mark((left + right) / 2, bottom + 14, x_label, "middle"),
        mark(left + 4, top - 5, y_label),
    ]
    for number, (color, (name, ys)) in enumerate(zip((DOWN, UP), named.items(), strict=False)):
        points = " ".join(f"{at_x(i):.1f},{at_y(y):.1f}" for i, y in enumerate(ys))
        ends = (
            f'x1="{at_x(0):.1f}" x2="{at_x(len(ys) - 1):.1f}" y1="{at_y(ys[0]):.1f}" '
            f'y2="{at_y(ys[-1]):.1f}"'
        )
        out.append(f'<line {ends} stroke="{color}" stroke-dasharray="3 3" stroke-width="0.8"/>')
        out.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.8"/>')
        out.append(mark(left, bottom + 32 + 14 * number, name, color=color))
    out.append(mark(left, bottom + 32 + 14 * len(named), "dashed: in any order, on average"))
    return (
        f'{opening(width, height)} role="img" '
        f'aria-label="{escape(", ".join(named))}">{"".join(out)}</svg>'
    )


def waterfall(
    rows: Sequence[tuple[str, float, str | None]], start: float, end: float, width: int = 630
) -> str:
    """Bars that lead from `start` to `end`, with amount and running sum.

    Args:
      rows: `(label, amount, link or None)` of each bar.
      start: value of the first bar, "base".
      end: value of the last bar, "logit".
      width: of the drawing in pixels, before it grows with the longest label.

    Returns:
      An SVG element.
    """
    longest = max((len(label) for label, _, _ in rows), default=0)
    names, bar, edge = max(160, 6 * longest + 16), 17, 60  # a letter of size 11 is under 6 wide
    width += names - 160
    reached = np.concatenate([[start], start + np.cumsum([amount for _, amount, _ in rows])])
    low, high = min(reached.min(), 0.0, end), max(reached.max(), 0.0, end)

    def at(value):
        return names + (value - low) / max(high - low, 1e-9) * (width - names - edge)

    out = [
        f'<line x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{(len(rows) + 2) * bar}" '
        f'stroke="{PALE}"/>'
    ]

    def put(number, label, link, span, color, text):
        y = number * bar
        name = (
            f'<text x="{names - 8}" y="{y + 12}" font-size="11" text-anchor="end" '
            f'fill="{INK}">{escape(label)}</text>'
        )
        out.append(f'<a href="{escape(link)}">{name}</a>' if link else name)
        left, right = sorted(map(at, span))
        out.append(
            f'<rect x="{left:.1f}" y="{y + 2}" width="{max(right - left, 1):.1f}" '
            f'height="{bar - 5}" fill="{color}"/>'
        )
        out.append(
            f'<text x="{right + 4:.1f}" y="{y + 12}" font-size="10" fill="{INK}">{text}</text>'
        )

    put(0, "base", None, (0, start), PALE, f"{start:+.3f}")
    for number, (label, amount, link) in enumerate(rows, 1):
        span, color = reached[number - 1 : number + 1], UP if amount > 0 else DOWN
        put(number, label, link, span, color, f"{amount:+.3f}")
    put(len(rows) + 1, "logit", None, (0, end), INK, f"{end:+.3f}")
    # A group and no image, so that its links can be reached.
    return (
        f'{opening(width, (len(rows) + 2) * bar + 4)} style="max-width:none" role="group" '
        f'aria-label="waterfall from the base to the logit">{"".join(out)}</svg>'
    )


def opening(width: int, height: int) -> str:
    """Begin a drawing that shrinks with its page as a whole."""
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
