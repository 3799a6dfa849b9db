"""From radiographs to explanations: embeddings, head, ensemble, catalogue, report. Every step
leaves a file, and is not done again.

A run folder holds config.json, embeddings.npz (with the small image network; not where embeddings
were values), head.npz, members.npz, catalogue/, report/, metrics.jsonl, members.json and
summary.json; checkpoints/ while the ensemble is being trained and after.
"""

import functools
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.app.errors import UserError
from jaxrl.app.files import resolve_path, write_atomic
from jaxrl.app.lock import lock_run
from jaxrl.app.old_names import attributes
from jaxrl.app.progress import duration, log
from jaxrl.train.config import from_dict, to_dict
from jaxrl.train.rundir import open_run, read_config
from sae import arrays
from sae.classifier import head as classifier
from sae.classifier import small_encoder
from sae.classifier.head import Head
from sae.classifier.small_encoder import Labeled
from sae.data import embeddings, phantom
from sae.data.cases import (
    NORMAL,
    Cases,
    Unreadable,
    read_all,
    select_findings,
    split_by_patient,
    take,
)
from sae.data.embeddings import Embedded
from sae.data.labels import targets
from sae.patterns import catalogue as catalogues
from sae.patterns import evidence
from sae.patterns import labels as measures
from sae.patterns.attribution import (
    Attribution,
    attribute_cases,
    faithfulness,
    gap,
    replaced,
    strongest,
)
from sae.patterns.catalogue import Catalogue
from sae.patterns.leanings import Leaning, leanings, suspects
from sae.pipeline.config import RunConfig, upgraded
from sae.pipeline.train_ensemble import Devices, Examples, mesh_for, train_ensemble
from sae.report import html
from sae.transcoders import ensemble, losses
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import Setting

FREE = ("cases", "show_images", "devices", "form")
"""Fields that may differ when a run is continued."""
SMALL_ENCODER = (
    "a small image network trained on the labels and the planted factors of the training "
    "radiographs, as a stand-in for a pretrained one that "
    "knows what radiographs show, and hashed words for reports; not BiomedCLIP"
)


class Run(NamedTuple):
    """A trained run: all that its steps have made, loaded."""

    folder: Path
    config: RunConfig
    embedded: Embedded
    parts: dict[str, np.ndarray]
    """Rows of train, validate and test."""
    x: np.ndarray
    """`[N, D]`: what goes into the head."""
    head: Head
    members: dict[str, jax.Array]
    """Parameters of all members, `[M, ...]`."""
    shape: TranscoderConfig
    """Shape of the members."""
    image_width: int | None
    """Number of features of x that are the image's; None: all."""


def train(
    config: RunConfig, run_dir: str | Path, stop: Callable[[], bool] = lambda: False
) -> Path | None:
    """Do all steps that are not done; the path of the report, None if `stop` said so in between.

    Raises:
      UserError: the configuration, the data or the folder do not work.
    """
    if config.data != "phantom":  # commands on the run may be given elsewhere
        config = replace(config, data=str(Path(config.data).expanduser().resolve()))
    check(config)
    began = time.monotonic()
    with lock_run(resolve_path(run_dir)):
        folder = open_run(run_dir, to_dict(config), FREE, complete=upgraded)
        index = _steps(folder, config, stop)
    if index is not None:
        log(f"  all done in {duration(time.monotonic() - began)}")
    return index


def _steps(folder: Path, config: RunConfig, stop: Callable[[], bool]) -> Path | None:
    """Do the steps in their order; see `train`."""
    embedded = step_embed(folder, config, stop)
    if embedded is None or stop():
        return None
    parts = split_by_patient(embedded.cases, config.seed)
    masks = modality_masks(config, *head_width(config, embedded))
    head, x = step_classify(folder, config, embedded, parts)
    if not step_ensemble(folder, config, head, x[parts["train"]], masks, stop):
        return None
    run = load(folder)
    step_catalogue(run)
    return step_report(run)


