"""Capture inputs and outputs of the layers of a Flax model on a batch, without changing
the model.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from jaxrl.train.parallel import mean
from reasoning.compositionality.prune.kernels import kernels
from reasoning.compositionality.prune.moments import Activation, Moments, average, moments
from reasoning.compositionality.prune.patches import patches, window_of


def capture(
    apply: Callable,
    params: Any,
    *arguments,
    after: Callable | None = None,
    axis_name: str | None = None,
    **options,
) -> dict[str, Any]:
    """Statistics of every linear and convolution layer, keyed as the parameters.

    Args:
      apply: a Flax module's `apply`, or any function of `({"params": params}, *arguments)` that
        calls Flax modules.
      params: of the model.
      arguments: a probe batch; some hundred examples do.
      after: activation function after the layers, for the score "edge"; without, sums are compared.
      axis_name: of devices that hold other examples.
      options: of `apply`, such as method="encode".

    Returns:
      {"path/kernel": Moments, "path/inputs": covariance of the inputs `[I, I]`} for every layer
      whose kernel and input are known. Layers that are called several times are averaged. Under jit
      or not.

    Raises:
      UserError: nothing was captured.
    """
    calls: dict[str, list[Activation]] = {}
    chosen = kernels(params)

    def watch(function, arguments, options, context):
        result = function(*arguments, **options)
        name = "/".join((*context.module.path, "kernel"))
        if context.method_name == "__call__" and name in chosen and arguments:
            rows = layer_inputs(context.module, arguments[0], chosen[name].shape)
            if rows is not None:
                sums = result.reshape(-1, result.shape[-1]).astype(jnp.float32)
                calls.setdefault(name, []).append(
                    Activation(rows, sums, None if after is None else after(sums))
                )
        return result

    with nn.intercept_methods(watch):
        apply({"params": params}, *arguments, **options)
    if not calls:
        raise UserError(
            "nothing was captured: no linear layer or convolution that can be read was called on "
            "this batch"
        )
    found: dict[str, Any] = {}
    for name, several in calls.items():
        try:
            found[name], found[name.removesuffix("kernel") + "inputs"] = _statistics(
                several, axis_name
            )
        except jax.errors.UnexpectedTracerError as error:
            raise UserError(
                f"{name} is called inside nn.jit, nn.remat or another transformation, out of which "
                "its inputs cannot be taken: "
                "capture from the same model without it"
            ) from error
    return found


def _statistics(several: list[Activation], axis_name: str | None) -> tuple[Moments, jax.Array]:
    """Of all calls of one layer: moments, and the covariance of the inputs."""
    known = average([moments(one, axis_name) for one in several])
    rows = jnp.concatenate([one.inputs for one in several])
    centred = rows - known.input_mean[None, :]
    return known, mean(centred.T @ centred / len(rows), axis_name)


def layer_inputs(module: nn.Module, x: jax.Array, kernel: tuple[int, ...]) -> jax.Array | None:
    """Inputs that a kernel is multiplied with, `[N, I]`: features of a linear layer, patches of a
    convolution; None for other layers.
    """
    x = x.astype(jnp.float32)
    if len(kernel) == 2 and x.shape[-1] == kernel[0]:
        return x.reshape(-1, kernel[0])
    window = window_of(module, kernel[:-2])
    return patches(x, kernel[:-2], window) if window and x.shape[-1] == kernel[-2] else None
