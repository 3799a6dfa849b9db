"""Playing games that live outside JAX: emulators and Gymnasium environments, several side
by side.
"""

from collections.abc import Callable

import jax
import numpy as np

from jaxrl.envs.protocol import HostEnv
from jaxrl.jedi.agent import AgentState, Observation, act, policy_memory
from jaxrl.nn.recurrent import LSTMState
from jaxrl.replay.buffer import Transitions

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