def check(config: RunConfig) -> None:
    """Refuse at once what would fail after minutes.

    Raises:
      UserError: naming the field.
    """
    ensemble.check(config.ensemble, config.transcoder)
    mesh_for(config.devices, config.ensemble.members)
    losses.check(config.loss, config.transcoder)
    catalogues.check(config.catalogue)
    counts = {
        "classifier.hidden": config.classifier.hidden,
        "classifier.epochs": config.classifier.epochs,
        "classifier.batch": config.classifier.batch,
        "encoder.epochs": config.encoder.epochs,
        "encoder.batch": config.encoder.batch,
        "encoder.width": config.encoder.width,
        "encoder.features": config.encoder.features,
        "phantom.radiographs": config.phantom.radiographs,
        "findings": len(config.findings),
    }
    for name, count in counts.items():
        if count < 1:
            raise UserError(f"{name} is {count}: choose at least 1")
    missing = [name for name in config.findings if name not in phantom.FINDINGS]
    if config.data == "phantom" and missing:
        raise UserError(
            f"there is no label column {', '.join(missing)} in phantom radiographs; they have "
            f"{', '.join(phantom.FINDINGS)}"
        )
    if config.member_modalities and config.classifier.modality != "both":
        raise UserError(
            "member_modalities needs a head that sees both: set --classifier.modality both"
        )


def stored_run_config(run_dir: str | Path) -> RunConfig:
    """Read the configuration of a run, also of one that 0.1 made.

    Raises:
      UserError: there is none, or it is damaged.
    """
    return from_dict(RunConfig, upgraded(read_config(run_dir)))


def load(run_dir: str | Path) -> Run:
    """Load a trained run from its folder; nothing is computed again or written.

    Raises:
      UserError: there is none, or a step is missing.
    """
    config = stored_run_config(run_dir)
    folder = Path(run_dir)
    embedded = load_embedded(folder, config)
    x, image_width = head_inputs(config, embedded)
    head = read_head(folder / "head.npz")
    members = unflatten_dict(
        {
            tuple(k.split("/")): jnp.asarray(a)
            for k, a in read_arrays(folder / "members.npz").items()
        }
    )
    embeddings.check_rows(x, "embeddings", head.w1.shape[0])
    shape = replace(config.transcoder, d_in=head.w1.shape[0], d_out=head.w1.shape[1])
    for name, wanted in (
        ("W_enc", (shape.d_in, shape.latents)),
        ("W_dec", (shape.latents, shape.d_out)),
    ):
        found = members[name].shape[1:] if name in members else None
        if found != wanted:
            raise UserError(
                f"{folder / 'members.npz'} holds {name} of shape {found}, not {wanted}: delete it "
                "and train again"
            )
    return Run(
        folder,
        config,
        embedded,
        split_by_patient(embedded.cases, config.seed),
        x,
        head,
        members,
        shape,
        image_width,
    )


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a run's file.

    Raises:
      UserError: it is not there, or damaged.
    """
    try:
        return arrays.read_arrays(path)
    except FileNotFoundError:
        raise UserError(f"there is no {path}: finish this run with python -m sae train") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): delete it and train again") from None


def read_head(path: Path) -> Head:
    """The head of a run.

    Raises:
      UserError: it is not there, damaged, or its shapes do not fit together.
    """
    held = read_arrays(path)
    fits = (
        set(held) == set(Head._fields)
        and held["w1"].shape[1:] == held["b1"].shape == held["w2"].shape[:1]
    )
    if not fits or held["w2"].shape[1:] != held["b2"].shape:
        raise UserError(f"{path} holds no head of this kind: delete it and train again")
    return Head(**{name: jnp.asarray(a) for name, a in held.items()})


def load_embedded(folder: Path, config: RunConfig) -> Embedded:
    """Load the embeddings of a run.

    Raises:
      UserError: they are not there, or damaged.
    """
    if config.data != "phantom":
        return embeddings.load(config.data)
    stored = embeddings.load(folder / "embeddings.npz")

    @functools.cache
    def drawn():  # only if a radiograph is shown
        return phantom.radiographs(config.phantom)[0]

    cases = replace(stored.cases, read=lambda row: drawn()[row])
    return replace(stored, cases=cases, has_images=True)


def step_embed(
    folder: Path, config: RunConfig, stop: Callable[[], bool] = lambda: False
) -> Embedded | None:
    """Embeddings of all radiographs: read, or made with the small network; None if `stop` said so
    in between.
    """
    path = folder / "embeddings.npz"
    if config.data != "phantom" or path.exists():
        return load_embedded(folder, config)
    made, radiograph = phantom.cases(config.phantom)
    began = time.monotonic()
    radiographs, _, _ = read_all(
        made, lambda pixels: small_encoder.prepared(pixels, config.encoder.size)
    )
    rows = split_by_patient(made, config.seed)["train"]
    values, mask = targets(made.labels, "ignore", "zeros")
    factors = radiograph.present.astype(
        np.float32
    )  # a pretrained network would know them, labeled or not
    values, mask = (
        np.concatenate([values, factors], 1),
        np.concatenate([mask, np.ones_like(factors)], 1),
    )
    params = small_encoder.train_encoder(
        Labeled(radiographs, values, mask).take(rows), config.encoder, config.seed, stop=stop
    )
    if params is None:
        return None
    image = small_encoder.embed_all(params, radiographs, config.encoder)
    network = small_encoder.to_arrays(params, config.encoder)
    embedded = Embedded(
        made, image, small_encoder.hashed_words(made.reports), SMALL_ENCODER, network=network
    )
    embeddings.save(embedded, path)
    log(f"  {len(radiographs)} radiographs embedded in {duration(time.monotonic() - began)}")
    return embedded


def head_inputs(config: RunConfig, embedded: Embedded) -> tuple[np.ndarray, int | None]:
    """Inputs of the head, and how many features of it are the image's (None: all)."""
    import warnings

    modality = config.classifier.modality
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        x = classifier.inputs(embedded.image, embedded.text, modality)
    return x, None if modality == "image" else 0 if modality == "text" else embedded.image.shape[1]


