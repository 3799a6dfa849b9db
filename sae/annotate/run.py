"""Annotating the catalogue of a run: every pattern is examined, kept at once, and continued
after an interruption.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from sae.annotate.endpoint import Cassette, Endpoint, EndpointConfig, Recorded, Silent
from sae.annotate.protocol import Annotator, Radiograph, examine
from sae.annotate.rules import Rules, read_manual
from sae.data.cases import Unreadable, take
from sae.patterns import catalogue as catalogues
from sae.patterns import labels
from sae.patterns.exemplars import gallery

KEYWORDS = (
    ("device", ("catheter", "pacemaker", "tube", "line", "device", "wire", "port")),
    ("pleural", ("effusion", "pleural", "pneumothorax")),
    ("cardiac", ("heart", "cardio", "cardiac", "mediastin")),
    ("structural", ("fracture", "rib", "clavicle", "spine", "scoliosis")),
    (
        "artifact",
        ("marker", "exposed", "exposure", "rotation", "artifact", "artefact", "letter", "view"),
    ),
    (
        "pulmonary",
        (
            "opacity",
            "lung",
            "consolidation",
            "edema",
            "atelectasis",
            "pneumonia",
            "nodule",
            "infiltrat",
        ),
    ),
)
"""Words of a verified name that decide on the category, the first match first."""
ASKING = ("endpoint", "recorded")
"""Annotators that see radiographs."""


@dataclass(frozen=True)
class AnnotateConfig:
    """Choice of the annotator, and limits of its names."""

    annotator: Literal["rules", "manual", "endpoint", "recorded"] = "rules"
    """rules: labels and reports, without a model. manual: a table. endpoint: a chat model.
    recorded: only answers that were kept.
    """
    table: str | None = None
    """Table of the manual annotator: a .csv with pattern, name, and perhaps radiograph and shows (1
    or 0). A name without verdicts stands unverified. Radiographs to judge are every other one of
    "strongest", from the second on, and "negatives" in a gallery's index.json.
    """
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    """Address and model of the endpoint annotator."""
    cassette: str | None = None
    """File of answers. Default: annotations/answers.jsonl in the run's folder."""
    patterns: int = 0
    """Number of patterns that are named, from the first on; 0: all."""
    accept: float = 0.8
    """Least accuracy for a name to replace the pattern's own and decide on its category. Our
    choice.
    """
    reports: bool = True
    """Show reports to the annotator, too. Not to rules where the run shows no radiographs, as its
    names are sentences of reports.
    """


def annotate_run(run, config: AnnotateConfig) -> Iterator[str]:
    """Examine the patterns of a run one by one; printable lines. The catalogue is written after
    the last one.

    What is done is kept in annotations/<annotator>.jsonl, so that an interrupted annotation goes
    on.

    Raises:
      UserError: the annotator cannot work; the endpoint stays silent (what is done is kept).
    """
    from sae.pipeline.run import probe_rows, step_catalogue

    found, rows = step_catalogue(run), probe_rows(run)
    cases, shown = take(run.embedded.cases, rows), run.config.show_images
    radiograph = _radiographer(
        cases,
        config.reports and (shown or config.annotator != "rules"),
        shown and config.annotator in ASKING,
    )
    seen = run.embedded.image if run.embedded.image is not None else run.embedded.text
    make = _maker(config, run.folder, found, cases, radiograph)
    file = run.folder / "annotations" / f"{config.annotator}.jsonl"
    with writing(file):
        file.parent.mkdir(exist_ok=True)
    wanted = found.patterns[: config.patterns or None]
    done = _kept(file, {pattern.id: _subject(pattern, config) for pattern in wanted}, config)
    for pattern in wanted:
        if pattern.id in done:
            continue
        signal = found.activations[:, pattern.id]
        around = gallery(signal, np.array(cases.patients), seen[rows], seed=pattern.id)
        try:
            verdict = examine(make(pattern.id), around, radiograph)
        except Silent as trouble:
            raise UserError(
                f"{trouble}; {len(done)} of {len(wanted)} patterns are done and kept: start the "
                "endpoint and run the same command again"
            ) from None
        done[pattern.id] = {
            "pattern": pattern.id,
            "of": _subject(pattern, config),
            "name": verdict.name,
            **verdict.record(),
        }
        write_atomic(file, "".join(json.dumps(entry) + "\n" for entry in done.values()))
    named = tuple(
        _named(p, done.get(p.id), config, run.config.catalogue.clear) for p in found.patterns
    )
    catalogues.save(replace(found, patterns=named), run.folder / "catalogue")
    right = [entry["accuracy"] for entry in done.values() if entry["accuracy"] is not None]
    named_ones, accepted = (
        sum(bool(e["name"]) for e in done.values()),
        sum(_accepted(e, config) for e in done.values()),
    )
    yield (
        f"{len(done)} patterns examined by {config.annotator}, {named_ones} named, {accepted} "
        "names accepted"
    )
    if right:
        alone = np.mean(
            [entry["lanse_accuracy"] for entry in done.values() if entry["accuracy"] is not None]
        )
        yield (
            f"mean balanced accuracy {np.mean(right):.3f}; by positives alone (LanSE's measure) "
            f"{alone:.3f}"
        )


