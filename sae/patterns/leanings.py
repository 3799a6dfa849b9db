"""Reliance of each finding: shares of categories, shortcuts, and families of near duplicates."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from sae import metrics
from sae.patterns.attribution import Attribution, without
from sae.patterns.catalogue import Catalogue

ALIKE = 0.8
"""Least correlation of the activations of two patterns of one family. Our choice."""
NOTICEABLE = 0.05
"""Least mean change of a logit for a shortcut to be named. Our choice."""


class Shortcut(NamedTuple):
    """Artifact patterns of one kind, and what a finding would be without them."""

    kind: str
    """Property of how radiographs were taken that the patterns show, as the acquisition table names
    it.
    """
    patterns: tuple[int, ...]
    change: float
    """Mean change of the logit when they are removed, over `cases`."""
    cases: int
    """Held-out cases taken this way (all of them if the number is not of two values)."""
    auc: float
    """AUC of the finding on all held-out cases; NaN if a class is missing."""
    auc_without: float
    """AUC after the patterns were removed."""


class Leaning(NamedTuple):
    """Reliance of one finding."""

    finding: str
    shares: dict[str, float]
    """Share of the absolute contributions by category; with `outside` they add up to 1."""
    outside: float
    """Share in no pattern: uncatalogued latents, affine path and error."""
    shortcuts: tuple[Shortcut, ...]


def leanings(
    found: Attribution,
    catalogue: Catalogue,
    findings: tuple[str, ...],
    labels: np.ndarray,
    acquisition: Mapping[str, np.ndarray],
) -> tuple[Leaning, ...]:
    """Measure what every finding rests on.

    Args:
      found: attributions of held-out cases, `[B, ...]`.
      catalogue: the patterns.
      findings: names of the C logits.
      labels: `[B, C]`: 1, 0, else unknown.
      acquisition: numbers `[B]` about how the radiographs were taken.
    """
    parts = np.abs(np.asarray(found.patterns)).sum(0)
    outside = sum(np.abs(np.asarray(a)).sum(0) for a in (found.uncatalogued, found.skip))
    outside = outside + np.abs(np.asarray(found.error)).sum(0)
    total = np.maximum(parts.sum(0) + outside, 1e-12)
    kinds = [p.category for p in catalogue.patterns]
    made = []
    for column, finding in enumerate(findings):
        shares = {
            kind: float(parts[[k == kind for k in kinds], column].sum() / total[column])
            for kind in dict.fromkeys(kinds)
        }
        shortcuts = tuple(
            shortcut
            for kind, numbers in _artifacts(catalogue).items()
            if (shortcut := _shortcut(found, column, labels, acquisition, (kind, numbers)))
        )
        made.append(Leaning(finding, shares, float(outside[column] / total[column]), shortcuts))
    return tuple(made)


def _artifacts(catalogue):
    """Artifact patterns by what they tell best."""
    groups: dict[str, list[int]] = {}
    for pattern in catalogue.patterns:
        linked = pattern.measures.get("acquisition", {})
        if pattern.category == "artifact" and linked:
            groups.setdefault(max(linked, key=linked.get), []).append(pattern.id)
    return groups


def _shortcut(found, column, labels, acquisition, group):
    kind, numbers = group
    logit = np.asarray(found.logit)[:, column]
    reduced = without(found, numbers)[:, column]
    values = np.asarray(acquisition.get(kind, np.ones(len(logit))), np.float64)
    known = values[np.isfinite(values)]
    two = len(np.unique(known)) == 2
    taken = values == known.max() if two else np.ones(len(logit), bool)
    change = float((reduced - logit)[taken].mean()) if taken.any() else 0.0
    if abs(change) < NOTICEABLE:
        return None
    sure = np.isin(labels[:, column], (0, 1))
    areas = [metrics.auc(score, labels[:, column], sure).value for score in (logit, reduced)]
    return Shortcut(kind, tuple(numbers), change, int(taken.sum()), *map(float, areas))


def sentence(leaning: Leaning, shortcut: Shortcut) -> str:
    """A shortcut in words."""
    count = len(shortcut.patterns)
    patterns = f"the {count} artifact patterns" if count > 1 else "the artifact pattern"
    way = "lowers" if shortcut.change < 0 else "raises"
    text = (
        f"{leaning.finding}: removing {patterns} of {shortcut.kind} {way} the logit by "
        f"{abs(shortcut.change):.2f} on average ({shortcut.cases} cases)"
    )
    if np.isfinite(shortcut.auc):
        text += f"; AUC {shortcut.auc:.3f} -> {shortcut.auc_without:.3f}"
    return text


class Suspect(NamedTuple):
    """Patterns that stand for a finding or for how its radiographs were taken: nobody can say."""

    finding: str
    kind: str
    """Property of how radiographs were taken, as the acquisition table names it."""
    patterns: tuple[int, ...]
    areas: tuple[float, float]
    """Largest AUROC for the kind, and the same pattern's for the finding."""
    place: str = ""
    """Part of the image that the evidence of most of them lies in; "": none, or not known."""