def head_width(config: RunConfig, embedded: Embedded) -> tuple[int, int | None]:
    """Features that the head sees, and how many of them are the image's."""
    x, image_width = head_inputs(config, embedded)
    return x.shape[1], image_width


def step_classify(
    folder: Path, config: RunConfig, embedded: Embedded, parts
) -> tuple[Head, np.ndarray]:
    """Train the head and write head.npz and classifier.json, or read the head that is there.

    Args:
      folder: the run's.
      config: the run's.
      embedded: cases and their embeddings.
      parts: rows of "train", "validate" and "test".

    Returns:
      The head, and its inputs, float32 `[N, D]`.
    """
    x, _ = head_inputs(config, embedded)
    labels = select_findings(embedded.cases, config.findings)
    values, mask = targets(
        labels,
        config.classifier.uncertain,
        config.classifier.unmentioned,
        config.findings,
        config.seed,
    )
    path = folder / "head.npz"
    if not path.exists():
        began = time.monotonic()

        def of(side):
            return (x[parts[side]], values[parts[side]], mask[parts[side]])

        head, history = classifier.train_head(
            of("train"), of("validate"), config.classifier, config.seed, config.findings
        )
        judged_on = parts["test"]
        sure, known = targets(labels, "ignore", config.classifier.unmentioned)
        scores = classifier.evaluate(
            head, x[judged_on], sure[judged_on], known[judged_on], config.findings
        )
        write_atomic(
            folder / "classifier.json",
            json.dumps({"scores": scores, "history": history}, indent=1) + "\n",
        )
        arrays.write_arrays(path, head._asdict())
        listed = ", ".join(
            f"{n} {s['auc']:.3f}" if s["auc"] is not None else f"{n} -" for n, s in scores.items()
        )
        log(
            f"  head trained in {duration(time.monotonic() - began)}; AUC on {len(judged_on)} "
            f"cases kept apart: {listed}"
        )
    return read_head(path), x


