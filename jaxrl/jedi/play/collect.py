"""Play of the real game with the current policy, to fill the replay: `JaxPlayers` for games in pure
JAX, `HostPlayers` for emulators and Gymnasium environments.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from jaxrl.app.progress import log as log
from jaxrl.envs.checks import checked, transition
from jaxrl.envs.protocol import GameError, HostEnv, JaxEnv, MakeEnv, NotReproducible, Transition
from jaxrl.jedi.agent import AgentState, Observation, act, policy_memory
from jaxrl.nn.recurrent import LSTMState
from jaxrl.replay.buffer import Transitions
from jaxrl.train import hosts
from jaxrl.train.checkpoint import from_names, to_host, to_names
from jaxrl.train.compiled import ONCE, JitOnCpu


class Exploration(NamedTuple):
    """Departures of play from the policy; float32 scalars. See `GameConfig`."""

    epsilon: jax.Array | float = 0.0
    temperature: jax.Array | float = 1.0
    action_repeat: jax.Array | float = 0.0


def exploration(chosen: Exploration | jax.Array | float) -> Exploration:
    """Return an exploration; a number is its epsilon."""
    return chosen if isinstance(chosen, Exploration) else Exploration(chosen)


def repeat_sometimes(
    key: jax.Array,
    action: jax.Array,
    previous: jax.Array,
    first: jax.Array,
    probability: jax.Array | float,
) -> jax.Array:
    """Replace actions `[L]` by those before them with a probability, but for the first of an
    episode.

    Args:
      key: PRNG key of the step; what is drawn from it does not depend on other draws of the step.
      action, previous: int32 `[L]`.
      first: bool `[L]`, the step begins an episode.
      probability: float scalar.
    """
    again = jax.random.uniform(jax.random.fold_in(key, 1), action.shape) < probability
    return jnp.where(again & ~first, previous, action)


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
    previous: jax.Array
    """int32 `[L]`, the last action."""


class Games(NamedTuple):
    """Games that finished during a chunk of T steps in L environments."""

    finished: jax.Array
    """bool `[T, L]`."""
    game_return: jax.Array
    """float32 `[T, L]`, meaningful where finished."""


def new_players(env: JaxEnv, agent: AgentState, count: int, key: jax.Array) -> Players:
    """`count` fresh games.

    Args:
      env: the game (static under jit).
      agent: the agent, for the size of its memory.
      count: L, games played at once (static under jit).
      key: PRNG key of the games' beginnings.
    """
    env_state, frame = jax.vmap(env.reset)(jax.random.split(key, count))
    memory = policy_memory(agent.spec, (count,))
    previous = jnp.zeros(count, jnp.int32)
    return Players(env_state, frame, jnp.ones(count, bool), memory, jnp.zeros(count), previous)


def play(
    env: JaxEnv,
    agent: AgentState,
    players: Players,
    key: jax.Array,
    steps: int,
    explore: Exploration | float,
) -> tuple[Players, Transitions, Games]:
    """Play `steps` steps in every game, in one scan; games that are over begin anew.

    Args:
      env: the game (static under jit).
      agent: the agent whose policy plays.
      players: L games in the middle of play.
      key: PRNG key of the call.
      steps: T, steps in every game (static under jit).
      explore: departures from the policy; a number is the share of random actions.

    Returns:
      The games afterwards, the experience `[T, L]`, and the games that finished.
    """
    explore = exploration(explore)

    def step(players, key):
        key_act, key_step, key_reset = jax.random.split(key, 3)
        count = len(players.first)
        observation = Observation(
            players.memory, players.frame, players.first, explore.epsilon, explore.temperature
        )
        memory, choice = act(agent, observation, key_act)
        action = repeat_sometimes(
            key_act, choice["action"], players.previous, players.first, explore.action_repeat
        )
        keys = jax.random.split(key_step, count)
        env_state, after = jax.vmap(env.step)(players.env_state, action, keys)
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
            action,
        )
        transition = Transitions(
            players.frame, action, after.reward, after.end, after.trunc, after.frame
        )
        return following, (transition, Games(over, game_return))

    players, (transitions, games) = jax.lax.scan(step, players, jax.random.split(key, steps))
    return players, transitions, games


_play = jax.jit(play, static_argnums=(0, 4), donate_argnums=2)
_new_players = JitOnCpu(new_players, ONCE, static_argnums=(0, 2))


def sound(chunk: Transitions, game_over: jax.Array) -> jax.Array:
    """Return which steps can be learned from, bool `[T, L]`: the reward is finite, and no game is
    over with neither end nor trunc, which would join two games.

    Args:
      chunk: experience `[T, L]`.
      game_over: bool `[T, L]`.
    """
    return jnp.isfinite(chunk.reward) & (~game_over | chunk.end | chunk.trunc)


def played_until_bad(chunk: Transitions, game_over: jax.Array, game: str) -> GameError | None:
    """Return an error if a step of a chunk `[T, L]` is not `sound`, with the whole steps before it
    as its `played`.
    """
    bad = ~np.asarray(sound(chunk, game_over))
    if not bad.any():
        return None
    step, lane = np.argwhere(bad)[0]
    fields = (None, chunk.reward, chunk.end, chunk.trunc, game_over)
    row = Transition(
        *(field if field is None else np.asarray(field)[step, lane].item() for field in fields)
    )
    try:
        transition(row, f"{game}: step {step + 1} of this call, game {lane},")
    except GameError as error:
        return GameError(str(error), (jax.tree.map(lambda a: a[:step], chunk), []))


class JaxPlayers:
    """L games in pure JAX for the training loop; the counterpart of `HostPlayers`."""

    def __init__(self, env: JaxEnv, agent: AgentState, count: int, seed: int):
        self.env = env
        self.players = _new_players(env, agent, count, jax.random.key(seed))
        self.to_cut = np.zeros(count, bool)

    def play(
        self,
        agent: AgentState,
        key: jax.Array,
        steps: int,
        explore: Exploration | float,
        tick: Callable[[int], None] = lambda n: None,
    ) -> tuple[Transitions, list[float]]:
        """As `HostPlayers.play`; the experience stays on the device.

        Arguments and result as there, but `tick` is called once, with the number of steps in all
        games together.

        Raises:
          GameError: a step is not `sound`; all games begin anew, and the whole steps before it are
            its `played`.
        """
        numbers = Exploration(*map(jnp.float32, exploration(explore)))
        arguments = (self.env, agent, self.players, key, steps, numbers)
        self.players, transitions, games = _play(*arguments)
        error = played_until_bad(transitions, games.finished, self.env.name)
        if error is not None:
            fresh = jax.random.fold_in(key, steps)
            self.players = _new_players(self.env, agent, len(self.to_cut), fresh)
            raise error
        finished = np.asarray(games.game_return)[np.asarray(games.finished)]
        tick(transitions.action.size)
        return transitions, [float(value) for value in finished]

    def save(self) -> dict[str, np.ndarray]:
        """All arrays that `restore` needs."""
        return flatten_dict(to_names(to_host(self.players)), sep=".")

    def restore(self, saved: dict[str, np.ndarray]) -> np.ndarray:
        """Continue from `saved`, exactly; no game (bool `[L]`) begins anew."""
        saved = {"previous": np.zeros(len(self.to_cut), np.int32), **saved}  # absent in 0.1
        restored = from_names(self.players, unflatten_dict(saved, sep="."), "the saved games")
        self.players = jax.tree.map(jnp.asarray, restored)
        return self.to_cut

    def close(self) -> None:
        """Nothing to close."""


act_on_device = jax.jit(act)
_repeat_on_device = jax.jit(repeat_sometimes)


class HostPlayers:
    """L games outside JAX in the middle of play, with the policy's memory of each."""

    def __init__(
        self,
        envs: list[HostEnv | None],
        agent: AgentState,
        seed: int,
        make_env: MakeEnv | None = None,
        restarts: int = 0,
    ):
        """Begin games; game number i of environment l has a seed made from `(seed, l, i)`.

        Args:
          envs: L environments, one a lane; of several processes, each has those of its share, and
            None for the others (`hosts.my_share`).
          agent: whose policy will play.
          seed: of all games.
          make_env, restarts: makes an environment anew after an error, so many times in all.
        """
        self.envs, self.seed = [env and checked(env) for env in envs], seed
        self.make_env, self.restarts = make_env, restarts if make_env else 0
        self.games = np.zeros(len(envs), np.int64)
        self.failed = False
        self.to_cut = np.zeros(len(envs), bool)
        """Lanes whose newest episode in the replay was left before its next step."""
        self.memory = policy_memory(agent.spec, (len(envs),))
        self._begin_all()

    def _begin_all(self) -> None:
        lanes = len(self.envs)
        self.frame = self._new_games(range(lanes))
        self.first = np.ones(lanes, bool)
        self.game_return = np.zeros(lanes, np.float32)
        self.previous = np.zeros(lanes, np.int32)

    def _new_game(self, lane: int) -> np.ndarray:
        seed = np.random.SeedSequence((self.seed, lane, int(self.games[lane]))).generate_state(1)[0]
        self.games[lane] += 1
        return self.envs[lane].reset(int(seed) % 2**31)

    def _new_frame(self, lane: int) -> np.ndarray:
        """First frame of a new game in a lane; a game that cannot begin is replaced."""
        while True:
            try:
                return self._new_game(lane)
            except GameError as error:
                self._replace(lane, error)

    def _replace(self, lane: int, error: GameError) -> None:
        """Replace a game that failed by a new one, or give up if no restart is left."""
        self.count_restart(error)
        self.envs[lane].close()
        self.envs[lane] = checked(self.make_env())

    def count_restart(self, error: GameError) -> None:
        """Use one of the restarts after an error, in play or in an evaluation; raise it if none is
        left.
        """
        if self.restarts < 1:
            raise error
        self.restarts -= 1
        log(f"warning: {error}; it begins anew ({self.restarts} restarts left)")

    def _new_games(self, lanes: Iterable[int]) -> np.ndarray:
        """First frames of new games in some lanes, wherever they are played."""
        own, lanes, error = {}, list(lanes), None
        for lane in lanes:
            if self.envs[lane] is None:
                self.games[lane] += 1  # another process begins it
                continue
            try:
                own[str(lane)] = self._new_frame(lane)
            except GameError as failed:
                error = error or failed
        found = exchange(own, error)
        return np.stack([found[str(lane)] for lane in lanes])

    def play(
        self,
        agent: AgentState,
        key: jax.Array,
        steps: int,
        explore: Exploration | float,
        tick: Callable[[int], None] = lambda n: None,
    ) -> tuple[Transitions, list[float]]:
        """Play `steps` steps in every game; games that are over begin anew.

        Args:
          agent: whose policy plays.
          key: PRNG key of the call.
          steps: per game.
          explore: how play departs from the policy; a number is the share of random actions.
          tick: is called with L after every step.

        Returns:
          The experience, and the returns of finished games.

        Raises:
          GameError: a game failed; the whole steps before it are its `played`, and `save` then
            saves that new games are due.
        """
        explore, rows, finished = exploration(explore), [], []
        for t in range(steps):
            key_step = jax.random.fold_in(key, t)
            try:
                rows.append(self._row(agent, key_step, explore, rows, finished))
            except GameError as error:
                self.failed = True
                raise GameError(str(error), (_stacked(rows) if rows else None, finished)) from error
            tick(len(self.envs))
        return _stacked(rows), finished

    def _row(self, agent, key, explore, rows, finished):
        """Experience of one step in every game."""
        before = self.memory
        actions = self._choose(agent, before, key, explore)
        outcomes, failed = {}, None
        for lane, env in enumerate(self.envs):
            while env is not None and failed is None:
                try:
                    outcomes[lane] = self.envs[lane].step(int(actions[lane]))
                    break
                except GameError as error:
                    try:
                        self._restart(lane, error, rows)
                    except GameError as last:
                        failed = last
                        break
                    actions[lane] = self._choose(agent, before, key, explore)[lane]
        frame = self.frame
        reward, end, trunc, reached = self._advance(outcomes, failed, actions, finished)
        return frame, actions, reward, end, trunc, reached

    def _choose(self, agent, memory, key, explore) -> np.ndarray:
        observation = Observation(
            memory,
            self.frame,
            self.first,
            np.float32(explore.epsilon),
            np.float32(explore.temperature),
        )
        self.memory, choice = act_on_device(agent, observation, key)
        actions = choice["action"]
        if explore.action_repeat > 0:
            actions = _repeat_on_device(
                key, actions, self.previous, self.first, np.float32(explore.action_repeat)
            )
        return np.array(actions)

    def _restart(self, lane: int, error: GameError, rows) -> None:
        """Replace a game that failed in the middle of play by a new one, and begin it."""
        self._replace(lane, error)
        if rows:
            rows[-1][4][lane] = not rows[-1][3][lane]  # the episode before was cut
        else:
            self.to_cut[lane] = True
        self.frame = self.frame.copy()
        self.frame[lane], self.first[lane] = self._new_frame(lane), True
        self.game_return[lane] = 0.0

    def _advance(self, outcomes, failed, actions, finished):
        own = {}
        for lane, o in outcomes.items():
            own[f"frame.{lane}"] = o.frame
            own[f"rest.{lane}"] = np.array([o.reward, o.end, o.trunc, o.game_over], np.float32)
        found, lanes = exchange(own, failed), range(len(self.envs))
        reached = np.stack([found[f"frame.{lane}"] for lane in lanes])
        rest = np.stack([found[f"rest.{lane}"] for lane in lanes])
        reward, (end, trunc, game_over) = rest[:, 0], rest[:, 1:].T.astype(bool)
        self.game_return = self.game_return + reward
        self.frame, self.first, self.previous = reached.copy(), end | trunc, actions
        if game_over.any():
            finished += self.game_return[game_over].tolist()
            self.game_return[game_over] = 0.0
            self.first[game_over] = True
            self.frame[game_over] = self._new_games(np.flatnonzero(game_over))
        return reward, end, trunc, reached

    def save(self) -> dict[str, np.ndarray]:
        """All arrays that `restore` needs, games included; after an error only that new games are
        due.
        """
        if self.failed:
            return {"games": self.games, "begin_anew": np.bool_(True)}
        mine = {
            "games": self.games,
            "frame": self.frame,
            "first": self.first,
            "game_return": self.game_return,
            "previous": self.previous,
            "hidden": np.asarray(self.memory.hidden),
            "cell": np.asarray(self.memory.cell),
        }
        theirs = {
            f"env.{lane}.{k}": v
            for lane, env in enumerate(self.envs)
            if env is not None
            for k, v in env.save().items()
        }
        return mine | exchange(theirs)

    def restore(self, saved: dict[str, np.ndarray]) -> np.ndarray:
        """Continue from `saved`, exactly where the games allow it.

        Returns:
          bool `[L]`, the games that begin anew, because they failed when they were saved or do not
          come out the same again.
        """
        self.games = saved["games"].copy()
        if "begin_anew" in saved:
            self._begin_all()
            return np.ones(len(self.envs), bool)
        self.frame, self.first = saved["frame"].copy(), saved["first"].copy()
        self.game_return = saved["game_return"].copy()
        self.previous = saved.get("previous", np.zeros(len(self.envs), np.int32)).copy()
        self.memory = LSTMState(saved["hidden"], saved["cell"])
        anew = np.zeros(len(self.envs), bool)
        for lane, env in enumerate(self.envs):
            if env is None:
                continue
            start = f"env.{lane}."
            mine = {k.removeprefix(start): v for k, v in saved.items() if k.startswith(start)}
            try:
                env.restore(mine)
            except (NotReproducible, GameError) as error:
                log(
                    f"warning: {error}; game {lane} begins anew, so this run does not continue as "
                    "it would have without the interruption"
                )
                anew[lane] = True
        found = exchange({str(lane): np.bool_(True) for lane in np.flatnonzero(anew)})
        anew[[int(lane) for lane in found]] = True
        if anew.any():
            self.first[anew], self.game_return[anew] = True, 0.0
            self.frame[anew] = self._new_games(np.flatnonzero(anew))
        return anew

    def close(self) -> None:
        """Close the games."""
        for env in self.envs:
            if env is not None:
                env.close()


def exchange(own: dict[str, np.ndarray], error: GameError | None = None) -> dict[str, np.ndarray]:
    """Collect what every process knows of its games; in a single process, its own.

    Args:
      own: arrays by names that no other process uses.
      error: a game of this process failed.

    Raises:
      GameError: a game failed, here or in another process.
    """
    if error is not None and not hosts.several():
        raise error
    parts = hosts.arrays_from_all({**own, "error": np.array(str(error or ""))})
    said = [str(part.pop("error")) for part in parts]
    if any(said):
        raise error or GameError(next(text for text in said if text))
    return {name: value for part in parts for name, value in part.items()}


def _stacked(rows: list[tuple]) -> Transitions:
    return Transitions(*(np.stack(column) for column in zip(*rows, strict=True)))
