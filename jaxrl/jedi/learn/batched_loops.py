"""Updates of several independent agents (seeds) in one program: each on batches from its own
replay, all in step.

The agents are one `AgentState` with a leading axis of seeds. The replays stay apart, because they
are large and hardly touched; every seed draws from its own with its own keys, so that it learns
exactly what it would learn alone.
"""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.learn.loops import NEVER, Phase, UpdateStats, draw_for, update_key
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import over_members


def stack(trees: list):
    """Trees of equal shapes as one with a leading axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


def unstack(tree, count: int) -> list:
    """The inverse of `stack`."""
    return [jax.tree.map(lambda a, i=i: a[i], tree) for i in range(count)]


def run_phase_of_seeds(
    phase: Phase,
    agents: AgentState,
    replays: tuple[Replay, ...],
    epoch_keys: jax.Array,
    starts: jax.Array,
    stops: jax.Array,
) -> tuple[AgentState, UpdateStats]:
    """Run `loops.run_phase` for S agents at once.

    Args:
      phase: the kind of update (static under jit).
      agents: leading axis S.
      replays: S of them, frames on the device.
      epoch_keys: `[S]`.
      starts, stops: int32 `[S]`, each agent makes its updates starts..stops-1; none if they are
        equal.

    Returns:
      The agents, and the tally of each (leading axis S).
    """

    def batches(keys_draw):
        draws = [
            draw_for(phase, agents.spec, r.index, k, r.age_weights)
            for r, k in zip(replays, keys_draw, strict=True)
        ]
        return stack(
            [buffer.gather(replay, draw) for replay, draw in zip(replays, draws, strict=True)]
        )

    def one(agents, numbers):
        keys = _split(phase, epoch_keys, numbers)
        return over_members(phase.update)(agents, batches(keys[:, 0]), keys[:, 1])

    return _run(one, agents, starts, stops)


def run_batches_of_seeds(
    phase: Phase,
    agents: AgentState,
    batches: Segment,
    epoch_keys: jax.Array,
    starts: jax.Array,
    stops: jax.Array,
) -> tuple[AgentState, UpdateStats]:
    """The same on batches prepared on the host, `[G, S, ...]`: slice i is for the updates number
    starts + i.

    Args:
      phase: the kind of update (static under jit).
      agents: leading axis S.
      batches: segments of G updates of S agents, `[G, S, ...]`.
      epoch_keys: `[S]`.
      starts, stops: int32 `[S]`, with `stops - starts` at most G.

    Returns:
      The agents, and the tally of each (leading axis S).
    """

    def one(agents, numbers):
        batch = jax.tree.map(lambda a: a[numbers[0] - starts[0]], batches)
        return over_members(phase.update)(agents, batch, _split(phase, epoch_keys, numbers)[:, 1])

    return _run(one, agents, starts, stops)


def _split(phase: Phase, epoch_keys, numbers):
    """Keys `[S, 2]` for drawing and updating; the same as `loops.run_phase` uses."""
    return jax.vmap(lambda key, number: jax.random.split(update_key(key, phase, number)))(
        epoch_keys, numbers
    )


def _run(one, agents: AgentState, starts, stops) -> tuple[AgentState, UpdateStats]:
    """`loops.run_updates` for S agents; an agent that has reached its stop stays as it is."""

    def body(i, carry):
        agents, tally = carry
        numbers = starts + i
        active = numbers < stops
        moved, metrics = one(agents, numbers)
        agents = jax.tree.map(
            lambda new, old: jnp.where(_like(active, new), new, old), moved, agents
        )
        fine = jnp.isfinite(jnp.stack(jax.tree.leaves(metrics))).all(0) | ~active
        first_bad = jnp.where(fine, tally.first_bad, jnp.minimum(tally.first_bad, numbers))
        return agents, UpdateStats(
            jax.tree.map(lambda sums, new: sums + jnp.where(active, new, 0.0), tally.sums, metrics),
            first_bad,
        )

    shapes = jax.eval_shape(one, agents, starts)[1]
    sums = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    never = jnp.full(starts.shape, NEVER, jnp.int32)
    return jax.lax.fori_loop(0, (stops - starts).max(), body, (agents, UpdateStats(sums, never)))


def _like(flag, array):
    return flag.reshape(flag.shape + (1,) * (array.ndim - flag.ndim))


def shapes_of(agent: AgentState) -> AgentState:
    """The agent without its numbers: what a session holds while its agent is in the stack."""
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), agent)
