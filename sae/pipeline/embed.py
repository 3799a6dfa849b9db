"""Embedding radiographs and reports with BiomedCLIP: in pieces that are kept, on all devices, with
what could not be read listed.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import Progress
from jaxrl.train.config import to_dict
from jaxrl.train.parallel import AXIS, data_mesh
from sae.arrays import read_arrays, write_arrays
from sae.biomedclip import model
from sae.biomedclip.bert import check_tokens
from sae.biomedclip.config import ClipConfig
from sae.biomedclip.preprocess import normalized, prepared
from sae.biomedclip.tokenize import ReportTokenizer
from sae.classifier import small_encoder
from sae.classifier.small_encoder import EncoderConfig, Labeled
from sae.data import embeddings
from sae.data.cases import (
    CHEXPERT,
    Cases,
    Unreadable,
    check_split,
    read_all,
    split_by_patient,
    take,
)
from sae.data.chestmnist import chestmnist
from sae.data.chexpert import chexpert
from sae.data.embeddings import Embedded
from sae.data.folder import folder as own_folder
from sae.data.labels import clear_when_normal, targets
from sae.data.mimic import mimic
from sae.data.sets.nih import nih
from sae.data.sets.padchest import padchest
from sae.data.sets.vindr import vindr

Layout = Literal["mimic", "chexpert", "nih", "padchest", "vindr", "chestmnist", "folder"]


@dataclass(frozen=True)
class EmbedConfig:
    """Source, weights and destination of an embedding job."""

    path: str
    """The data: a folder (mimic, chexpert, nih, padchest, vindr), an .npz (chestmnist), or a table
    (folder).
    """
    data: Layout = "folder"
    """Layout of the data."""
    views: tuple[str, ...] | None = None
    """Views that are kept, as the set names them; none given: its frontal ones; all: every view."""
    out: str = "embeddings.npz"
    """The file to write."""
    weights: str | None = None
    """Folder of a converted BiomedCLIP (python -m sae.biomedclip.convert); without one, a small
    network is trained on the labels.
    """
    reports: str | None = None
    """Folder with the reports of MIMIC-CXR."""
    findings: tuple[str, ...] = CHEXPERT
    """Label columns of a table of your own."""
    acquisition: tuple[str, ...] = ()
    """Columns with numbers about how radiographs were taken, in a table of your own."""
    batch: int = 32
    """Radiographs that are embedded at once, on all devices together."""
    piece: int = 2048
    """Radiographs between two files of what is done."""
    seed: int = 0
    """Seed of the small network and its split."""
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    """The small network, where no weights are given."""


def cases_of(config: EmbedConfig) -> tuple[Cases, list[Path]]:
    """The cases that the configuration names, and paths of their radiographs (none for
    ChestMNIST).
    """
    path = Path(config.path)
    every = config.views == ("all",)
    given = {} if config.views is None else {"views": () if every else config.views}
    if given and config.data in ("chestmnist", "vindr", "folder"):
        raise UserError(f"the layout {config.data} names no views: leave --views out")
    match config.data:
        case "mimic":
            reports = Path(config.reports) if config.reports else None
            cases, paths = mimic(path, reports, **given)
        case "chexpert":
            cases, paths = chexpert(path, frontal_only=not every, **given)
        case "nih":
            cases, paths = nih(path, **given)
        case "padchest":
            cases, paths = padchest(path, **given)
        case "vindr":
            cases, paths = vindr(path)
        case "chestmnist":
            return chestmnist(path), []
        case _:
            cases, paths = own_folder(path, config.findings, config.acquisition)
    return replace(cases, labels=clear_when_normal(cases.labels, cases.findings)), paths


def embed_source(
    config: EmbedConfig, stop: Callable[[], bool] = lambda: False
) -> tuple[bool, tuple[tuple[str, str], ...]]:
    """Write `config.out`; whether it is finished, and the radiographs that were skipped, with
    reasons.

    Raises:
      UserError: data, weights or the file to write do not work.
    """
    cases, paths = cases_of(config)
    check_split(cases)
    pieces = Path(f"{config.out}.pieces")
    with writing(config.out):  # known before hours of work
        if Path(config.out).is_dir():
            raise UserError(f"{config.out} is a folder: name the file to write with --out")
        pieces.mkdir(parents=True, exist_ok=True)
    if config.weights is None:
        pieces.rmdir()
        skipped = _with_small_network(config, cases, paths, stop)
        return skipped is not None, skipped or ()
    params, clip = model.load(config.weights)
    tokenizer = (
        ReportTokenizer(Path(config.weights) / "tokenizer.json", clip.text.context)
        if cases.reports
        else None
    )
    _same_job(pieces, config, cases)
    encoders = Encoders(*programs(params, clip), tokenizer, clip, config.batch)
    with Progress("radiographs", len(cases)) as bar:
        for start in range(0, len(cases), config.piece):
            rows = range(start, min(start + config.piece, len(cases)))
            file = pieces / f"{start:09d}.npz"
            if not file.exists():
                _write_piece(file, cases, rows, encoders)
            bar.advance(len(rows))
            if stop() and rows.stop < len(cases):
                return False, ()
    image, text, kept, skipped = _joined(pieces)
    if not len(kept):
        raise UserError(
            f"none of the {len(cases)} radiographs of {cases.source} could be read; the first: "
            f"{skipped[0][1]}"
        )
    done = replace(take(cases, kept), skipped=(*cases.skipped, *skipped))
    chosen = tuple(str(paths[i].resolve()) for i in kept) if paths else ()
    embeddings.save(
        Embedded(done, image, text, f"BiomedCLIP from {config.weights}"), Path(config.out), chosen
    )
    for file in pieces.iterdir():
        file.unlink()
    pieces.rmdir()
    return True, done.skipped


def _same_job(pieces, config, cases):
    """Pieces of another job must not be mixed in."""
    job = to_dict(replace(config, batch=0)) | {
        "radiographs": len(cases),
        "first": cases.ids[0],
        "last": cases.ids[-1],
    }
    del job["encoder"]  # has no part in it
    file = pieces / "job.json"
    if file.exists() and json.loads(file.read_text()) != job:
        raise UserError(
            f"{pieces} holds pieces of another embedding job: remove that folder, or choose "
            "another --out"
        )
    write_atomic(file, json.dumps(job))


def programs(params, clip: ClipConfig) -> tuple[Callable, Callable]:
    """`uint8 [B, H, W, 3] -> [B, D]` and `int32 [B, T] -> [B, D]`, of length 1, the batch shared by
    all devices.
    """
    mesh = data_mesh()
    shared, everywhere = (
        NamedSharding(mesh, PartitionSpec(AXIS)),
        NamedSharding(mesh, PartitionSpec()),
    )
    params = jax.device_put(params, everywhere)

    def see(params, radiographs):
        return model.of_length_one(
            model.image_features(params, normalized(radiographs, clip), clip)
        )

    def read(params, tokens):
        return model.of_length_one(model.text_features(params, tokens, clip))

    compiled = [
        jax.jit(f, in_shardings=(everywhere, shared), out_shardings=shared) for f in (see, read)
    ]
    return tuple(
        functools.partial(_in_batches, functools.partial(f, params), mesh.size) for f in compiled
    )


def _in_batches(function, devices, rows, batch):
    batch = -(-batch // devices) * devices
    found = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        padded = np.concatenate([some, np.zeros((batch - len(some), *some.shape[1:]), some.dtype)])
        found.append(np.asarray(function(jnp.asarray(padded)))[: len(some)])
    return np.concatenate(found)


class Encoders(NamedTuple):
    """Both towers as functions of rows and batch size, and what they need."""

    image: Callable
    text: Callable
    tokenizer: ReportTokenizer | None
    clip: ClipConfig
    batch: int


def _write_piece(file, cases, rows, encoders):
    radiographs, kept, skipped = [], [], []
    for row in rows:
        try:
            radiographs.append(prepared(cases.read(row), encoders.clip))
            kept.append(row)
        except Unreadable as trouble:
            skipped.append((cases.ids[row], str(trouble)))
    arrays = {
        "kept": np.array(kept, np.int64),
        "skipped": np.array(skipped, np.str_).reshape(-1, 2),
    }
    if radiographs:
        arrays["image"] = encoders.image(np.stack(radiographs), encoders.batch)
        if encoders.tokenizer is not None:
            tokens = encoders.tokenizer([cases.reports[row] for row in kept])
            check_tokens(tokens, encoders.clip.text)
            arrays["text"] = encoders.text(tokens, encoders.batch)
    write_arrays(file, arrays)


def _joined(pieces):
    parts = []
    for file in sorted(pieces.glob("[0-9]*.npz")):
        try:
            parts.append(read_arrays(file))
        except ValueError as error:
            raise UserError(
                f"{file} is damaged ({error}): delete it and run the same command again"
            ) from None

    def together(name):
        return (
            np.concatenate([p[name] for p in parts if name in p])
            if any(name in p for p in parts)
            else None
        )

    skipped = tuple((str(a), str(b)) for p in parts for a, b in p["skipped"])
    return together("image"), together("text"), together("kept"), skipped


def _with_small_network(config, cases, paths, stop):
    """No weights: the small network, trained on the training side of these very labels. The file
    says so, and holds it.

    Gives the radiographs that were skipped, or None if it was stopped.
    """
    if not cases.findings:
        raise UserError(
            f"{cases.source} has no labels to train the small network on: name --findings, or "
            "--weights of BiomedCLIP"
        )
    small = config.encoder
    radiographs, rows, skipped = read_all(
        cases, lambda pixels: small_encoder.prepared(pixels, small.size)
    )
    done = replace(take(cases, rows), skipped=(*cases.skipped, *skipped))
    values, mask = targets(done.labels, "ignore", "zeros")
    train = split_by_patient(done, config.seed)["train"]
    params = small_encoder.train_encoder(
        Labeled(radiographs, values, mask).take(train), small, config.seed, stop=stop
    )
    if params is None:
        return None
    text = small_encoder.hashed_words(done.reports) if done.reports else None
    image = small_encoder.embed_all(params, radiographs, small)
    what = (
        "a small image network trained on the labels of these very radiographs, and hashed words "
        "for reports; not BiomedCLIP"
    )
    chosen = tuple(str(paths[i].resolve()) for i in rows) if paths else ()
    embedded = Embedded(done, image, text, what, network=small_encoder.to_arrays(params, small))
    embeddings.save(embedded, Path(config.out), chosen)
    return done.skipped
