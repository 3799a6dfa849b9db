"""One radiograph explained by a trained run: load artifacts, decompose the logits, write the page.

Nothing is trained, embedded again or written into the run.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from jaxrl.app.errors import UserError
from sae.data import embeddings
from sae.data.cases import Cases, Unreadable, take
from sae.data.images import read_image
from sae.metrics import unit_rows
from sae.patterns import catalogue as catalogues
from sae.patterns.attribution import Attribution, strongest
from sae.patterns.catalogue import Catalogue
from sae.pipeline import run as runs
from sae.pipeline.run import Run
from sae.report import html

NEIGHBORS = 10
"""Training cases whose mean distance says how unusual an embedding is."""
REFERENCES = 2000
"""Held-out cases at most that the distance is compared with."""
UNUSUAL = 0.995
"""Share of held-out cases below which a distance, or a share in no pattern, counts as usual. Our
choice.
"""


class Artifacts(NamedTuple):
    """Everything that an explanation needs, loaded."""

    run: Run
    catalogue: Catalogue


class Contribution(NamedTuple):
    """One pattern's part of one logit."""

    pattern: int
    name: str
    category: str
    amount: float


class Familiarity(NamedTuple):
    """Distance of a case from the training data, compared with held-out cases."""

    distance: float
    """Mean cosine distance from the ten nearest training cases."""
    usual: float
    """The distance that all but one in two hundred held-out cases stay below."""


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The logits of one radiograph as sums of parts."""

    case: str
    """Name of the radiograph."""
    findings: tuple[str, ...]
    """Names of the C logits."""
    logits: np.ndarray
    """`[C]`."""
    parts: Attribution
    """All parts of the sums; see `sae.patterns.attribution`."""
    familiarity: Familiarity
    """Distance of the radiograph from those that the run was trained on."""
    warnings: tuple[str, ...]
    """Warnings that a reader must know before any number."""
    completeness: float
    """Largest gap between the parts and a logit, relative to the logit."""
    artifacts: Artifacts
    """Artifacts that were loaded, for pages and further questions."""
    cases: Cases
    """The radiograph itself, as `Cases` of length 1."""

    def __repr__(self) -> str:
        """Name the case and its logits."""
        logits = ", ".join(
            f"{name} {logit:+.2f}" for name, logit in zip(self.findings, self.logits, strict=True)
        )
        return f"Explanation({self.case}: {logits}; {len(self.warnings)} warnings)"

    @property
    def probabilities(self) -> np.ndarray:
        """Calibrated probability of every finding, `[C]`."""
        return 1 / (1 + np.exp(-self.logits))

    @property
    def share(self) -> np.ndarray:
        """Share of the absolute parts of each logit that lies in patterns, `[C]` in [0, 1]."""
        return 1 - outside_share(self.parts)

    def contributions(self, finding: str) -> list[Contribution]:
        """List what each pattern adds to the logit of a finding, strongest first.

        Raises:
          UserError: there is no such finding.
        """
        if finding not in self.findings:
            raise UserError(f"there is no finding {finding}; there are {', '.join(self.findings)}")
        amounts = np.asarray(self.parts.patterns)[:, self.findings.index(finding)]
        found = []
        for number in np.argsort(-np.abs(amounts), kind="stable"):
            if amounts[number]:
                entry = self.artifacts.catalogue.patterns[number]
                found.append(
                    Contribution(int(number), entry.name, entry.category, float(amounts[number]))
                )
        return found

    def to_html(self) -> str:
        """Write the page of the case; it loads nothing and links to the run's report."""
        run, catalogue = self.artifacts
        site = replace(runs.explanation_site(run), evidence=runs.evidence_of(run, catalogue))
        case = html.Case(0, self.parts, self.completeness, self.warnings, inside=True)
        text = html.case_page(case, catalogue, self.cases, site)
        up = f"{(run.folder / 'report').resolve().as_uri()}/"
        return text.replace('href="../', f'href="{up}')

    def _repr_html_(self) -> str:
        """Show the page in a notebook, in a frame of its own."""
        from html import escape

        frame = escape(self.to_html(), quote=True)
        return f'<iframe srcdoc="{frame}" width="100%" height="700" title="explanation"></iframe>'


