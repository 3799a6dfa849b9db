"""Checks of inputs: arrays of floating numbers with the right number of features."""

from typing import Any

import jax
import jax.numpy as jnp

from quant.errors import QuantError, require


def as_array(x: Any, name: str = "x") -> jax.Array:
    """Lists, NumPy's float64 and whatever else JAX takes for an array, without its warnings.

    Raises:
      QuantError: it is no array.
    """
    try:
        return jnp.asarray(x)
    except (TypeError, ValueError) as error:
        raise QuantError(f"{name} is no array of numbers: {error}") from None


def check_input(x: jax.Array, features: int, name: str = "x") -> None:
    """Refuse an input that no quantizer of `features` features takes."""
    require(
        x.shape[-1:] == (features,),
        f"{name} has shape {x.shape}: its last axis must have the quantizer's {features} features",
    )
    require(x.size > 0, f"{name} has shape {x.shape}: there is no row to quantize")
    require(
        jnp.issubdtype(x.dtype, jnp.floating),
        f"{name} has dtype {x.dtype}: quantizers take floating numbers, so convert it first",
    )


def check_levels(indices: jax.Array, levels: int) -> None:
    """Refuse indices `[..., n]` of more levels than there are, or of none."""
    require(
        indices.ndim > 0 and 1 <= indices.shape[-1] <= levels,
        f"indices have shape {indices.shape}: their last axis must be that of the levels, of which "
        f"there are {levels}",
    )


def check_sample(sample: Any, features: int) -> jax.Array | None:
    """The sample of an `init` as an array, or None.

    Raises:
      QuantError: as for an input.
    """
    if sample is None:
        return None
    sample = as_array(sample, "the sample")
    check_input(sample, features, "the sample")
    return sample
