"""The site: one index, a page per pattern with its gallery, a page per case with a waterfall. Plain
HTML; nothing is loaded, no script.

In path-only mode no pixel is written: pages name the radiographs instead, for data that may not be
copied.
"""

import base64
import math
import re
import shutil
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.train.rundir import write_atomically
from sae.data.cases import Cases, Unreadable
from sae.patterns import exemplars
from sae.patterns.attribution import Attribution, deletion_curve, faithfulness, strongest
from sae.patterns.catalogue import CATEGORIES, Catalogue, Pattern
from sae.report import svg

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#1e293b;max-width:1090px;margin:2em auto;
  padding:0 1em}
table{border-collapse:collapse;margin:1em 0;font-size:14px}
th,td{padding:.25em .7em;border-bottom:1px solid #e2e8f0;text-align:left}
td.n,th.n{text-align:right}
td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
th{vertical-align:bottom}
table.wide th,table.wide td{padding:.25em .45em}
table.wide{font-size:13px}
.side{display:flex;flex-wrap:wrap;gap:0 8px;align-items:flex-start}
h1,h2{line-height:1.2}
figure{display:inline-block;vertical-align:top;margin:2px;width:104px}
figure img{width:104px;display:block;background:#000}
figcaption{font-size:10px;line-height:1.2;color:#64748b;overflow-wrap:anywhere}
.warn{background:#fff4e5;border-left:4px solid #d97706;padding:.6em 1em}
.tag{padding:0 .5em;border-radius:.6em;background:#e2e8f0}
a{color:#1d4f80}
small{color:#64748b}
"""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; "
    "base-uri 'none'"
)
"""Browsers enforce that nothing is loaded."""
COLUMNS = 6
"""With more findings than this, the catalogue names each pattern's three largest effects instead of
giving each a column.
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
    """Return what was trained and measured, for a table."""
    with_images: bool = True
    """False: path-only mode."""


def page(title: str, body: str, up: str | None = None) -> str:
    """One whole HTML document."""
    head = (
        '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        f'content="{POLICY}"><title>{escape(title)}</title>'
    )
    back = f'<p><a href="{up}">all patterns and cases</a></p>' if up else ""
    whole = f"<head>{head}<style>{STYLE}</style></head><body>{back}<h1>{escape(title)}</h1>"
    whole += f"{body}</body>"
    return f'<!doctype html><html lang="en">{whole}</html>\n'


def table(header: list[str], rows: list[list[Any]], html: bool = False, kind: str = "") -> str:
    """Cells are escaped unless `html`; numbers stand right, and so do their headings. `kind` is a
    class of the style.
    """

    def cell(value):
        return f"<td{_align(value)}>{value if html else escape(_text(value))}</td>"

    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    first = rows[0] if rows else [""] * len(header)
    heads = "".join(
        f"<th{_align(value)}>{escape(name)}</th>" for name, value in zip(header, first, strict=True)
    )
    return f"<table{f' class={kind}' if kind else ''}><tr>{heads}</tr>{body}</table>"


def facts(rows: list[tuple[str, Any]]) -> str:
    """Table of what was measured, one fact a line, without headings."""
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(_text(value))}</td></tr>" for name, value in rows
    )
    return f"<table>{lines}</table>"


def _text(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _align(value):
    number = isinstance(value, int | float) or re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?%?", value)
    return ' class="n"' if number else ""


def pattern_link(pattern: Pattern, folder: str = "patterns/") -> str:
    """A link with the pattern's name."""
    return f'<a href="{folder}{pattern.id:05d}.html">{escape(pattern.name)}</a>'


def radiograph_figure(cases: Cases, row: int, caption: str, with_images: bool) -> str:
    """A thumbnail with a caption, or the radiograph's name alone."""
    name = escape(cases.ids[row])
    if not with_images:
        return f"<li>{name} <small>{escape(caption)}</small></li>"
    try:
        pixels = exemplars.contact_sheet([cases.read(int(row))], columns=1, size=104)
    except Unreadable:
        return f"<li>{name} could not be read</li>"
    data = base64.b64encode(exemplars.png(pixels)).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" '
        f'alt="{name}"><figcaption>{escape(caption)} {name}</figcaption></figure>'
    )


def _radiographs(cases, rows, captions, with_images):
    figures = "".join(
        radiograph_figure(cases, r, c, with_images) for r, c in zip(rows, captions, strict=True)
    )
    return figures if with_images else f"<ul>{figures}</ul>"


def pattern_page(
    pattern: Pattern, found: exemplars.Gallery, signal: np.ndarray, cases: Cases, site: Site
) -> str:
    """Category, measures, effect on logits, histogram, gallery, and what annotators found."""
    measured = pattern.measures
    alike, pure = measured["similarity"], measured["purity"]
    rows = [
        ["category", f"{pattern.category}: {pattern.why}"],
        ["support", f"{pattern.support:.0%} of members ({len(pattern.latents)} latents)"],
        ["active on", f"{pattern.density:.1%} of the cases here"],
        [
            "similarity of strongest cases above chance",
            f"{alike['value']:.3f} (95 %: {alike['low']:.3f} to {alike['high']:.3f}, "
            f"{alike['cases']} cases)",
        ],
        [
            "best finding",
            f"{pure['finding']}: AUROC {pure['auroc']:.3f}, average precision "
            f"{pure['precision'] or 0:.3f}",
        ],
        ["entropy of the gallery's labels", f"{pure['entropy']:.2f} bits"],
        *[[f"AUROC for {name}", f"{value:.2f}"] for name, value in measured["acquisition"].items()],
        *[[f"annotation: {name}", str(value)] for name, value in pattern.scores.items()],
    ]
    effects = table(
        ["finding", "effect on its logit per unit"],
        [[n, f"{w:+.3f}"] for n, w in zip(site.findings, pattern.weights, strict=True)],
    )

    def caption(r):
        return f"{signal[r]:.2f}"

    parts = [
        ("Strongest cases, one per patient", found.strongest),
        *((f"Quarter {i} of the other active cases", q) for i, q in enumerate(found.bins, 1)),
    ]
    parts.append(("Silent cases that look most like them", found.negatives))
    shown = "".join(
        f"<h2>{name}</h2>{_radiographs(cases, rows_, map(caption, rows_), site.with_images)}"
        for name, rows_ in parts
        if len(rows_)
    )
    members = ", ".join(f"{m}:{i}" for m, i in pattern.latents)
    body = (
        facts(rows)
        + effects
        + svg.histogram(signal)
        + shown
        + f"<p><small>member:latent {members}</small></p>"
    )
    return page(pattern.name, body, "../index.html")


def case_page(
    row: int,
    found: Attribution,
    catalogue: Catalogue,
    cases: Cases,
    site: Site,
    residual: float,
    warnings: tuple[str, ...] = (),
) -> str:
    """Logits, and for every finding a waterfall from the base to the logit, next to the logit as
    patterns go and come.

    `found` is of this case alone.
    """
    body = "".join(f'<p class="warn">{escape(text)}</p>' for text in warnings)
    body += _radiographs(cases, [row], [""], site.with_images)

    def probability(logit):
        return f"{1 / (1 + math.exp(-float(logit))):.3f}"

    labels = [
        "uncertain"
        if v == -1
        else "not mentioned"
        if np.isnan(v)
        else "present"
        if v == 1
        else "absent"
        for v in _labels(cases, row, site)
    ]
    rows = [
        [n, f"{at:+.3f}", probability(at), y]
        for n, at, y in zip(site.findings, found.logit, labels, strict=True)
    ]
    body += table(["finding", "logit", "probability", "label"], rows)
    body += f"<p>The parts add up to each logit; largest gap {residual:.1e}. Faithfulness: "
    body += (
        ", ".join(
            f"{escape(n)} {f:.3f}" for n, f in zip(site.findings, faithfulness(found), strict=True)
        )
        + "</p>"
    )
    if cases.reports:
        body += (
            f"<details><summary>report</summary><p>{escape(cases.reports[row])}</p></details>"
            if site.with_images
            else ""
        )
    for column, name in enumerate(site.findings):
        text, picture = waterfall_of(found, column, catalogue)
        body += (
            f"<h2>{escape(name)}</h2>{text}<div "
            f'class="side">{picture}{curves_of(found, column)}</div>'
        )
    return page(f"Case {cases.ids[row]}", body, "../index.html")


def _labels(cases, row, site):
    return [
        cases.labels[row, cases.findings.index(name)] if name in cases.findings else float("nan")
        for name in site.findings
    ]


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
        f"<p>{len(shown.patterns)} patterns carry {shown.covered:.0%} of all contributions; 90 "
        f"% takes {shown.needed}.</p>"
    )
    return text, svg.waterfall(rows, float(found.base[column]), float(found.logit[column]))


def catalogue_table(catalogue: Catalogue, findings: tuple[str, ...]) -> str:
    """A line per pattern, narrow enough for a window: what it predicts best, and how it moves the
    logits.
    """
    many = len(findings) > COLUMNS

    def effects(pattern: Pattern) -> list[str]:
        if not many:
            return [f"{w:+.2f}" for w in pattern.weights]
        largest = sorted(range(len(findings)), key=lambda c: -abs(pattern.weights[c]))[:3]
        return [", ".join(f"{escape(findings[c])} {pattern.weights[c]:+.2f}" for c in largest)]

    def line(p):
        return [
            pattern_link(p),
            f'<span class="tag">{p.category}</span>',
            f"{p.support:.0%}",
            f"{p.density:.1%}",
            *map(escape, _best_label(p)),
            f"{p.measures['similarity']['value']:.2f}",
            *effects(p),
        ]

    header = ["pattern", "category", "support", "active", "predicts best", "AUROC", "similarity"]
    header += ["largest effects"] if many else findings
    where = "The last column" if many else "The columns named after findings"
    note = "give" if not many else "gives"
    text = f"<p>{where} {note} the effect on the logits per unit of activation.</p>"
    return text + table(header, [line(p) for p in catalogue.patterns], html=True, kind="wide")


def _best_label(pattern: Pattern) -> tuple[str, str]:
    """Return what a pattern predicts best, by its category: how the radiograph was taken, or a
    finding; and the area under its curve.
    """
    measured = pattern.measures
    if pattern.category == "artifact":
        name, area = max(measured["acquisition"].items(), key=lambda pair: pair[1])
    else:
        name, area = measured["purity"]["finding"] or "-", measured["purity"]["auroc"]
    return name, f"{area:.2f}"


def index_page(catalogue: Catalogue, cases: Cases, site: Site, case_rows: list[int]) -> str:
    """Index: setting, quality of the classifier, catalogue and cases."""
    notes = "".join(f'<p class="warn">{escape(note)}</p>' for note in site.notes)
    body = notes + facts(list(site.facts.items()))

    def interval(s):
        return "-" if s["auc"] is None else f"{s['auc']:.3f} ({s['low']:.3f} to {s['high']:.3f})"

    rows = [
        [n, interval(s), s["present"], s["cases"], f"{s['calibration_error']:.3f}"]
        for n, s in site.scores.items()
    ]
    body += "<h2>Classifier, on cases kept apart</h2>" + table(
        ["finding", "AUC (95 %)", "present", "cases", "calibration error"], rows
    )
    supports, counts = zip(*catalogue.curve, strict=True)
    counted = {kind: sum(p.category == kind for p in catalogue.patterns) for kind in CATEGORIES}
    body += (
        f"<h2>{len(catalogue.patterns)} "
        f"patterns</h2><p>{', '.join(f'{n} {kind}' for kind, n in counted.items())}. "
    )
    body += (
        f"Left out: {', '.join(f'{n} latents {why}' for why, n in catalogue.filtered.items())}.</p>"
    )
    body += svg.line(
        supports, counts, x_label="share of members that must have a pattern", y_label="patterns"
    )
    cases_list = ", ".join(
        f'<a href="cases/{i:05d}.html">{escape(cases.ids[i])}</a>' for i in case_rows
    )
    body += f"<h2>Cases</h2><p>{cases_list}</p><h2>Catalogue</h2>" + catalogue_table(
        catalogue, site.findings
    )
    if cases.skipped:
        listed = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in cases.skipped)
        body += f"<h2>{len(cases.skipped)} radiographs were skipped</h2><ul>{listed}</ul>"
    return page(site.title, body)


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
      cases: the probe cases, in the order of `catalogue.activations`; embeddings: `[N, D]` of their
        images.
      case_rows: which of them get a page; found: their attributions, `[B, ...]`; gaps: their
        completeness, `[B]`.
    """
    for part in ("patterns", "cases"):
        shutil.rmtree(
            folder / part, ignore_errors=True
        )  # of an earlier catalogue, or with pixels that must go
        (folder / part).mkdir(parents=True)
    patients = np.array(cases.patients)
    for pattern in catalogue.patterns:
        signal = catalogue.activations[:, pattern.id]
        chosen = exemplars.gallery(signal, patients, embeddings, seed=pattern.id)
        write_atomically(
            folder / "patterns" / f"{pattern.id:05d}.html",
            pattern_page(pattern, chosen, signal, cases, site),
        )
        exemplars.write_index(chosen, signal, cases.ids, folder / "patterns" / f"{pattern.id:05d}")
        if site.with_images and len(chosen.strongest):
            sheet = exemplars.contact_sheet(_readable(cases, chosen.strongest))
            write_atomically(
                folder / "patterns" / f"{pattern.id:05d}" / "strongest.png", exemplars.png(sheet)
            )
    for number, row in enumerate(case_rows):
        one = Attribution(*(a[number] for a in found))
        write_atomically(
            folder / "cases" / f"{row:05d}.html",
            case_page(row, one, catalogue, cases, site, float(gaps[number])),
        )
    write_atomically(folder / "index.html", index_page(catalogue, cases, site, case_rows))
    return folder / "index.html"


def _readable(cases, rows):
    radiographs = []
    for row in rows:
        try:
            radiographs.append(cases.read(int(row)))
        except Unreadable:
            continue
    return radiographs
