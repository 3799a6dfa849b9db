"""Patches that the kernel of a convolution is multiplied with: those of its input, by the settings
of the layer itself.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from jaxrl.nn.conv import Conv as SymmetricConv

EXTENDED = {"CIRCULAR": "wrap", "REFLECT": "reflect"}
"""Paddings that repeat the input instead of adding zeros, and NumPy's names of them."""


class Window(NamedTuple):
    """Geometry of a convolution; a tuple entry per spatial axis."""

    strides: tuple[int, ...]
    padding: str | tuple[tuple[int, int], ...]
    """ "SAME", "VALID", or what is added before and after."""
    input_dilation: tuple[int, ...]
    kernel_dilation: tuple[int, ...]
    groups: int = 1
    mode: str = "constant"
    """Mode of numpy.pad."""


def window_of(module: Any, size: tuple[int, ...]) -> Window | None:
    """Settings of the convolutions of Flax (Linen and NNX, transposed ones too) and of
    `jaxrl.nn.conv.Conv` with spatial axes `size`; None for layers and settings not known here.

    Not known: unshared convolutions, transposed kernels (`transpose_kernel`), and transposed
    convolutions with circular padding.
    """

    def each(value) -> tuple[int, ...]:
        return (
            (value or 1,) * len(size) if value is None or isinstance(value, int) else tuple(value)
        )

    if isinstance(module, SymmetricConv):
        return Window(each(module.stride), tuple((k // 2, k // 2) for k in size), each(1), each(1))
    padding = getattr(module, "padding", None)
    if padding is not None and not isinstance(padding, str):
        pairs = (padding,) * len(size) if isinstance(padding, int) else tuple(padding)
        padding = tuple((p, p) if isinstance(p, int) else tuple(p) for p in pairs)
    if isinstance(module, nn.ConvTranspose | nnx.ConvTranspose):
        return _transposed(module, size, padding, each)
    if not isinstance(module, nn.Conv | nnx.Conv):
        return None
    window = Window(
        each(module.strides),
        padding,
        each(module.input_dilation),
        each(module.kernel_dilation),
        module.feature_group_count,
    )
    reach = [(k - 1) * d for k, d in zip(size, window.kernel_dilation, strict=True)]
    if padding in EXTENDED:
        around = tuple((r // 2, (r + 1) // 2) for r in reach)
        return window._replace(padding=around, mode=EXTENDED[padding])
    if padding == "CAUSAL":
        return window._replace(padding=((reach[0], 0),)) if len(size) == 1 else None
    return window if not isinstance(padding, str) or padding in ("SAME", "VALID") else None


def _transposed(module, size, padding, each) -> Window | None:
    """A transposed convolution is an ordinary one on an input with zeros in between."""
    if module.transpose_kernel or padding in ("CIRCULAR", "CAUSAL", "REFLECT"):
        return None
    strides, dilation = each(module.strides), each(module.kernel_dilation)
    if isinstance(padding, str):
        padding = tuple(
            _transposed_padding((k - 1) * d + 1, s, padding)
            for k, d, s in zip(size, dilation, strides, strict=True)
        )
    return Window(each(1), padding, strides, dilation)


def _transposed_padding(size: int, stride: int, padding: str) -> tuple[int, int]:
    """Zeros before and after, as `jax.lax.conv_transpose` adds them."""
    total = size + stride - 2 + (max(size - stride, 0) if padding == "VALID" else 0)
    before = size - 1 if padding == "VALID" or stride > size - 1 else -(-total // 2)
    return before, total - before


def patches(x: jax.Array, size: tuple[int, ...], window: Window) -> jax.Array:
    """`[..., spatial, C]` to the neighborhoods that a kernel `[*size, C / g, D]` sees, in the
    kernel's order: `[N, prod(size) * C]`, or `[g, N, prod(size) * C / g]` with g groups.
    """
    axes, channels = len(size), x.shape[-1]
    letters = "XYZ"[:axes]
    x, padding = x.reshape(-1, *x.shape[-axes - 1 :]), window.padding
    if window.mode != "constant":
        x, padding = jnp.pad(x, ((0, 0), *padding, (0, 0)), mode=window.mode), "VALID"
    found = jax.lax.conv_general_dilated_patches(
        x,
        size,
        window.strides,
        padding,
        window.input_dilation,
        window.kernel_dilation,
        dimension_numbers=(f"N{letters}C", f"{letters}IO", f"N{letters}C"),
        precision=jax.lax.Precision.HIGHEST,
    )
    rows = found.reshape(-1, channels, found.shape[-1] // channels).swapaxes(1, 2)
    if window.groups == 1:
        return rows.reshape(len(rows), -1)
    rows = rows.reshape(len(rows), rows.shape[1], window.groups, -1)
    return jnp.moveaxis(rows, 2, 0).reshape(window.groups, len(rows), -1)