def _subject(pattern, config) -> str:
    """Fingerprint of what an annotation is of: it does not hold for another catalogue or model."""
    return json.dumps([pattern.latents[:3], config.endpoint.model, config.reports])


def _kept(file, subjects, config) -> dict[int, dict]:
    """Results that an interrupted annotation of the same patterns has found. Only endpoints are
    slow enough to be resumed; others begin again.
    """
    if config.annotator != "endpoint" or not file.is_file():
        return {}
    try:
        entries = [json.loads(line) for line in file.read_text().splitlines()]
        return {
            entry["pattern"]: entry
            for entry in entries
            if subjects.get(entry["pattern"]) == entry["of"]
        }
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file} is damaged ({error!r}): remove it; what the endpoint said is kept in its file "
            "of answers"
        ) from None


def _radiographer(cases, with_reports, with_pixels) -> Callable[[int], Radiograph]:
    def radiograph(row: int) -> Radiograph:
        pixels = None
        if with_pixels:
            try:
                pixels = cases.read(int(row))
            except Unreadable:
                pixels = None
        given = dict(zip(cases.findings, map(float, cases.labels[row]), strict=True))
        return Radiograph(
            cases.ids[row],
            pixels,
            cases.reports[row] if with_reports and cases.reports else "",
            given,
        )

    return radiograph


def _maker(config, folder, found, cases, radiograph) -> Callable[[int], Annotator]:
    """The annotator of a pattern."""
    if config.annotator == "rules":
        rules = Rules([radiograph(row) for row in range(len(cases))])
        return lambda _: rules
    if config.annotator == "manual":
        if not config.table:
            raise UserError(
                "the manual annotator needs --table: a .csv with the columns pattern, name, and "
                "perhaps radiograph and shows"
            )
        return read_manual(
            Path(config.table), [pattern.id for pattern in found.patterns]
        ).__getitem__
    cassette = Cassette(
        Path(config.cassette) if config.cassette else folder / "annotations" / "answers.jsonl"
    )
    if config.annotator == "recorded":
        recorded = Recorded(cassette, config.endpoint.model)
        return lambda _: recorded
    asked = Endpoint(config.endpoint, cassette)
    return lambda _: asked


def _accepted(entry, config) -> bool:
    """Return whether the name was verified. What people wrote stands if they judged no
    radiograph.
    """
    if entry["accuracy"] is None:
        return bool(entry["name"]) and config.annotator == "manual" and not entry["asked"]
    return bool(entry["name"]) and entry["accuracy"] >= config.accept


def _named(pattern, entry, config, clear):
    """The pattern with what the annotator found; its own name and category change only if the
    annotator's name is accepted.
    """
    if entry is None:
        return pattern
    scores = {key: value for key, value in entry.items() if key not in ("pattern", "of")} | {
        "annotator": config.annotator
    }
    pattern = replace(labels.titled(pattern, clear), scores=scores)
    if not _accepted(entry, config):
        return pattern
    lower = entry["name"].lower()
    kind = next((kind for kind, words in KEYWORDS if any(word in lower for word in words)), None)
    pattern = replace(pattern, name=f"{entry['name']} ({pattern.id})")
    if kind is None or pattern.category == "artifact":
        return pattern
    how = (
        "given by people"
        if entry["accuracy"] is None
        else f"verified with accuracy {entry['accuracy']:.2f}"
    )
    return replace(pattern, category=kind, why=f"its name, {how}")
