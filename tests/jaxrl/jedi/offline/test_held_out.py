"""Measures on held-out segments, where their value is known from others."""

import jax
import jax.numpy as jnp
import pytest

from jaxrl.jedi.offline.held_out import examine_reward_end
from tests.jaxrl.jedi import small_agent

measure = jax.jit(examine_reward_end)


@pytest.fixture(scope="module")
def batch():
    return small_agent.segments(
        jax.random.key(1), (8,), small_agent.CONFIG.reward_end_learning.length
    )


def test_recall_is_accuracy_where_every_step_has_a_reward(batch, key):
    found = measure(
        small_agent.agent(),
        batch.replace(reward=jnp.where(batch.reward == 0, 2.5, batch.reward)),
        key,
    )
    assert found["reward_recall"] == pytest.approx(float(found["reward_accuracy"]))


def test_recall_is_zero_where_no_step_has_one(batch, key):
    found = measure(small_agent.agent(), batch.replace(reward=jnp.zeros_like(batch.reward)), key)
    assert found["reward_recall"] == 0
