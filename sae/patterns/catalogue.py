"""From the latents of all members to a catalogue of patterns: filter, match, cluster, score, sort
into categories. Deterministic.

How many patterns there are is an outcome, reported as a curve over the support that is asked for;
it is never forced.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from sae import metrics
from sae.arrays import read_arrays, write_arrays
from sae.data.cases import NORMAL
from sae.patterns.matching import MatchConfig, edges, leaders, sparse

CATEGORIES = ("cardiac", "pulmonary", "pleural", "structural", "device", "artifact", "unassigned")
"""The paper's six, and one for what fits none of them."""
CATEGORY_OF = {
    "Enlarged Cardiomediastinum": "cardiac",
    "Cardiomegaly": "cardiac",
    "Lung Opacity": "pulmonary",
    "Lung Lesion": "pulmonary",
    "Edema": "pulmonary",
    "Consolidation": "pulmonary",
    "Pneumonia": "pulmonary",
    "Atelectasis": "pulmonary",
    "Pneumothorax": "pleural",
    "Pleural Effusion": "pleural",
    "Pleural Other": "pleural",
    "Fracture": "structural",
    "Support Devices": "device",
    # ChestX-ray14 and its small form
    "Infiltration": "pulmonary",
    "Mass": "pulmonary",
    "Nodule": "pulmonary",
    "Emphysema": "pulmonary",
    "Fibrosis": "pulmonary",
    "Effusion": "pleural",
    "Pleural_Thickening": "pleural",
    "Pleural": "pleural",
    "Hernia": "structural",
    # PadChest
    "pleural effusion": "pleural",
    "costophrenic angle blunting": "pleural",
    "pneumothorax": "pleural",
    "cardiomegaly": "cardiac",
    "aortic elongation": "cardiac",
    "pneumonia": "pulmonary",
    "atelectasis": "pulmonary",
    "consolidation": "pulmonary",
    "infiltrates": "pulmonary",
    "interstitial pattern": "pulmonary",
    "alveolar pattern": "pulmonary",
    "nodule": "pulmonary",
    "mass": "pulmonary",
    "emphysema": "pulmonary",
    "scoliosis": "structural",
    "kyphosis": "structural",
    "fracture": "structural",
    "hiatal hernia": "structural",
    "sternotomy": "structural",
    "pacemaker": "device",
    "NSG tube": "device",
    "endotracheal tube": "device",
    "central venous catheter": "device",
    # VinDr-CXR
    "Aortic enlargement": "cardiac",
    "ILD": "pulmonary",
    "Lung cavity": "pulmonary",
    "Lung cyst": "pulmonary",
    "Lung tumor": "pulmonary",
    "Nodule/Mass": "pulmonary",
    "Pulmonary fibrosis": "pulmonary",
    "Calcification": "pulmonary",
    "COPD": "pulmonary",
    "Tuberculosis": "pulmonary",
    "Pleural effusion": "pleural",
    "Pleural thickening": "pleural",
    "Mediastinal shift": "structural",
    "Rib fracture": "structural",
    "Clavicle fracture": "structural",
}
"""Category that a finding belongs to."""


@dataclass(frozen=True)
class CatalogueConfig:
    """Limits that make a group of latents a pattern."""

    match: MatchConfig = field(default_factory=MatchConfig)
    """Limits at which latents count as the same."""
    least_density: float = 1e-4
    """Share of probe cases on which a latent must be active; at least 20 cases, too (of less than
    400: a twentieth of them).
    """
    most_density: float = 0.3
    """Latents that are active on more cases are left out."""
    support: float = 0.03
    """Least share of the members that have the pattern (rounded up, at least one member)."""
    probes: int = 4096
    """Most cases on which activations are compared."""
    gallery: int = 20
    """Cases with the strongest activations that the measures look at."""
    clear: float = 0.65
    """Least AUROC for a finding or for how radiographs were taken, for a category. Our choice."""


@dataclass(frozen=True)
class Pattern:
    """One entry of the catalogue."""

    id: int
    """Number of the pattern; the best supported come first."""
    latents: tuple[tuple[int, int], ...]
    """Latents as (member, latent), the leader first."""
    support: float
    """Share of members that have the pattern."""
    density: float
    """Share of probe cases on which the pattern is active."""
    weights: tuple[float, ...]
    """Mean effect on each finding's logit per unit of activation."""
    category: str
    """One of `CATEGORIES`."""
    why: str
    """Grounds of the category."""
    name: str
    """A title for readers; `annotate` may replace it."""
    measures: dict[str, Any]
    """Similarity of its strongest cases above chance with interval, label purity, stability; see
    measures.py.
    """
    scores: dict[str, Any] = field(default_factory=dict)
    """Findings of the annotators."""


