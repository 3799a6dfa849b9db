"""The optimizer of all systems: AdamW with weight decay on weights only, linear warm-up, clipping
by global norm.
"""

from dataclasses import dataclass

import jax
import optax

DECAYED = ("kernel", "kernel_ih", "kernel_hh")
"""Parameter names that receive weight decay: weights of linear, convolution and LSTM layers; no
biases, norms, embeddings.
"""


@dataclass(frozen=True)
class OptimConfig:
    """One AdamW optimizer."""

    learning_rate: float = 1e-4
    """Step size after warm-up."""
    weight_decay: float = 1e-2
    """Decoupled decay of weights, times the learning rate per update."""
    clip_norm: float = 1.0
    """Largest global gradient norm."""
    warmup: int = 100
    """Updates of linear warm-up from 0 (the first update has learning rate 0, as in DIAMOND)."""
    beta1: float = 0.9
    """Decay of the first moment."""
    beta2: float = 0.999
    """Decay of the second moment."""
    epsilon: float = 1e-8
    """Added to the root of the second moment."""


def adamw(config: OptimConfig) -> optax.GradientTransformation:
    """The transformation that `config` describes."""
    if config.warmup > 0:
        rate = optax.linear_schedule(0.0, config.learning_rate, config.warmup)
    else:
        rate = config.learning_rate
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            rate,
            config.beta1,
            config.beta2,
            config.epsilon,
            weight_decay=config.weight_decay,
            mask=decay_mask,
        ),
    )


def decay_mask(params):
    """Tree of bools like `params`: True where weight decay applies."""
    return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key in DECAYED, params)
