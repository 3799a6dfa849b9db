"""Retention: the share of small moving things that imagination keeps, by a position probe.

The probe is trained on latents of real frames and reads the cell of the ball. It then reads latents
that were imagined open loop along the recorded actions: where it finds the ball within one cell of
the truth, the ball was kept. Next to it stand the same probe on the real latents of that step (the
ceiling) and on those of the start (a world that stands still).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.jedi_recordings import NO_BALL, Play
from jaxrl.jedi.agent import AgentState, encode
from jaxrl.jedi.diagnostics.horizon import Record, Starts, context
from jaxrl.jedi.imagination import advance, begin, draw_noise
from jaxrl.rl.categorical import cross_entropy
from jaxrl.train.compiled import QUICKLY, JitOnCpu

HIDDEN = 32
"""Units of the probe at each position of the map."""
PROBE_BATCH, PROBE_RATE = 256, 3e-3
LONGEST_CONTEXT = 4
"""A start has at least this many frames of its episode, so that all variants have the same starts;
a longer context begins with padding at some of them.
"""
AT_ONCE = 64
"""Starts that are imagined side by side."""
DRAWS = 400
"""Draws of the bootstrap."""


# ---- the probe


def init_probe(key: jax.Array, shape: tuple[int, int, int], cells: int) -> dict[str, jax.Array]:
    """Parameters of the probe of latents of a `shape` (h, w, C) for so many cells."""
    positions, channels = shape[0] * shape[1], shape[2]
    return {
        "inside": jax.random.normal(key, (channels, HIDDEN)) / np.sqrt(channels) * 2,
        "position": jnp.zeros((positions, HIDDEN)),
        "out": jnp.zeros((positions * HIDDEN, cells)),
        "prior": jnp.zeros(cells),
    }


def read(params: dict[str, jax.Array], z: jax.Array) -> jax.Array:
    """Logits of the cells for latents `[..., h, w, C]`: a small network shared by the positions,
    with a bias of each, then a linear layer of all positions.
    """
    vectors = z.reshape(*z.shape[:-3], -1, z.shape[-1])
    bias = params["position"].reshape((1,) * (vectors.ndim - 2) + params["position"].shape)
    hidden = jax.nn.relu(vectors @ params["inside"] + bias)
    logits = hidden.reshape(*hidden.shape[:-2], -1) @ params["out"]
    return logits + params["prior"].reshape((1,) * (logits.ndim - 1) + (-1,))


def _fit(z: jax.Array, cell: jax.Array, key: jax.Array, cells: int, updates: int):
    """Train a probe by Adam.

    Args:
      z: latents `[N, h, w, C]` of real frames with a ball.
      cell: int32 `[N]`, where it is.
      key: PRNG key.
      cells: number of cells (static).
      updates: gradient steps (static).

    Returns:
      The probe's parameters.
    """
    schedule = optax.cosine_decay_schedule(PROBE_RATE, updates)
    optimizer = optax.adam(schedule)
    params = init_probe(jax.random.fold_in(key, 0), z.shape[1:], cells)

    def one(carry, key):
        params, state = carry
        rows = jax.random.randint(key, (PROBE_BATCH,), 0, len(z))
        grads = jax.grad(lambda p: cross_entropy(read(p, z[rows]), cell[rows]).mean())(params)
        change, state = optimizer.update(grads, state, params)
        return (optax.apply_updates(params, change), state), None

    keys = jax.random.split(jax.random.fold_in(key, 1), updates)
    return jax.lax.scan(one, (params, optimizer.init(params)), keys)[0][0]


fit = JitOnCpu(_fit, QUICKLY, static_argnums=(3, 4))
"""`_fit`, compiled."""


@jax.jit
def encode_all(agent: AgentState, frame: jax.Array) -> jax.Array:
    """Latents `[N, h, w, C]` of uint8 frames `[N, H, W, 3]`, a few at a time."""
    return jax.lax.map(lambda f: encode(agent, f), frame, batch_size=256)


def probe_of(agent: AgentState, made: Play, most: int, updates: int, key: jax.Array):
    """A probe trained on recorded play.

    Args:
      agent: the agent whose latents it reads.
      made: play that the agent may have learned from.
      most: frames used, drawn at random.
      updates: gradient steps.
      key: PRNG key.
    """
    rows = np.flatnonzero(made.cell.ravel() != NO_BALL)
    rows = np.random.default_rng(0).permutation(rows)[:most]
    frame = made.record.frame.reshape(-1, *made.record.frame.shape[2:])[rows]
    z = encode_all(agent, jnp.asarray(frame))
    return fit(z, jnp.asarray(made.cell.ravel()[rows]), key, made.side**2, updates)


# ---- open loop


def starts_with_ball(made: Play, horizon: int, most: int) -> Starts:
    """Starts with a ball, enough frames before, and a ball in at least one of the next `horizon`
    frames of the episode; at most `most`, drawn at random.
    """
    counts = truth(made, every_step(made), horizon) != NO_BALL
    before = LONGEST_CONTEXT - 1
    episode = made.record.episode
    early = np.full((len(episode), before), False)
    known = np.concatenate([early, episode[:, before:] == episode[:, :-before]], axis=1)
    good = (made.cell != NO_BALL) & known & counts.any(-1).reshape(made.cell.shape)
    rows = np.random.default_rng(0).permutation(np.flatnonzero(good))[:most]
    lane, t = np.divmod(rows, made.cell.shape[1])
    return Starts(lane.astype(np.int32), t.astype(np.int32))


def every_step(made: Play) -> Starts:
    """Every recorded step as a start, lane after lane."""
    lane, t = np.divmod(np.arange(made.cell.size), made.cell.shape[1])
    return Starts(lane, t)


def truth(made: Play, starts: Starts, horizon: int) -> np.ndarray:
    """Cells int32 `[B, H]` of the ball 1 to H steps after each start; `NO_BALL` where there is
    none, or where the episode is over.
    """
    lane, t = np.asarray(starts.lane)[:, None], np.asarray(starts.t)[:, None]
    later = t + np.arange(1, horizon + 1)
    safe = np.minimum(later, made.cell.shape[1] - 1)
    episode = made.record.episode
    same = (later == safe) & (episode[lane, safe] == episode[lane, t])
    return np.where(same, made.cell[lane, safe], NO_BALL)


@functools.partial(jax.jit, static_argnums=4)
def imagined(agent: AgentState, record: Record, starts: Starts, key, horizon: int) -> jax.Array:
    """Latents `[B, H, h, w, C]` imagined from every start along the recorded actions, open loop.

    Args:
      agent: the agent that imagines.
      record: real games.
      starts: int32 `[B]` each.
      key: PRNG key; every start has one of its own.
      horizon: imagined steps H (static).
    """

    def one(numbered):
        start, number = numbered
        steps = jnp.minimum(start.t + jnp.arange(horizon), record.action.shape[1] - 1)
        past = context(record, start.lane, start.t, agent.spec.config.context)
        keys = jax.random.split(jax.random.fold_in(key, number), horizon)

        def step(world, inputs):
            action, key = inputs
            world, outcome = advance(agent, world, action, *draw_noise(agent.spec, key))
            return world, outcome.z

        return jax.lax.scan(step, begin(agent, past), (record.action[start.lane, steps], keys))[1]

    numbers = jnp.arange(len(starts.t))
    return jax.lax.map(one, (starts, numbers), batch_size=min(AT_ONCE, len(starts.t)))


def near(found: np.ndarray, cell: np.ndarray, side: int) -> np.ndarray:
    """bool: two cells of a map with `side` cells a side are the same or neighbors, also across a
    corner; False where the true `cell` is `NO_BALL`.
    """
    rows, columns = np.divmod(found, side), np.divmod(cell, side)
    apart = np.maximum(np.abs(rows[0] - columns[0]), np.abs(rows[1] - columns[1]))
    return (apart <= 1) & (cell != NO_BALL)


def hits(found: dict[str, np.ndarray], cell: np.ndarray, made: Play, starts: Starts) -> dict:
    """Counts by game and step `[L, H]`: "count" of the true cells, and by name the found ones that
    are `near` them.

    Args:
      found: cells `[B, H]` by name.
      cell: true cells `[B, H]`, see `truth`.
      made: the play.
      starts: int32 `[B]` each.
    """
    near_by = {name: near(cells, cell, made.side) for name, cells in found.items()}

    def by_game(values):
        sums = np.zeros((len(made.cell), values.shape[1]))
        np.add.at(sums, np.asarray(starts.lane), values)
        return sums

    return {"count": by_game(cell != NO_BALL)} | {k: by_game(v) for k, v in near_by.items()}


def retention(
    agent: AgentState, made: Play, probe: dict, starts: Starts, key, horizon: int
) -> dict[str, np.ndarray]:
    """Counts `[L, H]` of the balls found in latents: imagined ones ("imagined"), real ones ("real")
    and those of the start ("still"); and of those there were ("count").

    Args:
      agent: the agent that imagines.
      made: play that neither agent nor probe learned from.
      probe: from `probe_of`.
      starts: int32 `[B]` each.
      key: PRNG key of imagination.
      horizon: imagined steps H.
    """
    z = imagined(agent, jax.tree.map(jnp.asarray, made.record), starts, key, horizon)
    frame = made.record.frame
    real = encode_all(agent, jnp.asarray(frame.reshape(-1, *frame.shape[2:])))
    read_cell = jax.jit(lambda z: jnp.argmax(read(probe, z), axis=-1))
    seen = np.asarray(read_cell(real)).reshape(made.cell.shape)
    lane, t = np.asarray(starts.lane)[:, None], np.asarray(starts.t)[:, None]
    later = np.minimum(t + np.arange(1, horizon + 1), seen.shape[1] - 1)
    found = {
        "imagined": np.asarray(read_cell(z)),
        "real": seen[lane, later],
        "still": np.broadcast_to(seen[lane, t], later.shape),
    }
    return hits(found, truth(made, starts, horizon), made, starts)


# ---- figures


class Band(NamedTuple):
    """A figure with the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float


def band(sums: dict[str, np.ndarray], measure: Callable[[dict], np.ndarray]) -> Band:
    """A figure of sums by game `[L, ...]`, with a bootstrap over games.

    Args:
      sums: by name, games first.
      measure: number `[...]` from sums over games `[..., H]`.
    """
    lanes = len(sums["count"])
    games = np.random.default_rng(0).multinomial(lanes, np.full(lanes, 1 / lanes), DRAWS)
    whole = measure({name: value.sum(0) for name, value in sums.items()})
    drawn = measure(
        {name: np.tensordot(games.astype(float), value, 1) for name, value in sums.items()}
    )
    low, high = np.nanpercentile(drawn, (2.5, 97.5))
    return Band(float(whole), float(low), float(high))


def shares(sums: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Share of the balls found by `name` at each step, NaN where there were none; `[..., H]`."""
    count = sums["count"]
    return np.divide(sums[name], count, out=np.full(count.shape, np.nan), where=count > 0)


def mean_share(name: str) -> Callable[[dict], np.ndarray]:
    """A `measure` for `band`: the share by `name`, mean over the steps that have balls."""
    return lambda sums: np.nanmean(shares(sums, name), axis=-1)
