"""Recorded play with the true cell of the ball, for measurements of world models.

Bricks is played by a script that follows the ball with a share of random steps, its ball is known
from the game's state. Breakout is played by the script of `breakout_rewards`; its ball is known
from the emulator's memory. Any other Atari game is played at random, without positions. The same
script and share of random steps as in `breakout_rewards`, because random play loses the ball of
bricks after five steps.
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.breakout_rewards import BALL, HEIGHT, RANDOM, follow
from jaxrl.envs.atari import Atari
from jaxrl.envs.bricks import bricks
from jaxrl.envs.catch import CELLS
from jaxrl.jedi.diagnostics.horizon import Record
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay, ReplayConfig, Transitions

SIDES = {"bricks": 32}
"""Pixels of a frame's side; others have 48."""
ATARI_SIDE = 48
ATARI_CELLS = 12
"""Cells of position along a side of a frame of Breakout: 4 x 4 pixels each."""
SCREEN = (210, 160)
"""Rows and columns of the emulator's screen."""
BALL_ROW, BALL_COLUMN = 11, -48
"""Offsets from the emulator's memory (`HEIGHT`, `BALL`) to the center of the ball on the screen,
which is 4 rows high and 2 columns wide; a test compares them with the picture.
"""
NO_BALL = -1


class Play(NamedTuple):
    """T steps in each of L games, one after the other where a game was over."""

    record: Record
    cell: np.ndarray
    """int32 `[L, T]`, cell `row * side + column` of the ball in the frame before each step;
    `NO_BALL` where there is none.
    """
    side: int
    """Cells along a side of the frame; 0 without positions."""
    num_actions: int


def lasts_of(record: Record) -> np.ndarray:
    """bool `[L, T]`: the step ended its episode, or is the last recorded one."""
    last = np.ones((len(record.action), 1), bool)
    return np.concatenate([np.diff(record.episode, axis=1) != 0, last], axis=1)


def play_bricks(lanes: int, steps: int, seed: int) -> Play:
    """Record bricks; arguments as `play`."""
    game = bricks(SIDES["bricks"])

    def step(carry, key):
        state, frame = carry
        k_random, k_action, k_step, k_reset = jax.random.split(key, 4)
        towards = jnp.sign(state.ball_x - state.paddle) + 1
        anything = jax.random.randint(k_action, (), 0, game.num_actions)
        action = jnp.where(jax.random.bernoulli(k_random, RANDOM), anything, towards)
        after, seen = game.step(state, action, k_step)
        cell = state.ball_y * CELLS + state.ball_x
        following = jax.tree.map(
            lambda new, old: jnp.where(seen.game_over, new, old),
            game.reset(k_reset),
            (after, seen.frame),
        )
        row = (frame, seen.frame, action, seen.reward, seen.end, seen.end | seen.trunc, cell)
        return following, row

    def lane(key):
        begun = game.reset(jax.random.fold_in(key, 0))
        return jax.lax.scan(step, begun, jax.random.split(jax.random.fold_in(key, 1), steps))[1]

    rows = jax.jit(jax.vmap(lane))(jax.random.split(jax.random.key(seed), lanes))
    return as_play(tuple(map(np.asarray, rows)), CELLS, game.num_actions)


def ball_cell(memory: np.ndarray) -> int:
    """Cell of Breakout's ball, from the emulator's memory; `NO_BALL` if there is none."""
    if memory[HEIGHT] == 0:
        return NO_BALL
    row = (int(memory[HEIGHT]) + BALL_ROW) * ATARI_CELLS // SCREEN[0]
    column = (int(memory[BALL]) + BALL_COLUMN) * ATARI_CELLS // SCREEN[1]
    return min(max(row, 0), ATARI_CELLS - 1) * ATARI_CELLS + min(max(column, 0), ATARI_CELLS - 1)


