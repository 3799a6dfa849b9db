"""Gradients past the choice of a code: wrappers `(x, q) -> value` whose value is q
(DiVeQ: near it).

Each is written for one row, `[D]`; vmap it over rows.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from jaxrl.train.parallel import example_keys
from quant.errors import require_one_of

Wrapper = Literal["straight_through", "rotation", "diveq"]

OPPOSITE = 1e-3
"""Length of u + v below which x and q count as opposite, and the rotation falls back to the
straight-through gradient (Our choice).
"""
TINY = 1e-6
"""Norms are not taken smaller, as in the peer's code."""


def straight_through(x: jax.Array, q: jax.Array) -> jax.Array:
    """The value of q; dx gets the incoming gradient as it is (Bengio et al. 2013), q none."""
    return exactly(q, x)


def exactly(value: jax.Array, carrier: jax.Array) -> jax.Array:
    """`value` to the last bit, with the gradient of `carrier`."""
    return jax.lax.stop_gradient(value) + (carrier - jax.lax.stop_gradient(carrier))


def rotation(x: jax.Array, q: jax.Array) -> jax.Array:
    """The value of q; the gradient is rotated and scaled as x would have to be to become q (Fifty
    et al. 2024, section 4).

    Where x and q point in opposite directions, or x is 0, the rotation is not defined, and its
    formula divides by zero: the straight-through gradient is taken there.
    """
    x0, q = jax.lax.stop_gradient((x, q))
    nothing = jnp.linalg.norm(x0) <= TINY
    length_x, length_q = (jnp.maximum(jnp.linalg.norm(a), TINY) for a in (x0, q))
    u, v = x0 / length_x, q / length_q
    middle = u + v
    length = jnp.linalg.norm(middle)
    w = middle / jnp.maximum(length, OPPOSITE)
    turned = length_q / length_x * (x - 2 * w * jnp.dot(w, x) + 2 * v * jnp.dot(u, x))
    return jnp.where((length < OPPOSITE) | nothing, straight_through(x, q), exactly(q, turned))


def diveq(x: jax.Array, q: jax.Array, noise: jax.Array, variance: float = 5e-3) -> jax.Array:
    """x moved by the distance to q along a noisy direction towards q: value near q, gradient to x
    and q through the distance (DiVeQ, Vali et al. 2025).

    Args:
      x: `[D]`.
      q: its code, `[D]`.
      noise: standard normal `[D]`.
      variance: of the noise added to the direction; 0 gives the value of q.
    """
    gap = q - x
    direction = jax.lax.stop_gradient(gap + jnp.sqrt(variance) * noise)
    direction = direction / jnp.maximum(jnp.linalg.norm(direction), TINY)
    squared = (gap**2).sum()
    distance = jnp.where(squared > 0, jnp.sqrt(jnp.where(squared > 0, squared, 1)), 0)
    return x + direction * distance


def synchronous(value: jax.Array, q: jax.Array, nu: float) -> jax.Array:
    """`value`, with nu times the incoming gradient also to the code q (Huh et al. 2023,
    synchronized update).
    """
    return value + nu * (q - jax.lax.stop_gradient(q))


def wrap_rows(
    wrapper: Wrapper,
    x: jax.Array,
    q: jax.Array,
    key: jax.Array | None,
    axis_name: str | None = None,
) -> jax.Array:
    """One of the wrappers over rows `[N, D]`. DiVeQ draws its noise from `key`, row by row; without
    one it has none.

    Args:
      wrapper: "straight_through", "rotation" or "diveq".
      x: `[N, D]`, embeddings.
      q: `[N, D]`, their codes.
      key: typed PRNG key; None: DiVeQ without noise.
      axis_name: devices that hold the other rows, so that noise does not depend on their number.

    Returns:
      `[N, D]`, with the values of `q` (DiVeQ: near them) and the wrapper's gradient.

    Raises:
      QuantError: there is no such wrapper.
    """
    require_one_of("wrapper", wrapper, Wrapper)
    if wrapper != "diveq":
        return jax.vmap({"straight_through": straight_through, "rotation": rotation}[wrapper])(x, q)
    noise = jnp.zeros_like(x)
    if key is not None:
        noise = jax.vmap(lambda k: jax.random.normal(k, x.shape[1:], x.dtype))(
            example_keys(key, x.shape[0], axis_name)
        )
    return jax.vmap(diveq)(x, q, noise)