@dataclass(frozen=True)
class Catalogue:
    """All patterns, and what belongs to none."""

    patterns: tuple[Pattern, ...]
    assignment: np.ndarray
    """int32 `[M, F]`: the pattern of each latent, -1 for none."""
    activations: np.ndarray
    """float32 `[N, P]`: mean activation of each pattern's latents on the probe cases."""
    curve: list[tuple[float, int]]
    """Pairs (support asked for, number of patterns that have it)."""
    filtered: dict[str, int]
    """Number of latents that each filter left out."""


def check(config: CatalogueConfig) -> None:
    """Refuse limits that nothing can pass.

    Raises:
      UserError: naming the field.
    """
    if not 0 <= config.support <= 1:
        raise UserError(f"support is {config.support:g}: it is a share of the members, from 0 to 1")
    if not 0 <= config.least_density < config.most_density <= 1:
        between = f"{config.least_density:g} to {config.most_density:g}"
        raise UserError(
            f"densities go from {between}: both are shares of cases, and least_density must be the "
            "smaller"
        )
    if min(config.probes, config.gallery, config.match.block) < 1:
        raise UserError("probes, gallery and block of a catalogue must each be at least 1")


def sparse_latents(z: np.ndarray):
    """Activations `[M, N, F]` as a sparse matrix `[M F, N]`, latents by cases."""
    return sparse(z.transpose(0, 2, 1).reshape(-1, z.shape[1]))


