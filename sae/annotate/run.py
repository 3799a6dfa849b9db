"""Annotating the catalogue of a run: every pattern is examined, kept at once, and gone on with after an interruption."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from jaxrl.train.errors import Refusal
from jaxrl.train.rundir import write_atomically
from sae import catalogue as catalogues
from sae.annotate.endpoint import Cassette, Endpoint, EndpointConfig, Recorded, Silent
from sae.annotate.protocol import Annotator, Film, examine
from sae.annotate.rules import Manual, Rules
from sae.data.cases import Unreadable, take
from sae.gallery import gallery

KEYWORDS = (
    ("device", ("catheter", "pacemaker", "tube", "line", "device", "wire", "port")), ("pleural", ("effusion", "pleural", "pneumothorax")),
    ("cardiac", ("heart", "cardio", "cardiac", "mediastin")), ("structural", ("fracture", "rib", "clavicle", "spine", "scoliosis")),
    ("artifact", ("marker", "exposed", "exposure", "rotation", "artifact", "artefact", "letter", "view")),
    ("pulmonary", ("opacity", "lung", "consolidation", "edema", "atelectasis", "pneumonia", "nodule", "infiltrat")),
)  # fmt: skip
"""Words of a verified name that decide on the category, the first match first."""


@dataclass(frozen=True)
class AnnotateConfig:
    """Who names."""

    annotator: Literal["rules", "manual", "endpoint", "recorded"] = "rules"
    """rules: labels and reports, without a model. manual: a table. endpoint: a chat model. recorded: only answers that were kept."""
    table: str | None = None
    """Of the manual annotator: a .csv with pattern, name, and perhaps film and shows."""
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    """Of the chat model."""
    cassette: str | None = None
    """File of answers. Default: annotations/answers.jsonl in the run's folder."""
    patterns: int = 0
    """Only the first so many patterns; 0: all."""
    accept: float = 0.8
    """Least accuracy for a name to replace the pattern's own and decide on its category. Our choice."""
    reports: bool = True
    """Show reports to the annotator, too."""


def annotate_run(run, config: AnnotateConfig) -> Iterator[str]:
    """Examine the patterns of a run one by one; lines for people. The catalogue is written after the last one.

    What is done is kept in annotations/<annotator>.jsonl, so that an interrupted annotation goes on.

    Raises:
      Refusal: the annotator cannot work; the endpoint stays silent (what is done is kept).
    """
    from sae.run import probe_rows, step_catalogue

    found, rows = step_catalogue(run), probe_rows(run)
    cases = take(run.embedded.cases, rows)
    film = _filmer(cases, config.reports, run.config.show_films)
    seen = run.embedded.image if run.embedded.image is not None else run.embedded.text
    make = _maker(config, run.folder, cases, film)
    file = run.folder / "annotations" / f"{config.annotator}.jsonl"
    file.parent.mkdir(exist_ok=True)
    done = {entry["pattern"]: entry for entry in map(json.loads, file.read_text().splitlines())} if file.is_file() else {}
    wanted = found.patterns[: config.patterns or None]
    for pattern in wanted:
        subject = _subject(pattern, config)
        if pattern.id in done and done[pattern.id]["of"] == subject:
            continue
        signal = found.activations[:, pattern.id]
        shown = gallery(signal, np.array(cases.patients), seen[rows], seed=pattern.id)
        try:
            verdict = examine(make(pattern.id), shown, film)
        except Silent as trouble:
            raise Refusal(
                f"{trouble}; {len(done)} of {len(wanted)} patterns are done and kept: start the endpoint and run the same command again"
            ) from None
        done[pattern.id] = {"pattern": pattern.id, "of": subject, "name": verdict.name, **verdict.record()}
        write_atomically(file, "".join(json.dumps(entry) + "\n" for entry in done.values()))
    named = tuple(_named(p, done.get(p.id), config) for p in found.patterns)
    catalogues.save(replace(found, patterns=named), run.folder / "catalogue")
    right = [entry["accuracy"] for entry in done.values() if entry["accuracy"] is not None]
    named_ones, accepted = sum(bool(e["name"]) for e in done.values()), sum(a >= config.accept for a in right)
    yield f"{len(done)} patterns examined by {config.annotator}, {named_ones} named, {accepted} names accepted"
    if right:
        alone = np.mean([entry["lanse_accuracy"] for entry in done.values() if entry["accuracy"] is not None])
        yield f"mean balanced accuracy {np.mean(right):.3f}; by positives alone (LanSE's measure) {alone:.3f}"


def _subject(pattern, config) -> str:
    """What an annotation is of: it does not hold for another catalogue or annotator."""
    return json.dumps([pattern.latents[:3], config.table, config.endpoint.model, config.reports])


def _filmer(cases, with_reports, with_pixels) -> Callable[[int], Film]:
    def film(row: int) -> Film:
        pixels = None
        if with_pixels:
            try:
                pixels = cases.read(int(row))
            except Unreadable:
                pixels = None
        told = dict(zip(cases.findings, map(float, cases.labels[row]), strict=True))
        return Film(cases.ids[row], pixels, cases.reports[row] if with_reports and cases.reports else "", told)

    return film


def _maker(config, folder, cases, film) -> Callable[[int], Annotator]:
    """The annotator of a pattern."""
    if config.annotator == "rules":
        rules = Rules([film(row)._replace(pixels=None) for row in range(len(cases))])
        return lambda _: rules
    if config.annotator == "manual":
        if not config.table:
            raise Refusal("the manual annotator needs --table: a .csv with the columns pattern, name, and perhaps film and shows")
        return lambda pattern: Manual(Path(config.table), pattern)
    cassette = Cassette(Path(config.cassette) if config.cassette else folder / "annotations" / "answers.jsonl")
    if config.annotator == "recorded":
        recorded = Recorded(cassette, config.endpoint.model)
        return lambda _: recorded
    asked = Endpoint(config.endpoint, cassette)
    return lambda _: asked


def _named(pattern, entry, config):
    """The pattern with what the annotator found; its name and category change only if the name was verified."""
    if entry is None:
        return pattern
    scores = {key: value for key, value in entry.items() if key not in ("pattern", "of")} | {"annotator": config.annotator}
    if not entry["name"] or entry["accuracy"] is None or entry["accuracy"] < config.accept:
        return replace(pattern, scores=scores)
    lower = entry["name"].lower()
    kind = next((kind for kind, words in KEYWORDS if any(word in lower for word in words)), None)
    sure = kind is not None and pattern.category != "artifact"
    why = f"its name, verified with accuracy {entry['accuracy']:.2f}" if sure else pattern.why
    return replace(
        pattern, name=f"{entry['name']} ({pattern.id})", scores=scores, category=kind if sure else pattern.category, why=why
    )
