"""Rotary positions as config.json says.

google-tunix 0.1.7 reads `rope_theta` into its configuration and then computes with 1 000 000
whatever it says, and knows no scaling: right for published Qwen3, wrong for Llama. So its function
is replaced by ours when a model is loaded.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError


@dataclass(frozen=True)
class Rope:
    """Frequencies of rotary positions."""

    theta: float
    """Base."""
    factor: float = 1.0
    """Llama 3.1: by which long wavelengths are stretched."""
    low: float = 1.0
    """Wavelengths longer than `original / low` tokens are stretched fully."""
    high: float = 4.0
    """Wavelengths shorter than `original / high` tokens are left alone; between the two, it is
    interpolated.
    """
    original: int = 8192
    """Context of the model before it was stretched."""


def read_rope(stored: dict) -> Rope:
    """Read the rotary embedding's settings from a published config.json.

    Raises:
      UserError: another kind of scaling than Llama 3.1's, or no base.
    """
    newer = stored.get("rope_parameters") or {}
    theta = stored.get("rope_theta") or newer.get("rope_theta")
    if theta is None:
        raise UserError(
            "config.json has no rope_theta: it is no configuration of a Qwen3 or Llama model"
        )
    scaling = stored.get("rope_scaling") or newer
    kind = scaling.get("rope_type") or scaling.get("type") or "default"
    if kind == "default":
        return Rope(float(theta))
    if kind != "llama3":
        raise UserError(
            f"config.json asks for rope_scaling of the kind {kind!r}, which is not supported: "
            "remove it, or choose another model"
        )
    names = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    return Rope(float(theta), *(scaling[name] for name in names))


def frequencies(rope: Rope, head_dim: int) -> np.ndarray:
    """Radians per token of every pair of features, float64 `[head_dim / 2]`."""
    plain = rope.theta ** (-np.arange(0, head_dim, 2) / head_dim)
    turns = rope.original * plain / (2 * np.pi)  # whole turns within the original context
    share = np.clip((turns - rope.low) / (rope.high - rope.low), 0.0, 1.0)
    return share * plain + (1 - share) * plain / rope.factor


def install(module: ModuleType, rope: Rope) -> None:
    """Let a Tunix model module rotate as `rope` says: for all its models in this process, so load
    no two of different kinds.
    """
    module.apply_rope = rotation(rope)


def rotation(rope: Rope) -> Callable:
    """A function with the signature of Tunix's `apply_rope`; `inputs [B, T, H, D]`, `positions [B,
    T]`.
    """

    def apply_rope(
        inputs: jax.Array, positions: jax.Array, head_dim: int, rope_theta: float = 0.0
    ) -> jax.Array:
        rates = jnp.asarray(frequencies(rope, head_dim), jnp.float32)
        angle = (
            positions[..., None].astype(jnp.float32) * rates.reshape((1,) * positions.ndim + (-1,))
        )[..., None, :]
        cos, sin = jnp.cos(angle).astype(inputs.dtype), jnp.sin(angle).astype(inputs.dtype)
        one, other = jnp.split(inputs, 2, axis=-1)
        return jnp.concatenate([one * cos - other * sin, other * cos + one * sin], axis=-1)

    return apply_rope
