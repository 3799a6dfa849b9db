"""Drawing: one real stretch of a game, and what one or several runs imagined of it, as a film strip
or an animation.
"""

import textwrap
from typing import NamedTuple

import numpy as np

from jaxrl.jedi.diagnostics.open_loop import Comparison

BACK, INK, GOOD, BAD = (250, 250, 250), (30, 30, 30), (20, 130, 60), (200, 40, 40)
GAP, TOP, CAPTION, WORDS = 3, 18, 16, 96
"""Pixels between pictures, above them, and for a line of text below a row: its height, and the
width of its longest words.
"""


class Row(NamedTuple):
    """One row of a film strip."""

    label: str
    frames: np.ndarray
    """uint8 `[T + 1, H, W, 3]`."""
    events: Comparison | None = None
    """Whose rewards and ends are written below the row."""


def film_strip(shown: Comparison | dict[str, Comparison], columns: int = 12, size: int = 96):
    """A PIL image, evenly spaced in time.

    Of one comparison: the real frames, the probe's view of them and the imagined frames. Of
      several, by name (all of the same
    real stretch): the real frames, and a row of imagined frames for each. Below a row that was
    imagined stand rewards and ends, real / imagined, since the column before.
    """
    from PIL import Image, ImageDraw

    rows = _rows(shown)
    count = len(rows[0].frames)
    times = np.unique(np.linspace(0, count - 1, min(columns, count)).round().astype(int))
    labels = [textwrap.wrap(row.label, 22) or [""] for row in rows]
    left = max(70, *(6 * len(line) + 10 for lines in labels for line in lines))
    heights = [size + GAP + (CAPTION if row.events is not None else 0) for row in rows]
    width = left + len(times) * (size + GAP) + max(0, WORDS - size)
    sheet = Image.new("RGB", (width, TOP + sum(heights)), BACK)
    draw, y = ImageDraw.Draw(sheet), TOP
    for column, t in enumerate(times):
        draw.text((left + column * (size + GAP) + 2, 3), f"t+{t}" if t else "start", fill=INK)
    for row, lines, height in zip(rows, labels, heights, strict=True):
        draw.text((4, y + size // 2 - 6 * len(lines)), "\n".join(lines), fill=INK)
        for column, t in enumerate(times):
            x = left + column * (size + GAP)
            sheet.paste(enlarge(row.frames[t], size), (x, y))
            if row.events is not None:
                caption, color = _events(
                    row.events, int(t), int(times[column - 1]) if column else int(t)
                )
                draw.text((x + 2, y + size + GAP), caption, fill=color)
        y += height
    return sheet


def _rows(shown):
    if isinstance(shown, Comparison):
        return [
            Row("real", shown.real),
            Row("probe", shown.seen),
            Row("imagined", shown.imagined, shown),
        ]
    first = next(iter(shown.values()))
    return [
        Row("real", first.real),
        *(Row(name, each.imagined, each) for name, each in shown.items()),
    ]


def _events(comparison: Comparison, t: int, since: int) -> tuple[str, tuple[int, int, int]]:
    """Rewards and ends of the steps after frame `since` up to frame t brought, real / imagined."""
    if t == since:
        return "", INK
    span = slice(since, t)
    real, dreamt = np.sign(comparison.reward[span]).sum(), comparison.imagined_reward[span].sum()
    end, dreamt_end = comparison.end[span].any(), comparison.imagined_end[span].any()
    parts = [f"r {real:+.0f}/{dreamt:+.0f}"] if real or dreamt else []
    parts += [f"end {'yn'[not end]}/{'yn'[not dreamt_end]}"] if end or dreamt_end else []
    return " ".join(parts), GOOD if (real, end) == (dreamt, dreamt_end) else BAD


def enlarge(frame: np.ndarray, size: int):
    """A PIL image of `size` pixels with hard edges."""
    from PIL import Image

    return Image.fromarray(np.asarray(frame)).resize((size, size), Image.Resampling.NEAREST)


def animation(shown: Comparison | dict[str, Comparison], size: int = 192) -> list:
    """PIL images, one per step: real on the left, what was imagined next to it, with
    rewards so far.
    """
    from PIL import Image, ImageDraw

    each = {"imagined": shown} if isinstance(shown, Comparison) else shown
    first = next(iter(each.values()))
    sides = [("real", first.real, np.sign(first.reward), first.end)]
    sides += [(name, c.imagined, c.imagined_reward, c.imagined_end) for name, c in each.items()]
    pictures = []
    for t in range(len(first.real)):
        sheet = Image.new("RGB", (len(sides) * (size + 6) - 6, size + 2 * CAPTION), BACK)
        draw = ImageDraw.Draw(sheet)
        for side, (label, frames, rewards, ends) in enumerate(sides):
            x, over = side * (size + 6), ends[:t].any()
            sheet.paste(enlarge(frames[t], size), (x, 2 * CAPTION))
            draw.text((x + 3, 2), textwrap.shorten(label, size // 6, placeholder="..."), fill=INK)
            text = f"t+{t}  rewards {rewards[:t].sum():+.0f}{'  end' if over else ''}"
            draw.text((x + 3, CAPTION), text, fill=BAD if over else INK)
        pictures.append(sheet)
    return pictures
