"""Activations that make latents sparse: ReLU, top-k, batch top-k, thresholds, JumpReLU, gates and
groups, as pure functions.

All take pre-activations and give activations of the same shape and dtype. The largest k of rows are
found by XLA's TopK where k is a Python number (a few of short rows by maxima), else, and among all
of a batch, by bisection on the bits of the numbers, which keeps their order for those that are not
negative: k may then be traced and differ between the members of an ensemble, and nothing is sorted.
"""

import functools

import jax
import jax.numpy as jnp

from jaxrl.nn.mlp import per_feature

CHUNK = 64
"""Numbers that are counted in eight bits before the counts are added; must stay below 128."""


def relu(pre: jax.Array) -> jax.Array:
    """`max(pre, 0)`."""
    return jax.nn.relu(pre)


def count_at_least(bits: jax.Array, level: jax.Array) -> jax.Array:
    """Count the entries of a flat integer array `[n]` are at least `level` (scalar); int32."""
    whole = bits.size // CHUNK**2 * CHUNK**2
    small = (bits[:whole].reshape(-1, CHUNK, CHUNK) >= level).astype(jnp.int8)
    return small.sum(1, dtype=jnp.int8).sum(dtype=jnp.int32) + (bits[whole:] >= level).sum(
        dtype=jnp.int32
    )


def kth_largest(values: jax.Array, k: jax.Array | float) -> jax.Array:
    """The k-th largest number of an array of any shape that holds no negative ones; 0 if k exceeds
    its size.

    Args:
      values: float16, bfloat16, float32 or float64, not negative, not NaN.
      k: at least 1; a fraction is rounded down. May be traced.
    """
    width = 8 * values.dtype.itemsize
    whole = jnp.dtype(f"int{width}")
    bits = jax.lax.bitcast_convert_type(values, whole).reshape(-1)
    count = jnp.floor(jnp.asarray(k, jnp.float32) + 1e-4).astype(jnp.int32)

    def narrow(step, low):
        trial = low | jax.lax.shift_left(jnp.ones((), whole), (width - 2 - step).astype(whole))
        return jnp.where(count_at_least(bits, trial) >= count, trial, low)

    low = jax.lax.fori_loop(0, width - 1, narrow, jnp.zeros((), whole))
    return jax.lax.bitcast_convert_type(low, values.dtype)


def top_k_mask(scores: jax.Array, k: jax.Array | float) -> jax.Array:
    """True for the k largest positive of `scores` (any shape, taken together); all that equal the
    k-th are kept.
    """
    scores = jax.lax.stop_gradient(jax.nn.relu(scores))
    return (scores >= kth_largest(scores, k)) & (scores > 0)


def largest_of_rows(rows: jax.Array, k: int) -> tuple[jax.Array, jax.Array]:
    """The k largest of each row `[n, F]`, falling, and their places, for a k that is known when the
    program is compiled: XLA's TopK, `[n, k]` each.

    XLA computes TopK by sorting where there are more axes than two, or where only the values are
    used (on CPUs, ten times as slow): so all axes in front become one, and the places are kept.
    """

    @jax.custom_batching.custom_vmap
    def largest(rows):
        return jax.lax.optimization_barrier(tuple(jax.lax.top_k(rows, k)))

    @largest.def_vmap
    def _(size, _, stacked):
        values, places = largest(stacked.reshape(-1, stacked.shape[-1]))
        return (values.reshape(size, -1, k), places.reshape(size, -1, k)), (True, True)

    return largest(rows)


MOST_MAXIMA = 8
LONGEST_ROW = 256
"""Up to this k and this F, the k-th largest of a row is found by k maxima on CPUs. Our choice: it
was measured to be 1.6 to 2.7 times as quick as XLA's TopK at F 48 and 256, and half as quick at
512 (docs/lab/sae.md).
"""


def kth_of_rows(rows: jax.Array, k: int) -> jax.Array:
    """The k-th largest of each row `[n, F]`, `[n]`, for a k from 1 to F that is known when the
    program is compiled.
    """
    few = k <= MOST_MAXIMA and rows.shape[-1] <= LONGEST_ROW
    if few and jax.default_backend() == "cpu":
        return _kth_by_maxima(rows, k)
    return largest_of_rows(rows, k)[0][:, -1]


def _kth_by_maxima(rows, k):
    """The largest, the next below it, and so on, until k entries are no smaller: equal ones count
    as often as they are there. NaN counts as the largest, as in TopK.
    """
    rows = jnp.where(jnp.isnan(rows), jnp.inf, rows)
    level = rows.max(-1)
    for _ in range(k - 1):
        count = (rows >= level[:, None]).sum(-1, dtype=jnp.int32)
        below = jnp.where(rows < level[:, None], rows, -jnp.inf).max(-1)
        level = jnp.where(count >= k, level, below)
    return level


def top_k(pre: jax.Array, k: jax.Array | float) -> jax.Array:
    """`relu`, then the k largest of each example `[..., F]`.

    Exactly k stay where more than k are positive and no two of them are equal; all that equal the
    k-th stay. A k that is a Python number is faster than an array, which may be traced.
    """
    rows = pre.reshape(-1, pre.shape[-1])
    if isinstance(k, int | float) and 1 <= k < rows.shape[-1]:
        scores = jax.lax.stop_gradient(jax.nn.relu(rows))
        mask = (scores >= kth_of_rows(scores, int(k + 1e-4))[:, None]) & (scores > 0)
    else:
        mask = jax.vmap(top_k_mask, (0, None))(rows, k)
    return jnp.where(mask.reshape(pre.shape), pre, 0)


