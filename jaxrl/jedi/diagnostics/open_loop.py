"""Real against imagined: the same actions in the real game and, open loop, inside the world model.
`film.py` draws it.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.envs.protocol import HostEnv
from jaxrl.jedi.agent import AgentState, Observation, decode, encode, policy_memory
from jaxrl.jedi.imagination import advance, begin, draw_noise
from jaxrl.jedi.nets.reward_values import likely_sign
from jaxrl.jedi.play.collect import act_on_device
from jaxrl.replay.segment import Segment


@dataclass
class Game:
    """T steps of one real game."""

    frame: np.ndarray
    """uint8 `[T + 1, H, W, 3]`."""
    action: np.ndarray
    """int32 `[T]`."""
    reward: np.ndarray
    """float32 `[T]`."""
    end: np.ndarray
    """bool `[T]`."""


@dataclass
class Comparison:
    """The same actions twice. Row 0 of the frames is where imagination starts."""

    real: np.ndarray
    """uint8 `[T + 1, H, W, 3]`."""
    seen: np.ndarray
    """uint8 `[T + 1, H, W, 3]`: the probe's picture of the latents of the real frames; the best
    that imagination can reach.
    """
    imagined: np.ndarray
    """uint8 `[T + 1, H, W, 3]`: the probe's picture of the imagined latents."""
    action: np.ndarray
    """int32 `[T]`."""
    reward: np.ndarray
    """float32 `[T]`, real."""
    imagined_reward: np.ndarray
    """float32 `[T]`, the most likely class, in {-1, 0, 1}."""
    end: np.ndarray
    """bool `[T]`, real."""
    imagined_end: np.ndarray
    """bool `[T]`, more likely than not."""


def play_game(
    agent: AgentState,
    env: HostEnv,
    seed: int,
    steps: int,
    actions: tuple[int, ...] = (),
    before: int = 0,
) -> Game:
    """Up to `steps` steps of one game by the policy; from step `before` on by `actions`, if there
    are any.

    Args:
      agent: the agent whose policy plays.
      env: the game.
      seed: seed of the game and of the policy's choices.
      steps: most steps; fewer if the game is over before.
      actions: given actions, at least `steps - before` of them; empty: the policy plays all the
        time.
      before: steps of the policy before the first of `actions`.
    """
    frames, taken, rewards, ends = [np.array(env.reset(seed))], [], [], []
    memory, first, key = policy_memory(agent.spec, (1,)), np.ones(1, bool), jax.random.key(seed)
    for t in range(steps):
        memory, choice = act_on_device(
            agent, Observation(memory, frames[-1][None], first), jax.random.fold_in(key, t)
        )
        action = int(choice["action"][0])
        if actions and t >= before:
            action = actions[t - before]
        after = env.step(action)
        frames.append(np.array(after.frame))
        taken.append(action)
        rewards.append(float(after.reward))
        ends.append(bool(after.end))
        first = np.array([bool(after.end or after.trunc)])
        if after.game_over:
            break
    return Game(
        np.stack(frames), np.array(taken, np.int32), np.array(rewards, np.float32), np.array(ends)
    )


