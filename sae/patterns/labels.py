"""Measures of whether a pattern means one thing: similarity of its strongest cases, purity of their
labels, stability; and its category.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sae import metrics
from sae.patterns.catalogue import CATEGORY_OF, Catalogue, CatalogueConfig, Pattern, purity


def similarity(
    signal: np.ndarray, embeddings: np.ndarray, gallery: int, draws: int = 200, seed: int = 0
) -> dict[str, float]:
    """Weighted mean cosine between the strongest cases, minus that of random cases, with a 95 %
    bootstrap interval.

    Args:
      signal: activations `[N]`.
      embeddings: `[N, D]` of images.
      gallery: number of the strongest cases (those with activation 0 never count).
      draws: resamplings of these cases.
      seed: of the resamplings.

    Returns:
      {"value", "low", "high", "cases"}; zeros where fewer than three cases are active.
    """
    top = np.argsort(-signal, kind="stable")[:gallery]
    top = top[signal[top] > 0]
    if len(top) < 3:
        return {"value": 0.0, "low": 0.0, "high": 0.0, "cases": len(top)}
    unit = metrics.unit_rows(embeddings)
    chance = float(np.square(unit.mean(0)).sum())  # the mean cosine of two random cases
    table, generator = unit[top] @ unit[top].T, np.random.default_rng(seed)

    def mean(rows):
        weight = np.outer(signal[top[rows]], signal[top[rows]]) * (rows[:, None] != rows[None])
        return (weight * table[np.ix_(rows, rows)]).sum() / max(weight.sum(), 1e-12) - chance

    values = [mean(generator.integers(0, len(top), len(top))) for _ in range(draws)]
    low, high = np.percentile(values, [2.5, 97.5])
    return {
        "value": float(mean(np.arange(len(top)))),
        "low": float(low),
        "high": float(high),
        "cases": len(top),
    }


def label_entropy(signal: np.ndarray, labels: np.ndarray, gallery: int) -> float:
    """Entropy, in bits, of which label the strongest cases have (1s only); 0 where all share one,
    or none has any.
    """
    counts = (labels[np.argsort(-signal, kind="stable")[:gallery]] == 1).sum(0).astype(np.float64)
    share = counts[counts > 0] / max(counts.sum(), 1)
    return float(abs((share * np.log2(share)).sum())) if len(share) else 0.0


def acquisition_aucs(signal: np.ndarray, acquisition: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Prediction of each acquisition number by an activation, as an area under the curve; 0.5 for
    one that does not vary.

    Numbers of two values: radiographs with the larger one. Others: radiographs in the highest or in
    the lowest quarter, whichever is predicted better. NaN, where a table says nothing, does not
    count.
    """
    found = {}
    for name, values in acquisition.items():
        values = np.asarray(values, np.float64)
        known = np.isfinite(values)
        if not known.any():
            found[name] = 0.5
            continue
        low, high = np.percentile(values[known], [25, 75])
        sides = (
            (values == values[known].max(),)
            if len(np.unique(values[known])) == 2
            else (values >= high, values <= low)
        )
        areas = [metrics.auc(signal, side, known).value for side in sides]
        found[name] = float(np.nanmax(areas)) if not np.all(np.isnan(areas)) else 0.5
    return found


def category(found: dict[str, Any], acquisition: dict[str, float], clear: float) -> tuple[str, str]:
    """The category of a pattern, and what it rests on.

    The finding that it predicts best decides, by a fixed table, unless it tells better how the
    radiograph was taken. Our choice: both are compared as areas under the curve.
    """
    finding, area = found["finding"], found["auroc"]
    technical, linked = max(acquisition.items(), key=lambda pair: pair[1], default=(None, 0.0))
    if technical and linked >= clear and linked > area:
        return (
            "artifact",
            f"tells {technical} (AUROC {linked:.2f}) better than any finding ({finding or 'none'} "
            f"{area:.2f})",
        )
    if finding in CATEGORY_OF and area >= clear:
        return CATEGORY_OF[finding], f"tells {finding} (AUROC {area:.2f})"
    return "unassigned", f"best finding: {finding or 'none'} (AUROC {area:.2f})"


