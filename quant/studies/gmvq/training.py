"""Autoencoder and quantizer learn together; every seed in one program, many updates per call."""

import functools
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.train.progress import Progress
from quant.data.loaders import as_shares
from quant.quantizers import sqvae
from quant.studies.gmvq.config import Learning, Quantizer
from quant.types import Quantized


class Learner(NamedTuple):
    """One seed. A pytree."""

    params: Any
    """Parameters of the autoencoder."""
    codes: dict
    """Parameters of the quantizer."""
    state: Any
    """State of the quantizer, which it learns without the optimizer."""
    moments: Any
    """State of the optimizer."""
    step: jax.Array


class History(NamedTuple):
    """Curves of the training, for S seeds and P points."""

    curves: dict[str, np.ndarray]
    """`[S, P]` each: means over the updates of a call."""
    examples_per_second: float
    """Speed of all seeds together, without the first call, which compiles; NaN if there was but
    one.
    """


def optimizer(learn: Learning) -> optax.GradientTransformation:
    """AdamW with warm-up and cosine."""
    warmup = int(learn.warmup * learn.steps)
    rate = optax.warmup_cosine_decay_schedule(
        0.0 if warmup else learn.learning_rate, learn.learning_rate, warmup, learn.steps
    )
    return optax.adamw(rate, b1=0.9, b2=0.95, weight_decay=learn.weight_decay)


def temperature(step: jax.Array, learn: Learning) -> jax.Array:
    """Falls exponentially from `temperature` to `cold` over the share `cooling` of the updates, and
    stays.
    """
    progress = jnp.minimum(step / (learn.cooling * learn.steps), 1.0)
    return learn.temperature * (learn.cold / learn.temperature) ** progress


def start(
    key: jax.Array, sample: jax.Array, module: nn.Module, quantizer: Quantizer, learn: Learning
) -> Learner:
    """Random weights; codes on the embeddings of `sample`, `[n, ...]`.

    Args:
      key: typed PRNG key.
      sample: float `[n, ...]`, examples.
      module: autoencoder.
      quantizer: the method's.
      learn: for the optimizer's state.
    """
    key_params, key_codes = jax.random.split(key)
    params = module.init(key_params, sample[:1])["params"]
    z = module.apply({"params": params}, sample, method="encode")
    codes, state = quantizer.functions.init(key_codes, quantizer.config, z)
    return Learner(params, codes, state, optimizer(learn).init((params, codes)), jnp.int32(0))


def quantize(
    key, codes, state, z, quantizer: Quantizer, warmth: jax.Array
) -> tuple[Quantized, Any]:
    """Quantize in training; the temperature is given only to soft quantizers.

    Args:
      key: typed PRNG key.
      codes: parameters of the quantizer.
      state: its state.
      z: float `[..., L]`, embeddings.
      quantizer: the method's.
      warmth: temperature of the relaxed choice, above 0.
    """
    more = {"temperature": warmth} if quantizer.soft else {}
    return quantizer.functions.quantize(codes, state, z, quantizer.config, key=key, **more)


def update(
    learner: Learner,
    x: jax.Array,
    key: jax.Array,
    module: nn.Module,
    quantizer: Quantizer,
    learn: Learning,
):
    """Do one update of one seed on a batch: `(learner, curves)`.

    The loss is the squared error (SQ-VAE: its fitted likelihood) and the quantizer's losses.

    Args:
      learner: before the update.
      x: float `[B, ...]`.
      key: typed PRNG key, for the quantizer.
      module: autoencoder.
      quantizer: the method's.
      learn: rates and temperatures.

    Returns:
      The learner after, and scalars: "mse" and the quantizer's metrics.
    """
    learned, warmth = (learner.params, learner.codes), temperature(learner.step, learn)

    def loss(learned):
        params, codes = learned
        z = module.apply({"params": params}, x, method="encode")
        out, state = quantize(key, codes, learner.state, z, quantizer, warmth)
        back = module.apply({"params": params}, out.quantized, method="decode")
        error = ((back - x) ** 2).mean()
        fit = sqvae.reconstruction_loss(error, x[0].size) if quantizer.functions is sqvae else error
        return fit + out.loss, (state, {"mse": error} | out.metrics)

    grads, (state, seen) = jax.grad(loss, has_aux=True)(learned)
    changes, moments = optimizer(learn).update(grads, learner.moments, learned)
    params, codes = optax.apply_updates(learned, changes)
    return Learner(params, codes, state, moments, learner.step + 1), seen


