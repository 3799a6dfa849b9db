"""Interfaces of a game: two kinds, with the same words.

`JaxEnv`: pure functions over a state, one game at a time; batch it with `vmap`, run it inside `jit`
and `scan`. `HostEnv`: an object outside JAX (an emulator, a Gymnasium environment) that can be
saved and restored exactly.

Words. `end`: the episode is over *for learning*: no value flows back from what follows. A lost life
ends it too. `trunc`: the episode was cut although it would continue. `game_over`: the game must be
reset before the next step (implied by trunc). Evaluation counts whole games, up to game_over.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax
import numpy as np

from jaxrl.app.errors import UserError


class GameError(UserError):
    """A game failed while it was played, or returned something that nothing can be learned from."""

    def __init__(self, message: str, played: tuple | None = None):
        """Describe the failure.

        Args:
          message: one sentence.
          played: what was played whole before it, `(Transitions or None, returns)`.
        """
        super().__init__(message)
        self.played = played


class NotReproducible(UserError):
    """A game did not come out the same from the same seed and actions."""


class Transition(NamedTuple):
    """Result of one step, besides the new state."""

    frame: jax.Array
    """uint8 `[H, W, 3]`, seen after the step and before any reset."""
    reward: jax.Array
    """float32 scalar, in the game's own units."""
    end: jax.Array
    """bool scalar."""
    trunc: jax.Array
    """bool scalar."""
    game_over: jax.Array
    """bool scalar."""


class JaxEnv(NamedTuple):
    """A game in pure JAX."""

    name: str
    num_actions: int
    frame_shape: tuple[int, int, int]
    reset: Callable
    """`key -> (state, frame)`."""
    step: Callable
    """`(state, action int32 scalar, key) -> (state, Transition)`; the caller resets after
    `game_over`.
    """
    truth: Callable
    """`state -> float32 [D]`, the game's true variables, for probes."""
    truth_names: tuple[str, ...]
    action_names: tuple[str, ...] = ()
    """Names of the actions, empty if they have none; a `HostEnv` may have this attribute, too."""


class HostEnv(Protocol):
    """A game outside JAX."""

    name: str
    num_actions: int
    frame_shape: tuple[int, int, int]

    def reset(self, seed: int) -> np.ndarray:
        """Begin a game; the seed fixes all its randomness. Returns a frame."""

    def step(self, action: int) -> Transition:
        """Take one step; the caller resets after `game_over`."""

    def save(self) -> dict[str, np.ndarray]:
        """All that `restore` needs to continue from here, as arrays."""

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Continue from a saved point, exactly.

        Raises:
          NotReproducible: that is impossible; the caller begins a new game.
        """

    def close(self) -> None:
        """Close the game."""


MakeEnv = Callable[[], JaxEnv | HostEnv]
"""Makes a new game at every call."""
