"""The page of one case: logits, and for each finding the way from the base to the logit."""

import math
from typing import NamedTuple

import numpy as np

from jaxrl.app import html
from sae.data.cases import Cases, Unreadable
from sae.patterns.attribution import Attribution, deletion_curve, faithfulness, strongest
from sae.patterns.catalogue import Catalogue
from sae.report import svg
from sae.report.site import EVIDENCE_NOTE, Site, evidence_figures, large_image, radiographs, signed


class Case(NamedTuple):
    """One case to write a page of."""

    row: int
    """Row of the case among all cases."""
    found: Attribution
    """Attribution of this case alone."""
    residual: float
    """Largest gap between the parts and a logit."""
    warnings: tuple[str, ...] = ()
    """Warnings that a reader must know before any number."""
    inside: bool = False
    """Put the large image into the page, which then stands for itself."""


def case_page(case: Case, catalogue: Catalogue, cases: Cases, site: Site) -> str:
    """Page of a case: its logits, and for every finding a waterfall from the base to the logit,
    next to the curves of the logit as patterns are taken out and put in.

    Args:
      case: row, attribution and warnings.
      catalogue: patterns, for their names.
      cases: all cases of the site; `case.row` is one of them.
      site: findings, and whether images are shown.

    Returns:
      HTML.
    """
    row, found = case.row, case.found
    rows = [
        (name, f"{logit:+.3f}", f"{1 / (1 + math.exp(-float(logit))):.3f}", label)
        for name, logit, label in zip(
            site.findings, found.logit, _labels(cases, row, site), strict=True
        )
    ]
    body = [_image(case, cases, site)]
    body.append(html.table(["finding", "logit", "probability", "label"], rows, row_heads=True))
    faithful = ", ".join(
        f"{name} {share:.3f}"
        for name, share in zip(site.findings, faithfulness(found), strict=True)
    )
    body.append(
        html.paragraph(
            f"The parts add up to each logit; largest gap {case.residual:.1e}. Faithfulness: "
            f"{faithful}"
        )
    )
    body.append(_evidence(case, catalogue, cases, site))
    if cases.reports and site.with_images:
        body.append(html.details("report", html.paragraph(cases.reports[row])))
    for column, name in enumerate(site.findings):
        text, picture = waterfall_of(found, column, catalogue)
        wide = html.safe('<div class="scroll" tabindex="0" role="region" aria-label="waterfall">')
        drawings = html.row(
            html.join(wide, html.safe(picture), html.safe("</div>")),
            html.drawing(curves_of(found, column)),
        )
        body.append(html.section(name, html.paragraph(text), drawings))
    title, up = f"Case {cases.ids[row]}", ("all patterns and cases", "../index.html")
    return html.page(title, *body, warnings=case.warnings, up=up)


def _image(case, cases, site):
    if not (case.inside and site.with_images):
        return radiographs(cases, [case.row], [""], site)
    name = cases.ids[case.row]
    try:
        pixels = cases.read(case.row)
    except Unreadable:
        return html.paragraph(f"{name} could not be read")
    return html.figure(large_image(pixels), f"Radiograph {name}", name)


SHOWN = 6
"""Patterns of a case whose evidence is shown."""


def _evidence(case, catalogue, cases, site):
    """Where the strongest patterns of a case see it, by their largest contribution to any logit."""
    if site.evidence is None or not site.with_images:
        return ""
    try:
        found = site.evidence(cases.read(case.row))
    except Unreadable:
        return ""
    parts = np.asarray(case.found.patterns)
    chosen = [p for p in np.argsort(-np.abs(parts).max(1), kind="stable")[:SHOWN] if parts[p].any()]
    captions = []
    for p in chosen:
        column = int(np.argmax(np.abs(parts[p])))
        name = catalogue.patterns[p].name
        captions.append(f"{name}, {signed(parts[p, column])} for {site.findings[column]}")
    return html.section(
        "Where its strongest patterns see their evidence",
        html.paragraph(EVIDENCE_NOTE),
        evidence_figures(found, chosen, captions, cases.ids[case.row]),
    )


def _labels(cases, row, site):
    words = {1.0: "present", 0.0: "absent", -1.0: "uncertain"}
    values = [
        float(cases.labels[row, cases.findings.index(name)]) if name in cases.findings else math.nan
        for name in site.findings
    ]
    return [words.get(value, "not mentioned") for value in values]


def curves_of(found: Attribution, column: int) -> str:
    """Deletion and insertion: the logit of one finding as patterns are taken out of its sum, or put
    into it, strongest first.
    """
    steps = max(int((found.patterns[:, column] != 0).sum()), 1)
    alone = Attribution(*(np.asarray(part)[None] for part in found))
    out, back = (deletion_curve(alone, column, insert, steps)[0] for insert in (False, True))
    named = {"patterns taken out, strongest first": out, "patterns put in, strongest first": back}
    return svg.curves(named, x_label="patterns", y_label="logit")


def waterfall_of(found: Attribution, column: int, catalogue: Catalogue) -> tuple[str, str]:
    """A sentence about how many patterns one finding takes, and the picture."""
    shown = strongest(found.patterns[:, column])

    def share(p):
        return "" if found.image_share[p] > 0.999 else f", {found.image_share[p]:.0%} image"

    def label(p):
        return f"{catalogue.patterns[p].name} [{catalogue.patterns[p].category}{share(p)}]"

    rows = [
        (label(p), float(a), f"../patterns/{p:05d}.html")
        for p, a in zip(shown.patterns, shown.amounts, strict=True)
    ]
    others = int((found.patterns[:, column] != 0).sum()) - len(shown.patterns)
    rows += [(f"{others} other patterns", shown.remaining, None)] if others else []
    rows += [("in no pattern", float(found.uncatalogued[column]), None)]
    rows += [("affine path", float(found.skip[column]), None)] if found.skip[column] else []
    rows += [("missed by the transcoders", float(found.error[column]), None)]
    text = (
        f"{len(shown.patterns)} patterns carry {shown.covered:.0%} of all contributions; 90 % "
        f"takes {shown.needed}."
    )
    return text, svg.waterfall(rows, float(found.base[column]), float(found.logit[column]))
