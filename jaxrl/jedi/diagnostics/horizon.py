"""Errors of imagination over the horizon, from many starts in freshly
played real games.

From every start the model is run open loop along the real actions, and compared at each step with
what really came: reward
class, end, the probe's picture, the latent. Steps after the end of the real episode do not count,
so there are fewer at larger horizons. With every figure stands what one gets for nothing: always
the most frequent class, or a world that stands still.
"""

import functools
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.protocol import JaxEnv, MakeEnv
from jaxrl.jedi.agent import AgentState, decode, encode
from jaxrl.jedi.imagination import WorldState, advance, begin, draw_noise
from jaxrl.jedi.nets.reward_values import REWARD_CLASSES, class_logits, reward_class
from jaxrl.jedi.play.collect import HostPlayers, JaxPlayers
from jaxrl.replay.segment import Segment, frame_to_float
from jaxrl.rl.categorical import cross_entropy

AT_ONCE = 32
"""Starts that are imagined side by side; the rest waits, to spare memory."""


@dataclass(frozen=True)
class HorizonConfig:
    """Amount of play, and of imagination from it."""

    steps: int | None = None
    """Imagined steps from each start. Absent: 15, or as many as the longest game lasts."""
    games: int = 32
    """Real games played side by side by the first run's policy; the bands show how much figures
    differ between them.
    """
    game_steps: int = 128
    """Steps in each of them; a game that is over begins anew."""
    starts: int = 1024
    """Starts drawn from all steps played."""
    epsilon: float = 0.01
    """Share of random actions in the real games; 1 plays at random."""
    seed: int = 0
    """Seed of games, starts and imagination."""


class Record(NamedTuple):
    """T steps of L real games, one after the other where a game was over."""

    frame: np.ndarray
    """uint8 `[L, T, H, W, 3]`, before each step."""
    next_frame: np.ndarray
    """uint8 `[L, T, H, W, 3]`, after it, before any reset."""
    action: np.ndarray
    """int32 `[L, T]`."""
    reward: np.ndarray
    """float32 `[L, T]`."""
    end: np.ndarray
    """bool `[L, T]`."""
    episode: np.ndarray
    """int32 `[L, T]`, number of the episode within the lane."""


def play_real(env, make_env: MakeEnv, agent: AgentState, config: HorizonConfig) -> Record:
    """Play real games by the agent's policy, with a share of random actions.

    Args:
      env: the game; outside JAX it is the first of those played.
      make_env: makes the others outside JAX; not called for games in JAX.
      agent: the agent whose policy plays.
      config: number of games, steps in each, share of random actions, seed.

    Returns:
      L = `config.games` lanes of T = `config.game_steps` steps, on the host.
    """
    if isinstance(env, JaxEnv):
        players = JaxPlayers(env, agent, config.games, config.seed)
    else:
        envs = [env, *(make_env() for _ in range(config.games - 1))]
        players = HostPlayers(envs, agent, config.seed)
    try:
        key = jax.random.key(config.seed)
        played, _ = players.play(agent, key, config.game_steps, config.epsilon)
    finally:
        players.close()
    played = jax.tree.map(lambda a: np.swapaxes(np.asarray(a), 0, 1), played)
    over = played.end | played.trunc
    episode = np.cumsum(over, axis=1, dtype=np.int32) - over
    return Record(
        played.frame, played.next_frame, played.action, played.reward, played.end, episode
    )


def steps_left(record: Record) -> np.ndarray:
    """int `[L, T]`: recorded steps of the same episode from step t on, itself included."""
    stops = np.stack([np.searchsorted(lane, lane, "right") for lane in record.episode])
    return stops - np.arange(stops.shape[1])


class Starts(NamedTuple):
    """Steps from which imagination starts; int32, scalars or `[B]`."""

    lane: np.ndarray | jax.Array
    t: np.ndarray | jax.Array


