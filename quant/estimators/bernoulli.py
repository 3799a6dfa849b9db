"""Estimators of binary units, given by the logit of the probability of a 1.

A unit is a categorical variable over (0, 1) with logits (0, l), so `as_bernoulli` turns every
estimator into one of units. Those used most are also written out here, with the sigmoid, at half
the memory. Here `logits` and all fields of the `Sample` are `[...]`: `value` the bit, `index` the
bit as an integer, `probs` the probability of a 1, `soft` the relaxed bit.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from quant.estimators.sample import Sample, check_positive, widened, zero_like


def as_bernoulli(estimator: Callable[..., Sample]) -> Callable[..., Sample]:
    """The estimator of binary units that is `estimator` on the logits (0, l). It takes the same
    options.
    """

    def of_units(key: jax.Array, logits: jax.Array, **options) -> Sample:
        logits = jnp.asarray(logits)
        if jnp.issubdtype(logits.dtype, jnp.floating):
            certain = jnp.sign(logits) * min(CERTAIN, float(jnp.finfo(logits.dtype).max))
            logits = jnp.where(jnp.isinf(logits), certain, logits).astype(logits.dtype)
        pair = estimator(key, jnp.stack([jnp.zeros_like(logits), logits], axis=-1), **options)
        return pair._replace(
            value=pair.value[..., 1], probs=pair.probs[..., 1], soft=pair.soft[..., 1]
        )

    return of_units


def bernoulli_ste_identity(key: jax.Array, logits: jax.Array) -> Sample:
    """A bit with probability sigmoid(l); the gradient passes as it is (Bengio et al. 2013, arXiv
    1308.3432, section 3).
    """
    wide = _units(logits)
    bit = wide + logistic(key, wide) > 0
    return _assemble(logits, wide, bit, zero_like(wide), jax.nn.sigmoid(wide))


def bernoulli_ste_sigmoid(
    key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0
) -> Sample:
    """A bit with probability sigmoid(l); gradient s (1 - s) G / tau with s = sigmoid(l / tau).
    `ste_softmax` for units.
    """
    check_positive(tau=tau)
    wide = _units(logits)
    soft = jax.nn.sigmoid(wide / tau)
    return _assemble(logits, wide, wide + logistic(key, wide) > 0, _slope(soft, wide / tau), soft)


def bernoulli_decoupled_st_gs(
    key: jax.Array,
    logits: jax.Array,
    tau_f: float | jax.Array = 1.0,
    tau_b: float | jax.Array = 1.0,
    normalize_backward: bool | jax.Array = False,
) -> Sample:
    """A bit with probability sigmoid(l / tau_f); gradient s (1 - s) G / tau_b with s = sigmoid(l /
    tau_b + the same noise).

    `decoupled_st_gs` for units, form "after"; with both temperatures 1 it is the straight-through
    binary Concrete estimator.

    Args:
      key: typed PRNG key.
      logits: floating `[...]`, one per unit.
      tau_f: temperature of the draw, above 0.
      tau_b: temperature of the gradient, above 0.
      normalize_backward: multiply the gradient by tau_b.

    Returns:
      All fields `[...]`: `value` the bit, `index` the same as int32, `probs` the probability of 1,
      `soft` the relaxed bit s.

    Raises:
      ValueError: a temperature is not above 0, or the logits are not floating.
    """
    check_positive(tau_f=tau_f, tau_b=tau_b)
    wide = _units(logits)
    noise = logistic(key, wide)
    soft = jax.nn.sigmoid(wide / tau_b + noise)
    gradient = _slope(soft, wide / tau_b) * jnp.where(normalize_backward, tau_b, 1.0).astype(
        wide.dtype
    )
    return _assemble(logits, wide / tau_f, wide / tau_f + noise > 0, gradient, soft)


def bernoulli_reinmax(key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0) -> Sample:
    """A bit b with probability p = sigmoid(l); gradient [2 m (1 - m) - p (1 - p) / 2] G, m =
    (sigmoid(l / tau) + b) / 2.
    """
    check_positive(tau=tau)
    wide = _units(logits)
    bit = wide + logistic(key, wide) > 0
    middle = (jax.nn.sigmoid(wide / tau) + bit.astype(wide.dtype)) / 2
    gradient = 2 * _slope(middle, wide) - _slope(jax.nn.sigmoid(wide), wide) / 2
    return _assemble(logits, wide, bit, gradient, middle)


def logistic(key: jax.Array, logits: jax.Array) -> jax.Array:
    """Standard logistic noise like the logits: the difference of the two Gumbel numbers that
    `as_bernoulli` would draw.
    """
    pair = jax.random.gumbel(key, (*logits.shape, 2), logits.dtype)
    return pair[..., 1] - pair[..., 0]


def _units(logits):
    wide = widened(jnp.asarray(logits)[..., None])[..., 0]
    return jnp.where(jnp.isinf(wide), jnp.sign(wide) * CERTAIN, wide)


CERTAIN = 1e30
"""Logit in place of an infinite one, which gets no gradient: infinity less itself is no number."""


def _slope(soft, logits):
    """Zeros with the derivative soft (1 - soft)."""
    soft = jax.lax.stop_gradient(soft)
    return soft * (1 - soft) * zero_like(logits)


def _assemble(logits, law, bit, gradient, soft):
    return sample_of(logits, law, bit, bit.astype(law.dtype) + gradient, soft)


def sample_of(
    logits: jax.Array, law: jax.Array, bit: jax.Array, value: jax.Array, soft: jax.Array
) -> Sample:
    """The sample of units in the type of their logits.

    Args:
      logits: as they were given, `[...]`.
      law: float32 logits of the law that the bits were drawn from.
      bit: bool, the choice.
      value: what the next layer reads, with its gradient.
      soft: the relaxed bit.
    """
    dtype = jnp.asarray(logits).dtype
    log_prob = jnp.where(bit, jax.nn.log_sigmoid(law), jax.nn.log_sigmoid(-law))
    return Sample(
        value.astype(dtype),
        bit.astype(jnp.int32),
        jax.nn.sigmoid(law).astype(dtype),
        log_prob,
        soft.astype(dtype),
    )
