"""Parts that all pages of a run's report share: titles, notes, scores and images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from jaxrl.app import html
from sae.data.cases import Cases, Unreadable
from sae.patterns import evidence, exemplars
from sae.patterns.evidence import Evidence
from sae.patterns.leanings import Leaning

THUMBNAIL = 104
"""Pixels of an image in a gallery."""
LARGE = 1000
"""Most pixels of the longer side of an image that opens large: what a reader of a radiograph needs.
"""


@dataclass(frozen=True)
class Site:
    """Title, notes, scores and facts of the pages."""

    title: str
    """Heading of the index."""
    notes: tuple[str, ...]
    """Sentences that every reader must see: which encoder, which modality, what it is not."""
    findings: tuple[str, ...]
    """Names of the C logits."""
    scores: dict[str, dict]
    """Per finding, as `classifier.evaluate` gives them."""
    facts: dict[str, str]
    """Facts about what was trained and measured, for a table."""
    with_images: bool = True
    """Show images; False: path-only mode."""
    leanings: tuple[Leaning, ...] = field(default=())
    """Reliance of each finding, measured on held-out cases."""
    evidence: Callable[[np.ndarray], Evidence] | None = None
    """Function from pixels to what the patterns rest on in them; None: it cannot be found."""


EVIDENCE_NOTE = (
    "Orange marks places whose covering weakens the pattern most, in the image as the network sees "
    "it. Sides are the image's own: a patient's right is usually on its left."
)


def evidence_figures(found: Evidence, patterns: Sequence[int], captions: Sequence[str], of: str):
    """Images with the evidence of patterns in orange.

    Args:
      found: evidence in one image.
      patterns: numbers of those that are shown.
      captions: one per pattern.
      of: name of the image, for readers who do not see it.
    """
    figures = []
    for number, caption in zip(patterns, captions, strict=True):
        where = evidence.place(found.maps[number])
        picture = exemplars.png(evidence.overlay(found.image, found.maps[number]))
        words = f"{caption}: {where}" if where else f"{caption}: no single place"
        figures.append(html.figure(picture, f"Evidence in {of}, {words}", words))
    return html.row(*figures)


def signed(value: float) -> str:
    """A number with its sign and two digits; 0.00 has none."""
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0 else text


def large_name(row: int) -> str:
    """File name of a radiograph's large image, in the folder images/ of the site."""
    return f"{row:05d}.jpg"


def radiograph_figure(
    cases: Cases, row: int, caption: str, with_images: bool, large: str | None = None
):
    """A thumbnail with a caption that opens large, or the radiograph's name alone.

    Args:
      cases, row: which radiograph.
      caption: shown in front of its name.
      with_images: False for path-only mode.
      large: relative address of the large image; None: there is none.
    """
    name = cases.ids[row]
    if not with_images:
        return html.bullets([f"{name} {caption}".strip()])
    try:
        pixels = exemplars.contact_sheet([cases.read(int(row))], columns=1, size=THUMBNAIL)
    except Unreadable:
        return html.bullets([f"{name} could not be read"])
    picture = html.image(exemplars.png(pixels), f"Radiograph {name}")
    shown = html.link(picture, large) if large else picture
    words = f"{caption} {name}".strip()
    return html.join(
        html.safe('<figure class="small">'),
        shown,
        html.safe("<figcaption>"),
        words,
        html.safe("</figcaption></figure>"),
    )


def radiographs(cases: Cases, rows, captions, site: Site):
    """Figures of several radiographs in a row; a list of names in path-only mode.

    Args:
      cases: all cases of the site.
      rows: those to show.
      captions: one per row, shown in front of its name.
      site: its `with_images` decides.
    """
    if not site.with_images:
        pairs = zip(rows, captions, strict=True)
        return html.bullets([f"{cases.ids[r]} {c}".strip() for r, c in pairs])
    return html.join(
        *(
            radiograph_figure(cases, r, c, True, f"../images/{large_name(int(r))}")
            for r, c in zip(rows, captions, strict=True)
        )
    )


def large_image(pixels: np.ndarray) -> bytes:
    """A radiograph as JPEG of at most `LARGE` pixels a side; nothing but pixels is in it."""
    import io

    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((LARGE, LARGE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=88)
    return out.getvalue()
