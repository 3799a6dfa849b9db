"""Real against imagined: the same actions in the real game and, open loop, inside the world model; as film strip, GIF or arrays."""

from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.make import make
from jaxrl.envs.protocol import HostEnv
from jaxrl.envs.single import as_host
from jaxrl.jedi.agent import AgentState, Observation, decode, encode, policy_memory
from jaxrl.jedi.collect_host import act_on_device
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.reward_end import class_reward
from jaxrl.jedi.session import MakeEnv, restore_agent
from jaxrl.jedi.world import advance, begin
from jaxrl.replay.segment import Segment
from jaxrl.train.config import from_dict
from jaxrl.train.errors import Refusal
from jaxrl.train.rundir import read_config, write_atomically


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
    """uint8 `[T + 1, H, W, 3]`: the probe's picture of the latents of the real frames; the best that imagination can look like."""
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


def play_game(agent: AgentState, env: HostEnv, seed: int, steps: int, actions: tuple[int, ...] = (), before: int = 0) -> Game:
    """Up to `steps` steps of one game by the policy; from step `before` on by `actions`, if there are any."""
    frames, taken, rewards, ends = [np.array(env.reset(seed))], [], [], []
    memory, first, key = policy_memory(agent.spec, (1,)), np.ones(1, bool), jax.random.key(seed)
    for t in range(steps):
        memory, choice = act_on_device(agent, Observation(memory, frames[-1][None], first), jax.random.fold_in(key, t))
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
    return Game(np.stack(frames), np.array(taken, np.int32), np.array(rewards, np.float32), np.array(ends))


def eventful_stretch(game: Game, steps: int) -> tuple[int, int]:
    """First step and length (at most `steps`, cut after an end) of the stretch with the most rewards and then the most movement."""
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


def compare(agent: AgentState, game: Game, start: int, steps: int, key: jax.Array) -> Comparison:
    """Imagine along the actions of a game from step `start`, open loop, and show it beside what really happened.

    The context is the frames up to `start`; imagination goes on to the end of the stretch whatever it predicts.
    """
    n = agent.spec.config.context
    stop = min(start + steps, len(game.action))
    segment = context_at(game, start, n)
    z = _imagine_along(agent, segment, jnp.asarray(game.action[start:stop]), key)
    real = game.frame[start : stop + 1]
    seen = _see(agent, real)
    return Comparison(
        real, seen, np.concatenate([seen[:1], to_uint8(_decode(agent, z["z"]))]), game.action[start:stop],
        game.reward[start:stop], np.asarray(z["reward"]), game.end[start:stop], np.asarray(z["end"]),
    )  # fmt: skip


def context_at(game: Game, t: int, n: int) -> Segment:
    """The n frames up to frame t as a segment `[1, n]`; what lies before the game, or before the last end, is padding."""
    rows = np.arange(t - n + 1, t + 1)
    ended_before = [bool(game.end[max(row, 0) : t].any()) for row in rows]
    mask = (rows >= 0) & ~np.array(ended_before)
    safe = np.maximum(rows, 0)
    past = np.where(mask & (rows < t), game.action[np.minimum(safe, len(game.action) - 1)], 0)
    blank = np.zeros((1, n), bool)
    return Segment(
        game.frame[safe][None], past[None].astype(np.int32), np.zeros((1, n), np.float32), blank, blank, mask[None], mask[None]
    )


@jax.jit
def _imagine_along(agent: AgentState, segment: Segment, actions, key):
    def step(world, inputs):
        action, key = inputs
        x0 = jax.random.normal(key, (1, *agent.spec.latent_shape))
        world, outcome = advance(agent, world, action[None], x0)
        reward = class_reward(jnp.argmax(outcome.reward_logits[0]))
        return world, {"z": outcome.z[0], "reward": reward, "end": jnp.argmax(outcome.end_logits[0]) == 1}

    return jax.lax.scan(step, begin(agent, segment), (actions, jax.random.split(key, len(actions))))[1]


_decode = jax.jit(decode)


def _see(agent: AgentState, frame: np.ndarray) -> np.ndarray:
    return to_uint8(_decode(agent, jax.jit(encode)(agent, frame)))


def to_uint8(picture) -> np.ndarray:
    """[-1, 1] to [0, 255]."""
    return np.asarray(jnp.clip((picture + 1) * 127.5 + 0.5, 0, 255)).astype(np.uint8)


# ---- drawing -------------------------------------------------------------------------------------------------------------------

ROWS = (("real", "real"), ("probe", "seen"), ("imagined", "imagined"))
"""Label and field of what is shown."""
BACK, INK, GOOD, BAD = (250, 250, 250), (30, 30, 30), (20, 130, 60), (200, 40, 40)


