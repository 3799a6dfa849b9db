"""Activation functions by name: of targets, of planted networks, and of compositional pattern
networks.
"""

import jax
import jax.numpy as jnp

ROOT_SHIFT = 0.01
"""Added under the root so that it has a derivative at zero."""

FUNCTIONS = {
    "tanh": jnp.tanh,
    "identity": lambda z: z,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "sigmoid": lambda z: 2 * jax.nn.sigmoid(z) - 1,
    "gaussian": lambda z: 2 * jnp.exp(-z * z) - 1,
    "relu": lambda z: jnp.maximum(z, 0.0),
    "square": lambda z: z * z,
    "cube": lambda z: z * z * z,
    "root": lambda z: jnp.sqrt(jnp.abs(z) + ROOT_SHIFT),
}
"""Elementwise functions. "sigmoid" and "gaussian" are scaled to (-1, 1) as compositional pattern
networks have them (code of arXiv 2505.11581). Our choice: "square", "cube" and "root", with which
products and the symbolic targets are exact networks.
"""

NAMES = tuple(FUNCTIONS)
"""In the order of the codes that `by_code` takes."""


def code(name: str) -> int:
    """The number of an activation function."""
    return NAMES.index(name)


def by_code(z: jax.Array, codes: jax.Array) -> jax.Array:
    """Every unit's own function: `z[..., W]`, int32 `codes[W]` -> `[..., W]`. All functions are
    computed, and one is taken.
    """
    codes = jnp.broadcast_to(codes, z.shape)
    found = jnp.zeros_like(z)
    for number, function in enumerate(FUNCTIONS.values()):
        mine = codes == number
        found = jnp.where(mine, function(jnp.where(mine, z, 0.0)), found)
    return found
