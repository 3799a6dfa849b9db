"""The four kinds of update as loops over the replay, each one compiled program.

`algorithm.py` makes an epoch of them.

The key of an update depends only on (seed, epoch, phase, number of the update), so an epoch gives
the same result whether it runs in one piece, in several, or is resumed in the middle.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from jaxrl.jedi.agent import AgentSpec, AgentState
from jaxrl.jedi.config import AgentConfig, BehaviorLearning, RewardEndLearning
from jaxrl.jedi.learn.actor_critic import update_actor_critic
from jaxrl.jedi.learn.decoder import update_decoder
from jaxrl.jedi.learn.reward_end import update_reward_end
from jaxrl.jedi.learn.world_model import update_world_model
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Draw, Drawer, Replay, ReplayIndex
from jaxrl.replay.eventful import event_ahead, preferring
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import example_keys, share, spread, together


class Phase(NamedTuple):
    """One kind of update, and the shape of a batch for it."""

    name: str
    update: Callable
    drawer: Callable[[AgentSpec], Drawer]
    """Draws its segments from the replay, for an agent of the given spec."""
    batch: Callable[[AgentSpec], tuple[int, ...]]
    """Leading axes of the segments of a batch."""
    size: Callable[[AgentSpec], int]
    """Rows of a segment."""


def preferring_if_asked(
    drawer: Drawer,
    learning: RewardEndLearning | BehaviorLearning,
    preferred: Callable | None = None,
) -> Drawer:
    """`drawer`, with the preference that the settings ask for, if any (see `preferring`)."""
    if learning.candidates == 1 or learning.preference == 1:
        return drawer
    return preferring(drawer, learning.candidates, learning.preference, preferred)


def reward_end_drawer(learning: RewardEndLearning) -> Drawer:
    """Segments around a step, with a preference for rewards and ends if one is asked for."""
    return preferring_if_asked(buffer.draw_around, learning)


def start_drawer(spec: AgentSpec) -> Drawer:
    """Segments up to a step where imagination begins: as DIAMOND draws them or, where they have
    more rows than imagination needs, up to any step of an episode alike.
    With `behavior.candidates` above 1, those before a reward or an end are preferred.
    """
    longer = start_rows(spec) > spec.config.context
    drawer = partial(buffer.draw_start, reach=1) if longer else buffer.draw_start
    learning = spec.config.behavior
    return preferring_if_asked(drawer, learning, event_ahead(learning.horizon))


def start_rows(spec: AgentSpec) -> int:
    """Rows of a segment that imagination starts from, with those that the value learns from."""
    learning = spec.config.behavior
    more = learning.replay_length if learning.replay_weight > 0 else 0
    return spec.config.context + more


PHASES = {
    "world_model": Phase(
        "world_model",
        update_world_model,
        lambda spec: buffer.draw_frames,
        lambda spec: (spec.config.world_model.batch,),
        lambda spec: spec.config.context + spec.config.world_model.autoregressive_steps,
    ),
    "reward_end": Phase(
        "reward_end",
        update_reward_end,
        lambda spec: reward_end_drawer(spec.config.reward_end_learning),
        lambda spec: (spec.config.reward_end_learning.batch,),
        lambda spec: spec.config.reward_end_learning.length,
    ),
    "behavior": Phase(
        "behavior",
        update_actor_critic,
        start_drawer,
        lambda spec: (spec.config.behavior.batch, 1 + spec.config.behavior.num_reset_starts),
        start_rows,
    ),
    "probe": Phase(
        "probe",
        update_decoder,
        lambda spec: buffer.draw_frames,
        lambda spec: (spec.config.probe.batch,),
        lambda spec: 1,
    ),
}


def phases_of(config: AgentConfig) -> dict[str, Phase]:
    """The phases that an agent goes through. Only jedi's latents need a probe to be seen."""
    return {
        name: phase for name, phase in PHASES.items() if name != "probe" or config.mode == "jedi"
    }


PURPOSES = (*PHASES, "gate", "monitor", "evaluate", "collect")


def purpose_key(epoch_key: jax.Array, purpose: str) -> jax.Array:
    """Key for one of the `PURPOSES` within an epoch."""
    return jax.random.fold_in(epoch_key, PURPOSES.index(purpose))


def update_key(epoch_key: jax.Array, phase: Phase, number: jax.Array) -> jax.Array:
    """Key of one update."""
    return jax.random.fold_in(purpose_key(epoch_key, phase.name), number)


def draw_for(
    phase: Phase, spec: AgentSpec, index: ReplayIndex, key: jax.Array, age_weights
) -> Draw:
    """Draw the rows of the batch of one update.

    Args:
      phase: the kind of update.
      spec: sizes of the agent, which give the batch its shape.
      index: the replay's.
      key: PRNG key of the draw.
      age_weights: probability of each quarter of the episodes, oldest first.

    Returns:
      Rows `[*phase.batch(spec), phase.size(spec)]`.
    """
    count, *inner = phase.batch(spec)
    keys = example_keys(key, count)
    if inner:
        keys = jax.vmap(lambda k: jax.random.split(k, tuple(inner)))(keys)
    return buffer.draw_batch(index, phase.drawer(spec), keys, phase.size(spec), age_weights)


