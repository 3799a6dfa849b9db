"""When masks are renewed, and to which sparsity. `count` is the number of updates so far, `last`
that of the last renewal (-1: none).
"""

from dataclasses import InitVar, dataclass

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError


@dataclass(frozen=True)
class OneShot:
    """Once, in the first update from `at` on that can renew masks."""

    at: int = 0

    def due(self, count: jax.Array, last: jax.Array) -> jax.Array:
        """bool `[]`."""
        return (count >= self.at) & (last < self.at)

    def sparsity(self, count: jax.Array, target: jax.Array) -> jax.Array:
        """The final one."""
        return target


@dataclass(frozen=True)
class Periodic:
    """Every `every` updates from `start` to `stop`, always to the final sparsity."""

    start: int = 0
    stop: int = 10_000
    every: int = 100
    end: InitVar[int | None] = None
    """Another name of `stop`."""

    def __post_init__(self, end: int | None):
        """Refuse an empty interval."""
        if end is not None:
            object.__setattr__(self, "stop", end)
        if self.every < 1 or self.stop < self.start:
            raise UserError(
                f"the schedule goes from {self.start} to {self.stop} every {self.every}: it must "
                "go forwards, every 1 or more"
            )

    def due(self, count: jax.Array, last: jax.Array) -> jax.Array:
        """bool `[]`; a renewal that was missed, for want of activations, is made up for in the next
        update.
        """

        def period(c):
            return jnp.where(c < self.start, -1, (c - self.start) // self.every)

        latest = jnp.minimum(count, self.stop)
        return (count >= self.start) & (period(latest) > jnp.where(last < 0, -1, period(last)))

    def sparsity(self, count: jax.Array, target: jax.Array) -> jax.Array:
        """The final one."""
        return target


@dataclass(frozen=True)
class Cubic(Periodic):
    """Periodic, with the sparsity rising as `target * (1 - (1 - t)^3)`, t from 0 to 1 (Zhu and
    Gupta 2017; jaxpruner's polynomial).
    """

    power: float = 3.0

    def sparsity(self, count: jax.Array, target: jax.Array) -> jax.Array:
        """On the way to `target`."""
        t = jnp.clip((count - self.start) / max(self.stop - self.start, 1), 0.0, 1.0)
        return target * (1 - (1 - t) ** self.power)


@dataclass(frozen=True)
class Never:
    """Masks stay as they began."""

    def due(self, count: jax.Array, last: jax.Array) -> jax.Array:
        """False."""
        return jnp.zeros_like(count, bool)

    def sparsity(self, count: jax.Array, target: jax.Array) -> jax.Array:
        """The final one."""
        return target


AT_ONCE, LATER, OFTEN = OneShot(), OneShot(1000), Periodic(100, 7500, 100)
"""Defaults."""
