"""The diagnostic head: embedding -> Linear -> ReLU -> Linear, one logit per finding. Attribution
rests on what follows the ReLU: a line.

Labels may be masked. The step of lowest validation loss is kept, and logits are divided by a
temperature found on validation data.
"""

import functools
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.app.errors import UserError
from jaxrl.app.old_names import attributes
from jaxrl.nn import initializers
from jaxrl.nn.mlp import per_feature
from sae import metrics
from sae.data.labels import Policy

Modality = Literal["image", "text", "both"]


@dataclass(frozen=True)
class ClassifierConfig:
    """The head and its training."""

    modality: Modality = "image"
    """Embeddings that go in. text and both see the report that the labels were read from: their AUC
    is no diagnosis from radiographs.
    """
    hidden: int = 256
    """Width of the hidden layer, which transcoders explain."""
    epochs: int = 60
    """Passes over the training cases."""
    batch: int = 128
    """Cases per update."""
    learning_rate: float = 1e-3
    """Learning rate of AdamW, constant."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    uncertain: Policy = "ignore"
    """Meaning of labels of -1."""
    unmentioned: Literal["ignore", "zeros"] = "zeros"
    """Meaning of findings that a report does not mention. Our choice: absent."""


class Head(NamedTuple):
    """Parameters."""

    w1: jax.Array
    """`[D, E]`."""
    b1: jax.Array
    """`[E]`."""
    w2: jax.Array
    """`[E, C]`, divided by the temperature."""
    b2: jax.Array
    """`[C]`, likewise."""


def hidden(head: Head, x: jax.Array) -> jax.Array:
    """The layer that transcoders explain, after its ReLU: `[..., D] -> [..., E]`."""
    pre = x @ head.w1
    return jax.nn.relu(pre + per_feature(head.b1, pre))


def readout(head: Head, h: jax.Array) -> jax.Array:
    """Logits of hidden activity, `[..., E] -> [..., C]`; affine."""
    logits = h @ head.w2
    return logits + per_feature(head.b2, logits)


def logits(head: Head, x: jax.Array) -> jax.Array:
    """`[..., D] -> [..., C]`."""
    return readout(head, hidden(head, x))


def inputs(image: np.ndarray | None, text: np.ndarray | None, modality: Modality) -> np.ndarray:
    """Inputs of the head, float32 `[N, D]`; image first where both do.

    Raises:
      UserError: an embedding that the modality needs is not there.
    """
    parts = {"image": (image,), "text": (text,), "both": (image, text)}[modality]
    if any(part is None for part in parts):
        raise UserError(
            f"modality {modality} needs {'reports' if image is not None else 'images'}, which "
            "these embeddings lack: choose another"
        )
    if modality != "image":
        warnings.warn(
            f"modality {modality}: the labels were read from the reports, so this AUC is not "
            "diagnosis from images",
            stacklevel=2,
        )
    return np.concatenate([np.asarray(part, np.float32) for part in parts], 1)


def masked_loss(head: Head, x: jax.Array, y: jax.Array, mask: jax.Array) -> jax.Array:
    """Mean binary cross-entropy over the labels that count.

    Args:
      head: parameters.
      x: float `[N, D]`.
      y: `[N, C]`, labels in [0, 1].
      mask: `[N, C]`, 1 where a label counts, else 0.

    Returns:
      A scalar, in nats; 0 if no label counts.
    """
    losses = optax.sigmoid_binary_cross_entropy(logits(head, x), y) * mask
    return losses.sum() / jnp.maximum(mask.sum(), 1)


def train_head(
    train: tuple,
    validate: tuple,
    config: ClassifierConfig,
    seed: int = 0,
    names: Sequence[str] = (),
) -> tuple[Head, dict[str, Any]]:
    """The head of lowest validation loss, calibrated; and the losses by epoch.

    Args:
      train, validate: `(x [N, D], targets [N, C], mask [N, C])`.
      config: width, length and rates of the training.
      seed: of initial weights and batches.
      names: of the findings, for refusals.

    Raises:
      UserError: a finding has no case, or no case without it, among the training labels.
    """
    x, y, mask = (jnp.asarray(a, jnp.float32) for a in train)
    for column in range(y.shape[1]):
        known = np.asarray(mask[:, column]) > 0
        if len(np.unique(np.asarray(y[known, column]) > 0.5)) < 2:
            which = names[column] if names else column
            raise UserError(
                f"finding {which} has only one kind of label among {known.sum()} training cases: "
                "choose other findings, or more cases"
            )
    keys = jax.random.split(jax.random.key(seed), 4)
    width = config.hidden

    def weights(key, shape):
        return initializers.fan_in_uniform(shape[0])(key, shape)

    def bias(key, size, fan):
        return initializers.fan_in_uniform(fan)(key, (size,))

    head = Head(
        weights(keys[0], (x.shape[1], width))
        * jnp.sqrt(x.shape[1] / 3),  # embeddings have length 1
        bias(keys[1], width, x.shape[1]),
        weights(keys[2], (width, y.shape[1])),
        bias(keys[3], y.shape[1], width),
    )
    held = tuple(jnp.asarray(a, jnp.float32) for a in validate)
    best, losses = _train(head, (x, y, mask), held, jax.random.key(seed + 1), config)
    temperature = _temperature(best, held)
    best = best._replace(w2=best.w2 / temperature, b2=best.b2 / temperature)
    return best, {
        "train": np.asarray(losses[0]).tolist(),
        "validate": np.asarray(losses[1]).tolist(),
        "temperature": float(temperature),
    }


@functools.partial(jax.jit, static_argnums=4)
def _train(head, data, held, key, config):
    x, y, mask = data
    batch = min(config.batch, x.shape[0])
    steps = x.shape[0] // batch
    optimizer = optax.adamw(config.learning_rate, weight_decay=config.weight_decay)

    def step(carry, rows):
        head, opt_state = carry
        loss, grads = jax.value_and_grad(masked_loss)(head, x[rows], y[rows], mask[rows])
        changes, opt_state = optimizer.update(grads, opt_state, head)
        return (optax.apply_updates(head, changes), opt_state), loss

    def epoch(carry, key):
        head, opt_state, best, best_loss = carry
        order = jax.random.permutation(key, x.shape[0])[: steps * batch].reshape(steps, batch)
        (head, opt_state), losses = jax.lax.scan(step, (head, opt_state), order)
        loss = masked_loss(head, *held)
        best = jax.tree.map(lambda new, old: jnp.where(loss < best_loss, new, old), head, best)
        return (head, opt_state, best, jnp.minimum(loss, best_loss)), (losses.mean(), loss)

    first = (head, optimizer.init(head), head, jnp.inf)
    (_, _, best, _), losses = jax.lax.scan(epoch, first, jax.random.split(key, config.epochs))
    return best, losses


@jax.jit
def _temperature(head, held):
    """The temperature of lowest validation loss among 81 between 1/4 and 4."""
    x, y, mask = held
    raw = logits(head, x)
    tried = 2.0 ** jnp.linspace(-2, 2, 81)

    def loss(t):
        return (optax.sigmoid_binary_cross_entropy(raw / t, y) * mask).sum()

    return tried[jnp.argmin(jax.vmap(loss)(tried))]


def evaluate(
    head: Head, x: np.ndarray, labels: np.ndarray, mask: np.ndarray, findings: tuple[str, ...]
) -> dict[str, dict]:
    """AUC with interval and calibration of every finding on cases that were not trained on;
    JSON-ready.

    Args:
      head: parameters.
      x: float `[N, D]`.
      labels: `[N, C]`, 0 or 1 where they count.
      mask: `[N, C]`, true where a label counts.
      findings: names of the C columns.

    Returns:
      By finding, see `finding_scores`.
    """
    raw = np.asarray(logits(head, jnp.asarray(x, jnp.float32)))
    return {
        name: finding_scores(raw[:, c], labels[:, c], mask[:, c]) for c, name in enumerate(findings)
    }


def finding_scores(raw: np.ndarray, label: np.ndarray, mask: np.ndarray) -> dict:
    """Scores of one finding, from logits, labels and mask `[N]`."""
    area, sure = (
        metrics.auc(raw, label, mask),
        metrics.calibration(1 / (1 + np.exp(-raw)), label, mask),
    )

    def plain(value):
        return None if np.isnan(value) else value

    return {
        "auc": plain(area.value),
        "low": plain(area.low),
        "high": plain(area.high),
        "cases": int(np.sum(mask > 0)),
        "present": int(np.sum((label > 0.5) & (mask > 0))),
        "calibration_error": sure.error,
        "brier": sure.brier,
        "bins": sure.bins,
    }


__getattr__ = attributes(__name__, {"judge": f"{__name__}:evaluate"})  # old name
