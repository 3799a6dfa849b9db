"""The page of one pattern: category, measures, effects on logits, and its gallery."""

import numpy as np

from jaxrl.app import html
from sae.data.cases import Cases, Unreadable
from sae.patterns import exemplars
from sae.patterns.catalogue import Pattern
from sae.patterns.evidence import STRONGEST
from sae.report import svg
from sae.report.site import EVIDENCE_NOTE, Site, evidence_figures, radiographs


def pattern_page(
    pattern: Pattern, found: exemplars.Gallery, signal: np.ndarray, cases: Cases, site: Site
) -> str:
    """Category, measures, effect on logits, histogram, gallery, and what annotators found.

    Args:
      pattern: the entry of the catalogue.
      found: its gallery; signal: its activations on the probe cases, `[N]`.
      cases: the probe cases.
      site: see the class.
    """
    measured, count = pattern.measures, len(pattern.latents)
    alike, pure = measured["similarity"], measured["purity"]
    rows = [
        ("category", f"{pattern.category}: {pattern.why}"),
        ("support", f"{pattern.support:.0%} of members ({count} latent{'s' * (count > 1)})"),
        ("active on", f"{pattern.density:.1%} of the cases here"),
        (
            "similarity of strongest cases above chance",
            f"{alike['value']:.3f} (95 %: {alike['low']:.3f} to {alike['high']:.3f}, "
            f"{alike['cases']} cases)",
        ),
        (
            "best finding",
            f"{pure['finding']}: AUROC {pure['auroc']:.3f}, average precision "
            f"{pure['precision'] or 0:.3f}",
        ),
        ("entropy of the gallery's labels", f"{pure['entropy']:.2f} bits"),
        *((f"AUROC for {name}", f"{value:.2f}") for name, value in measured["acquisition"].items()),
        *((f"annotation: {name}", str(value)) for name, value in pattern.scores.items()),
    ]
    effects = html.table(
        ["finding", "effect on its logit per unit"],
        [(n, f"{w:+.3f}") for n, w in zip(site.findings, pattern.weights, strict=True)],
        row_heads=True,
    )
    galleries = [
        ("Strongest cases, one per patient", found.strongest),
        *((f"Quarter {i} of the other active cases", q) for i, q in enumerate(found.bins, 1)),
        ("Silent cases that look most like them", found.negatives),
    ]
    shown = [
        html.section(
            title, radiographs(cases, chosen, [f"{signal[row]:.2f}" for row in chosen], site)
        )
        for title, chosen in galleries
        if len(chosen)
    ]
    shown.insert(1, _evidence(pattern, found, cases, site))
    members = ", ".join(f"{m}:{i}" for m, i in pattern.latents)
    return html.page(
        pattern.name,
        html.facts(rows),
        effects,
        html.drawing(svg.histogram(signal), "activation on the cases where it is active"),
        *shown,
        html.paragraph(f"member:latent {members}", "note"),
        up=("all patterns and cases", "../index.html"),
    )


def _evidence(pattern, found, cases, site):
    """Where the pattern's strongest cases show it."""
    if site.evidence is None or not site.with_images:
        return ""
    figures = []
    for row in found.strongest[:STRONGEST]:
        try:
            seen = site.evidence(cases.read(int(row)))
        except Unreadable:
            continue
        name = cases.ids[row]
        figures.append(evidence_figures(seen, [pattern.id], [name], name))
    if not figures:
        return ""
    title = "Where its strongest cases show it"
    return html.section(title, html.paragraph(EVIDENCE_NOTE), html.row(*figures))
