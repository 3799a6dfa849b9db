"""GM-VQ: the codebook as the means of a Gaussian mixture, learned with the aggregated lower bound
(Yan et al. 2024, arXiv 2410.10180).

The generative model (their section 3): a code c is drawn uniformly, z ~ N(mu_c, sigma^2 I), and the
decoder makes x of z. The encoder gives an embedding e; q(c|x) is a softmax over weighted squared
distances, q(z|x, c) = N(mu_c, s_c^2 I) with s_c^2 = |e - mu_c|^2 / (2 sigma^2 L).

The paper's text is known to us only in part. Our choice: the constant of the logits, the
parametrization of the weights, the noise of a mixed code, and all defaults.
"""

from dataclasses import dataclass
from typing import Literal, Unpack

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import masked_mean
from quant.codebooks.extremes import LARGEST_APART, bounded
from quant.codebooks.init import Init, initial_codes
from quant.codebooks.soft_assignment import (
    entropy,
    mean_posterior,
    relaxed_rows,
    squared_distances,
    variance_around,
    warmth,
)
from quant.codebooks.updates import check_sizes
from quant.errors import require, require_one_of
from quant.estimators.sample import safe_log_softmax
from quant.quantizers.inputs import check_sample
from quant.quantizers.interface import Batch, Found, SoftOptions, call_soft, decode_codes, encode_by
from quant.types import Quantized

SMALLEST_VARIANCE = 1e-6
"""Added to s_c^2 inside the root, whose gradient at e = mu_c would be infinite."""


LARGEST_LOG_WEIGHT = 10.0
"""Learned weights stay between its exponential and one over that."""


Objective = Literal["albo", "literal", "elbo"]
Spread = Literal["distance", "learned"]


@dataclass(frozen=True)
class GMVQConfig:
    """A GM-VQ quantizer. Static under jit."""

    num_codes: int
    """Number C of codes."""
    dim: int
    """Features L of the input, the output and the codes."""
    objective: Objective = "albo"
    """albo: the KL of the mean posterior, and the soft commitment under q(c|x), which is what
    sampling optimizes. literal: also the commitment under the mean posterior, as the bound is
    written. elbo: the KL of each row's posterior, and the entropy of q(z|x, c).
    """
    gamma: float = 1.0
    """Weight of the soft commitment (sigma_x^2 / (2 sigma^4) if the squared error has weight one).
    """
    beta: float = 1e-3
    """Weight of the KL. The paper's entropy regularization is a larger one."""
    sigma: float = 1.0
    """Standard deviation of the prior around its code."""
    temperature: float = 1.0
    """Temperature of the relaxed choice, if `quantize` is not given one."""
    hard: bool = False
    """Choose one code in training too, straight-through."""
    noise: bool = True
    """Draw z around the code in training."""
    spread: Spread = "distance"
    """s_c: of the distance to the code (their equation 15), or one learned number (an ablation).
    The soft commitment stays.
    """
    learn_weights: bool = True
    """A learned weight per feature in the distance of q(c|x)."""
    softness: float = 10.0
    """Given a sample, weights begin this many times softer than the precision of the mixture around
    it (Our choice). With 1 choices begin nearly one-hot, and codes that start unused stay so; the
    softer start wants longer trainings.
    """
    largest_noise: float | None = None
    """Upper end of s_c; without, it grows with the distance."""
    init: Init = "normal"
    """Initial codes; the paper takes k-means."""

    def __post_init__(self):
        check_sizes(self.num_codes, self.dim)
        for name, choices in {"objective": Objective, "spread": Spread, "init": Init}.items():
            require_one_of(name, getattr(self, name), choices)
        require(
            self.sigma > 0 and self.temperature > 0 and self.softness > 0,
            "sigma, temperature and softness must be above 0",
        )
        require(
            self.largest_noise is None or self.largest_noise > 0,
            f"largest_noise is {self.largest_noise}: it must be above 0",
        )


