"""Examine a world model on episodes that it never learned from: the same ones, and the same
noise, after every epoch.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.agent import AgentState, networks, reward_end_memory
from jaxrl.jedi.config import AgentConfig, GateConfig, JediConfig
from jaxrl.jedi.diagnostics.collapse import Exam, context_gain, latent_statistics, linear_probe
from jaxrl.jedi.learn.gate import draw_endings, run_gate
from jaxrl.jedi.learn.reward_end import accuracies, classification_loss, training_pairs
from jaxrl.jedi.learn.world_model import OBJECTIVES
from jaxrl.jedi.nets.reward_values import class_logits, likely_sign
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.replay.episodes import Episode, fill
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import masked_mean

KEY = 2
"""Seed of what is drawn here: not the run's, so that runs of several seeds are measured alike."""


class HeldOut(NamedTuple):
    """Held-out segments and their keys."""

    future: Segment
    """`[B, context + autoregressive_steps]`, for the denoising loss, the latents and the context
    gain.
    """
    around: Segment
    """`[B, reward_end_learning.length]`, for rewards and ends."""
    endings: Segment
    """`[gate.segments, context + gate.horizon]`, finishing with an end, for imagination."""
    usable: jax.Array
    """bool `[gate.segments]`, False if no episode has an end."""
    exam: Exam | None
    """Frames with true variables, if the data name them; at most `monitor.probe_states`."""


def set_aside(episodes: list[Episode], config: JediConfig) -> HeldOut:
    """Draw, once, the segments and stretches that are examined after every epoch."""
    replay, keys = fill(episodes), jax.random.split(jax.random.key(KEY), 3)
    return HeldOut(
        *_draw(replay, keys, config.agent, config.gate, config.monitor.segments),
        make_exam(episodes, config.monitor.probe_states),
    )


@partial(jax.jit, static_argnums=(2, 3, 4))
def _draw(replay: Replay, keys, agent: AgentConfig, gate: GateConfig, count: int):
    def many(drawer, key, size):
        return buffer.sample(replay, drawer, jax.random.split(key, count), size)

    future = many(
        buffer.draw_frames, keys[0], agent.context + agent.world_model.autoregressive_steps
    )
    around = many(buffer.draw_around, keys[1], agent.reward_end_learning.length)
    draw, usable = draw_endings(replay.index, gate, agent.context, keys[2])
    return future, around, buffer.gather(replay, draw), usable


def make_exam(episodes: list[Episode], count: int) -> Exam | None:
    """Up to `count` frames with their true variables, in random order; None if the episodes hold
    none.

    Variables are brought to zero mean and unit deviation, which R2 does not see.
    """
    known = [episode for episode in episodes if episode.truth is not None]
    if len(known) < len(episodes) or len({episode.truth.shape[1] for episode in known}) != 1:
        return None
    frame, truth = (
        np.concatenate([getattr(episode, name) for episode in known]) for name in ("obs", "truth")
    )
    chosen = np.random.default_rng(KEY).permutation(len(frame))[: count // 2 * 2]
    truth = (truth[chosen] - truth.mean(0, keepdims=True)) / (truth.std(0, keepdims=True) + 1e-6)
    return (
        Exam(jnp.asarray(frame[chosen]), jnp.asarray(truth, jnp.float32))
        if len(chosen) >= 4
        else None
    )


def examine(agent: AgentState, seen: HeldOut, gate: GateConfig) -> dict[str, jax.Array]:
    """All measures; jit with `gate` static.

    Returns:
      "held_out/denoising": the denoising loss. "held_out/reward_loss", "held_out/end_loss" (nats),
      "held_out/reward_accuracy", "held_out/end_accuracy": of the reward and end model one step
      ahead; since most steps bring neither, also "held_out/reward_recall", the share of steps with
      a reward other than 0 whose class is found (0 if there are none). "imagined/...": `run_gate`
      on
      held-out endings, open loop. "monitor/...": the collapse monitors on held-out frames.
    """
    keys = jax.random.split(jax.random.key(KEY), 4)
    _, world = OBJECTIVES[agent.spec.config.mode](agent.world.params, agent, seen.future, keys[0])
    found = {"held_out/denoising": world["denoising"]}
    found |= {
        f"held_out/{name}": value
        for name, value in examine_reward_end(agent, seen.around, keys[1]).items()
    }
    found |= {
        f"imagined/{name}": value
        for name, value in run_gate(agent, seen.endings, seen.usable, keys[2])._asdict().items()
    }
    statistics = latent_statistics(agent, seen.future) | context_gain(agent, seen.future, keys[3])
    return found | {f"monitor/{name}": value for name, value in statistics.items()}


def examine_reward_end(agent: AgentState, batch: Segment, key: jax.Array) -> dict[str, jax.Array]:
    """Losses and accuracies of the reward and end model on segments
    `[B, reward_end_learning.length]`, treated as in training.
    """
    z, z_next = training_pairs(agent, batch, key)
    steps = batch.window(0, batch.action.shape[1] - 1)
    memory, model = reward_end_memory(agent.spec, (len(z),)), networks(agent.spec).reward_end
    _, reward, end = model.apply(
        {"params": agent.reward_end.params}, memory, z, z_next, steps.action, steps.step_mask
    )
    values = agent.spec.config.reward_end.values
    signs = class_logits(values, reward)  # also of sizes, so that runs can be compared
    losses, shares = classification_loss(signs, end, steps), accuracies(signs, end, steps)
    hit = (likely_sign(values, reward) == jnp.sign(steps.reward)).astype(jnp.float32)
    recall = masked_mean(hit, steps.step_mask & (steps.reward != 0))
    return {
        "reward_loss": losses[0],
        "end_loss": losses[1],
        "reward_accuracy": shares[0],
        "end_accuracy": shares[1],
        "reward_recall": recall,
    }


_examine = jax.jit(examine, static_argnums=2)
_linear_probe = jax.jit(linear_probe)


def measured(
    agent: AgentState, seen: HeldOut, gate: GateConfig, truth_names: tuple[str, ...]
) -> dict[str, float]:
    """`examine` and the linear probes, as numbers.

    Args:
      agent: the agent to examine.
      seen: what was set aside from the held-out episodes.
      gate: thresholds and length of the open-loop test.
      truth_names: names of the D true variables, for the names of the probes' scores.

    Returns:
      Floats by name; see `examine`, and "monitor/probe NAME" is R2 of the linear probe of a true
      variable.
    """
    found = {
        name: float(value)
        for name, value in jax.device_get(_examine(agent, seen._replace(exam=None), gate)).items()
    }
    if seen.exam is not None:
        scores = np.asarray(_linear_probe(agent, seen.exam))
        found |= {
            f"monitor/probe {name}": float(r2) for name, r2 in zip(truth_names, scores, strict=True)
        }
    return found
