"""Starts of imagination, as the learning of behavior draws them from the replay."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.agent import AgentSpec
from jaxrl.jedi.learn.loops import PHASES
from jaxrl.jedi.presets import cpu
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig, Transitions

LIFE = 8
"""Steps of an episode."""


def test_preset_cpu_begins_at_all_steps_of_short_episodes_alike():
    frame, steps = (2, 2, 3), 5 * LIFE
    number = jnp.arange(steps, dtype=jnp.int32)[:, None] % LIFE
    blank, false = jnp.zeros((steps, 1, *frame), jnp.uint8), jnp.zeros((steps, 1), bool)
    played = Transitions(blank, number, jnp.zeros((steps, 1)), number == LIFE - 1, false, blank)
    replay = buffer.append(buffer.init(ReplayConfig(capacity=128, episodes=16), 1, frame), played)
    phase, spec = PHASES["behavior"], AgentSpec(cpu().agent, 18, (48, 48, 3))
    keys = jax.random.split(jax.random.key(0), 2000)
    batch = buffer.sample(replay, phase.drawer(spec), keys, phase.size(spec))
    shares = np.bincount(np.asarray(batch.action[:, -1]), minlength=LIFE) / len(keys)
    np.testing.assert_allclose(shares, 1 / LIFE, atol=0.03)
