"""Patches that the kernel of a convolution is multiplied with: those of its input, by the settings
of the layer itself.
"""

from typing import NamedTuple

import flax.linen as nn
import jax

from jaxrl.nn.conv import Conv as SymmetricConv


class Window(NamedTuple):
    """Geometry of a convolution; a tuple entry per spatial axis."""

    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    """ "SAME", "VALID", or zeros before and after."""
    input_dilation: tuple[int, ...]
    kernel_dilation: tuple[int, ...]


def window_of(module: nn.Module, size: tuple[int, ...]) -> Window | None:
    """Settings of `flax.linen.Conv` and `jaxrl.nn.conv.Conv` with spatial axes `size`; None for
    layers and settings not known here.

    Not known: groups, circular, causal and reflecting padding, transposed and unshared
      convolutions.
    """

    def each(value):
        return (
            (1 if value is None else value,) * len(size)
            if value is None or isinstance(value, int)
            else tuple(value)
        )

    if isinstance(module, SymmetricConv):
        return Window(each(module.stride), tuple((k // 2, k // 2) for k in size), each(1), each(1))
    if not isinstance(module, nn.Conv) or module.feature_group_count != 1:
        return None
    padding = module.padding
    if isinstance(padding, str) and padding not in ("SAME", "VALID"):
        return None
    if not isinstance(padding, str):
        padding = tuple((p, p) if isinstance(p, int) else tuple(p) for p in each(padding))
    return Window(
        each(module.strides), padding, each(module.input_dilation), each(module.kernel_dilation)
    )


def patches(x: jax.Array, size: tuple[int, ...], window: Window) -> jax.Array:
    """`[..., spatial, C]` to the neighbourhoods that a kernel `[*size, C, D]` sees, `[N, prod(size)
    * C]` in the kernel's order.
    """
    axes = len(size)
    letters = "XYZ"[:axes]
    found = jax.lax.conv_general_dilated_patches(
        x.reshape(-1, *x.shape[-axes - 1 :]),
        size,
        window.strides,
        window.padding,
        window.input_dilation,
        window.kernel_dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        precision=jax.lax.Precision.HIGHEST,
    )
    rows = found.reshape(-1, x.shape[-1], found.shape[-1] // x.shape[-1])
    return rows.swapaxes(1, 2).reshape(len(rows), -1)