def train(
    keys: jax.Array,
    x: np.ndarray,
    module: nn.Module,
    quantizer: Quantizer,
    batch: int,
    learn: Learning,
    what: str,
):
    """Train every seed: `(Learner [S, ...], History)`.

    Args:
      keys: `[S]`.
      x: examples `[N, ...]`, float32 or bytes.
      module: autoencoder with methods `encode` and `decode`.
      quantizer: what sits between.
      batch: examples of an update.
      learn: lengths and rates.
      what: for the progress bar.
    """
    few = jnp.asarray(as_shares(x[np.random.default_rng(0).permutation(len(x))[: learn.sample]]))
    begin = jax.jit(
        jax.vmap(lambda key: start(jax.random.fold_in(key, 0), few, module, quantizer, learn))
    )
    learners, points, seconds = begin(keys), [], []
    with Progress(what, learn.steps) as bar:
        for number, source in enumerate(pieces(x, len(keys), batch, learn)):
            began = time.perf_counter()
            learners, seen = _call(
                learners,
                jax.vmap(jax.random.fold_in, (0, None))(keys, 1 + number),
                source,
                module,
                quantizer,
                learn,
            )
            points.append(jax.device_get(seen))
            seconds.append(time.perf_counter() - began)
            bar.advance(source[1].shape[1], mse=float(points[-1]["mse"].mean()))
    curves = jax.tree.map(lambda *p: np.stack(p, 1), *points)
    shown = learn.every * batch * len(keys) * (len(seconds) - 1)
    return learners, History(curves, shown / sum(seconds[1:]) if seconds[1:] else float("nan"))


def pieces(
    x: np.ndarray, seeds: int, batch: int, learn: Learning
) -> Iterator[tuple[jax.Array, jax.Array]]:
    """Examples and, for every call, places in them `[S, every, B]`. All examples, if they fit the
    device, else those of the call.

    Args:
      x: `[N, ...]`, all examples.
      seeds: S.
      batch: B, examples of an update.
      learn: `steps`, `every` and `resident_gib` are read.
    """
    resident = jnp.asarray(x) if x.nbytes <= learn.resident_gib * 2**30 else None
    rng = np.random.default_rng(1)
    for _ in range(learn.steps // learn.every):
        places = rng.integers(0, len(x), (seeds, learn.every, batch), dtype=np.int32)
        if resident is not None:
            yield resident, jnp.asarray(places)
        else:
            yield (
                jnp.asarray(x[places.reshape(-1)]),
                jnp.arange(places.size, dtype=jnp.int32).reshape(places.shape),
            )


@functools.partial(jax.jit, static_argnames=("module", "quantizer", "learn"), donate_argnums=0)
def _call(
    learners: Learner,
    keys: jax.Array,
    source,
    module: nn.Module,
    quantizer: Quantizer,
    learn: Learning,
):
    """`every` updates of every seed, and the means of what was seen."""
    x, places = source

    def one(learner, key, rows):
        def body(carry, both):
            return update(carry, as_shares(x[both[0]]), both[1], module, quantizer, learn)

        learner, seen = jax.lax.scan(body, learner, (rows, jax.random.split(key, rows.shape[0])))
        return learner, jax.tree.map(lambda a: a.mean(0), seen)

    return jax.vmap(one)(learners, keys, places)