def draw_starts(record: Record, count: int, seed: int) -> Starts:
    """At most `count` different starts, from all steps alike."""
    lanes, length = record.action.shape
    chosen = np.random.default_rng(seed).permutation(lanes * length)[:count]
    return Starts((chosen // length).astype(np.int32), (chosen % length).astype(np.int32))


def context(record: Record, lane: jax.Array, t: jax.Array, n: int) -> Segment:
    """The n frames up to frame t of a lane as a segment `[n]`; what lies before the episode is
    padding.

    Args:
      record: real games.
      lane, t: int32 scalars, the lane and the step whose frame comes last.
      n: rows of the segment (static).
    """
    rows = t + jnp.arange(1 - n, 1)
    safe = jnp.maximum(rows, 0)
    mask = (rows >= 0) & (record.episode[lane, safe] == record.episode[lane, t])
    action = jnp.where(mask & (rows < t), record.action[lane, safe], 0)
    never = jnp.zeros(n, bool)
    return Segment(record.frame[lane, safe], action, jnp.zeros(n), never, never, mask, mask)


def follow(
    agent: AgentState, record: Record, start: Starts, key: jax.Array, horizon: int, pictures: bool
) -> dict[str, jax.Array]:
    """Imagine `horizon` steps from a start along its lane's real actions; what to count,
    `[horizon]` each, 0 after the end.

    "reward_class" is `[horizon, 3]`, one-hot. Errors are means of squares: of pixels in [-1, 1], or
    of latents.

    Args:
      agent: the agent that imagines.
      record: real games.
      start: one step of them, int32 scalars.
      key: PRNG key of the sampled latents.
      horizon: imagined steps H (static).
      pictures: also compare decoded frames (static); needs a decoder, a trained probe or frames.

    Returns:
      float32 by name, `[H]` or `[H, 3]`; "count" is 1 at the steps that count.
    """
    (lane, t), length = start, record.action.shape[1]
    steps = t + jnp.arange(horizon)
    safe = jnp.minimum(steps, length - 1)
    live = (steps < length) & (record.episode[lane, safe] == record.episode[lane, t])

    def step(world: WorldState, inputs):
        action, key = inputs
        return advance(agent, world, action, *draw_noise(agent.spec, key))

    world = begin(agent, context(record, lane, t, agent.spec.config.context))
    actions = jnp.where(live, record.action[lane, safe], 0)
    _, dreamt = jax.lax.scan(step, world, (actions, jax.random.split(key, horizon)))
    reward, end = reward_class(record.reward[lane, safe]), record.end[lane, safe]
    rewards = class_logits(agent.spec.config.reward_end.values, dreamt.reward_logits)
    found = compare_classes(rewards, dreamt.end_logits, reward, end)
    found |= compare_latents(
        agent, dreamt.z, record.next_frame[lane, safe], record.frame[lane, t], pictures
    )
    counted = {"count": jnp.ones(horizon)} | {
        name: value.astype(jnp.float32) for name, value in found.items()
    }
    return jax.tree.map(
        lambda a: jnp.where(live.reshape(-1, *(1,) * (a.ndim - 1)), a, 0.0), counted
    )


def compare_classes(reward_logits, end_logits, reward, end) -> dict[str, jax.Array]:
    """Hits and surprises of imagined rewards (logits `[H, 3]`, class `[H]`) and ends (logits `[H,
    2]`, bool `[H]`).

    Args:
      reward_logits: `[H, 3]`, of the classes -1, 0, +1.
      end_logits: `[H, 2]`.
      reward: int32 `[H]`, the real class, 0 to 2.
      end: bool `[H]`, the real end.

    Returns:
      `[H]` by name: "..._right" (the most likely class is the real one), "..._claimed" (an event
      was predicted), "..._found" (a real event was predicted) as bool, "..._nats" (cross-entropy)
      as float32; "reward_class" is one-hot `[H, 3]`.
    """
    said, ends = jnp.argmax(reward_logits, -1), jnp.argmax(end_logits, -1) == 1
    zero = REWARD_CLASSES // 2
    return {
        "reward_class": jax.nn.one_hot(reward, REWARD_CLASSES),
        "reward_right": said == reward,
        "reward_claimed": said != zero,
        "reward_found": (said == reward) & (reward != zero),
        "reward_nats": cross_entropy(reward_logits, reward),
        "end": end,
        "end_right": ends == end,
        "end_claimed": ends,
        "end_found": ends & end,
        "end_nats": cross_entropy(end_logits, end.astype(jnp.int32)),
    }


def compare_latents(agent: AgentState, z, frame, start, pictures: bool) -> dict[str, jax.Array]:
    """Errors of imagined latents `[H, h, w, C]` against real frames `[H, ...]`, and of standing
    still at the frame `start`.

    Args:
      agent: the agent, whose encoder and decoder are used.
      z: `[H, h, w, C]`, imagined latents.
      frame: uint8 `[H, ...]`, the real frames they stand for.
      start: uint8 frame from which imagination began.
      pictures: also compare decoded frames, in [-1, 1].

    Returns:
      Mean squared errors `[H]` by name: "latent" and "latent_still", and with pictures "frame"
      (imagined against real), "frame_still", "frame_probe" (decoded real latent against real
      frame), "seen" (imagined against decoded real latent).
    """

    def error(a, b):
        return jnp.square(a - b).mean((-3, -2, -1))

    real, still = encode(agent, frame), encode(agent, start)
    found = {"latent": error(z, real), "latent_still": error(still[None], real)}
    if not pictures:
        return found

    def see(z):
        return jnp.clip(decode(agent, z), -1, 1)

    shown, seen, pixels = see(z), see(real), frame_to_float(frame)
    return found | {
        "frame": error(shown, pixels),
        "frame_still": error(frame_to_float(start)[None], pixels),
        "frame_probe": error(seen, pixels),
        "seen": error(shown, seen),
    }


@functools.partial(jax.jit, static_argnums=(4, 5))
def count(
    agent: AgentState, record: Record, starts: Starts, key, horizon: int, pictures: bool
) -> dict[str, jax.Array]:
    """`follow` from every start `[B]`, summed by lane: `[L, horizon]` each. One program.

    Args:
      agent: the agent that imagines.
      record: L lanes of real games.
      starts: int32 `[B]` each.
      key: PRNG key; every start has one of its own.
      horizon: imagined steps H (static).
      pictures: see `follow` (static).
    """

    def one(numbered):
        start, number = numbered
        return follow(agent, record, start, jax.random.fold_in(key, number), horizon, pictures)

    count = len(starts.t)
    each = jax.lax.map(one, (starts, jnp.arange(count)), batch_size=min(AT_ONCE, count))
    return jax.tree.map(lambda a: jax.ops.segment_sum(a, starts.lane, len(record.action)), each)


# ---- from counts to figures
# ------------------------------------------------------------


def _share(part, whole):
    return np.divide(
        part,
        whole,
        out=np.full(np.broadcast_shapes(part.shape, whole.shape), np.nan),
        where=whole > 0,
    )


def _entropy(shares):
    return -(shares * np.log(np.maximum(shares, 1e-300))).sum(-1)


def figures(sums: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Shares and means from sums `[..., H]` ("reward_class" `[..., H, 3]`), float64 `[..., H]`, NaN
    where nothing was counted.

    "..._base": accuracy and nats of the best constant answer *in hindsight*, by the real shares at
    that horizon; "..._gain" is what imagination has above it. "recall" of rewards: nonzero ones
    whose class was imagined; "precision": imagined nonzero ones that were right.
    """
    n, end = sums["count"], sums["end"]
    classes = _share(sums["reward_class"], n[..., None])
    ends = np.stack([_share(end, n), _share(n - end, n)], -1)
    nonzero = n - sums["reward_class"][..., REWARD_CLASSES // 2]
    found = {
        "reward_accuracy": _share(sums["reward_right"], n),
        "reward_accuracy_base": classes.max(-1),
        "reward_recall": _share(sums["reward_found"], nonzero),
        "reward_precision": _share(sums["reward_found"], sums["reward_claimed"]),
        "reward_rate": _share(nonzero, n),
        "reward_nats": _share(sums["reward_nats"], n),
        "reward_nats_base": _entropy(classes),
        "end_accuracy": _share(sums["end_right"], n),
        "end_accuracy_base": ends.max(-1),
        "end_recall": _share(sums["end_found"], end),
        "end_false_alarms": _share(sums["end_claimed"] - sums["end_found"], n - end),
        "end_rate": ends[..., 0],
        "end_nats": _share(sums["end_nats"], n),
        "end_nats_base": _entropy(ends),
    }
    for what in ("reward", "end"):
        found[f"{what}_accuracy_gain"] = found[f"{what}_accuracy"] - found[f"{what}_accuracy_base"]
        found[f"{what}_nats_gain"] = found[f"{what}_nats_base"] - found[f"{what}_nats"]
    errors = ("latent", "latent_still", "frame", "frame_still", "frame_probe", "seen")
    return found | {f"{name}_error": _share(sums[name], n) for name in errors if name in sums}


def with_bands(
    sums: dict[str, np.ndarray], seed: int = 0, draws: int = 400
) -> dict[str, dict[str, np.ndarray]]:
    """`figures` of sums by lane `[L, H]`, each {"mean", "low", "high"} `[H]`.

    The band holds 95 % of a bootstrap over lanes: what happens in one game hangs together, so whole
    games are drawn.
    """
    sums = {name: np.asarray(value, np.float64) for name, value in sums.items()}
    lanes = len(sums["count"])
    weights = (
        np.random.default_rng(seed)
        .multinomial(lanes, np.full(lanes, 1 / lanes), draws)
        .astype(np.float64)
    )
    mean = figures({name: value.sum(0) for name, value in sums.items()})
    drawn = figures({name: np.tensordot(weights, value, 1) for name, value in sums.items()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # all NaN where no draw counted anything
        low, high = (
            {name: np.nanpercentile(value, q, axis=0) for name, value in drawn.items()}
            for q in (2.5, 97.5)
        )
    return {name: {"mean": mean[name], "low": low[name], "high": high[name]} for name in mean}
