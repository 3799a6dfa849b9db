"""Shared by the studies: the report as Markdown for terminals, and as one self-contained HTML page
with its figures.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl.app import html, plots
from jaxrl.app.files import write_atomic


class Drawn(NamedTuple):
    """A figure of a report."""

    name: str
    """Name of its file, without the ending."""
    png: bytes
    caption: str
    """Text under it: what it shows, how to read it."""


def drawn(name: str, figure: Any, caption: str) -> Drawn:
    """Render a matplotlib figure."""
    return Drawn(name, plots.to_png(figure), caption)


def write_report(
    out: Path,
    text: str,
    figures: Sequence[Drawn],
    name: str = "index.md",
    notes: Sequence[str] = (),
) -> Path:
    """Write a report's text, its figures as PNG files, and index.html with both.

    Args:
      out: folder of the report; it is made.
      text: Markdown, with the title as its first heading.
      figures: in the order of the page.
      name: file name of the text.
      notes: sentences that every reader must see first.

    Returns:
      Path of the text.
    """
    out.mkdir(exist_ok=True)
    for figure in figures:
        write_atomic(out / f"{figure.name}.png", figure.png)
    title, body = html.from_markdown(text)
    shown = [html.figure(f.png, f.caption, f.caption) for f in figures]
    parts = [body, html.section("Figures", *shown)] if shown else [body]
    html.write_page(out / "index.html", title, *parts, warnings=notes)
    links = "".join(f"\n![{f.caption}]({f.name}.png)\n" for f in figures)
    heads = "".join(f"> {note}\n\n" for note in notes)
    first, _, rest = text.partition("\n")
    write_atomic(out / name, f"{first}\n\n{heads}{rest.lstrip()}{links}")
    return out / name
