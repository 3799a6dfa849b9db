"""Segments: what a training batch is made of, how their bounds are drawn and cut, and how frames
become numbers.
"""

import flax.struct
import jax
import jax.numpy as jnp


@flax.struct.dataclass
class Segment:
    """T consecutive steps of one episode, padded where the episode has none. Any leading axes may
    stand before T.

    Row t holds the frame *before* step t, what was done there and what came of it; the frame
    reached by step t is row t + 1. The frame reached by an episode's last step is a row of its own:
    `frame_mask` is true there and `step_mask` false.
    """

    frame: jax.Array
    """uint8 `[..., T, H, W, C]`; arbitrary where `frame_mask` is false."""
    action: jax.Array
    """int32 `[..., T]`; 0 in padding."""
    reward: jax.Array
    """float32 `[..., T]`, in the game's units; 0 in padding."""
    end: jax.Array
    """bool `[..., T]`, the episode ended with this step."""
    trunc: jax.Array
    """bool `[..., T]`, the episode was cut after this step."""
    step_mask: jax.Array
    """bool `[..., T]`, the step was really taken."""
    frame_mask: jax.Array
    """bool `[..., T]`, the frame was really seen."""
    weight: jax.Array | None = None
    """float32 `[..., T]`, how much a step counts in a mean over steps if segments were not drawn
    alike; None: all the same.
    """

    @property
    def counted(self) -> jax.Array:
        """`[..., T]`, how much each step counts: `step_mask`, times the weight if there is one."""
        return self.step_mask if self.weight is None else self.step_mask * self.weight

    def window(self, start: int, stop: int) -> "Segment":
        """Steps start..stop-1 of the time axis (the last axis of `action`)."""
        axis = self.action.ndim - 1
        return jax.tree.map(lambda a: jax.lax.slice_in_dim(a, start, stop, axis=axis), self)


def frame_to_float(frame: jax.Array) -> jax.Array:
    """uint8 [0, 255] to float32 [-1, 1]: `x / 255 * 2 - 1`."""
    return frame.astype(jnp.float32) / 255 * 2 - 1


def float_to_frame(x: jax.Array) -> jax.Array:
    """float [-1, 1] to uint8, clamped and rounded to nearest (exact inverse of
    `frame_to_float`).
    """
    return jnp.round((jnp.clip(x, -1, 1) + 1) / 2 * 255).astype(jnp.uint8)


def quantize_frame(x: jax.Array) -> jax.Array:
    """Clamp to [-1, 1] and cut to the 8-bit grid by truncation, as DIAMOND does to every denoised
    frame; float32.
    """
    return jnp.floor((jnp.clip(x, -1, 1) + 1) / 2 * 255) / 255 * 2 - 1


def bounds_ending_near(
    key: jax.Array, count: jax.Array, size: int, reach: int | None = None
) -> jax.Array:
    """Start of a segment of `size` rows that ends at or before row `count`: left padding only
    (denoiser, behavior starts).

    t ~ U{0..count-1}, stop = min(count, t + 1 + U{0..reach-1}), start = stop - size (DIAMOND,
    src/data/batch_sampler.py, where `reach` is the size).

    Args:
      key: PRNG key of the draw.
      count: int scalar, rows of the episode, at least 1.
      size: rows of the segment.
      reach: the segment ends at most `reach - 1` rows after a uniformly drawn one; `size` if None.
        In episodes that are not much longer than that, most segments end with the last row.
    """
    key_t, key_shift = jax.random.split(key)
    t = jax.random.randint(key_t, (), 0, count)
    shift = jax.random.randint(key_shift, (), 0, size if reach is None else reach)
    return jnp.minimum(count, t + 1 + shift) - size


def bounds_around(key: jax.Array, count: jax.Array, size: int) -> jax.Array:
    """Start of a segment of `size` rows around a row: padding on both sides (reward and end model).

    t ~ U{0..count-1}, start = t - U{0..size-1}.
    """
    key_t, key_shift = jax.random.split(key)
    t = jax.random.randint(key_t, (), 0, count)
    return t - jax.random.randint(key_shift, (), 0, size)


def cut(start: jax.Array, size: int, count: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rows of an episode that a segment shows: `(index int32 [size], inside bool [size])`.

    Rows before 0 or from `count` on are padding; their index is clipped to a row that exists.
    """
    row = start + jnp.arange(size)
    return jnp.clip(row, 0, count - 1), (row >= 0) & (row < count)