def describe(
    catalogue: Catalogue,
    embeddings: np.ndarray,
    labels: np.ndarray,
    findings: tuple[str, ...],
    acquisition: Mapping[str, np.ndarray],
    config: CatalogueConfig,
) -> Catalogue:
    """The catalogue with measures, categories and names.

    Args:
      catalogue: see `catalogue.build`.
      embeddings: `[N, D]` of the probe cases' images.
      labels: `[N, C]` of these cases: 1, 0, -1 (uncertain) or NaN.
      findings: names of the C columns.
      acquisition: numbers about how radiographs were taken by their names, `[N]` each.
      config: size of galleries, and limits of categories.
    """
    measured = []
    for pattern in catalogue.patterns:
        signal = catalogue.activations[:, pattern.id]
        pure = purity(signal, labels, findings)
        entropy = label_entropy(signal, labels, config.gallery)
        measures = {
            "similarity": similarity(signal, embeddings, config.gallery),
            "purity": pure | {"entropy": entropy},
            "stability": pattern.support,
            "acquisition": acquisition_aucs(signal, acquisition),
        }
        measured.append(replace(pattern, measures=measures))
    found = [titled(pattern, config.clear) for pattern in measured]
    apart = distinctions(found, catalogue.activations, labels, findings)
    done = [
        titled(replace(p, measures=p.measures | {"apart": apart[p.id]}), config.clear)
        if p.id in apart
        else p
        for p in found
    ]
    return replace(catalogue, patterns=tuple(done))


DISTINCT = 0.08
"""Least difference of AUROC from the others of the same name, for naming it. Our choice."""


def distinctions(
    patterns: list[Pattern], activations: np.ndarray, labels: np.ndarray, findings: tuple[str, ...]
) -> dict[int, str]:
    """Distinguish patterns of the same name: find the other finding whose prediction differs most
    from the average of their namesakes.

    Args:
      patterns: with names; activations: `[N, P]`; labels: `[N, C]`; findings: their names.

    Returns:
      "with Edema" or "without Edema" by pattern; patterns that nothing tells apart are left out.
    """
    groups: dict[str, list[Pattern]] = {}
    for pattern in patterns:
        groups.setdefault(subject_of(pattern), []).append(pattern)
    found = {}
    for subject, group in groups.items():
        columns = [c for c, name in enumerate(findings) if name != subject]
        if len(group) < 2 or not columns:
            continue
        areas = np.array(
            [
                [
                    metrics.auc(
                        activations[:, p.id], labels[:, c], np.isin(labels[:, c], (0, 1))
                    ).value
                    for c in columns
                ]
                for p in group
            ]
        )
        areas = np.where(np.isfinite(areas), areas, 0.5)
        apart = areas - areas.mean(0)
        for pattern, row in zip(group, apart, strict=True):
            column = int(np.argmax(np.abs(row)))
            if abs(row[column]) >= DISTINCT:
                word = "with" if row[column] > 0 else "without"
                found[pattern.id] = f"{word} {findings[columns[column]]}"
    return found


def subject_of(pattern: Pattern) -> str:
    """Name of a pattern without its number."""
    return pattern.name.rsplit(" (", 1)[0]


def titled(pattern: Pattern, clear: float) -> Pattern:
    """The pattern with the category and the name that follow from its measures."""
    pure, linked = pattern.measures["purity"], pattern.measures["acquisition"]
    kind, why = category(pure, linked, clear)
    known = pure["finding"] if pure["auroc"] >= clear else "unexplained"
    subject = max(linked, key=linked.get) if kind == "artifact" else known
    if "apart" in pattern.measures:
        subject = f"{subject} {pattern.measures['apart']}"
    if pattern.measures.get("place"):
        subject = f"{subject}, {pattern.measures['place']}"
    return replace(pattern, category=kind, why=why, name=f"{subject} ({pattern.id})")


def with_places(catalogue: Catalogue, places: Mapping[int, str], clear: float) -> Catalogue:
    """The catalogue with the places of patterns among their measures, and in names that are the
    same otherwise, where places differ.

    Args:
      catalogue: with names.
      places: part of the image that a pattern rests on, by its number; "" for no single one.
      clear: least AUROC for a category, as in the configuration.
    """
    patterns = list(catalogue.patterns)

    def note(number, **measured):
        own = patterns[number]
        patterns[number] = titled(replace(own, measures=own.measures | measured), clear)

    for number, where in places.items():
        note(number, evidence=where)
    for group in namesakes(catalogue):
        if len({places.get(number, "") for number in group}) > 1:
            for number in group:
                note(number, place=places.get(number, ""))
    return replace(catalogue, patterns=tuple(patterns))


def namesakes(catalogue: Catalogue) -> list[list[int]]:
    """Numbers of patterns in groups of the same name, without those of a name of their own."""
    groups: dict[str, list[int]] = {}
    for pattern in catalogue.patterns:
        groups.setdefault(subject_of(pattern), []).append(pattern.id)
    return [group for group in groups.values() if len(group) > 1]