def passing(
    signals, decoders: np.ndarray, config: CatalogueConfig
) -> tuple[np.ndarray, dict[str, int]]:
    """bool `[M F]` of latents that may be patterns, and how many were not, by reason.

    Args:
      signals: sparse activations `[M F, N]` on probe cases; decoders: `[M F, E]`.
    """
    cases = signals.shape[1]
    active = np.diff(signals.indptr) / cases
    least = max(min(20, cases // 20) / cases, config.least_density)
    gone, still = {}, np.ones(len(active), bool)
    for reason, bad in (
        ("never active", active == 0),
        ("no decoder", np.linalg.norm(decoders, axis=-1) == 0),
        ("too rare", active < least),
        ("too common", active > config.most_density),
    ):
        gone[reason] = int((still & bad).sum())
        still &= ~bad
    return still, gone


def build(z, decoders: np.ndarray, readout: np.ndarray, config: CatalogueConfig) -> Catalogue:
    """Patterns without names, categories and measures (see `describe` in measures.py).

    Args:
      z: activations of all members on probe cases, `[M, N, F]`, or sparse `[M F, N]` (see
        `sparse_latents`).
      decoders: `[M, F, E]` of raw units.
      readout: `[E, C]`, how hidden activity becomes logits.
      config: limits of the filter, of matching and of the support.

    Raises:
      UserError: no latent passes the filter, or no pattern has the support.
    """
    total, width = shape = decoders.shape[:2]
    signals = sparse_latents(z) if isinstance(z, np.ndarray) else sparse(z)
    signals.eliminate_zeros()
    flat = decoders.reshape(total * width, -1)
    still, gone = passing(signals, flat, config)
    place = np.flatnonzero(still)
    if not len(place):
        raise UserError(
            f"the catalogue is empty: of {still.size} latents none passes the filter ({gone}); "
            "train longer, or widen its limits"
        )
    own, signals, rows = place // width, signals[place], flat[place]
    found = edges(rows, signals, own, config.match)
    clusters = leaders(found, own, _order(found, own, signals))
    sizes = np.array([len(group) for group in clusters])
    curve = [(round(m / total, 4), int((sizes >= m).sum())) for m in range(1, total + 1)]
    least = max(1, int(np.ceil(config.support * total - 1e-9)))
    kept = [group for group in clusters if len(group) >= least]
    if not kept:
        raise UserError(
            f"the catalogue is empty: no pattern is shared by {least} of {total} members; ask for "
            f"less support than {config.support:g}"
        )
    patterns, assignment, strength = _patterns(kept, _Latents(place, signals, rows, shape), readout)
    return Catalogue(patterns, assignment, strength, curve, gone)


class _Latents(NamedTuple):
    """Latents that passed the filter."""

    place: np.ndarray
    """int `[n]`: member times width plus number."""
    signals: Any
    """`[n, N]`, sparse."""
    rows: np.ndarray
    """Decoder rows `[n, E]`."""
    shape: tuple[int, int]
    """Members, and latents of each."""


def _patterns(kept, latents, readout):
    """Patterns of clusters, best supported first; the assignment and activations."""
    place, signals, rows, (total, width) = latents
    strength = np.stack([np.asarray(signals[group].mean(0)).reshape(-1) for group in kept], 1)
    often = np.array(
        [(np.asarray((signals[group] > 0).mean(0)).reshape(-1) >= 0.5).mean() for group in kept]
    )
    first = sorted(
        range(len(kept)),
        key=lambda p: (-len(kept[p]), -often[p], tuple(np.round(rows[kept[p][0]], 5))),
    )
    assignment, patterns = np.full(total * width, -1, np.int32), []
    for number, p in enumerate(first):
        where = place[kept[p]]
        assignment[where] = number
        pairs = tuple((int(i // width), int(i % width)) for i in where)
        weights = tuple(float(w) for w in (rows[kept[p]] @ readout).mean(0))
        share = len(pairs) / total
        patterns.append(
            Pattern(
                number,
                pairs,
                share,
                float(often[p]),
                weights,
                "unassigned",
                "",
                f"pattern {number}",
                {},
            )
        )
    strength = strength[:, first].astype(np.float32)
    return tuple(patterns), assignment.reshape(total, width), strength


def _order(found, own, signals):
    """Leaders first: most members around, then most active, then by their activations, which are
    the same wherever a member stands.
    """
    pairs = np.unique(found.source.astype(np.int64) * (int(own.max()) + 1) + own[found.target])
    around = np.bincount((pairs // (int(own.max()) + 1)).astype(np.int64), minlength=len(own))
    probe = np.random.default_rng(0).standard_normal(signals.shape[1])
    finger = np.round(signals.astype(np.float64) @ probe, 6)
    return np.lexsort((finger, -np.diff(signals.indptr), -around))


def save(catalogue: Catalogue, folder: Path) -> None:
    """patterns.jsonl, one line per pattern; curve.json; and last, as it stands for the whole,
    catalogue.npz with the arrays.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomic(
        folder / "patterns.jsonl", "".join(json.dumps(asdict(p)) + "\n" for p in catalogue.patterns)
    )
    write_atomic(
        folder / "curve.json",
        json.dumps({"curve": catalogue.curve, "filtered": catalogue.filtered}) + "\n",
    )
    arrays = {"assignment": catalogue.assignment, "activations": catalogue.activations}
    write_arrays(folder / "catalogue.npz", arrays, packed=True)


def load(folder: Path) -> Catalogue:
    """The inverse of `save`.

    Raises:
      UserError: there is none, or it is damaged.
    """
    try:
        rows = [json.loads(line) for line in (folder / "patterns.jsonl").read_text().splitlines()]
        rest = json.loads((folder / "curve.json").read_text())
        arrays = read_arrays(folder / "catalogue.npz")
        patterns = [
            Pattern(
                **row
                | {"latents": tuple(map(tuple, row["latents"])), "weights": tuple(row["weights"])}
            )
            for row in rows
        ]
        if arrays["activations"].shape[1] != len(patterns):
            raise ValueError(
                f"{len(patterns)} patterns, but arrays of {arrays['activations'].shape[1]}"
            )
        return Catalogue(
            tuple(patterns),
            arrays["assignment"],
            arrays["activations"],
            [tuple(p) for p in rest["curve"]],
            rest["filtered"],
        )
    except FileNotFoundError as error:
        raise UserError(
            f"there is no catalogue in {folder} ({error.filename} is missing): run python -m sae "
            "catalogue first"
        ) from None
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(
            f"the catalogue in {folder} is damaged ({error}): run python -m sae catalogue again"
        ) from None


def purity(signal: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> dict[str, Any]:
    """Purity: how well an activation `[N]` predicts each label `[N, C]` (1, 0, else ignored), and
    radiographs without any: the best one's name, AUROC and average precision.
    """
    best = {"finding": None, "auroc": 0.5, "precision": None}
    normal = np.where((labels == 0).all(1), 1.0, np.where((labels == 1).any(1), 0.0, np.nan))
    if NORMAL not in names:
        labels, names = np.concatenate([labels, normal[:, None]], 1), (*names, NORMAL)
    for column, name in enumerate(names):
        known = np.isin(labels[:, column], (0, 1))
        area = metrics.auc(signal, labels[:, column], known).value
        if area > best["auroc"]:
            precision = metrics.average_precision(signal[known], labels[known, column])
            best = {"finding": name, "auroc": float(area), "precision": float(precision)}
    return best
