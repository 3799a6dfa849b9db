"""Playing the real game with the current policy, to fill the replay."""

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import AgentState, Observation, act, policy_memory
from jaxrl.nn.recurrent import LSTMState
from jaxrl.replay.buffer import Transitions
from jaxrl.train.checkpoint import from_names, to_host, to_names


@flax.struct.dataclass
class Players:
    """L games in pure JAX, in the middle of play."""

    env_state: object
    """The games' states, leading axis L."""
    frame: jax.Array
    """uint8 `[L, H, W, 3]`, to act on next."""
    first: jax.Array
    """bool `[L]`, that frame begins an episode (the game was reset, or a life was lost)."""
    memory: LSTMState
    """The policy's memory `[L, D]`."""
    game_return: jax.Array
    """float32 `[L]`, sum of rewards of the current game."""


class Games(NamedTuple):
    """Games that finished during a chunk of T steps in L environments."""

    finished: jax.Array
    """bool `[T, L]`."""
    game_return: jax.Array
    """float32 `[T, L]`, meaningful where finished."""


def new_players(env: JaxEnv, agent: AgentState, count: int, key: jax.Array) -> Players:
    """`count` fresh games."""
    env_state, frame = jax.vmap(env.reset)(jax.random.split(key, count))
    memory = policy_memory(agent.spec, (count,))
    return Players(env_state, frame, jnp.ones(count, bool), memory, jnp.zeros(count))


def play(
    env: JaxEnv, agent: AgentState, players: Players, key: jax.Array, steps: int, epsilon: float
) -> tuple[Players, Transitions, Games]:
    """`steps` steps in every game, in one scan; games that are over begin anew."""

    def step(players, key):
        key_act, key_step, key_reset = jax.random.split(key, 3)
        count = len(players.first)
        observation = Observation(players.memory, players.frame, players.first, epsilon)
        memory, choice = act(agent, observation, key_act)
        keys = jax.random.split(key_step, count)
        env_state, after = jax.vmap(env.step)(players.env_state, choice["action"], keys)
        fresh_state, fresh_frame = jax.vmap(env.reset)(jax.random.split(key_reset, count))
        over = after.game_over

        def chosen(new, old):
            return jnp.where(over.reshape(over.shape + (1,) * (old.ndim - 1)), new, old)

        game_return = players.game_return + after.reward
        following = Players(
            jax.tree.map(chosen, fresh_state, env_state),
            chosen(fresh_frame, after.frame),
            after.end | after.trunc | over,
            memory,
            jnp.where(over, 0.0, game_return),
        )
        transition = Transitions(
            players.frame, choice["action"], after.reward, after.end, after.trunc, after.frame
        )
        return following, (transition, Games(over, game_return))

    players, (transitions, games) = jax.lax.scan(step, players, jax.random.split(key, steps))
    return players, transitions, games


_play = jax.jit(play, static_argnums=(0, 4), donate_argnums=2)
_new_players = jax.jit(new_players, static_argnums=(0, 2))


class JaxPlayers:
    """L games in pure JAX for the training loop; the counterpart of `HostPlayers`."""

    def __init__(self, env: JaxEnv, agent: AgentState, count: int, seed: int):
        self.env = env
        self.players = _new_players(env, agent, count, jax.random.key(seed))

    def play(
        self,
        agent: AgentState,
        key: jax.Array,
        steps: int,
        epsilon: float,
        tick: Callable[[int], None] = lambda n: None,
    ) -> tuple[Transitions, list[float]]:
        """As `HostPlayers.play`; the experience stays on the device."""
        arguments = (self.env, agent, self.players, key, steps, jnp.float32(epsilon))
        self.players, transitions, games = _play(*arguments)
        finished = np.asarray(games.game_return)[np.asarray(games.finished)]
        tick(transitions.action.size)
        return transitions, [float(value) for value in finished]

    def save(self) -> dict[str, np.ndarray]:
        """All arrays that `restore` needs."""
        return flatten_dict(to_names(to_host(self.players)), sep=".")

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go on from `saved`, exactly."""
        restored = from_names(self.players, unflatten_dict(saved, sep="."), "the saved games")
        self.players = jax.tree.map(jnp.asarray, restored)

    def close(self) -> None:
        """Nothing to let go of."""