SUSPICIOUS, NEAR = 0.8, 0.05
"""Least AUROC for a kind, and largest distance from the AUROC for the finding. Our choice."""


def suspects(catalogue: Catalogue) -> list[Suspect]:
    """Find patterns that are no artifacts but predict how radiographs were taken nearly as well as
    their finding, the most numerous first.
    """
    groups: dict[tuple[str, str], list[tuple[float, float, int]]] = {}
    for pattern in catalogue.patterns:
        pure, linked = pattern.measures["purity"], pattern.measures.get("acquisition", {})
        for kind, area in linked.items():
            near = area >= max(SUSPICIOUS, pure["auroc"] - NEAR)
            if pattern.category != "artifact" and pure["finding"] and near:
                entry = (area, pure["auroc"], pattern.id)
                groups.setdefault((pure["finding"], kind), []).append(entry)
    found = [
        Suspect(finding, kind, numbers, max(entries)[:2], _shared_place(catalogue, numbers))
        for (finding, kind), entries in groups.items()
        for numbers in [tuple(entry[2] for entry in entries)]
    ]
    return sorted(found, key=lambda one: -len(one.patterns))


def _shared_place(catalogue, numbers):
    places = [catalogue.patterns[number].measures.get("evidence", "") for number in numbers]
    most = max(places, key=places.count)
    return most if 2 * places.count(most) > len(places) else ""


def suspicion(one: Suspect) -> str:
    """Patterns under suspicion in words; which galleries to open is left to the reader of
    `Suspect.patterns`.
    """
    count = len(one.patterns)
    who = (
        f"{count} patterns of {one.finding} tell"
        if count > 1
        else (f"one pattern of {one.finding} tells")
    )
    rest = f"{'most of them rest' if count > 1 else 'it rests'} on the image's {one.place}"
    linked, own = one.areas
    return (
        f"{who} {one.kind} nearly as well (AUROC {linked:.2f}, of the finding {own:.2f}): on these "
        "cases the two occur together, so it may be a shortcut" + (f"; {rest}" if one.place else "")
    )


def families(catalogue: Catalogue) -> list[list[int]]:
    """Patterns in groups of near duplicates: of one category, and correlated by at least `ALIKE`
    with the first of the group, which is the best supported.
    """
    signals = np.asarray(catalogue.activations, np.float64)
    centered = signals - signals.mean(0, keepdims=True)
    rows = metrics.unit_rows(centered.T)
    alike = rows @ rows.T >= ALIKE
    groups: list[list[int]] = []
    for pattern in catalogue.patterns:
        mine = next(
            (
                group
                for group in groups
                if alike[group[0], pattern.id]
                and catalogue.patterns[group[0]].category == pattern.category
            ),
            None,
        )
        if mine is None:
            groups.append([pattern.id])
        else:
            mine.append(pattern.id)
    return groups
