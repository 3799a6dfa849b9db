"""Statistics of rollouts of a local model, batch by batch: rewards, lengths, tokens per second,
entropies of both phases.
"""

import functools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxrl.app.progress import log
from jaxrl.train.metrics import MetricsLog, lines_until
from reasoning.e2c.backends.tunix_local import forward
from reasoning.e2c.losses import phase_entropy
from reasoning.e2c.masks import Markers, has_boundary, phase_masks


def entropies(
    model: Any, ids: jax.Array, valid: jax.Array, response: jax.Array, tags: Markers
) -> tuple[float, float]:
    """Mean entropies of plan tokens and execution tokens, nats at temperature 1, by one forward
    pass per row: the logits of a row of thousands of tokens are large.

    Args:
      model: a Tunix model.
      ids: int `[B, T]`, prompts and responses, with pads anywhere.
      valid: bool `[B, T]`, false for pads.
      response: bool `[B, T]`, true for tokens of responses.
      tags: ids. Rows without a tag are left out, as in `losses.phase_entropy`; if nothing is left
        of a phase, it is NaN.
    """
    found = np.array(
        [
            jax.device_get(_of_row(model, *(a[n, None] for a in (ids, valid, response)), tags))
            for n in range(len(ids))
        ]
    )

    def over(phase):
        return (
            np.average(found[:, phase], weights=found[:, 2 + phase])
            if found[:, 2 + phase].any()
            else np.nan
        )

    return float(over(0)), float(over(1))


@functools.partial(nnx.jit, static_argnames="tags")
def _of_row(model, ids, valid, response, tags):
    """`(plan entropy, execution entropy, plan tokens, execution tokens)` of one row."""
    target, counted = ids[:, 1:], response[:, 1:]
    parts = phase_masks(target, counted & has_boundary(target, tags, counted)[..., None], tags)
    return (
        *phase_entropy(forward(model, ids, valid)[:, :-1], target, counted, tags),
        *(part.sum() for part in parts),
    )


class RolloutWatch:
    """Lines of a run's metrics.jsonl, one per batch that is sampled at once."""

    def __init__(self, folder: Path, done: int):
        """`done`: batches that the last checkpoint has seen; lines of later ones are dropped."""
        self.log = MetricsLog(folder, lines_until(folder, done))
        self.batch, self.since = done, time.perf_counter()
        self.rewards: list[float] = []
        """Rewards of the batch under way; the reward function adds to them."""

    def write(self, mask: jax.Array, plan_entropy: float, execution_entropy: float) -> None:
        """One batch of responses with `mask [B, T]`."""
        self.batch += 1
        tokens = int(mask.sum())
        seconds, self.since = time.perf_counter() - self.since, time.perf_counter()
        values = {
            "reward": float(np.mean(self.rewards)),
            "length": tokens / len(mask),
            "tokens_per_second": tokens / seconds,
            "plan_entropy": plan_entropy,
            "execution_entropy": execution_entropy,
        }
        self.rewards.clear()
        self.log.write(
            self.batch, {name: value for name, value in values.items() if np.isfinite(value)}
        )
        log(
            f"batch {self.batch}: "
            + " ".join(f"{name} {value:.4g}" for name, value in values.items())
        )


def batch_entropies(
    model: Any, mesh: Any, example: Any, tags: Markers, rows: int
) -> tuple[float, float]:
    """Entropies of plan and execution in the first responses of a batch.

    Args:
      model: a Tunix model.
      mesh: device mesh that the model is computed on.
      example: a Tunix `TrainExample` with B prompts and completions.
      tags: token ids that part plan and execution.
      rows: number of responses, from the first; 0: none.

    Returns:
      `(plan, execution)`, nats per token; NaN for 0 rows.
    """
    if not rows:
        return np.nan, np.nan
    ids, valid = (
        jnp.concatenate(
            [getattr(example, f"prompt_{name}"), getattr(example, f"completion_{name}")], 1
        )[:rows]
        for name in ("ids", "mask")
    )
    response = jnp.broadcast_to(
        jnp.arange(ids.shape[1])[None] >= example.prompt_ids.shape[1], ids.shape
    )
    with mesh:
        return entropies(model, ids, valid.astype(bool), response & valid.astype(bool), tags)