def play_atari(env: str, lanes: int, steps: int, seed: int) -> Play:
    """Record an Atari game; arguments as `play`."""
    game, positions, played = Atari(env, ATARI_SIDE), env == "Breakout", []
    for lane in range(lanes):
        generator, rows = np.random.default_rng([seed, lane]), []
        frame = game.reset(int(generator.integers(2**31)))
        for _ in range(steps):
            action = (
                follow(game, generator) if positions else int(generator.integers(game.num_actions))
            )
            cell = ball_cell(game._ale.getRAM()) if positions else NO_BALL
            seen = game.step(action)
            done = seen.end or seen.trunc
            rows.append((frame, seen.frame, action, seen.reward, seen.end, done, cell))
            again = seen.game_over
            frame = game.reset(int(generator.integers(2**31))) if again else seen.frame
        played.append([np.stack(column) for column in zip(*rows, strict=True)])
    columns = tuple(np.stack(column) for column in zip(*played, strict=True))
    return as_play(columns, ATARI_CELLS if positions else 0, game.num_actions)


def as_play(columns: tuple[np.ndarray, ...], side: int, num_actions: int) -> Play:
    """A play from its columns `[L, T, ...]`: frame before, frame after, action, reward, end, end or
    cut of the episode, cell.
    """
    before, after, action, reward, end, over, cell = columns
    episode = np.cumsum(over, axis=1, dtype=np.int32) - over
    record = Record(before, after, action.astype(np.int32), reward.astype(np.float32), end, episode)
    return Play(record, cell.astype(np.int32), side, num_actions)


def play(env: str, lanes: int, steps: int, seed: int) -> Play:
    """Record L = `lanes` games side by side, T = `steps` agent steps in each.

    Args:
      env: bricks, Breakout, or another Atari game.
      lanes: games.
      steps: steps in each; a game that is over begins anew.
      seed: of games and actions.
    """
    return (
        play_bricks(lanes, steps, seed) if env == "bricks" else play_atari(env, lanes, steps, seed)
    )


def recorded(path: Path, env: str, lanes: int, steps: int, seed: int) -> Play:
    """The play in a file; recorded first if there is none.

    Args:
      path: of an .npz file.
      env, lanes, steps, seed: as for `play`.

    Raises:
      SystemExit: the file holds another amount of play.
    """
    if not path.exists():
        made = play(env, lanes, steps, seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished.npz")
        numbers = {"cell": made.cell, "side": made.side, "num_actions": made.num_actions}
        np.savez_compressed(unfinished, **made.record._asdict(), **numbers)
        unfinished.rename(path)
    with np.load(path) as file:
        record = Record(**{name: file[name] for name in Record._fields})
        found = Play(record, file["cell"], int(file["side"]), int(file["num_actions"]))
    if found.cell.shape != (lanes, steps):
        raise SystemExit(f"{path} holds {found.cell.shape} steps: move it away to record anew")
    return found


def split(made: Play, lanes: int) -> tuple[Play, Play]:
    """All games but the last `lanes`, and these."""

    def part(which: slice) -> Play:
        record = Record(*(column[which] for column in made.record))
        return made._replace(record=record, cell=made.cell[which])

    return part(slice(None, -lanes)), part(slice(-lanes, None))


def replay_of(made: Play) -> Replay:
    """The play as a replay on the device, all episodes equally likely."""
    record = made.record
    lanes, steps = record.action.shape
    episodes = int((record.episode[:, -1] + 1).sum())
    rows = 2 * steps + 2  # an episode takes a row more than it has steps
    config = ReplayConfig(lanes * rows, episodes + 1, (0.25,) * 4)
    over = lasts_of(record)

    def time_first(column):
        return jnp.asarray(np.swapaxes(column, 0, 1))

    chunk = Transitions(
        *map(time_first, (record.frame, record.action, record.reward, record.end)),
        time_first(over & ~record.end),
        time_first(record.next_frame),
    )
    return buffer.append(buffer.init(config, lanes, record.frame.shape[2:]), chunk)
