"""Starts of imagination, as the learning of behavior draws them from the replay."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.agent import AgentSpec
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.learn.loops import PHASES
from jaxrl.jedi.presets import cpu
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig, Transitions

LIFE = 8
"""Steps of an episode."""


def begun(agent: AgentConfig, draws: int = 2000):
    """Starts of imagination in episodes of eight steps, each of which ends with the last."""
    frame, steps = (2, 2, 3), 5 * LIFE
    number = jnp.arange(steps, dtype=jnp.int32)[:, None] % LIFE
    blank, false = jnp.zeros((steps, 1, *frame), jnp.uint8), jnp.zeros((steps, 1), bool)
    played = Transitions(blank, number, jnp.zeros((steps, 1)), number == LIFE - 1, false, blank)
    replay = buffer.append(buffer.init(ReplayConfig(capacity=128, episodes=16), 1, frame), played)
    phase, spec = PHASES["behavior"], AgentSpec(agent, 18, (48, 48, 3))
    keys = jax.random.split(jax.random.key(0), draws)
    return buffer.sample(replay, phase.drawer(spec), keys, phase.size(spec))


def shares(batch) -> np.ndarray:
    """Shares of the eight steps."""
    return np.bincount(np.asarray(batch.action[:, -1]), minlength=LIFE) / len(batch.action)


def test_without_candidates_all_steps_of_short_episodes_are_starts_alike():
    agent = cpu().agent
    batch = begun(replace(agent, behavior=replace(agent.behavior, candidates=1)))
    np.testing.assert_allclose(shares(batch), 1 / LIFE, atol=0.03)
    assert batch.weight is None


def test_with_candidates_imagination_begins_before_ends():
    agent = cpu().agent
    learning = replace(agent.behavior, horizon=2, candidates=4, preference=8.0)
    batch = begun(replace(agent, behavior=learning))
    found = shares(batch)
    assert found[-2:].sum() > 0.5 and (found[:-2] > 0.02).all()
    np.testing.assert_allclose(found[-2], found[-1], atol=0.05)
    # by weight they count as in the usual draw
    counted = np.asarray(batch.weight[:, -1]) * (np.asarray(batch.action[:, -1]) >= LIFE - 2)
    assert abs(counted.mean() - 2 / LIFE) < 5 * counted.std() / len(counted) ** 0.5