def init(key: jax.Array, config: GMVQConfig, sample: jax.Array | None = None) -> tuple[dict, dict]:
    """params "codes" `[C, L]`, "log_weight" `[L]` if weights are learned, "log_spread" if that is;
    no state.

    Our choice: weights begin at 1 / sigma^2, or, given a sample, at the precision of the mixture
    around it (one over the mean squared distance of a feature to that of the nearest code) over
    `softness`. With weights of one, where embeddings lie close together every code is as probable
    as any other, all gradients of the choice are alike, and codes never part.
    """
    sample = check_sample(sample, config.dim)
    codes = initial_codes(key, config.init, config.num_codes, config.dim, sample)
    params = {"codes": codes}
    if config.learn_weights:
        start = (
            jnp.float32(config.sigma**2)
            if sample is None
            else config.softness * variance_around(codes, sample.reshape(-1, config.dim))
        )
        params["log_weight"] = jnp.full(
            config.dim, jnp.minimum(-jnp.log(start), LARGEST_LOG_WEIGHT)
        )
    if config.spread == "learned":
        params["log_spread"] = jnp.float32(jnp.log(config.sigma))
    return params, {}


def log_posterior(params: dict, x: jax.Array, config: GMVQConfig) -> jax.Array:
    """log q(c|x) of every row, float32 `[N, C]`."""
    weight = jnp.full(config.dim, config.sigma**-2, jnp.float32)
    if config.learn_weights:
        weight = jnp.exp(jnp.clip(params["log_weight"], -LARGEST_LOG_WEIGHT, LARGEST_LOG_WEIGHT))
    root = jnp.sqrt(weight)[None]
    x, codes = (bounded(a, LARGEST_APART) for a in (x, params["codes"]))
    return safe_log_softmax(-0.5 * squared_distances(x * root, codes * root))


def quantize(
    params: dict, state: dict, x: jax.Array, config: GMVQConfig, **options: Unpack[SoftOptions]
) -> tuple[Quantized, dict]:
    """A relaxed, noisy code in training; the most probable code in evaluation.

    Args:
      params: from `init`; gradients reach codes and weights, from the losses and from the output.
      state: empty.
      x: float `[..., L]`.
      config: the same as at `init`.
      **options: see `SoftOptions`. Training needs a key, for the choice and the noise; the mean
        posterior is that of the rows of all devices.

    Returns:
      A `Quantized` with losses "latent" and "kl", metrics "perplexity" and "usage" of the most
      probable codes, and in nats: "kl_mean" KL(mean posterior | prior), "kl_row" mean KL(q(c|x) |
      prior), "information" (their difference, I(x; c)), "entropy_row", "entropy_mean"; and the
      state.

    Raises:
      QuantError: another number of features; training without a key.
    """
    return call_soft(_mixture, params, state, x, config, options)


def _mixture(params: dict, state: dict, batch: Batch, config: GMVQConfig) -> tuple[Found, dict]:
    codes = params["codes"]
    log_q = log_posterior(params, batch.z, config)
    index = log_q.argmax(-1).astype(jnp.int32)
    metrics = batch.usage(index, config.num_codes)
    losses, value = {}, codes[index]
    if batch.train:
        distance = squared_distances(*(bounded(a, LARGEST_APART) for a in (batch.z, codes)))
        spread = deviations(params, distance, config)
        terms = mixture_terms(log_q, batch.usable, batch.axis_name)
        latent = latent_term(codes, distance, spread, log_q, terms.pop("log_mean"), config)
        losses["latent"] = config.gamma * batch.mean(latent)
        losses["kl"] = config.beta * (
            terms["kl_row"] if config.objective == "elbo" else terms["kl_mean"]
        )
        metrics |= terms
        value = _draw(batch, codes, log_q, spread, config)
    return Found(value, index, losses, metrics), state


