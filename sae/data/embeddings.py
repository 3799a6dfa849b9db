"""Embeddings on disk: one .npz that says everything training needs, so that radiographs are
embedded once.

Arrays of every file:
format    "latentax-embeddings-1"
ids       [N] names of the radiographs, all different
patients  [N] whom each shows
image     float32 [N, D], and / or text float32 [N, E], as the head takes them (BiomedCLIP's are of
          length 1)
findings  [C] names
labels    float32 [N, C]: 1 present, 0 absent, -1 uncertain, NaN not mentioned

Optional arrays:
split             [N] "train", "validate" or "test"
reports           [N] texts
paths             [N] files of the radiographs, for galleries
acquisition/NAME  [N] numbers
skipped           [K, 2] radiograph and reason
encoder           a sentence about what made the embeddings
source            where the radiographs come from
network/NAME      arrays of the small image network, where that made the embeddings, so that new
                  radiographs can be embedded
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError
from sae.arrays import read_arrays, write_arrays
from sae.data.cases import Cases, Unreadable
from sae.data.images import read_image
from sae.data.tables import check_people, person

FORMAT = "latentax-embeddings-1"


@dataclass(frozen=True)
class Embedded:
    """Cases with their embeddings."""

    cases: Cases
    """Labels, patients, radiographs."""
    image: np.ndarray | None
    """float32 `[N, D]`."""
    text: np.ndarray | None
    """float32 `[N, E]`."""
    encoder: str
    """Source of the embeddings, a sentence for readers."""
    has_images: bool = True
    """False if no radiograph can be shown."""
    network: dict[str, np.ndarray] = field(default_factory=dict)
    """Arrays of the small image network that made the image embeddings (see encoder.py), if it did.
    """


def save(embedded: Embedded, path: Path, paths: tuple[str, ...] = ()) -> None:
    """Write the file, whole or not at all."""
    cases = embedded.cases

    def text(values):
        return np.array(list(values), dtype=np.str_) if len(values) else None

    arrays = {
        "format": np.array(FORMAT),
        "ids": text(cases.ids),
        "patients": text(cases.patients),
        "findings": text(cases.findings),
        "labels": cases.labels,
        "image": embedded.image,
        "text": embedded.text,
        "split": text(cases.split),
        "reports": text(cases.reports),
        "paths": text(paths),
        "encoder": np.array(embedded.encoder),
        "source": np.array(cases.source),
        "skipped": np.array(cases.skipped, dtype=np.str_) if cases.skipped else None,
    }
    arrays |= {f"acquisition/{name}": values for name, values in cases.acquisition.items()}
    arrays |= {f"network/{name}": values for name, values in embedded.network.items()}
    write_arrays(path, {name: a for name, a in arrays.items() if a is not None})


def load(path: str | Path) -> Embedded:
    """Read a file.

    Raises:
      UserError: it is not there, not of this format, its arrays do not fit together, rows hold NaN,
        or patients or findings cannot be distinguished.
    """
    path = Path(path)
    try:
        arrays = read_arrays(path)
    except FileNotFoundError:
        raise UserError(
            f"there is no file {path}: make one with python -m sae embed, or train on --data "
            "phantom"
        ) from None
    except ValueError as error:
        raise UserError(
            f"{path} is no embeddings file ({error}): make one with python -m sae embed"
        ) from None
    missing = [
        name for name in ("format", "ids", "patients", "findings", "labels") if name not in arrays
    ]
    if missing or str(arrays.get("format")) != FORMAT:
        raise UserError(
            f"{path} is no {FORMAT} file (it lacks "
            f"{', '.join(missing) or 'the right format entry'}): see sae/data/embeddings.py"
        )
    if "image" not in arrays and "text" not in arrays:
        raise UserError(f"{path} holds neither image nor text embeddings")
    for name in ("ids", "patients", "findings", "split", "reports", "paths"):
        if name in arrays and (arrays[name].ndim != 1 or arrays[name].dtype.kind not in "USiuf"):
            raise UserError(
                f"{path} has {name} of shape {arrays[name].shape} and type {arrays[name].dtype}: "
                "write a list of texts"
            )
    if "skipped" in arrays and arrays["skipped"].shape[1:] != (2,):
        raise UserError(f"{path} has skipped of shape {arrays['skipped'].shape}: write [K, 2]")
    count = len(arrays["ids"])
    for name in ("patients", "labels", "image", "text", "split", "reports", "paths"):
        if name in arrays and len(arrays[name]) != count:
            raise UserError(
                f"{path} has {count} ids but {len(arrays[name])} rows of {name}: write it again"
            )
    if (
        arrays["labels"].shape != (count, len(arrays["findings"]))
        or arrays["labels"].dtype.kind not in "fiub"
    ):
        raise UserError(
            f"{path} has {len(arrays['findings'])} findings but labels of shape "
            f"{arrays['labels'].shape} and type "
            f"{arrays['labels'].dtype}: write numbers [N, C]"
        )
    for name in arrays:
        if name.startswith("acquisition/") and (
            arrays[name].shape != (count,) or arrays[name].dtype.kind not in "fiub"
        ):
            raise UserError(
                f"{path} has {count} ids but {name} of shape {arrays[name].shape}: write one "
                "number per radiograph"
            )
    for name in arrays:
        if name.startswith("acquisition/") and np.isinf(arrays[name]).any():
            raise UserError(f"{path} has {name} with infinite numbers: NaN stands for none")
    findings = _strings(arrays, "findings")
    twice = [name for name, times in Counter(findings).items() if times > 1 or not name.strip()]
    if twice:
        raise UserError(f"{path} has the finding {twice[0]!r} twice, or without a name")
    for name in ("image", "text"):
        if name in arrays:
            check_rows(arrays[name], f"{name} embeddings of {path}")
    return _embedded(arrays, path)


def check_rows(rows: np.ndarray, what: str, width: int | None = None) -> None:
    """Refuse embeddings with NaN or infinity, or of another width than a model wants.

    Raises:
      UserError: naming the first bad row, or both widths.
    """
    if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind not in "fiu":
        raise UserError(
            f"the {what} have shape {rows.shape} and type {rows.dtype}, not numbers [N, D]: write "
            "them again"
        )
    if width is not None and rows.shape[1] != width:
        raise UserError(
            f"the {what} have width {rows.shape[1]}, but the model was trained on {width}: use the "
            "same encoder and modality"
        )
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there
        bad = np.flatnonzero(~np.isfinite(rows.astype(np.float32, copy=False)).all(1))
    if len(bad):
        raise UserError(
            f"{len(bad)} rows of the {what} hold NaN or infinity, the first is row {bad[0]}: embed "
            "these radiographs again or leave them out"
        )


def _strings(arrays, name):
    """Texts of an array, () where it is not there; bytes count as UTF-8."""
    found = arrays.get(name, np.array([]))
    if found.dtype.kind == "S":
        return tuple(text.decode("utf-8", "replace") for text in found)
    return tuple(map(str, found))


def _embedded(arrays, path):
    def strings(name):
        return _strings(arrays, name)

    paths = strings("paths")
    patients = tuple(person(text) for text in strings("patients"))
    check_people(patients, path)

    def read(row):
        if not paths:
            raise Unreadable("the embeddings file names no radiographs")
        return read_image(Path(paths[row]))

    cases = Cases(
        strings("ids"),
        patients,
        strings("findings"),
        arrays["labels"].astype(np.float32),
        read,
        strings("reports"),
        {
            name.removeprefix("acquisition/"): a
            for name, a in arrays.items()
            if name.startswith("acquisition/")
        },
        strings("split"),
        tuple((str(a), str(b)) for a, b in arrays.get("skipped", ())),
        str(arrays.get("source", path)),
    )
    network = {
        name.removeprefix("network/"): a
        for name, a in arrays.items()
        if name.startswith("network/")
    }
    return Embedded(
        cases,
        arrays.get("image"),
        arrays.get("text"),
        str(arrays.get("encoder", "unknown")),
        bool(paths),
        network,
    )
