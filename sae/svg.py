"""Small pictures as text: bars, histograms, lines and waterfalls in SVG, for pages that load nothing."""

from collections.abc import Sequence
from html import escape

import numpy as np

INK, UP, DOWN, PALE = "#334155", "#b4413c", "#2f6f9f", "#cbd5e1"
"""Text and lines; towards the finding; away from it; everything else."""


def histogram(values: np.ndarray, bins: int = 24, width: int = 220, height: int = 60, label: str = "activation") -> str:
    """Counts of the positive values, on a square-root scale so that small counts show."""
    values = np.asarray(values)[np.asarray(values) > 0]
    if not len(values):
        return f'<svg width="{width}" height="{height}"><text x="4" y="{height // 2}" fill="{INK}">never active</text></svg>'
    counts, edges = np.histogram(values, bins)
    tall = np.sqrt(counts / counts.max()) * (height - 16)
    step = width / bins
    bars = "".join(
        f'<rect x="{i * step:.1f}" y="{height - 14 - h:.1f}" width="{step - 1:.1f}" height="{h:.1f}" fill="{DOWN}"/>'
        for i, h in enumerate(tall)
    )
    text = f'<text x="0" y="{height - 2}" font-size="10" fill="{INK}">0</text>'
    text += (
        f'<text x="{width}" y="{height - 2}" font-size="10" text-anchor="end" fill="{INK}">{escape(label)} {edges[-1]:.2g}</text>'
    )
    return f'<svg width="{width}" height="{height}" role="img" aria-label="histogram">{bars}{text}</svg>'


def line(
    xs: Sequence[float], ys: Sequence[float], width: int = 420, height: int = 160, x_label: str = "", y_label: str = ""
) -> str:
    """One curve with its extremes written at the axes."""
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    left, bottom, right, top = 48, height - 28, width - 10, 10
    spread = lambda values: max(values.max() - values.min(), 1e-9)
    px = left + (xs - xs.min()) / spread(xs) * (right - left)
    py = bottom - (ys - ys.min()) / spread(ys) * (bottom - top)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(px, py, strict=True))
    mark = lambda x, y, text, anchor: (
        f'<text x="{x}" y="{y}" font-size="11" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'
    )
    axes = f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="{PALE}"/>'
    texts = mark(left - 4, top + 8, f"{ys.max():.3g}", "end") + mark(left - 4, bottom, f"{ys.min():.3g}", "end")
    texts += mark(left, bottom + 13, f"{xs.min():.3g}", "middle") + mark(right, bottom + 13, f"{xs.max():.3g}", "end")
    texts += mark((left + right) / 2, bottom + 24, x_label, "middle") + mark(left + 6, top + 8, y_label, "start")
    curve = f'<polyline points="{points}" fill="none" stroke="{UP}" stroke-width="2"/>'
    return f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(y_label)}">{axes}{curve}{texts}</svg>'


def waterfall(rows: Sequence[tuple[str, float, str | None]], start: float, end: float, width: int = 860) -> str:
    """Bars that lead from `start` to `end`, one per row `(label, amount, link or None)`, labelled with amount and running sum."""
    names, bar, edge = 300, 17, 60
    reached = np.concatenate([[start], start + np.cumsum([amount for _, amount, _ in rows])])
    low, high = min(reached.min(), 0.0, end), max(reached.max(), 0.0, end)
    at = lambda value: names + (value - low) / max(high - low, 1e-9) * (width - names - edge)
    out = [f'<line x1="{at(0):.1f}" x2="{at(0):.1f}" y1="0" y2="{(len(rows) + 2) * bar}" stroke="{PALE}"/>']

    def put(number, label, link, a, b, colour, text):
        y = number * bar
        name = f'<text x="{names - 8}" y="{y + 12}" font-size="11" text-anchor="end" fill="{INK}">{escape(label)}</text>'
        out.append(f'<a href="{escape(link)}">{name}</a>' if link else name)
        left, right = sorted((at(a), at(b)))
        out.append(f'<rect x="{left:.1f}" y="{y + 2}" width="{max(right - left, 1):.1f}" height="{bar - 5}" fill="{colour}"/>')
        out.append(f'<text x="{right + 4:.1f}" y="{y + 12}" font-size="10" fill="{INK}">{text}</text>')

    put(0, "base", None, 0, start, PALE, f"{start:+.3f}")
    for number, (label, amount, link) in enumerate(rows, 1):
        put(number, label, link, reached[number - 1], reached[number], UP if amount > 0 else DOWN, f"{amount:+.3f}")
    put(len(rows) + 1, "logit", None, 0, end, INK, f"{end:+.3f}")
    return f'<svg width="{width}" height="{(len(rows) + 2) * bar + 4}" role="img" aria-label="waterfall">{"".join(out)}</svg>'