class UpdateStats(NamedTuple):
    """Metrics of a run of updates."""

    sums: dict[str, jax.Array]
    """Metrics, summed over the updates."""
    first_bad: jax.Array
    """int32 scalar, number of the first update with a metric that is not finite; `NEVER` if all
    were.
    """


NEVER = 2**31 - 1


def join(a: UpdateStats, b: UpdateStats) -> UpdateStats:
    """Two runs of updates as one."""
    return UpdateStats(jax.tree.map(jnp.add, a.sums, b.sums), jnp.minimum(a.first_bad, b.first_bad))


def run_updates(
    one: Callable, agent: AgentState, start: jax.Array, stop: jax.Array
) -> tuple[AgentState, UpdateStats]:
    """`one(agent, number) -> (agent, metrics)` for the numbers start..stop-1, in one loop with
    traced bounds.

    Args:
      one: one update; metrics are float scalars by name.
      agent: the agent before them.
      start, stop: int32 scalars, may be traced.

    Returns:
      The agent, and its metrics summed over the updates.
    """
    one = jax.jit(
        one, inline=True
    )  # so that it is traced once, not for its shapes and again for the loop

    def body(number, carry):
        agent, tally = carry
        agent, metrics = one(agent, number)
        fine = jnp.isfinite(jnp.stack(jax.tree.leaves(metrics))).all()
        first_bad = jnp.where(fine, tally.first_bad, jnp.minimum(tally.first_bad, number))
        return agent, UpdateStats(jax.tree.map(jnp.add, tally.sums, metrics), first_bad)

    shapes = jax.eval_shape(one, agent, start)[1]
    sums = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    return jax.lax.fori_loop(start, stop, body, (agent, UpdateStats(sums, jnp.int32(NEVER))))


def run_phase(
    phase: Phase,
    agent: AgentState,
    replay: Replay,
    epoch_key: jax.Array,
    start: jax.Array,
    stop: jax.Array,
    mesh: Mesh | None = None,
    axis_name: str | None = None,
) -> tuple[AgentState, UpdateStats]:
    """Updates start..stop-1 on batches sampled from a replay on the device, in one loop with a
    traced bound.

    Several devices share each batch by their `mesh` under jit, or by `axis_name` under pmap.

    Args:
      phase: the kind of update (static under jit).
      agent: the agent before them.
      replay: frames on the device.
      epoch_key: key of the epoch.
      start, stop: int32 scalars, numbers of the first update and of the one after the last.
      mesh: devices that share each batch under jit (static); None: one.
      axis_name: device axis under pmap; None otherwise.

    Returns:
      The agent, and what the updates amounted to.
    """

    def one(agent, number):
        key_draw, key_update = jax.random.split(update_key(epoch_key, phase, number))
        draw = share(
            draw_for(phase, agent.spec, replay.index, key_draw, replay.age_weights), axis_name
        )
        return phase.update(agent, spread(buffer.gather(replay, draw), mesh), key_update, axis_name)

    return together(run_updates(one, agent, start, stop), mesh)


def draw_many(
    phase: Phase,
    spec: AgentSpec,
    index: ReplayIndex,
    epoch_key: jax.Array,
    numbers: jax.Array,
    age_weights,
) -> Draw:
    """The draws of the updates of some numbers (int32 `[count]`), `[count, ...]`, for a replay
    whose frames live on the host.

    Args:
      phase: the kind of update (static under jit).
      spec: sizes of the agent (static under jit).
      index: the replay's.
      epoch_key: key of the epoch.
      numbers: int32 `[count]`, numbers of the updates.
      age_weights: probability of each quarter of the episodes, oldest first.
    """

    def one(number):
        key_draw, _ = jax.random.split(update_key(epoch_key, phase, number))
        return draw_for(phase, spec, index, key_draw, age_weights)

    return jax.vmap(one)(numbers)


def run_batches(
    phase: Phase,
    agent: AgentState,
    batches: Segment,
    epoch_key: jax.Array,
    start: jax.Array,
    stop: jax.Array,
    mesh: Mesh | None = None,
    axis_name: str | None = None,
) -> tuple[AgentState, UpdateStats]:
    """Updates start..stop-1 on batches prepared on the host, `[count, ...]`; what lies beyond
    `stop` is ignored.

    Arguments and result as `run_phase`, but for `batches`: segments `[count, ...]`, of which entry
    i is for the update number start + i.
    """

    def one(agent, number):
        _, key_update = jax.random.split(update_key(epoch_key, phase, number))
        batch = share(jax.tree.map(lambda a: a[number - start], batches), axis_name)
        return phase.update(agent, spread(batch, mesh), key_update, axis_name)

    return together(run_updates(one, agent, start, stop), mesh)