def modality_masks(config: RunConfig, width: int, image_width: int | None) -> np.ndarray | None:
    """The grid of masks over the head's input that members see, `[G, D]`; None: all see all."""
    if not config.member_modalities:
        return None
    image = np.arange(width) < image_width
    return np.stack(
        [
            {"image": image, "text": ~image, "both": np.ones(width, bool)}[name]
            for name in config.member_modalities
        ]
    )


def step_ensemble(
    folder: Path, config: RunConfig, head: Head, x: np.ndarray, masks: np.ndarray | None, stop
) -> bool:
    """Train the members from where they were, and write members.npz.

    Args:
      folder: the run's.
      config: the run's.
      head: the trained classifier, whose hidden layer is explained.
      x: float32 `[N, D]`, its inputs in training.
      masks: float `[G, D]`, features that members see; None: every member sees all.
      stop: function that returns True when training should pause.

    Returns:
      False if stopped before the end.
    """
    path = folder / "members.npz"
    if path.exists():
        return True
    hidden = np.asarray(jax.jit(classifier.hidden)(head, jnp.asarray(x)))
    shape = replace(config.transcoder, d_in=x.shape[1], d_out=hidden.shape[1])
    members = train_ensemble(
        folder,
        Examples(x, hidden, masks),
        config.ensemble,
        Setting(shape, config.loss, config.learn),
        Devices(config.devices, config.form),
        stop,
    )
    if members is None:
        return False
    arrays.write_arrays(path, {"/".join(k): a for k, a in flatten_dict(members).items()})
    return True


def probe_rows(run: Run) -> np.ndarray:
    """Cases that the catalogue is made from: the validation side, which members were not trained
    on; at most `probes`.
    """
    rows = run.parts["validate"]
    return rows[: run.config.catalogue.probes]


def step_catalogue(run: Run, again: bool = False) -> Catalogue:
    """The catalogue, made or read."""
    folder = run.folder / "catalogue"
    if (folder / "catalogue.npz").exists() and not again:
        return catalogues.load(folder)
    began, rows, config = time.monotonic(), probe_rows(run), run.config.catalogue
    found = catalogues.build(
        sparse_activations(run, run.x[rows]),
        np.asarray(run.members["W_dec"]),
        np.asarray(run.head.w2),
        config,
    )
    probe = take(run.embedded.cases, rows)
    seen = run.embedded.image if run.embedded.image is not None else run.embedded.text
    found = measures.describe(
        found,
        seen[rows],
        select_findings(probe, run.config.findings),
        run.config.findings,
        probe.acquisition,
        config,
    )
    asked = {number for group in measures.namesakes(found) for number in group}
    asked |= {number for one in suspects(found) for number in one.patterns}
    asked |= {pattern.id for pattern in found.patterns if pattern.category == "artifact"}
    places = places_of(run, found, rows, sorted(asked))
    found = measures.with_places(found, places, config.clear)
    catalogues.save(found, folder)
    log(
        f"  {len(found.patterns)} patterns from {found.assignment.size} latents in "
        f"{duration(time.monotonic() - began)}"
    )
    return found


def activations_of(run: Run, x: np.ndarray, block: int = 512) -> np.ndarray:
    """Latents of all members, float32 `[M, N, F]`, in blocks."""
    pieces = [
        np.asarray(ensemble.encode_all(run.members, jnp.asarray(x[i : i + block]), run.shape))
        for i in range(0, len(x), block)
    ]
    return np.concatenate(pieces, 1)