def deviations(params: dict, distance: jax.Array, config: GMVQConfig) -> jax.Array:
    """s_c of every row and code `[N, C]`, from squared distances (their equation 15), or the
    learned one.
    """
    if config.spread == "learned":
        return jnp.broadcast_to(jnp.exp(params["log_spread"]), distance.shape)
    spread = jnp.sqrt(distance / (2 * config.sigma**2 * config.dim) + SMALLEST_VARIANCE)
    return spread if config.largest_noise is None else jnp.minimum(spread, config.largest_noise)


def mixture_terms(
    log_q: jax.Array, usable: jax.Array, axis_name: str | None = None
) -> dict[str, jax.Array]:
    """Scalars of a batch of posteriors `[N, C]` against the uniform prior (see `quantize`), and
    "log_mean" `[C]`.

    kl_row = kl_mean + information, exactly.
    """
    log_mean = mean_posterior(log_q, usable, axis_name)
    rows, whole = masked_mean(entropy(log_q), usable, None, axis_name), entropy(log_mean)
    top = jnp.log(log_q.shape[1])
    return {
        "log_mean": log_mean,
        "entropy_row": rows,
        "entropy_mean": whole,
        "information": whole - rows,
        "kl_row": top - rows,
        "kl_mean": top - whole,
    }


def latent_term(codes, distance, spread, log_q, log_mean, config: GMVQConfig) -> jax.Array:
    """Term that stands for -log p(z|c) (and, in the ELBO, log q(z|x, c)) in the loss of every row,
    `[N]`, in units of a squared distance.

    albo: sum_c q(c|x) |e - mu_c|^2, which is 2 sigma^2 L s_c^2; a learned s_c adds the latter to
    the former. literal: with the mean posterior over c, and z from the whole mixture. elbo: that of
    albo minus the entropy of q(z|x, c), 2 sigma^4 L log s_c^2 in these units.

    Args:
      codes: mu_c, float32 `[C, L]`.
      distance: |e - mu_c|^2, float32 `[N, C]`.
      spread: s_c, `[N, C]`, see `deviations`.
      log_q: log q(c|x), `[N, C]`.
      log_mean: logarithm of the mean posterior, `[C]`.
      config: objective, sigma, spread and dim are read.
    """
    q = jnp.exp(log_q)
    if config.objective != "literal":
        term = (q * distance).sum(-1)
        if config.spread == "learned":
            term = term + 2 * config.sigma**2 * config.dim * (q * spread**2).sum(-1)
        if config.objective == "elbo":
            term = term - 2 * config.sigma**4 * config.dim * (q * 2 * jnp.log(spread)).sum(-1)
        return term
    mean, length = jnp.exp(log_mean), (codes**2).sum(-1)
    between = (q * length[None]).sum(-1) + (mean * length).sum() - 2 * (q @ codes) @ (mean @ codes)
    return 2 * config.sigma**2 * (between + config.dim * (q * spread**2).sum(-1))


def _draw(batch: Batch, codes, log_q, spread, config: GMVQConfig) -> jax.Array:
    """z of every row: the chosen mix of codes, and noise with the chosen mix of deviations."""
    choice_keys, noise_keys = jnp.split(jax.vmap(jax.random.split)(batch.row_keys()), 2, axis=1)
    temperature = warmth(batch.temperature, config)
    y = relaxed_rows(choice_keys[:, 0], log_q, temperature, config.hard)
    value = y @ codes
    if not config.noise:
        return value
    noise = jax.vmap(lambda k: jax.random.normal(k, codes.shape[1:], jnp.float32))(noise_keys[:, 0])
    return value + (y * spread).sum(-1, keepdims=True) * noise


encode = encode_by(quantize)
"""`encode(params, state, x, config)`: the most probable codes, int32 `[...]`."""


decode = decode_codes
"""`decode(params, state, indices, config)`: codes of indices, float32 `[..., L]`; NaN for indices
outside 0..C-1.
"""