def eventful_stretch(game: Game, steps: int) -> tuple[int, int]:
    """First step and length (at most `steps`, cut after an end) of the stretch with the most
    rewards and then the most movement.
    """
    moved = np.abs(np.diff(game.frame.astype(np.int16), axis=0)).mean((1, 2, 3))
    best, found = -1.0, (0, min(steps, len(game.action)))
    for start in range(max(len(game.action) - steps // 2, 1)):
        stretch = slice(start, start + steps)
        ends = np.flatnonzero(game.end[stretch])
        stretch = slice(start, start + int(ends[0]) + 1) if len(ends) else stretch
        worth = 1000 * np.abs(np.sign(game.reward[stretch])).sum() + moved[stretch].sum()
        if worth > best:
            best, found = worth, (start, len(game.action[stretch]))
    return found


def compare(
    agent: AgentState,
    game: Game,
    start: int,
    steps: int,
    key: jax.Array,
    horizon: int | None = None,
) -> Comparison:
    """Imagine along the actions of a game from step `start`, open loop, and show it next to what
    really happened.

    The context is the frames up to `start`; imagination continues to the end of the stretch
    whatever it predicts, or begins again from the real frames after every `horizon` steps. Row t +
    1 of the frames is what step t led to.

    Args:
      agent: the agent that imagines.
      game: T real steps.
      start: step where imagination starts, below T.
      steps: steps to imagine; fewer if the game has fewer from `start` on.
      key: PRNG key of the sampled latents.
      horizon: steps after which imagination begins again; None: never.
    """
    n = agent.spec.config.context
    stop = min(start + steps, len(game.action))
    length = min(horizon or stop - start, stop - start)
    begins = np.arange(start, stop, length)
    contexts = jax.tree.map(
        lambda *rows: np.concatenate(rows), *(context_at(game, int(t), n) for t in begins)
    )
    along = np.minimum(begins[:, None] + np.arange(length), stop - 1)
    found = _imagine_along(agent, contexts, jnp.asarray(game.action[along]), key)
    z, reward, end = (
        np.asarray(found[name]).reshape(-1, *found[name].shape[2:])[: stop - start]
        for name in ("z", "reward", "end")
    )
    real = game.frame[start : stop + 1]
    seen = _see(agent, real)
    return Comparison(
        real,
        seen,
        np.concatenate([seen[:1], to_uint8(_decode(agent, z))]),
        game.action[start:stop],
        game.reward[start:stop],
        reward,
        game.end[start:stop],
        end,
    )


def context_at(game: Game, t: int, n: int) -> Segment:
    """The n frames up to frame t as a segment `[1, n]`; what lies before the game, or before the
    last end, is padding.
    """
    rows = np.arange(t - n + 1, t + 1)
    ended_before = [bool(game.end[max(row, 0) : t].any()) for row in rows]
    mask = (rows >= 0) & ~np.array(ended_before)
    safe = np.maximum(rows, 0)
    past = np.where(mask & (rows < t), game.action[np.minimum(safe, len(game.action) - 1)], 0)
    blank = np.zeros((1, n), bool)
    return Segment(
        game.frame[safe][None],
        past[None].astype(np.int32),
        np.zeros((1, n), np.float32),
        blank,
        blank,
        mask[None],
        mask[None],
    )


@jax.jit
def _imagine_along(agent: AgentState, segments: Segment, actions, key):
    """From K contexts `[K, n]` along `actions [K, T]`."""

    def step(world, inputs):
        action, key = inputs
        world, outcome = advance(agent, world, action, *draw_noise(agent.spec, key, action.shape))
        values = agent.spec.config.reward_end.values
        reward = likely_sign(values, outcome.reward_logits)
        return world, {
            "z": outcome.z,
            "reward": reward,
            "end": jnp.argmax(outcome.end_logits, -1) == 1,
        }

    _, found = jax.lax.scan(
        step, begin(agent, segments), (actions.T, jax.random.split(key, actions.shape[1]))
    )
    return jax.tree.map(lambda a: jnp.moveaxis(a, 0, 1), found)


_decode = jax.jit(decode)


def _see(agent: AgentState, frame: np.ndarray) -> np.ndarray:
    return to_uint8(_decode(agent, jax.jit(encode)(agent, frame)))


def to_uint8(picture) -> np.ndarray:
    """[-1, 1] to [0, 255]."""
    return np.asarray(jnp.clip((picture + 1) * 127.5 + 0.5, 0, 255)).astype(np.uint8)


@dataclass(frozen=True)
class Stretch:
    """A part of a game, to be imagined."""

    steps: int = 40
    """Steps, if the policy plays."""
    horizon: int | None = None
    """Imagined steps after which imagination begins again at the real frame. Absent: never."""
    warm_up: int | None = None
    """Steps that the policy plays in the real game before. Absent: the most eventful stretch of a
    game is shown (within 20 times as many steps).
    """
    seed: int = 0
    """Seed of game, policy and imagination."""

    def check(self) -> None:
        """Refuse numbers that mean nothing."""
        if self.steps < 1 or (self.warm_up or 0) < 0:
            raise UserError(
                f"--steps is {self.steps} and --warm-up {self.warm_up}: steps must be at least 1, "
                "a warm-up at least 0"
            )
        if self.horizon is not None and self.horizon < 1:
            raise UserError(
                f"--horizon is {self.horizon}: at least 1 step must be imagined before "
                "imagination begins again"
            )


def compare_agents(
    agents: dict[str, AgentState], env: HostEnv, stretch: Stretch, actions: tuple[int, ...] = ()
) -> dict[str, Comparison]:
    """Play a real game (by the first agent's policy, then by `actions` if given), and let every
    agent imagine a stretch of it.

    Args:
      agents: by name.
      env: the game.
      stretch: which part of it.
      actions: to take instead of the policy's, `stretch.warm_up` steps after the beginning, or at
        once.

    Raises:
      UserError: the game was over before the warm-up was.
    """
    length = len(actions) or stretch.steps
    before = stretch.warm_up or 0
    chosen = bool(actions) or stretch.warm_up is not None
    total = before + length if chosen else 20 * length
    game = play_game(next(iter(agents.values())), env, stretch.seed, total, actions, before)
    start = before
    if not chosen:
        start, length = eventful_stretch(game, length)
    if start >= len(game.action):
        raise UserError(
            f"the real game was over after {len(game.action)} steps, before the warm-up of "
            f"{before}: choose a shorter one"
        )
    key = jax.random.key(stretch.seed)
    return {
        name: compare(agent, game, start, length, key, stretch.horizon)
        for name, agent in agents.items()
    }


def compare_policy(
    agent: AgentState, env: HostEnv, stretch: Stretch, actions: tuple[int, ...] = ()
) -> Comparison:
    """`compare_agents` with one.

    Args:
      agent: the agent.
      env: the game.
      stretch: which part of it.
      actions: actions to take instead of the policy's.
    """
    return compare_agents({"": agent}, env, stretch, actions)[""]
