"""Rewards by size: the two-hot classes, and a game where one action brings 1 and another 100."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import init
from jaxrl.jedi.imagination import imagine
from jaxrl.jedi.learn.actor_critic import update_actor_critic
from jaxrl.jedi.learn.reward_end import update_reward_end
from jaxrl.jedi.nets import reward_values
from jaxrl.jedi.nets.reward_values import (
    BINS,
    add_reward_prior,
    bin_values,
    class_logits,
    expected_reward,
    likely_sign,
    reward_nats,
    two_hot,
)
from tests.jaxrl.jedi import small_agent

SIZES = "symlog-twohot"
REWARDS = jnp.array([-2500.0, -1.0, -0.01, 0.0, 0.3, 1.0, 100.0, 1e6])


def test_the_mean_of_the_shares_is_the_reward_and_two_neighbors_share():
    shares = two_hot(REWARDS)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(shares @ bin_values(), REWARDS, rtol=1e-5, atol=1e-6)
    assert ((shares > 0).sum(-1) <= 2).all() and float(shares[3, BINS // 2]) == 1
    bins = bin_values()
    assert float(bins[BINS // 2]) == 0 and float(bins[-1]) == pytest.approx(np.expm1(20.0))
    np.testing.assert_allclose(np.diff(np.log1p(bins[BINS // 2 :])), 40 / (BINS - 1), rtol=1e-4)
    assert float(two_hot(jnp.float32(1e12)) @ bins) == float(bins[-1])  # beyond the largest


def test_the_cross_entropy_is_smallest_at_the_shares():
    shares = two_hot(REWARDS)
    best = reward_nats(SIZES, jnp.log(shares + 1e-12), REWARDS)
    entropy = -(shares * jnp.log(shares + 1e-12)).sum(-1)
    np.testing.assert_allclose(best, entropy, atol=1e-5)
    other = reward_nats(SIZES, jnp.log(two_hot(REWARDS + 3) + 1e-3), REWARDS)
    assert (other[:-1] > best[:-1] + 1e-3).all()


def test_signs_are_those_of_the_classes():
    logits = jnp.log(two_hot(REWARDS) + 1e-9)
    signs = jax.nn.softmax(class_logits(SIZES, logits))
    assert signs.shape == (len(REWARDS), 3)
    np.testing.assert_allclose(signs[1], [1, 0, 0], atol=1e-5)
    np.testing.assert_array_equal(likely_sign(SIZES, logits), [-1, -1, 0, 0, 1, 1, 1, 1])
    own = jnp.array([[0.1, 2.0, 0.3]])
    np.testing.assert_array_equal(class_logits("sign", own), own)


def test_an_untrained_model_expects_little_and_a_prior_gives_the_classes_their_shares():
    silent = jnp.zeros(BINS)
    assert abs(float(expected_reward(SIZES, add_reward_prior(SIZES, (), silent)))) < 1e-3
    prior = (0.01, 0.97, 0.02)
    shares = jax.nn.softmax(class_logits(SIZES, add_reward_prior(SIZES, prior, silent)))
    np.testing.assert_allclose(shares, prior, rtol=1e-5)
    np.testing.assert_allclose(
        expected_reward("sign", add_reward_prior("sign", prior, jnp.zeros(3))), 0.01, atol=1e-6
    )


def one_and_hundred(key: jax.Array, count: int, size: int):
    """Segments of a game in which action 1 always brings 1, and action 2 brings 100 one time in
    three.
    """
    batch = small_agent.segments(key, (count,), size)
    hit = jax.random.bernoulli(jax.random.fold_in(key, 1), 1 / 3, batch.action.shape)
    reward = jnp.where(batch.action == 1, 1.0, jnp.where((batch.action == 2) & hit, 100.0, 0.0))
    return replace(batch, reward=reward, end=jnp.zeros_like(batch.end))


def preferred(values: str, normalize: bool = True, lookahead: bool = False) -> tuple[int, float]:
    """Action that a policy chooses most after it has learned in imagination, and the mean of the
    rewards that it imagined at last.
    """
    plain = small_agent.CONFIG
    fast = replace(plain.reward_end_learning.optim, learning_rate=1e-2, warmup=0)
    config = replace(
        plain,
        encoder=replace(plain.encoder, kind="fold", norm="position"),
        denoiser=replace(plain.denoiser, kind="dense"),
        reward_end=replace(
            plain.reward_end, kind="dense", lstm_width=0, widths=(32,), values=values
        ),
        actor_critic=replace(plain.actor_critic, kind="dense"),
        sampler=replace(plain.sampler, steps=1),
        reward_end_learning=replace(
            plain.reward_end_learning, batch=16, optim=fast, sampled_share=0.0
        ),
        behavior=replace(
            plain.behavior,
            batch=16,
            horizon=2,
            gamma=0.5,
            optim=fast,
            normalize=normalize,
            lookahead=lookahead,
        ),
    )
    agent = init(config, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))

    def learn(update, make):
        def step(agent, key):
            return update(agent, make(key), key)[0], None

        return jax.jit(lambda agent, keys: jax.lax.scan(step, agent, keys)[0])

    keys = jax.random.split(jax.random.key(1), 80)
    agent = learn(update_reward_end, lambda key: one_and_hundred(key, 16, 4))(agent, keys)
    starts = jax.vmap(lambda key: one_and_hundred(key, 2, 2))(jax.random.split(keys[0], 16))
    agent = learn(update_actor_critic, lambda key: starts)(agent, keys)
    rollout, _ = jax.jit(imagine)(agent, starts, keys[1])
    counts = np.bincount(np.asarray(rollout.action).reshape(-1), minlength=3)
    return int(counts.argmax()), float(rollout.reward.mean())


def test_the_policy_prefers_a_rare_hundred_to_a_sure_one():
    action, reward = preferred(SIZES)
    assert action == 2 and 3 < reward < 50


@pytest.mark.slow
def test_looking_at_every_action_it_prefers_the_hundred_too_without_asking_to_normalize():
    """Sizes alone make advantages normalized."""
    action, reward = preferred(SIZES, lookahead=True, normalize=False)
    assert action == 2 and 3 < reward < 50


@pytest.mark.slow
def test_by_signs_it_prefers_the_sure_one():
    """One sure point is worth more than a third of another: DIAMOND's choice."""
    assert preferred("sign")[0] == 1


def test_an_unknown_choice_is_refused_by_the_parser():
    from tests.jaxrl.jedi.command import SMALL, inside

    status, _, err = inside("train", *SMALL, "--agent.reward-end.values", "size")
    assert status == 2 and "symlog-twohot" in err
    assert reward_values.num_outputs("sign") == 3
