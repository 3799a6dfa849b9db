"""Deferred quantization: learn to encode first, put the codes on what was learned, then learn with
them (Zhao et al. 2024).

The whole training of one seed is one traced function: three scans and a k-means. vmap it over keys.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import optax

from quant.quantizers import vq
from quant.quantizers.vq import VQConfig, VQState
from quant.types import Quantized


@dataclass(frozen=True)
class Schedule:
    """Lengths of the phases, and their optimizer."""

    pretrain: int
    """Updates as a plain autoencoder, before there are codes; 0 is the usual way."""
    steps: int
    """Updates with the quantizer between encoder and decoder."""
    batch: int = 256
    """Examples of an update."""
    learning_rate: float = 1e-3
    """Learning rate of Adam, whose moments begin anew with the quantizer."""
    sample: int = 4096
    """Number of embeddings that the codes are put on."""
    every: int = 50
    """Updates between two points of the recorded curves."""


class Trained(NamedTuple):
    """One seed, after training."""

    params: Any
    """Parameters of the autoencoder."""
    quantizer: tuple[dict, VQState]
    """Parameters and state of the quantizer."""
    at_start: jax.Array
    """`[sample, L]`, embeddings that the codes were put on."""
    curves: dict[str, jax.Array]
    """`[steps / every]` each: "loss", "mse", "perplexity", "usage" of the last batch."""


def train(
    key: jax.Array, x: jax.Array, module: nn.Module, config: VQConfig, schedule: Schedule
) -> Trained:
    """Pretrain, put the codes, train.

    Args:
      key: of everything random.
      x: float32 `[N, ...]`, all examples.
      module: autoencoder with methods `encode` and `decode`.
      config: the quantizer; `config.init` says where codes are put.
      schedule: lengths.
    """
    key_params, key_before, key_sample, key_codes, key_after = jax.random.split(key, 5)
    params = module.init(key_params, x[:1])["params"]
    params = pretrain(key_before, params, x, module, schedule)
    few = x[jax.random.permutation(key_sample, x.shape[0])[: schedule.sample]]
    z = module.apply({"params": params}, few, method="encode")
    quantizer = vq.init(key_codes, config, z)
    params, quantizer, curves = learn_codes(
        key_after, (params, quantizer), x, module, config, schedule
    )
    return Trained(params, quantizer, z.reshape(-1, z.shape[-1]), curves)


def pretrain(key: jax.Array, params, x: jax.Array, module: nn.Module, schedule: Schedule):
    """Updates on the mean squared error of a plain autoencoder.

    Args:
      key: typed PRNG key, for the batches.
      params: parameters of the autoencoder before.
      x: float32 `[N, ...]`, all examples.
      module: autoencoder, called without a quantizer.
      schedule: `pretrain` updates of `batch` examples, with `learning_rate`.

    Returns:
      The parameters after the updates.
    """
    optimizer = optax.adam(schedule.learning_rate)

    def update(carry, key):
        params, moments = carry
        batch = x[jax.random.randint(key, (schedule.batch,), 0, x.shape[0])]

        def loss(p):
            return ((module.apply({"params": p}, batch) - batch) ** 2).mean()

        changes, moments = optimizer.update(jax.grad(loss)(params), moments)
        return (optax.apply_updates(params, changes), moments), None

    keys = jax.random.split(key, schedule.pretrain)
    return jax.lax.scan(update, (params, optimizer.init(params)), keys)[0][0]


def learn_codes(
    key: jax.Array,
    learned: tuple[Any, tuple[dict, VQState]],
    x: jax.Array,
    module: nn.Module,
    config: VQConfig,
    schedule: Schedule,
):
    """Updates of encoder, decoder and quantizer together.

    Args:
      key: of batches and draws.
      learned: parameters of the autoencoder, and parameters and state of the quantizer.
      x: float32 `[N, ...]`.
      module: the autoencoder.
      config: of the quantizer.
      schedule: lengths.

    Returns:
      Parameters, quantizer (parameters and state), curves.
    """
    params, quantizer = learned
    optimizer = optax.adam(schedule.learning_rate)

    def loss_of(learned, state, batch, key):
        params, codes = learned
        out, after = vq.quantize(
            codes, state, module.apply({"params": params}, batch, method="encode"), config, key=key
        )
        error = (
            (module.apply({"params": params}, out.quantized, method="decode") - batch) ** 2
        ).mean()
        return error + out.loss, (
            after,
            {"mse": error, "perplexity": out.metrics["perplexity"], "usage": out.metrics["usage"]},
        )

    def update(carry, key):
        learned, state, moments = carry
        key_batch, key_quantize = jax.random.split(key)
        batch = x[jax.random.randint(key_batch, (schedule.batch,), 0, x.shape[0])]
        (loss, (state, seen)), grads = jax.value_and_grad(loss_of, has_aux=True)(
            learned, state, batch, key_quantize
        )
        changes, moments = optimizer.update(grads, moments)
        return (optax.apply_updates(learned, changes), state, moments), seen | {"loss": loss}

    learned = (params, quantizer[0])
    keys = jax.random.split(key, schedule.steps)
    (learned, state, _), curves = jax.lax.scan(
        update, (learned, quantizer[1], optimizer.init(learned)), keys
    )
    return (
        learned[0],
        (learned[1], state),
        jax.tree.map(lambda a: a[schedule.every - 1 :: schedule.every], curves),
    )


def reconstruct(
    trained: Trained, x: jax.Array, module: nn.Module, config: VQConfig
) -> tuple[jax.Array, jax.Array, Quantized]:
    """Encode, quantize and decode in evaluation, without learning.

    Args:
      trained: result of `train`.
      x: float32 `[N, ...]`.
      module: autoencoder with methods `encode` and `decode`.
      config: the quantizer that was trained.

    Returns:
      Embeddings `[N, ..., L]`, reconstructions in the shape of `x`, and the quantizer's result.
    """
    z = module.apply({"params": trained.params}, x, method="encode")
    out, _ = vq.quantize(*trained.quantizer, z, config, train=False)
    return z, module.apply({"params": trained.params}, out.quantized, method="decode"), out