def strengths_of(run: Run, x: np.ndarray, assignment: np.ndarray, patterns: int) -> np.ndarray:
    """Mean activation of each pattern's latents on embeddings, `[N, P]`.

    Args:
      run: a trained run.
      x: `[N, D]`, inputs of the head.
      assignment: int `[M, F]`, the pattern of every latent, -1 for none.
      patterns: P.
    """
    z = activations_of(run, x)
    out = np.zeros((len(x), patterns), np.float32)
    for pattern in range(patterns):
        members, latents = np.nonzero(assignment == pattern)
        out[:, pattern] = z[members, :, latents].mean(0)
    return out


def evidence_of(run: Run, catalogue: Catalogue) -> Callable[[np.ndarray], evidence.Evidence] | None:
    """A function from an image's pixels to what the patterns rest on in it; None where the run
    cannot embed images itself, or its head reads text.
    """
    if not run.embedded.network or run.config.classifier.modality != "image":
        return None
    params, small = small_encoder.from_arrays(run.embedded.network)
    count = len(catalogue.patterns)

    def find(pixels: np.ndarray) -> evidence.Evidence:
        seen = small_encoder.prepared(pixels, small.size)
        x = small_encoder.embed_all(params, evidence.covered(seen), small, batch=64)
        strengths = strengths_of(run, x, catalogue.assignment, count)
        return evidence.Evidence(seen, evidence.maps(strengths))

    return find


def places_of(
    run: Run, catalogue: Catalogue, rows: np.ndarray, patterns: Sequence[int]
) -> dict[int, str]:
    """Parts of the image that patterns rest on, in their strongest cases, "" where there is no
    single one; {} where that cannot be found.

    Args:
      run: a trained run.
      catalogue: its patterns.
      rows: int `[N]`, cases that its activations belong to.
      patterns: numbers of those that are asked for.
    """
    find = evidence_of(run, catalogue)
    if find is None or not run.embedded.has_images:
        return {}
    find, places = evidence.remembered(find), {}
    for number in patterns:
        signal = catalogue.activations[:, number]
        strongest = np.argsort(-signal, kind="stable")[: evidence.NAMED_FROM]
        maps = []
        for row in rows[strongest[signal[strongest] > 0]]:
            try:
                maps.append(find(run.embedded.cases.read(int(row))).maps[number])
            except Unreadable:
                continue
        places[number] = evidence.place(np.mean(maps, 0)) if maps else ""
    return places


def sparse_activations(run: Run, x: np.ndarray, block: int = 256):
    """The same, sparse `[M F, N]`: only what is active is kept in memory."""
    from scipy.sparse import hstack

    return hstack(
        [
            catalogues.sparse_latents(activations_of(run, x[i : i + block], block))
            for i in range(0, len(x), block)
        ]
    ).tocsr()


def explain_rows(run: Run, catalogue: Catalogue, x: np.ndarray) -> tuple[Attribution, np.ndarray]:
    """Attributions of embeddings `[B, D]`, checked, and by how much each misses its logits."""
    found = attribute_cases(
        run.head,
        run.members,
        catalogue.assignment,
        len(catalogue.patterns),
        x,
        run.shape,
        run.image_width,
    )
    return found, np.asarray(gap(found))


def summarize(
    run: Run,
    catalogue: Catalogue,
    rows: np.ndarray,
    explained: tuple[Attribution, np.ndarray] | None = None,
) -> dict[str, Any]:
    """Measures of the attributions of held-out cases; JSON-ready.

    Args:
      run: a trained run.
      catalogue: its patterns.
      rows: int `[B]`, held-out cases.
      explained: result of `explain_rows` for these cases; None: computed here.
    """
    found, gaps = explained or explain_rows(run, catalogue, run.x[rows])
    needed = [[strongest(one[:, c]).needed for c in range(one.shape[1])] for one in found.patterns]
    labels = select_findings(run.embedded.cases, run.config.findings)[rows]
    values, known = targets(labels, "ignore", run.config.classifier.unmentioned)
    short = {
        name: classifier.finding_scores(replaced(found)[:, c], values[:, c], known[:, c])["auc"]
        for c, name in enumerate(run.config.findings)
    }
    return {
        "cases": len(rows),
        "largest_gap": float(gaps.max()),
        "faithfulness": float(faithfulness(found).mean()),
        "patterns_for_90_percent": {
            "median": float(np.median(needed)),
            "largest": int(np.max(needed)),
        },
        "auc_of_the_sum_without_error": short,
        "patterns": len(catalogue.patterns),
        "categories": {
            k: sum(p.category == k for p in catalogue.patterns) for k in catalogues.CATEGORIES
        },
    }


