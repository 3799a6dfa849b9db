"""From masks to a smaller dense network: units that nothing reaches or reads are removed, and the
function stays the same.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError


class Layer(NamedTuple):
    """One linear layer."""

    kernel: np.ndarray
    """`[I, J]`."""
    bias: np.ndarray
    """`[J]`."""


def compact(
    layers: list[Layer], masks: list[np.ndarray], activation: Callable = jnp.tanh
) -> list[Layer]:
    """Remove hidden units without a live path; pruned weights of the units that stay are zero.

    Units that nothing reaches are constants: `activation(bias)` times their outgoing weights goes
      to the bias above.

    Args:
      layers: a chain of linear layers with `activation` between them.
      masks: of the kernels, `[I, J]`.
      activation: elementwise.

    Returns:
      A chain that computes the same function.

    Raises:
      UserError: masks of other shapes.
    """
    wrong = [
        i
        for i, (layer, mask) in enumerate(zip(layers, masks, strict=False))
        if layer.kernel.shape != mask.shape
    ]
    if wrong or len(layers) != len(masks):
        raise UserError(
            f"the masks are of another network: {len(masks)} for {len(layers)} layers, layer "
            f"{wrong[0] if wrong else '-'} differs"
        )
    kept = [
        Layer(np.asarray(layer.kernel) * np.asarray(mask), np.asarray(layer.bias))
        for layer, mask in zip(layers, masks, strict=True)
    ]
    kept = _fold_constants(kept, activation)
    needed = np.ones(kept[-1].kernel.shape[1], bool)
    found: list[Layer] = []
    for layer in reversed(kept):
        narrowed = Layer(layer.kernel[:, needed], layer.bias[needed])
        needed = (
            (narrowed.kernel != 0).any(1)
            if layer is not kept[0]
            else np.ones(len(layer.kernel), bool)
        )
        found.append(Layer(narrowed.kernel[needed], narrowed.bias))
    return found[::-1]


def _fold_constants(layers: list[Layer], activation) -> list[Layer]:
    """Constant units moved into biases; their weights become zero."""
    found = [layers[0]]
    for layer in layers[1:]:
        below = found[-1]
        constant = ~(below.kernel != 0).any(0)
        value = np.where(constant, np.asarray(activation(jnp.asarray(below.bias))), 0.0)
        found.append(
            Layer(np.where(constant[:, None], 0.0, layer.kernel), layer.bias + value @ layer.kernel)
        )
    return found
