"""Play of the real game with the current policy, to fill the replay: `JaxPlayers` for games in pure
JAX, `HostPlayers` for emulators and Gymnasium environments.
"""

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.envs.protocol import HostEnv, JaxEnv
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


act_on_device = jax.jit(act)


class HostPlayers:
    """L games in the middle of play, with the policy's memory of each."""

    def __init__(self, envs: list[HostEnv], agent: AgentState, seed: int):
        """Fresh games; game number i of environment l has a seed made from `(seed, l, i)`."""
        self.envs, self.seed = envs, seed
        self.games = np.zeros(len(envs), np.int64)
        frames = [self._new_game(lane) for lane in range(len(envs))]
        self.frame = np.stack(frames)
        self.first = np.ones(len(envs), bool)
        self.memory = policy_memory(agent.spec, (len(envs),))
        self.game_return = np.zeros(len(envs), np.float32)

    def _new_game(self, lane: int) -> np.ndarray:
        seed = np.random.SeedSequence((self.seed, lane, int(self.games[lane]))).generate_state(1)[0]
        self.games[lane] += 1
        return self.envs[lane].reset(int(seed) % 2**31)

    def play(
        self,
        agent: AgentState,
        key: jax.Array,
        steps: int,
        epsilon: float,
        tick: Callable[[int], None] = lambda n: None,
    ) -> tuple[Transitions, list[float]]:
        """`steps` steps in every game; games that are over begin anew. Returns the experience and
        the returns of finished games.

        Args: agent; key; steps per game; epsilon, the share of random actions; `tick` is called
          with L after every step.
        """
        rows, finished = [], []
        for t in range(steps):
            observation = Observation(self.memory, self.frame, self.first, np.float32(epsilon))
            self.memory, choice = act_on_device(agent, observation, jax.random.fold_in(key, t))
            actions = np.asarray(choice["action"])
            rows.append((self.frame, actions, *self._step(actions, finished)))
            tick(len(self.envs))
        return Transitions(*(np.stack(column) for column in zip(*rows, strict=True))), finished

    def _step(self, actions, finished):
        outcomes = [env.step(int(action)) for env, action in zip(self.envs, actions, strict=True)]
        reward = np.array([o.reward for o in outcomes], np.float32)
        end, trunc = (
            np.array([getattr(o, name) for o in outcomes], bool) for name in ("end", "trunc")
        )
        reached = np.stack([o.frame for o in outcomes])
        self.game_return = self.game_return + reward
        self.frame, self.first = reached.copy(), end | trunc
        for lane, outcome in enumerate(outcomes):
            if outcome.game_over:
                finished.append(float(self.game_return[lane]))
                self.game_return[lane] = 0.0
                self.frame[lane], self.first[lane] = self._new_game(lane), True
        return reward, end, trunc, reached

    def save(self) -> dict[str, np.ndarray]:
        """All arrays that `restore` needs, games included."""
        mine = {
            "games": self.games,
            "frame": self.frame,
            "first": self.first,
            "game_return": self.game_return,
            "hidden": np.asarray(self.memory.hidden),
            "cell": np.asarray(self.memory.cell),
        }
        theirs = {
            f"env.{lane}.{k}": v
            for lane, env in enumerate(self.envs)
            for k, v in env.save().items()
        }
        return mine | theirs

    def restore(self, saved: dict[str, np.ndarray]) -> None:
        """Go on from `saved`, exactly."""
        self.games, self.frame, self.first = (
            saved["games"].copy(),
            saved["frame"].copy(),
            saved["first"].copy(),
        )
        self.game_return = saved["game_return"].copy()
        self.memory = LSTMState(saved["hidden"], saved["cell"])
        for lane, env in enumerate(self.envs):
            start = f"env.{lane}."
            env.restore({k.removeprefix(start): v for k, v in saved.items() if k.startswith(start)})

    def close(self) -> None:
        """Close the games."""
        for env in self.envs:
            env.close()