def step_report(run: Run) -> Path:
    """summary.json and the site; the path of its index."""
    catalogue, config, rows = step_catalogue(run), run.config, probe_rows(run)
    if not config.show_images:
        catalogue = without_published(run, catalogue)
    probe = take(run.embedded.cases, rows)
    held = run.parts["test"][:500]
    explained = explain_rows(run, catalogue, run.x[held])
    summary = summarize(run, catalogue, held, explained)
    write_atomic(run.folder / "summary.json", json.dumps(summary, indent=1) + "\n")
    shown = list(range(min(config.cases, len(rows))))
    found, gaps = explain_rows(run, catalogue, run.x[rows[shown]])
    scores = json.loads((run.folder / "classifier.json").read_text())["scores"]
    seen = run.embedded.image if run.embedded.image is not None else run.embedded.text
    rests = findings_rest_on(run, catalogue, held, explained[0])
    site = replace(
        site_of(run, summary, scores), leanings=rests, evidence=evidence_of(run, catalogue)
    )
    index = html.write(
        run.folder / "report", site, catalogue, probe, seen[rows], shown, found, gaps
    )
    log(
        f"  largest gap of a sum {summary['largest_gap']:.1e}, faithfulness "
        f"{summary['faithfulness']:.3f}"
    )
    return index


def findings_rest_on(
    run: Run, catalogue: Catalogue, rows: np.ndarray, found: Attribution
) -> tuple[Leaning, ...]:
    """Measure what carries each finding.

    Args:
      run: a trained run.
      catalogue: its patterns.
      rows: int `[B]`, held-out cases.
      found: attributions of these cases.
    """
    held, findings = take(run.embedded.cases, rows), run.config.findings
    return leanings(found, catalogue, findings, select_findings(held, findings), held.acquisition)


def without_published(run: Run, catalogue: Catalogue) -> Catalogue:
    """Take back what earlier commands published before the run became path-only: pages of single
    cases hold pixels and reports, and names by rules or a model may be sentences of reports.

    Returns:
      The catalogue with names that follow from labels alone; it is saved, too. Names that people
      gave stay.
    """
    pages = sorted((run.folder / "explained").glob("*.html"))
    for page in pages:
        page.unlink()
    if pages:
        log(f"  path-only: {len(pages)} pages in {run.folder / 'explained'} were removed")
    for kind in ("rules", "endpoint", "recorded", "answers"):  # models quote what they were shown
        (run.folder / "annotations" / f"{kind}.jsonl").unlink(missing_ok=True)
    _without_reports(run)
    plain = tuple(
        measures.titled(replace(p, scores={}), run.config.catalogue.clear)
        if p.scores and p.scores.get("annotator") != "manual"
        else p
        for p in catalogue.patterns
    )
    if plain != catalogue.patterns:
        catalogue = replace(catalogue, patterns=plain)
        catalogues.save(catalogue, run.folder / "catalogue")
    return catalogue


def _without_reports(run: Run) -> None:
    """Write the run's own embeddings again without texts; files of others are left alone."""
    path = run.folder / "embeddings.npz"
    if run.config.data == "phantom" and path.exists():
        stored = embeddings.load(path)
        if stored.cases.reports:
            cases = replace(stored.cases, reports=())
            embeddings.save(replace(stored, cases=cases), path)
            log(f"  path-only: the reports in {path} were removed")