def batch_top_k(pre: jax.Array, k: jax.Array | float) -> jax.Array:
    """`relu`, then the `floor(k B)` largest of a whole batch `[B, F]` (BatchTopK, arXiv
    2412.06410); k may be a fraction.
    """
    return jnp.where(top_k_mask(pre, jnp.asarray(k, jnp.float32) * pre.shape[0]), pre, 0)


def above(pre: jax.Array, threshold: jax.Array) -> jax.Array:
    """`relu(pre)` where it exceeds `threshold`, a scalar or `[F]`; no gradient reaches the
    threshold.
    """
    positive = jax.nn.relu(pre)
    level = threshold if jnp.ndim(threshold) == 0 else per_feature(threshold, pre)
    return jnp.where(positive > jax.lax.stop_gradient(level), positive, 0)


def group_max(pre: jax.Array, k: int) -> jax.Array:
    """The largest of each of k equal groups of neighboring latents `[..., F]`, after `relu`
    (sparsify's GroupMax).
    """
    groups = jax.nn.relu(pre).reshape(*pre.shape[:-1], k, -1)
    first = jax.nn.one_hot(jnp.argmax(groups, -1), groups.shape[-1], dtype=pre.dtype)
    return (groups * first).reshape(pre.shape)


def step_plus_relu(pre: jax.Array, k: jax.Array | float, gap: float = 1.0) -> jax.Array:
    """`relu(pre) + gap * [pre > gap]`, then the k largest of each example: the activation that
    LanSE's code calls JumpReLU.
    """
    value = jax.nn.relu(pre) + gap * (pre > gap)
    return top_k(value, k)


def _window(pre, threshold, bandwidth):
    """1 within half a bandwidth of the threshold: the derivative of the step, spread out."""
    return (jnp.abs(pre - threshold) < bandwidth / 2).astype(pre.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def jump_relu(
    pre: jax.Array, threshold: jax.Array, bandwidth: float, to_input: bool = False
) -> jax.Array:
    """`pre * [pre > threshold]` with a straight-through gradient for the threshold (arXiv
    2407.14435, section 5).

    Args:
      pre: `[..., F]`.
      threshold: `[F]`, positive.
      bandwidth: width of the window around the threshold in which it gets a gradient, in units of
        `pre`.
      to_input: the window's gradient also reaches `pre`, as SAELens offers.
    """
    return pre * (pre > per_feature(threshold, pre))


def _jump_relu_forward(pre, threshold, bandwidth, to_input):
    return jump_relu(pre, threshold, bandwidth, to_input), (pre, threshold)


def _jump_relu_backward(bandwidth, to_input, kept, cotangent):
    pre, threshold = kept
    level = per_feature(threshold, pre)
    pull = level / bandwidth * _window(pre, level, bandwidth) * cotangent
    to_pre = (pre > level) * cotangent + (pull if to_input else 0)
    return to_pre, -pull.sum(tuple(range(pre.ndim - 1)))


jump_relu.defvjp(_jump_relu_forward, _jump_relu_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def step(
    pre: jax.Array, threshold: jax.Array, bandwidth: float, to_input: bool = False
) -> jax.Array:
    """`[pre > threshold]` as numbers, with the same straight-through gradient; the sum over F is an
    L0 that can be trained.

    Args:
      pre: `[..., F]`.
      threshold: `[F]`, positive.
      bandwidth: width of the window around the threshold in which it gets a gradient, in units of
        `pre`.
      to_input: the window's gradient also reaches `pre`.
    """
    return (pre > per_feature(threshold, pre)).astype(pre.dtype)


def _step_forward(pre, threshold, bandwidth, to_input):
    return step(pre, threshold, bandwidth, to_input), (pre, threshold)


def _step_backward(bandwidth, to_input, kept, cotangent):
    pre, threshold = kept
    pull = _window(pre, per_feature(threshold, pre), bandwidth) / bandwidth * cotangent
    return (pull if to_input else jnp.zeros_like(pre)), -pull.sum(tuple(range(pre.ndim - 1)))


step.defvjp(_step_forward, _step_backward)


def matching_pursuit(
    x: jax.Array,
    rows: jax.Array,
    most: int,
    residual: jax.Array | float = 0.0,
    until_stable: jax.Array | bool = True,
) -> jax.Array:
    """Latents chosen one after another: of all rows the one that points most along what is left of
    x takes its part of it, as in SAELens' matching pursuit.

    Args:
      x: `[..., D]`.
      rows: `[F, D]`, of the decoder.
      most: largest number of choices; static.
      residual: length of what is left below which an example is done; 0: none.
      until_stable: an example is done, too, when a choice adds no new latent.

    Returns:
      `[..., F]`, 0 or larger.
    """

    def open_(state):
        number, _, _, done = state
        return (number < most) & ~done

    def choose(state):
        number, left, z, _ = state
        best = jnp.argmax(rows @ left)
        row = rows[best]
        amount = jax.nn.relu(left @ row)
        found = z.at[best].add(amount)
        left = left - amount * row
        same = ((found != 0) == (z != 0)).all()
        short = (residual > 0) & (jnp.linalg.norm(left) < residual)
        return number + 1, left, found, (until_stable & same) | short

    def one(example):
        start = (0, example, jnp.zeros(len(rows), example.dtype), jnp.array(False))
        return jax.lax.while_loop(open_, choose, start)[2]

    return jax.vmap(one)(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], len(rows))
