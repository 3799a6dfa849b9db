"""Measures of a trained cell, on held-out examples, for one seed."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from quant.codebooks.soft_assignment import entropy, squared_distances
from quant.codebooks.updates import count_rows
from quant.data.loaders import as_shares
from quant.diagnostics import mean_cosine_distance, perplexity
from quant.quantizers import gmvq, vq
from quant.studies.gmvq.config import Quantizer
from quant.studies.gmvq.training import Learner

CHUNK = 256
"""Examples that are measured together."""
DRAWS = 16
"""Draws of z per row, for the entropy of q(z|x)."""


def measure(
    learner: Learner, x: jax.Array, module: nn.Module, quantizer: Quantizer
) -> dict[str, jax.Array]:
    """Scalars on examples `[N, ...]`.

    Args:
      learner: one seed, trained.
      x: float `[N, ...]`, examples.
      module: autoencoder.
      quantizer: the method's.

    Returns:
      "mse"; "perplexity" and "usage" of the most probable codes over all examples; "code_cosine",
      mean pairwise cosine distance of the codes; in nats: "entropy_row" mean H(q(c|x)),
      "information" I(x; c); and for GM-VQ "entropy_z", the entropy of q(z|x), the mixture, by Monte
      Carlo: what the ALBO lacks (the bound exceeds the ELBO by minus this, and by I).
    """
    sums = _over_chunks(lambda some, keep: _sums(learner, some, keep, module, quantizer), x)
    rows = sums["rows"]
    spread, mean = sums["entropy"] / rows, sums["posterior"] / rows
    found = {
        "mse": sums["error"] / float(x.size),
        "perplexity": perplexity(sums["count"]),
        "usage": (sums["count"] > 0).mean(),
        "code_cosine": mean_cosine_distance(codes_of(learner, quantizer)),
        "entropy_row": spread,
        "information": entropy(jnp.log(jnp.maximum(mean, 1e-30))) - spread,
    }
    if "entropy_z" in sums:
        found["entropy_z"] = sums["entropy_z"] / rows
    return found


def codes_of(learner: Learner, quantizer: Quantizer) -> jax.Array:
    """`[K, D]`."""
    if quantizer.functions is vq:
        return vq.effective_codes(learner.codes, learner.state, quantizer.config)[0]
    if "codes" in learner.codes:
        return learner.codes["codes"]
    every = jnp.arange(quantizer.config.num_codes)[:, None]
    return quantizer.functions.decode(learner.codes, learner.state, every, quantizer.config)


def reconstruct(
    learner: Learner, x: jax.Array, module: nn.Module, quantizer: Quantizer
) -> jax.Array:
    """Encode, quantize and decode in evaluation.

    Arguments as `measure`; returns reconstructions in the shape of `x`.
    """
    z = module.apply({"params": learner.params}, x, method="encode")
    out, _ = quantizer.functions.quantize(
        learner.codes, learner.state, z, quantizer.config, train=False
    )
    return module.apply({"params": learner.params}, out.quantized, method="decode")


def _sums(learner, x, keep, module, quantizer):
    """Over the examples to keep; a row is a token."""
    z = module.apply({"params": learner.params}, x, method="encode")
    out, _ = quantizer.functions.quantize(
        learner.codes, learner.state, z, quantizer.config, train=False
    )
    back = module.apply({"params": learner.params}, out.quantized, method="decode")
    error = jnp.where(keep, ((back - x) ** 2).reshape(x.shape[0], -1).sum(1), 0).sum()
    rows = z.reshape(-1, z.shape[-1])
    usable = jnp.repeat(keep, rows.shape[0] // x.shape[0])
    count = count_rows(out.indices.reshape(-1), quantizer.config.num_codes, usable)
    sums = {"error": error, "count": count, "rows": usable.sum().astype(jnp.float32)}
    if not quantizer.soft:
        return sums | {"entropy": jnp.float32(0), "posterior": count}
    log_q = quantizer.functions.log_posterior(learner.codes, rows, quantizer.config)

    def over(a):
        return jnp.where(usable.reshape(-1, *[1] * (a.ndim - 1)), a, 0).sum(0)

    sums |= {"entropy": over(entropy(log_q)), "posterior": over(jnp.exp(log_q))}
    if quantizer.functions is gmvq:
        sums["entropy_z"] = over(
            mixture_entropy(jax.random.key(0), learner.codes, rows, log_q, quantizer.config)
        )
    return sums


def mixture_entropy(
    key: jax.Array, codes: dict, rows: jax.Array, log_q: jax.Array, config: gmvq.GMVQConfig
) -> jax.Array:
    """Differential entropy of q(z|x) = sum_c q(c|x) N(mu_c, s_c^2 I) of every row `[N]`, in nats,
    by `DRAWS` samples each.

    Args:
      key: typed PRNG key.
      codes: parameters of a GM-VQ quantizer.
      rows: float32 `[N, L]`, embeddings.
      log_q: log q(c|x), `[N, C]`.
      config: of the quantizer.
    """
    spread = gmvq.deviations(codes, squared_distances(rows, codes["codes"]), config)

    def log_density(key):
        key_code, key_noise = jax.random.split(key)
        c = jax.random.categorical(key_code, log_q)
        own = jnp.take_along_axis(spread, c[:, None], 1)
        z = codes["codes"][c] + own * jax.random.normal(key_noise, rows.shape)
        normal = -0.5 * squared_distances(z, codes["codes"]) / spread**2 - config.dim * (
            jnp.log(spread) + 0.5 * jnp.log(2 * jnp.pi)
        )
        return jax.nn.logsumexp(log_q + normal, -1)

    return -jax.lax.map(log_density, jax.random.split(key, DRAWS)).mean(0)


def _over_chunks(sums, x: jax.Array):
    """Sums over all examples, chunk by chunk, the last one filled up."""
    size = min(CHUNK, x.shape[0])
    chunks = -(-x.shape[0] // size)
    places = jnp.arange(chunks * size).reshape(chunks, size)

    def one(rows):
        return sums(as_shares(x[jnp.minimum(rows, x.shape[0] - 1)]), rows < x.shape[0])

    return jax.tree.map(lambda a: a.sum(0), jax.lax.map(one, places))