def film_strip(comparison: Comparison, columns: int = 12, size: int = 96):
    """A PIL image: one row each for the real frames, the probe's view of them and the imagined frames, evenly spaced in time."""
    from PIL import Image, ImageDraw

    count = len(comparison.real)
    times = np.unique(np.linspace(0, count - 1, min(columns, count)).round().astype(int))
    left, top, gap = 70, 18, 3
    sheet = Image.new("RGB", (left + len(times) * (size + gap), top + 3 * (size + gap) + 16), BACK)
    draw = ImageDraw.Draw(sheet)
    for row, (label, field) in enumerate(ROWS):
        y = top + row * (size + gap)
        draw.text((4, y + size // 2 - 6), label, fill=INK)
        for column, t in enumerate(times):
            sheet.paste(enlarge(getattr(comparison, field)[t], size), (left + column * (size + gap), y))
    for column, t in enumerate(times):
        x = left + column * (size + gap)
        draw.text((x + 2, 3), f"t+{t}" if t else "start", fill=INK)
        caption, colour = _events(comparison, int(t), int(times[column - 1]) if column else int(t))
        draw.text((x + 2, top + 3 * (size + gap)), caption, fill=colour)
    return sheet


def _events(comparison: Comparison, t: int, since: int) -> tuple[str, tuple[int, int, int]]:
    """What the steps after frame `since` up to frame t brought, real / imagined."""
    if t == since:
        return "", INK
    span = slice(since, t)
    real, dreamt = np.sign(comparison.reward[span]).sum(), comparison.imagined_reward[span].sum()
    end, dreamt_end = comparison.end[span].any(), comparison.imagined_end[span].any()
    parts = [f"r {real:+.0f}/{dreamt:+.0f}"] if real or dreamt else []
    parts += [f"end {'yn'[not end]}/{'yn'[not dreamt_end]}"] if end or dreamt_end else []
    return " ".join(parts), GOOD if (real, end) == (dreamt, dreamt_end) else BAD


def enlarge(frame: np.ndarray, size: int):
    """A PIL image of `size` pixels with hard edges."""
    from PIL import Image

    return Image.fromarray(np.asarray(frame)).resize((size, size), Image.Resampling.NEAREST)


def animation(comparison: Comparison, size: int = 192) -> list:
    """PIL images, one per step: real on the left, imagined on the right, with rewards so far."""
    from PIL import Image, ImageDraw

    pictures = []
    for t in range(len(comparison.real)):
        sheet = Image.new("RGB", (2 * size + 6, size + 18), BACK)
        draw = ImageDraw.Draw(sheet)
        so_far = (np.sign(comparison.reward[:t]).sum(), comparison.imagined_reward[:t].sum())
        ended = (comparison.end[:t].any(), comparison.imagined_end[:t].any())
        sides = ((comparison.real, "real"), (comparison.imagined, "imagined"))
        for side, ((frames, label), total, over) in enumerate(zip(sides, so_far, ended, strict=True)):
            sheet.paste(enlarge(frames[t], size), (side * (size + 6), 18))
            text = f"{label}  t+{t}  rewards {total:+.0f}{'  end' if over else ''}"
            draw.text((side * (size + 6) + 3, 3), text, fill=BAD if over else INK)
        pictures.append(sheet)
    return pictures


def write_comparison(comparison: Comparison, out: Path) -> Path:
    """Write a .gif, .png or .npz, whole or not at all.

    Raises:
      Refusal: another ending, or the file cannot be written.
    """
    import io

    buffer = io.BytesIO()
    if out.suffix == ".gif":
        first, *rest = animation(comparison)
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=120, loop=0)
    elif out.suffix == ".png":
        film_strip(comparison).save(buffer, "PNG")
    elif out.suffix == ".npz":
        np.savez_compressed(buffer, **vars(comparison))
    else:
        raise Refusal(f"--out {out} must end in .gif, .png or .npz")
    write_atomically(out, buffer.getvalue())
    return out


def compare_run(
    run_dir: Path, out: Path, actions: tuple[int, ...], steps: int, warm_up: int | None, seed: int,
    make_env: MakeEnv | None = None,
) -> str:  # fmt: skip
    """The command `imagine`: one sentence on what was written."""
    if out.suffix not in (".gif", ".png", ".npz"):
        raise Refusal(f"--out {out} must end in .gif, .png or .npz")
    if steps < 1 or (warm_up or 0) < 0:
        raise Refusal(f"--steps is {steps} and --warm-up {warm_up}: steps must be at least 1, a warm-up at least 0")
    config = from_dict(JediConfig, read_config(run_dir))
    env = make(config.env, config.game.frame_size) if make_env is None else make_env()
    wrong = [action for action in actions if not 0 <= action < env.num_actions]
    if wrong:
        raise Refusal(f"{config.env} has actions 0 to {env.num_actions - 1}; --actions holds {wrong[0]}")
    agent, _ = restore_agent(run_dir, config, env)
    comparison = compare_policy(agent, as_host(env), steps, warm_up, seed, actions)
    write_comparison(comparison, out)
    right = np.sign(comparison.reward) == comparison.imagined_reward
    ends = f"real end at step {int(comparison.end.argmax()) + 1}" if comparison.end.any() else "no real end"
    dreamt = f"imagined at {int(comparison.imagined_end.argmax()) + 1}" if comparison.imagined_end.any() else "none imagined"
    return f"{out}: {len(right)} steps, rewards right at {right.mean():.0%} of them, {ends}, {dreamt}"


def compare_policy(
    agent: AgentState, env: HostEnv, steps: int, warm_up: int | None, seed: int, actions: tuple[int, ...] = ()
) -> Comparison:
    """Play a real game (by the policy, then by `actions` if given) and imagine a stretch of it.

    `warm_up` None: `actions` begin at once; the policy's most eventful stretch within 20 times as many steps is shown.
    """
    length = len(actions) or steps
    before = warm_up or 0
    total = before + length if actions or warm_up is not None else 20 * length
    game = play_game(agent, env, seed, total, actions, before)
    start = before
    if not actions and warm_up is None:
        start, length = eventful_stretch(game, length)
    if start >= len(game.action):
        raise Refusal(
            f"the real game was over after {len(game.action)} steps, before the warm-up of {before}: choose a shorter one"
        )
    return compare(agent, game, start, length, jax.random.key(seed))