def load_artifacts(run_dir: str | Path) -> Artifacts:
    """Load a trained run and its catalogue.

    Raises:
      UserError: a file is missing or damaged.
    """
    run = runs.load(run_dir)
    catalogue = catalogues.load(run.folder / "catalogue")
    if catalogue.assignment.shape != (len(run.members["W_dec"]), run.shape.latents):
        raise UserError(
            f"the catalogue in {run.folder} is of other members: run python -m sae catalogue "
            f"--run-dir {run.folder}"
        )
    return Artifacts(run, catalogue)


def explain(
    run: str | Path | Artifacts,
    image: str | Path | ArrayLike,
    name: str | None = None,
    report: str = "",
) -> Explanation:
    """Decompose the logits of one radiograph into patterns.

    Args:
      run: folder of a trained run, or what `load_artifacts` gave (quicker for many images).
      image: a file (PNG, JPEG, DICOM), an embeddings file (.npz), the name of a case of the run, or
        pixels, uint8 `[H, W]` or `[H, W, 3]` (an array of NumPy or JAX, or an image of Pillow).
      name: which case of an embeddings file (its first if not given), or what to call pixels.
      report: text of the report, where the head reads one.

    Raises:
      UserError: the run or the image cannot be used.
    """
    artifacts = run if isinstance(run, Artifacts) else load_artifacts(run)
    cases, x, notes = _case_of(artifacts.run, image, name, report)
    return explain_case(artifacts, cases, x, notes)


def explain_case(
    artifacts: Artifacts, cases: Cases, x: np.ndarray, notes: tuple[str, ...] = ()
) -> Explanation:
    """Decompose the logits of one embedding.

    Args:
      artifacts: a trained run and its catalogue, loaded.
      cases: the case, of length 1.
      x: its input of the head, `[1, D]`.
      notes: warnings that are known already.
    """
    run, catalogue = artifacts
    found, gaps = runs.explain_rows(run, catalogue, x)
    one = Attribution(*(np.asarray(part)[0] for part in found))
    reference = _references(run)
    near = familiarity(run.x[run.parts["train"]], run.x[reference], x[0])
    warnings = [*notes]
    if near.distance > near.usual:
        warnings.append(
            f"this image is unlike the training data: its embedding lies {near.distance:.3f} from "
            f"the nearest training cases, where 199 of 200 held-out cases stay below "
            f"{near.usual:.3f}; its logits may mean nothing"
        )
    usual, _ = runs.explain_rows(run, catalogue, run.x[reference[:200]])
    limits = np.quantile(outside_share(usual), UNUSUAL, axis=0)
    for finding, mine, limit in zip(run.config.findings, outside_share(one), limits, strict=True):
        if mine > limit + 0.02:
            warnings.append(
                f"{finding}: {mine:.0%} of the parts of its logit lie in no pattern, where "
                f"held-out cases have at most {limit:.0%}"
            )
    return Explanation(
        cases.ids[0],
        tuple(run.config.findings),
        np.asarray(one.logit),
        one,
        near,
        tuple(warnings),
        float(gaps[0]),
        artifacts,
        cases,
    )


def outside_share(found: Attribution) -> np.ndarray:
    """Share of the absolute parts of each logit, the base left out, that is in no pattern.

    Returns:
      `[..., C]`, in [0, 1]; 0 where nothing is active.
    """
    inside = np.abs(found.patterns).sum(-2)
    outside = np.abs(found.uncatalogued) + np.abs(found.skip) + np.abs(found.error)
    return outside / np.maximum(inside + outside, 1e-12)


def familiarity(train: np.ndarray, held: np.ndarray, x: np.ndarray) -> Familiarity:
    """Compare the distance of a case from the training data with that of held-out cases.

    Args:
      train: `[N, D]`, held: `[K, D]`, x: `[D]`.
    """
    rows = unit_rows(np.asarray(train, np.float32))

    def distances(some):
        near = min(NEIGHBORS, len(rows))
        cosine = unit_rows(np.asarray(some, np.float32)) @ rows.T
        return 1 - np.partition(cosine, len(rows) - near, -1)[:, -near:].mean(-1)

    usual = np.concatenate([distances(held[i : i + 256]) for i in range(0, len(held), 256)])
    return Familiarity(float(distances(x[None])[0]), float(np.quantile(usual, UNUSUAL)))


