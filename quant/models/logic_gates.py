"""Differentiable logic gate networks: every neuron is one of the 16 gates of two bits, and training
chooses which.
"""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from quant.estimators.sample import Sample, argmax, one_hot, widened

TRUTH = ((np.arange(16)[:, None] >> np.arange(4)[None, :]) & 1).astype(np.float32)
"""`[16, 4]`: output of gate k for the inputs (a, b) = 00, 01, 10, 11; bit i of k is the output for
the i-th of them.
"""
PASS_A = 12
"""The gate whose output is a."""


def corners(a: jax.Array, b: jax.Array) -> jax.Array:
    """`[..., 4]`: how much of 00, 01, 10, 11 two numbers in [0, 1] are; exactly one-hot for bits,
    and bilinear in between.
    """
    return jnp.stack([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b], axis=-1)


class LogicGates(nn.Module):
    """Layers of gates on randomly wired pairs, and votes per class (Petersen et al. 2022, arXiv
    2210.08277, section 3).

    Attributes:
      classes: C; the last layer's gates are shared out equally, and the ones of a class counted.
      gates: gates per layer; the last number must be a multiple of the classes.
      wiring: seed of the fixed wires.
      lean: first logit of passing the first input on. Our choice: 1, since deep networks of
        uniformly drawn gates forget their input.
      vote: votes that weigh as much as a factor e. Our choice: the paper scales it with the number
        of gates per class.
    """

    classes: int
    gates: Sequence[int] = (512, 512)
    wiring: int = 0
    lean: float = 1.0
    vote: float = 3.0

    @nn.compact
    def __call__(
        self, bits: jax.Array, key: jax.Array, estimator: Callable[..., Sample]
    ) -> jax.Array:
        """Class logits `[B, C]` of bits `[B, D]`; one draw of all gates serves the whole batch."""
        rng, x = np.random.default_rng(self.wiring), bits
        for level, count in enumerate(self.gates):
            logits = self.param(f"gates_{level}", self._start, (count, 16))
            chosen = estimator(jax.random.fold_in(key, level), logits).value @ jnp.asarray(TRUTH)
            first, second = wires(rng, x.shape[-1], count)
            x = (corners(x[:, first], x[:, second]) * chosen[None]).sum(-1)
        return x.reshape(len(x), self.classes, -1).sum(-1) / self.vote

    def _start(self, key, shape):
        return (
            0.1 * jax.random.normal(key, shape)
            + self.lean * jnp.asarray(np.eye(16)[PASS_A], jnp.float32)[None]
        )


def wires(rng: np.random.Generator, inputs: int, gates: int) -> tuple[np.ndarray, np.ndarray]:
    """Two different inputs for each gate; every input is used about equally often."""
    first = rng.permutation(np.arange(gates) % inputs)
    return first, (first + rng.integers(1, max(inputs, 2), gates)) % inputs


def most_likely(key: jax.Array, logits: jax.Array) -> Sample:
    """The network as it is deployed: the most likely gate, without noise and gradient."""
    wide = widened(logits)
    index, probs = argmax(wide), jax.nn.softmax(wide, axis=-1)
    return Sample(one_hot(index, wide), index, probs, jnp.log(probs.max(-1)), probs)


def classification_loss(
    module: LogicGates,
    params,
    x: jax.Array,
    y: jax.Array,
    key: jax.Array,
    estimator: Callable[..., Sample],
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Mean cross-entropy in nats of the classes, and the accuracy.

    Args:
      module: network of gates.
      params: its variables, as from `module.init`.
      x: bits `[B, D]`.
      y: int `[B]`, classes.
      key: typed PRNG key, for the draw of the gates.
      estimator: `estimator(key, logits) -> Sample`, such as `gumbel_softmax`; `most_likely` in
        evaluation.

    Returns:
      The loss, a scalar, and {"accuracy": share of right answers}.
    """
    log_p = jax.nn.log_softmax(module.apply(params, x, key, estimator))
    loss = -jnp.take_along_axis(log_p, y[:, None], axis=-1).mean()
    return loss, {"accuracy": (jnp.argmax(log_p, axis=-1) == y).mean()}
