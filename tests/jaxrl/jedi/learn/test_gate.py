"""The gate: endings are drawn where they are, and a model that always or never ends is seen
through.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.jedi.config import GateConfig
from jaxrl.jedi.learn.gate import GateResult, draw_endings, passes, run_gate
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig, Transitions
from tests.jaxrl.jedi import small_agent

GATE = GateConfig(horizon=3, segments=16)
EPISODE = 6


def replay_of_episodes():
    """Two lanes of episodes of 6 steps, the last of which ends with reward 1; frames count the
    steps.
    """
    steps, lanes = 24, 2
    t = np.arange(steps)

    def column(values, dtype):
        return np.repeat(np.asarray(values, dtype)[:, None], lanes, 1)

    def picture(values):
        return np.broadcast_to(
            column(values, np.uint8)[..., None, None, None], (steps, lanes, *small_agent.FRAME)
        )

    end = t % EPISODE == EPISODE - 1
    chunk = Transitions(
        picture(t % EPISODE),
        column(t % 3, np.int32),
        column(end, np.float32),
        column(end, bool),
        column(0 * t, bool),
        picture(t % EPISODE + 1),
    )
    return buffer.append(
        buffer.init(ReplayConfig(capacity=128, episodes=32), lanes, small_agent.FRAME), chunk
    )


def segments():
    replay = replay_of_episodes()
    draw, usable = draw_endings(replay.index, GATE, small_agent.CONFIG.context, jax.random.key(0))
    frame = replay.frames[draw.row].reshape(*draw.row.shape, *replay.frame_shape)
    return buffer.complete(replay.index, draw, frame), usable


def with_end_logits(sign):
    """An agent whose head says "ends" (+) or "goes on" (-) whatever it sees: its hidden layer is
    made constant.
    """
    agent = small_agent.agent()
    head = jax.tree.map(jnp.zeros_like, agent.reward_end.params["head"])
    names = sorted(head)
    head[names[0]]["bias"] = jnp.ones_like(head[names[0]]["bias"])
    head[names[-1]]["kernel"] = head[names[-1]]["kernel"].at[:, 4].set(float(sign))
    return agent.replace(
        reward_end=agent.reward_end.replace(params={**agent.reward_end.params, "head": head})
    )


def test_segments_finish_with_the_frame_that_an_end_reached():
    batch, usable = segments()
    assert usable.all() and batch.frame_mask.all()
    np.testing.assert_array_equal(
        batch.frame[:, :, 0, 0, 0], np.tile(np.arange(2, EPISODE + 1), (GATE.segments, 1))
    )
    np.testing.assert_array_equal(batch.end[:, -2], True)
    assert not batch.end[:, :-2].any()


def test_a_model_that_always_ends_recalls_all_and_raises_alarms():
    batch, usable = segments()
    found = jax.jit(run_gate)(with_end_logits(+1), batch, usable, jax.random.key(0))
    assert found.end_recall == 1 and found.false_alarms == 1 and found.tried == GATE.segments
    assert not passes(found, GATE)


def test_a_model_that_never_ends_recalls_nothing():
    batch, usable = segments()
    found = jax.jit(run_gate)(with_end_logits(-1), batch, usable, jax.random.key(0))
    assert found.end_recall == 0 and found.false_alarms == 0
    assert not passes(found, GATE) and passes(found, GateConfig(end_recall=0.0))


def test_unusable_segments_do_not_count():
    batch, usable = segments()
    found = jax.jit(run_gate)(with_end_logits(+1), batch, jnp.zeros_like(usable), jax.random.key(0))
    assert found.tried == 0 and not passes(found, GATE)


def test_the_gate_needs_both_recall_and_few_alarms():
    good = GateResult(*map(jnp.float32, (0.95, 0.05, 1.0, 1.0, 8)))
    assert passes(good, GATE)
    assert not passes(good._replace(end_recall=jnp.float32(0.85)), GATE)
    assert not passes(good._replace(false_alarms=jnp.float32(0.2)), GATE)