def _references(run):
    """Held-out rows that stand for usual cases: of the test side, at most `REFERENCES`."""
    return run.parts["test"][:REFERENCES]


def _case_of(run, image, name, report):
    """The case, its input of the head `[1, D]`, and warnings."""
    unread = report and run.config.classifier.modality == "image"
    notes = ("the head sees images alone: the report has no part in any logit",) if unread else ()
    if hasattr(image, "__array__") or hasattr(image, "__array_interface__"):
        pixels = _checked(np.asarray(image))
        case = runs.case_of(name or "image", pixels, run.config, report)
        return case, runs.embed_image(run, pixels, report), notes
    if not isinstance(image, str | Path):
        raise UserError(
            f"an image of type {type(image).__name__} is not read: give a file, the name of a case "
            "or pixels"
        )
    cases = run.embedded.cases
    if str(image) in cases.ids:
        row = cases.ids.index(str(image))
        return take(cases, np.array([row])), run.x[[row]], ()
    path = Path(image)
    if path.suffix == ".npz":
        return _embedded_case(run, path, name)
    try:
        pixels = read_image(path)
    except Unreadable as trouble:
        raise UserError(
            f"{path} cannot be explained: {trouble}; name a radiograph, an embeddings file, or one "
            "of the run's radiographs"
        ) from None
    case = runs.case_of(path.name, pixels, run.config, report)
    return case, runs.embed_image(run, pixels, report), notes


def _checked(pixels):
    """Pixels as the encoders take them."""
    fits = pixels.ndim in (2, 3) and pixels.shape[2:] in ((), (3,)) and pixels.size
    if pixels.dtype != np.uint8 or not fits:
        raise UserError(
            f"pixels of shape {pixels.shape} and type {pixels.dtype} are no image: give uint8 "
            "[H, W] or [H, W, 3]"
        )
    return pixels


def _embedded_case(run, path, name):
    """A case of an embeddings file."""
    stored = embeddings.load(path)
    x, _ = runs.head_inputs(run.config, stored)
    embeddings.check_rows(x, f"embeddings of {path}", run.x.shape[1])
    ids, notes = stored.cases.ids, []
    if name is None:
        if len(ids) > 1:
            notes.append(
                f"{path} holds {len(ids)} radiographs; the first, {ids[0]}, is explained (--name "
                "chooses another)"
            )
        row = 0
    elif name in ids:
        row = ids.index(name)
    else:
        raise UserError(
            f"{path} holds no radiograph {name}; it holds "
            f"{', '.join(ids[:5])}{', ...' if len(ids) > 5 else ''}"
        )
    if stored.encoder != run.embedded.encoder:
        notes.append(
            f"{path} was made by {stored.encoder}, the run's embeddings by {run.embedded.encoder}"
        )
    return take(stored.cases, np.array([row])), x[[row]], tuple(notes)


def lines(found: Explanation, shown: int = 10) -> list[str]:
    """Describe an explanation in lines for a terminal: warnings, then every finding."""
    listed = [f"warning: {warning}" for warning in found.warnings]
    for column, finding in enumerate(found.findings):
        one = strongest(np.asarray(found.parts.patterns)[:, column])
        logit = float(found.logits[column])
        listed.append(
            f"{finding}: logit {logit:+.4f}, probability {1 / (1 + math.exp(-logit)):.3f}"
        )
        listed.append(
            f"  base {found.parts.base[column]:+.4f}, in no pattern "
            f"{found.parts.uncatalogued[column]:+.4f}, missed {found.parts.error[column]:+.4f}"
        )
        for entry in found.contributions(finding)[:shown]:
            listed.append(f"  {entry.amount:+.4f}  {entry.name} [{entry.category}]")
        rest = found.parts.patterns[:, column].sum() - one.amounts[:shown].sum()
        listed.append(f"  {rest:+.4f}  all other patterns; 90 % takes {one.needed}")
    listed.append(f"largest gap between the parts and a logit: {found.completeness:.1e}")
    return listed
