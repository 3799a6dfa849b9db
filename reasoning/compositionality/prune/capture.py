"""What the layers of a Flax model read and compute on a batch, without changing the model."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.train.errors import Refusal
from jaxrl.train.parallel import mean
from reasoning.compositionality.prune.kernels import kernels
from reasoning.compositionality.prune.moments import Activation, Moments, average, moments


def capture(
    apply: Callable, params: Any, *arguments, after: Callable | None = None, axis_name: str | None = None, **options
) -> dict[str, Any]:
    """Statistics of every linear and convolution layer, keyed as the parameters.

    Args:
      apply: a Flax module's `apply`, or any function of `({"params": params}, *arguments)` that calls Flax modules.
      params: of the model.
      arguments: a probe batch; some hundred examples do.
      after: activation function after the layers, for the score "edge"; without, sums are compared.
      axis_name: of devices that hold other examples.
      options: of `apply`, such as method="encode".

    Returns:
      {"path/kernel": Moments, "path/inputs": covariance of the inputs `[I, I]`} for every layer whose kernel and input are known. Layers
      that are called several times are averaged. Under jit or not.

    Raises:
      Refusal: nothing was captured.
    """
    calls: dict[str, list[Activation]] = {}
    chosen = kernels(params)

    def watch(function, arguments, options, context):
        result = function(*arguments, **options)
        name = "/".join((*context.module.path, "kernel"))
        if context.method_name == "__call__" and name in chosen and arguments:
            rows = layer_inputs(context.module, arguments[0], result, chosen[name].shape)
            if rows is not None:
                sums = result.reshape(-1, result.shape[-1]).astype(jnp.float32)
                calls.setdefault(name, []).append(Activation(rows, sums, None if after is None else after(sums)))
        return result

    with nn.intercept_methods(watch):
        apply({"params": params}, *arguments, **options)
    if not calls:
        raise Refusal("nothing was captured: the model has no Flax layer with a kernel that was called on this batch")
    found: dict[str, Any] = {}
    for name, several in calls.items():
        found[name] = average([moments(one, axis_name) for one in several])
        rows = jnp.concatenate([one.inputs for one in several])
        centred = rows - found[name].input_mean[None, :]
        found[name.removesuffix("kernel") + "inputs"] = mean(centred.T @ centred / len(rows), axis_name)
    return found


def layer_inputs(module: nn.Module, x: jax.Array, result: jax.Array, kernel: tuple[int, ...]) -> jax.Array | None:
    """What a kernel is multiplied with, `[N, I]`: features of a linear layer, patches of a convolution; None for other layers."""
    x = x.astype(jnp.float32)
    if len(kernel) == 2 and x.shape[-1] == kernel[0]:
        return x.reshape(-1, kernel[0])
    if len(kernel) != 4 or x.shape[-1] != kernel[2]:
        return None
    images = x.reshape(-1, *x.shape[-3:])
    heights = [
        patch_starts(images.shape[1 + axis], result.shape[-3 + axis], kernel[axis], _padding(module), _stride(module, axis))
        for axis in (0, 1)
    ]
    return patches(images, kernel[:2], heights)


def patch_starts(size: int, out: int, window: int, padding: str | None, stride: int) -> tuple[int, int, int]:
    """(zeros before, stride, positions) of one axis."""
    if padding == "VALID":
        return 0, stride, out
    if padding == "SAME":
        return max((out - 1) * stride + window - size, 0) // 2, stride, out
    return window // 2, stride, out


def patches(images: jax.Array, window: tuple[int, int], axes: list[tuple[int, int, int]]) -> jax.Array:
    """`[B, H, W, C]` to the neighbourhoods that a kernel `[k, k, C, D]` sees, `[B * H' * W', k * k * C]` in the kernel's order."""
    (top, down, rows), (left, right, columns) = axes
    pad = lambda zeros, stride, count, size, window: (zeros, max((count - 1) * stride + window - size - zeros, 0))
    images = jnp.pad(
        images,
        ((0, 0), pad(top, down, rows, images.shape[1], window[0]), pad(left, right, columns, images.shape[2], window[1]), (0, 0)),
    )
    shifted = lambda i, j: images[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
    found = jnp.stack([shifted(i, j) for i in range(window[0]) for j in range(window[1])], axis=-2)
    return found.reshape(-1, window[0] * window[1] * images.shape[-1])


def _padding(module) -> str | None:
    """Of `flax.linen.Conv`; None for symmetric zeros of half the window, as in `jaxrl.nn.conv`."""
    padding = getattr(module, "padding", None)
    return padding if isinstance(padding, str) else None


def _stride(module, axis: int) -> int:
    stride = getattr(module, "strides", None) or getattr(module, "stride", 1)
    return stride if isinstance(stride, int) else stride[axis]


def all_moments(captured: dict[str, Any]) -> dict[str, Moments]:
    """Only the moments of what `capture` returned."""
    return {name: value for name, value in captured.items() if isinstance(value, Moments)}
