"""Supervised training of the tiny model: SFT on whole rows, or EF-SFT on their plans."""

import functools
from dataclasses import dataclass
from typing import Literal, NamedTuple

import jax
import numpy as np
import optax

from jaxrl.train.state import Learner, apply_gradients
from reasoning.e2c.chain.model import ModelConfig, logits_of
from reasoning.e2c.chain.rows import MARKERS, Rows
from reasoning.e2c.chain.task import PAD
from reasoning.e2c.losses import ef_sft_mask, masked_nll, phase_entropy


@dataclass(frozen=True)
class SFTConfig:
    """One supervised training."""

    steps: int = 1400
    """Updates."""
    batch: int = 32
    """Rows of an update."""
    learning_rate: float = 4e-3
    """Highest learning rate of AdamW with betas .9 and .95, after a warm-up over a tenth of the
    updates; it then falls along a cosine to a tenth of it.
    """
    weight_decay: float = 0.01
    """Weight decay of AdamW."""
    clip_norm: float = 1.0
    """Largest gradient norm."""
    trained: Literal["all", "plan"] = "all"
    """all: SFT. plan: EF-SFT; rows marked `whole` keep their execution."""
    every: int = 100
    """Updates of one call."""


class Seen(NamedTuple):
    """Means over the updates of a call."""

    loss: jax.Array
    tokens: jax.Array
    """Trained tokens, summed over the updates."""
    plan_entropy: jax.Array
    execution_entropy: jax.Array
    """Nats per token, teacher-forced."""


def optimizer(config: SFTConfig) -> optax.GradientTransformation:
    """AdamW with warm-up and cosine; the betas of the authors' configuration."""
    warmup, last = max(1, config.steps // 10), 0.1 * config.learning_rate
    rate = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, max(config.steps, warmup + 1), last
    )
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(rate, 0.9, 0.95, weight_decay=config.weight_decay),
    )


def trained_mask(ids, mask, whole, config: SFTConfig) -> jax.Array:
    """Tokens that the loss counts, bool `[B, T]`.

    Args:
      ids: int32 `[B, T]`.
      mask: bool `[B, T]`, tokens that may be trained.
      whole: bool `[B]`, rows that keep their execution in EF-SFT.
      config: `trained` "all" returns `mask`, "plan" the mask of EF-SFT.
    """
    return mask if config.trained == "all" else ef_sft_mask(ids, mask, MARKERS, whole)


def loss(params, ids, mask, whole, config: SFTConfig, model: ModelConfig):
    """Mean negative log-likelihood of the trained tokens.

    Args:
      params: parameters of the model, which are differentiated.
      ids: int32 `[B, T]`, padded on the right.
      mask: bool `[B, T]`, tokens that may be trained.
      whole: bool `[B]`, rows that keep their execution in EF-SFT.
      config: selects SFT or EF-SFT.
      model: sizes of the model.

    Returns:
      `(loss, seen)`: nats per token, and the statistics of this batch.
    """
    counted = trained_mask(ids, mask, whole, config)
    logits = logits_of(params, ids[:, :-1], ids[:, :-1] != PAD, model)
    value = masked_nll(logits, ids[:, 1:], counted[:, 1:])
    entropies = phase_entropy(jax.lax.stop_gradient(logits), ids[:, 1:], mask[:, 1:], MARKERS)
    return value, Seen(value, counted.sum(), *entropies)


@functools.partial(jax.jit, static_argnames=("config", "model"), donate_argnums=0)
def updates(
    learner: Learner, rows: Rows, places: jax.Array, config: SFTConfig, model: ModelConfig
) -> tuple[Learner, Seen]:
    """Take one update per line of `places`.

    Args:
      learner: parameters and state of the optimizer; its buffers are donated.
      rows: all training rows.
      places: int32 `[U, B]`, numbers of the rows of each of the U updates.
      config: settings of the training.
      model: sizes of the model.

    Returns:
      The learner, and statistics: trained tokens summed, all others averaged over the updates.
    """

    def step(learner, place):
        batch = jax.tree.map(lambda a: a[place], rows)
        grads, seen = jax.grad(loss, has_aux=True)(learner.params, *batch, config, model)
        return apply_gradients(learner, grads, optimizer(config))[0], seen

    learner, seen = jax.lax.scan(step, learner, places)
    return learner, Seen(
        seen.loss.mean(), seen.tokens.sum(), seen.plan_entropy.mean(), seen.execution_entropy.mean()
    )


def places(rows: int, config: SFTConfig, seed: int) -> np.ndarray:
    """Row numbers of every update, `[steps, B]`: epoch after epoch, each in an order of its own."""
    rng, needed = np.random.default_rng(seed), config.steps * config.batch
    epochs = [rng.permutation(rows) for _ in range(-(-needed // rows))]
    return np.concatenate(epochs)[:needed].reshape(config.steps, config.batch).astype(np.int32)
