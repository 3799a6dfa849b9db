"""The site: one index, a page per pattern with its gallery, a page per case with a waterfall. Plain
HTML from `jaxrl.app.html`; nothing is loaded, no script. Images that open large are files next to
the pages.

In path-only mode no pixel is written: pages name the radiographs instead, for data that may not be
copied.
"""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from jaxrl.app.files import write_atomic
from sae.data.cases import Cases, Unreadable
from sae.patterns import exemplars
from sae.patterns.attribution import Attribution
from sae.patterns.catalogue import Catalogue
from sae.patterns.evidence import remembered
from sae.report.case import Case, case_page, curves_of, waterfall_of
from sae.report.index import catalogue_table, index_page, pattern_link
from sae.report.pattern import pattern_page
from sae.report.site import Site, large_image, large_name

__all__ = [
    "Case",
    "Site",
    "case_page",
    "catalogue_table",
    "curves_of",
    "index_page",
    "pattern_link",
    "pattern_page",
    "waterfall_of",
    "write",
]


def write(
    folder: Path,
    site: Site,
    catalogue: Catalogue,
    cases: Cases,
    embeddings: np.ndarray,
    case_rows: list[int],
    found: Attribution,
    gaps,
) -> Path:
    """The whole site below `folder`; the path of its index.

    Args:
      folder: of the site; pages of an earlier one are removed.
      site: title, notes, scores and facts.
      catalogue: all patterns.
      cases: the probe cases, in the order of `catalogue.activations`.
      embeddings: `[N, D]` of their images.
      case_rows: rows of the cases that get a page.
      found: attributions of these, `[B, ...]`.
      gaps: their completeness, `[B]`.
    """
    for part in ("patterns", "cases", "images"):  # of an earlier catalogue, or pixels that must go
        shutil.rmtree(folder / part, ignore_errors=True)
    site = replace(site, evidence=site.evidence and remembered(site.evidence))
    patients, shown = np.array(cases.patients), set(case_rows)
    for pattern in catalogue.patterns:
        signal = catalogue.activations[:, pattern.id]
        chosen = exemplars.gallery(signal, patients, embeddings, seed=pattern.id)
        write_atomic(
            folder / "patterns" / f"{pattern.id:05d}.html",
            pattern_page(pattern, chosen, signal, cases, site),
        )
        exemplars.write_index(chosen, signal, cases.ids, folder / "patterns" / f"{pattern.id:05d}")
        if site.with_images and len(chosen.strongest):
            sheet = exemplars.contact_sheet(_readable(cases, chosen.strongest))
            write_atomic(
                folder / "patterns" / f"{pattern.id:05d}" / "strongest.png", exemplars.png(sheet)
            )
        for rows in (chosen.strongest, *chosen.bins, chosen.negatives):
            shown.update(map(int, rows))
    for row in sorted(shown) if site.with_images else ():
        for pixels in _readable(cases, [row]):
            write_atomic(folder / "images" / large_name(row), large_image(pixels))
    for number, row in enumerate(case_rows):
        one = Case(row, Attribution(*(a[number] for a in found)), float(gaps[number]))
        write_atomic(folder / "cases" / f"{row:05d}.html", case_page(one, catalogue, cases, site))
    write_atomic(folder / "index.html", index_page(catalogue, cases, site, case_rows))
    return folder / "index.html"


def _readable(cases, rows):
    radiographs = []
    for row in rows:
        try:
            radiographs.append(cases.read(int(row)))
        except Unreadable:
            continue
    return radiographs