def site_of(run: Run, summary: dict[str, Any], scores: dict[str, dict]) -> html.Site:
    """Notes and facts for the first page."""
    config, modality = run.config, run.config.classifier.modality
    members = len(run.members["W_dec"])
    facts = {
        "source": run.embedded.cases.source,
        "cases": ", ".join(f"{len(rows)} {side}" for side, rows in run.parts.items())
        + " (by patient)",
        "modality of the head": modality,
        "ensemble": f"{members} transcoders {run.shape.d_in} -> {run.shape.latents} -> "
        f"{run.shape.d_out}, {run.shape.activation}, "
        f"k = {run.shape.k:g}",
        "largest gap of a sum of parts, held-out cases": f"{summary['largest_gap']:.1e}",
        "mean faithfulness": f"{summary['faithfulness']:.3f}",
        "patterns for 90 % of a logit, median and largest": "{median:g}, {largest}".format(
            **summary["patterns_for_90_percent"]
        ),
    }
    return html.Site(
        _title(config),
        _notes(run),
        config.findings,
        scores,
        facts,
        config.show_images and run.embedded.has_images,
    )


def _title(config: RunConfig) -> str:
    """Heading of the pages, by what the findings are of."""
    chest = any(name in catalogues.CATEGORY_OF or name == NORMAL for name in config.findings)
    return f"Patterns in a classifier of {'chest radiographs' if chest else 'images'}"


def _notes(run: Run) -> tuple[str, ...]:
    """Sentences that every reader must see."""
    config, modality = run.config, run.config.classifier.modality
    notes = [
        f"Embeddings: {run.embedded.encoder}.",
        "This is a research tool. It is no medical device and must not be used for diagnosis.",
    ]
    if config.data == "phantom":
        notes.insert(
            0, "These radiographs are synthetic: drawn by a program, with causes that are known."
        )
    if modality != "image":
        notes.append(
            f"The head sees {modality}: labels were read from the reports, so its AUC is not "
            "diagnosis from images."
        )
    return tuple(notes)


def explanation_site(run: Run) -> html.Site:
    """Title, notes and findings for the page of one case."""
    return html.Site(
        _title(run.config), _notes(run), run.config.findings, {}, {}, run.config.show_images
    )


def embed_image(run: Run, pixels: np.ndarray, text: str | None) -> np.ndarray:
    """Inputs of the head for a new radiograph, `[1, D]`, by the small network that made the
    run's embeddings.

    Raises:
      UserError: something else made them.
    """
    if not run.embedded.network:
        raise UserError(
            f"{run.folder} was trained on embeddings from elsewhere ({run.embedded.encoder}): "
            "embed the radiograph with "
            "python -m sae embed and the same --weights, and name that file"
        )
    params, small = small_encoder.from_arrays(run.embedded.network)
    image = small_encoder.embed_all(
        params, small_encoder.prepared(pixels, small.size)[None], small, batch=1
    )
    modality = run.config.classifier.modality
    if modality != "image" and not text:
        raise UserError(f"this run's head sees {modality}: give the report, too (--report FILE)")
    words = small_encoder.hashed_words((text or "",))
    return {"image": image, "text": words, "both": np.concatenate([image, words], 1)}[modality]


def case_of(name: str, pixels: np.ndarray, config: RunConfig, text: str = "") -> Cases:
    """One radiograph that has no labels, as `Cases`.

    Args:
      name: of the radiograph and of its patient.
      pixels: uint8 `[H, W]` or `[H, W, 3]`.
      config: of the run, for the names of the findings.
      text: report; "" for none.
    """
    blank = np.full((1, len(config.findings)), np.nan, np.float32)
    return Cases(
        (name,),
        (name,),
        config.findings,
        blank,
        lambda _: pixels,
        (text,) if text else (),
        source=name,
    )


__getattr__ = attributes(
    __name__,
    {
        "embed_film": f"{__name__}:embed_image",  # old name
        "summarise": f"{__name__}:summarize",  # old name
    },
)
