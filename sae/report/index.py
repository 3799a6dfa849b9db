"""The first page: what each finding rests on, the classifier, the catalogue, and the cases."""

from jaxrl.app import html
from sae.data.cases import Cases, by_reason
from sae.patterns.catalogue import CATEGORIES, NORMAL, Catalogue, Pattern
from sae.patterns.leanings import Leaning, Suspect, families, sentence, suspects, suspicion
from sae.report import svg
from sae.report.site import Site, signed

COLUMNS = 6
"""With more findings than this, the catalogue names each pattern's three largest effects instead of
giving each a column.
"""


def index_page(catalogue: Catalogue, cases: Cases, site: Site, case_rows: list[int]) -> str:
    """Index: what carries each finding, setting, quality of the classifier, catalogue and cases.

    Args:
      catalogue: all patterns.
      cases: all cases of the site, with those that were skipped.
      site: title, notes, scores and facts.
      case_rows: rows of the cases that have a page.

    Returns:
      HTML.
    """
    body = []
    if site.leanings:
        body.append(
            html.section("What each finding rests on", *findings_part(site.leanings, catalogue))
        )

    def interval(s):
        if s["auc"] is None:
            return "-"
        text = f"{s['auc']:.3f} ({s['low']:.3f} to {s['high']:.3f})"
        return html.join(html.safe('<span class="whole">'), text, html.safe("</span>"))

    rows = [
        (n, interval(s), s["present"], s["cases"], f"{s['calibration_error']:.3f}")
        for n, s in site.scores.items()
    ]
    scores = html.table(
        ["finding", "AUC (95 %)", "present", "cases", "calibration error"], rows, row_heads=True
    )
    body.append(html.section("Classifier, on cases kept apart", scores))
    links = [html.link(cases.ids[i], f"cases/{i:05d}.html") for i in case_rows]
    body.append(html.section("Cases", html.bullets(links)))
    counted = {kind: sum(p.category == kind for p in catalogue.patterns) for kind in CATEGORIES}
    text = f"{', '.join(f'{n} {kind}' for kind, n in counted.items())}. Left out: "
    text += ", ".join(f"{n} latent{'s' * (n != 1)} {why}" for why, n in catalogue.filtered.items())
    text += "."
    body.append(
        html.section(
            f"{len(catalogue.patterns)} patterns",
            html.paragraph(text),
            html.paragraph(NORMAL_NOTE) if _normal(catalogue) else "",
            catalogue_table(catalogue, site.findings),
            html.details("How many patterns there are at other supports", _curve(catalogue)),
        )
    )
    body.append(html.section("Run", html.facts(site.facts)))
    if cases.skipped:
        body.append(skipped_part(cases))
    return html.page(site.title, *body, warnings=site.notes)


def skipped_part(cases: Cases):
    """Radiographs that were skipped, counted by reason; names can be opened."""
    listed = [
        html.details(f"{len(names)}: {why}", html.paragraph(", ".join(names[:MOST_NAMES])))
        for why, names in by_reason(cases.skipped).items()
    ]
    return html.section(f"{len(cases.skipped)} radiographs were skipped", *listed)


MOST_NAMES = 500
"""Names of skipped radiographs that a page lists for one reason; the embeddings file has all."""


NORMAL_NOTE = (
    f"Patterns called {NORMAL} are active where no finding is: most lower the logits of findings. "
    "They tell degrees and kinds of normal anatomy apart, which the labels do not name, so nothing "
    "but their galleries distinguishes them."
)


def _normal(catalogue):
    return sum(p.name.startswith(NORMAL) for p in catalogue.patterns) > 1


def findings_part(leanings: tuple[Leaning, ...], catalogue: Catalogue):
    """For every finding: shares of the categories, and a sentence for each shortcut and for each
    suspicion of one.
    """
    rows = [
        [
            one.finding,
            *(f"{one.shares.get(kind, 0):.0%}" for kind in CATEGORIES),
            f"{one.outside:.0%}",
        ]
        for one in leanings
    ]
    yield html.paragraph(
        "Share of each finding's absolute contributions that patterns of a category carry, on "
        "held-out cases."
    )
    header = ["finding", *CATEGORIES, "in no pattern"]
    yield html.table(header, rows, "Shares of categories", row_heads=True)
    lines = [sentence(one, shortcut) for one in leanings for shortcut in one.shortcuts]
    if lines:
        yield html.paragraph("Shortcuts, summed over all artifact patterns of one kind:")
        yield html.bullets(lines)
    else:
        yield html.paragraph("No artifact pattern moves a finding noticeably.")
    doubts = [
        html.join(f"{suspicion(one)}; see the galleries of", _gallery_links(one, catalogue))
        for one in suspects(catalogue)
    ]
    if doubts:
        yield html.paragraph("Findings and circumstances that these cases cannot tell apart:")
        yield html.bullets(doubts)


def _gallery_links(one: Suspect, catalogue: Catalogue):
    patterns = [catalogue.patterns[number] for number in one.patterns[:MOST_LINKS]]
    rest = len(one.patterns) - len(patterns)
    links = [pattern_link(pattern) for pattern in patterns]
    return html.safe(", ").join([*links, f"and {rest} more"] if rest else links)


MOST_LINKS = 10
"""Galleries that a sentence links to."""


def _curve(catalogue):
    supports, counts = zip(*catalogue.curve, strict=True)
    return html.drawing(
        svg.line(
            supports,
            counts,
            x_label="share of members that must have a pattern",
            y_label="patterns",
        )
    )


def pattern_link(pattern: Pattern, folder: str = "patterns/"):
    """A link with the pattern's name."""
    return html.link(pattern.name, f"{folder}{pattern.id:05d}.html")


def catalogue_table(catalogue: Catalogue, findings: tuple[str, ...]):
    """A line per pattern, narrow enough for a window: what it predicts best, and how it moves the
    logits; near duplicates stand together.
    """
    many = len(findings) > COLUMNS

    def effects(pattern: Pattern) -> list[str]:
        if not many:
            return [signed(w) for w in pattern.weights]
        largest = sorted(range(len(findings)), key=lambda c: -abs(pattern.weights[c]))[:3]
        return [", ".join(f"{findings[c]} {signed(pattern.weights[c])}" for c in largest)]

    def line(p, group):
        name, area = _best_label(p)
        return [
            pattern_link(p),
            html.tag(p.category),
            group,
            f"{p.support:.0%}",
            f"{p.density:.1%}",
            name,
            area,
            f"{p.measures['similarity']['value']:.2f}",
            *effects(p),
        ]

    header = ["pattern", "category", "like", "support", "active", "predicts best", "AUROC"]
    header += ["similarity", *(["largest effects"] if many else findings)]
    where = "The last column" if many else "The columns named after findings"
    text = f"{where} {'gives' if many else 'give'} the effect on the logits per unit of "
    text += 'activation. Patterns with the same number under "like" are near duplicates: their '
    text += "activations on the cases here correlate by at least 0.8."
    rows = []
    for number, family in enumerate(families(catalogue), 1):
        rows += [line(catalogue.patterns[p], str(number)) for p in family]
    return html.join(html.paragraph(text), html.table(header, rows, "Catalogue", wide=True))


def _best_label(pattern: Pattern) -> tuple[str, str]:
    """Best prediction of a pattern, by its category: how the radiograph was taken, or a finding;
    and the area under its curve.
    """
    measured = pattern.measures
    if pattern.category == "artifact":
        name, area = max(measured["acquisition"].items(), key=lambda pair: pair[1])
    else:
        name, area = measured["purity"]["finding"] or "-", measured["purity"]["auroc"]
    return name, f"{area:.2f}"
