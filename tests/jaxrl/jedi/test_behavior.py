"""Learning in imagination: the recorded rollout, its resets, and a gradient equal to that of the
plain one-pass loss.
"""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.sample import Churn
from jaxrl.jedi import agent as agents
from jaxrl.jedi.imagination import imagine, prepare
from jaxrl.jedi.learn.actor_critic import behavior_loss, replay_value_loss, update_actor_critic
from jaxrl.jedi.nets.actor_critic import ActorCritic, ActorCriticConfig, PooledActorCritic
from jaxrl.jedi.nets.dense import DenseActorCritic
from jaxrl.jedi.presets import as_pixel
from jaxrl.nn.recurrent import LSTMState
from jaxrl.rl.losses import actor_critic_loss
from jaxrl.rl.returns import lambda_returns
from jaxrl.train.state import apply_gradients
from tests.jaxrl.jedi import small_agent

B, S = 4, 2


def restless_agent():
    """The small agent with a policy that is not uniform."""
    agent = small_agent.agent()
    return agent.replace(policy=shaken(agent.policy))


def shaken(learner):
    """The same networks away from their start, where actions change nothing yet."""
    params = jax.tree.map(
        lambda p: p + 0.1 * jax.random.normal(jax.random.key(p.size), p.shape), learner.params
    )
    return learner.replace(params=params)


@functools.cache
def rollout():
    """A rollout of the small agent."""
    batch = small_agent.segments(jax.random.key(1), (B, S), small_agent.CONFIG.context)
    agent = restless_agent()
    return agent, batch, *jax.jit(imagine)(agent, batch, jax.random.key(2))


def test_shapes_and_ranges():
    agent, _, found, metrics = rollout()
    horizon = agent.spec.config.behavior.horizon
    assert found.z.shape == (B, horizon, *agent.spec.latent_shape) and found.action.shape == (
        B,
        horizon,
    )
    assert set(np.unique(found.reward)) <= {-1.0, 0.0, 1.0} and found.end.dtype == bool
    np.testing.assert_allclose(metrics["imagined_return"], found.reward.sum(1).mean(), rtol=1e-6)


def test_a_trajectory_begins_at_its_own_start_and_goes_on_from_its_spare_after_an_end():
    agent, batch, found, _ = rollout()
    starts = prepare(agent, batch)
    np.testing.assert_allclose(found.z[:, 0], starts.world.z[:, 0, -1], atol=1e-5)
    for b in range(B):
        uses = 0
        for t in range(found.action.shape[1] - 1):
            if found.end[b, t]:
                uses += 1
                assert found.reset[b, t + 1]
                np.testing.assert_allclose(
                    found.z[b, t + 1], starts.world.z[b, uses % S, -1], atol=1e-5
                )
            else:
                assert not found.reset[b, t + 1]
                np.testing.assert_array_equal(found.z[b, t + 1], found.z_next[b, t])
    assert found.end[:, :-1].any(), (
        "no end was imagined, so that resets were not tried: take another key"
    )


def plain_loss(params, agent, rollout):
    """Step by step with the policy's own module, every reset taken from the record."""
    model, learning = agents.networks(agent.spec).actor_critic, agent.spec.config.behavior
    logits, values = [], []
    for b in range(B):
        recorded = [
            LSTMState(rollout.before.hidden[b, t], rollout.before.cell[b, t])
            for t in range(learning.horizon)
        ]
        memory = recorded[0]
        for t in range(learning.horizon):
            memory = recorded[t] if rollout.reset[b, t] else memory
            memory, out = model.apply({"params": params}, memory, rollout.z[b, t], method="step")
            logits.append(out.logits)
            values.append(out.value)
    logits = jnp.stack(logits).reshape(B, learning.horizon, -1)
    values = jnp.stack(values).reshape(B, learning.horizon)
    returns = jax.vmap(lambda_returns, (0, 0, 0, 0, None, None))(
        rollout.reward,
        rollout.end,
        jnp.zeros_like(rollout.end),
        rollout.value_next,
        learning.gamma,
        learning.lambda_,
    )
    loss = jax.vmap(actor_critic_loss, (0, 0, 0, 0, None, None))(
        logits, values, rollout.action, returns, learning.value_weight, learning.entropy_weight
    )
    return loss.total.mean()


def test_the_gradient_over_the_record_is_that_of_the_plain_loss():
    agent, _, found, _ = rollout()
    ours, _ = jax.grad(behavior_loss, has_aux=True)(agent.policy.params, agent, found)
    plain = jax.grad(plain_loss)(agent.policy.params, agent, found)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), ours, plain)
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(ours)) > 1e-3


def test_the_recorded_values_are_those_of_the_same_parameters():
    agent, _, found, _ = rollout()
    going_on = ~found.end[:, :-1]
    memory = jax.tree.map(lambda m: m[:, 0], found.before)
    model = agents.networks(agent.spec).actor_critic
    _, out, _ = model.apply(
        {"params": agent.policy.params}, memory, found.z, found.reset, found.before
    )
    np.testing.assert_allclose(
        np.where(going_on, out.value[:, 1:], 0),
        np.where(going_on, found.value_next[:, :-1], 0),
        atol=1e-5,
    )


def looking_ahead(agent):
    """The same agent, learning from the imagined return of every action."""
    learning = replace(agent.spec.config.behavior, lookahead=True)
    return agent.replace(
        spec=replace(agent.spec, config=replace(agent.spec.config, behavior=learning))
    )


KINDS = {
    "latents": small_agent.CONFIG,
    "churn": replace(
        small_agent.CONFIG, sampler=replace(small_agent.CONFIG.sampler, churn=Churn(0.5))
    ),
    "frames": as_pixel(
        small_agent.CONFIG,
        small_agent.CONFIG.denoiser,
        small_agent.CONFIG.reward_end,
        small_agent.CONFIG.actor_critic,
    ),
}


@functools.cache
def both_rollouts(kind):
    """The same trajectories without and with lookahead, and the metrics of the second."""
    agent = agents.init(KINDS[kind], small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))
    agent = agent.replace(
        policy=shaken(agent.policy), world=shaken(agent.world), reward_end=shaken(agent.reward_end)
    )
    many = small_agent.segments(jax.random.key(1), (64, S), small_agent.CONFIG.context)
    drawn, _ = jax.jit(imagine)(agent, many, jax.random.key(2))
    return agent, drawn, *jax.jit(imagine)(looking_ahead(agent), many, jax.random.key(2))


@pytest.mark.parametrize("kind", KINDS)
def test_lookahead_takes_the_same_steps_and_means_of_rewards_and_ends(kind):
    _, drawn, ahead, metrics = both_rollouts(kind)
    for name in ("action", "end", "reset"):
        np.testing.assert_array_equal(getattr(drawn, name), getattr(ahead, name))
    for name in ("z", "z_next", "value_next"):
        np.testing.assert_allclose(getattr(drawn, name), getattr(ahead, name), atol=2e-4)
    assert drawn.action_returns is None
    np.testing.assert_array_equal(drawn.end_probability, drawn.end)
    assert ((ahead.end_probability > 0) & (ahead.end_probability < 1)).all()
    for name in ("reward", "end_probability"):
        sample, mean = getattr(drawn, name), getattr(ahead, name)
        error = np.std(sample - mean) / np.sqrt(mean.size)
        assert abs(float((sample - mean).mean())) < 4 * error
    np.testing.assert_allclose(
        metrics["imagined_positive"] - metrics["imagined_negative"], ahead.reward.mean(), atol=1e-5
    )


@pytest.mark.parametrize("kind", KINDS)
def test_the_return_of_the_action_taken_is_that_of_the_step_that_followed(kind):
    agent, _, ahead, _ = both_rollouts(kind)
    gamma = agent.spec.config.behavior.gamma
    index = np.asarray(ahead.action)[..., None]
    taken = np.take_along_axis(ahead.action_returns, index, -1)[..., 0]
    followed = ahead.reward + gamma * (1 - ahead.end_probability) * ahead.value_next
    np.testing.assert_allclose(taken, followed, atol=1e-5)
    assert float(np.ptp(ahead.action_returns, axis=-1).max()) > 1e-3


@pytest.mark.parametrize("normalize", [False, True])
def test_with_lookahead_the_policy_learns_from_the_returns_of_all_actions(normalize):
    agent, _, ahead, _ = both_rollouts("latents")
    agent = looking_ahead(agent)
    learning = replace(agent.spec.config.behavior, normalize=normalize, entropy_weight=0.0)
    agent = agent.replace(
        spec=replace(agent.spec, config=replace(agent.spec.config, behavior=learning))
    )
    # one action is better everywhere: its probability must rise, whichever was taken
    better = jnp.zeros_like(ahead.action_returns).at[..., 1].set(0.5)
    grads, metrics = jax.grad(behavior_loss, has_aux=True)(
        agent.policy.params, agent, ahead._replace(action_returns=better)
    )
    bias = grads["actor_linear"]["bias"]
    assert bias[1] < 0 and all(bias[i] > 0 for i in range(len(bias)) if i != 1)
    total = metrics["policy_loss"] + learning.value_weight * metrics["value_loss"] / (
        jnp.square(metrics["advantage"]) if normalize else 1.0
    )
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-5)


def test_only_the_policy_moves():
    agent, batch, *_ = rollout()
    step = jax.jit(update_actor_critic)
    after = agent
    for i in range(2):  # the first update has learning rate 0
        after, metrics = step(after, batch, jax.random.key(i))
    for part in ("world", "target", "reward_end", "probe"):
        jax.tree.map(np.testing.assert_array_equal, getattr(agent, part), getattr(after, part))
    changed = [
        bool((a != b).any())
        for a, b in zip(
            *map(jax.tree.leaves, (agent.policy.params, after.policy.params)), strict=True
        )
    ]
    assert any(changed) and np.isfinite(metrics["loss"])


@pytest.mark.parametrize("seed", [0, 1])
def test_imagination_follows_its_key(seed):
    agent, batch, found, _ = rollout()
    again, _ = jax.jit(imagine)(agent, batch, jax.random.key(2 + seed))
    assert bool((again.action == found.action).all()) == (seed == 0)


def with_learning(agent, **changes):
    """The agent with other settings of behavior learning."""
    config = agent.spec.config
    config = replace(config, behavior=replace(config.behavior, **changes))
    return agent.replace(spec=replace(agent.spec, config=config))


def test_normalized_advantages_do_not_depend_on_the_unit_of_reward():
    agent, _, found, _ = rollout()
    agent = with_learning(agent, normalize=True, value_weight=0.0)
    zero = jax.tree.map(jnp.zeros_like, agent.policy.params["critic_linear"])
    params = agent.policy.params | {"critic_linear": zero}  # values scale with rewards: all 0
    found = found._replace(value_next=jnp.zeros_like(found.value_next))
    reward = jax.random.normal(jax.random.key(5), found.reward.shape)

    def policy_loss(unit):
        changed = found._replace(reward=unit * reward)
        return behavior_loss(params, agent, changed)[1]["policy_loss"]

    np.testing.assert_allclose(policy_loss(1.0), policy_loss(7.0), rtol=1e-4)
    assert abs(policy_loss(1e-6)) < 1e-3  # too small to be blown up


def test_the_value_learns_from_real_rewards_by_hand():
    """Error of a value that is constantly v, on a segment of three steps whose last ends."""
    agent = with_learning(restless_agent(), replay_weight=1.0, gamma=0.9, lambda_=0.5)
    critic, v = agent.policy.params["critic_linear"], 0.25
    params = agent.policy.params | {
        "critic_linear": {
            "kernel": jnp.zeros_like(critic["kernel"]),
            "bias": jnp.full_like(critic["bias"], v),
        }
    }
    real = small_agent.segments(jax.random.key(6), (1,), 5)
    mask = jnp.array([[False, True, True, True, False]])
    real = real.replace(
        reward=jnp.array([[0.0, 0.0, 7.0, -2.0, 0.0]]),
        end=jnp.array([[False, False, False, True, False]]),
        step_mask=mask,
        frame_mask=mask.at[0, 4].set(True),
    )
    last = -1.0  # by sign; nothing follows an end
    middle = 1.0 + 0.9 * (0.5 * v + 0.5 * last)
    first = 0.0 + 0.9 * (0.5 * v + 0.5 * middle)
    expected = np.mean([(v - r) ** 2 for r in (first, middle, last)])
    found = replay_value_loss(params, agent, real)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    other = real.replace(reward=real.reward + 1)
    both = jax.tree.map(lambda *a: jnp.concatenate(a), real, other)
    both = both.replace(weight=jnp.ones((2, 5)).at[1].set(0.0))
    np.testing.assert_allclose(replay_value_loss(params, agent, both), expected, rtol=1e-5)


def test_a_pooled_policy_acts_alike_wherever_on_the_map_something_is():
    config = ActorCriticConfig((6,), (False,), lstm_width=4, kind="pooled")
    model, spot = PooledActorCritic(config, 3), jax.random.normal(jax.random.key(2), (3,))
    maps = [jnp.zeros((1, 12, 12, 3)).at[0, row, column].set(spot) for row, column in PLACES]
    memory = LSTMState.zeros((), 4)
    params = model.init(jax.random.key(0), memory, maps[0])["params"]
    params = jax.tree.map(
        lambda p: p + 0.3 * jax.random.normal(jax.random.key(p.size), p.shape), params
    )
    first, *others = (model.apply({"params": params}, memory, z)[1] for z in maps)
    for other in others:
        np.testing.assert_allclose(first.logits, other.logits, atol=1e-5)
        np.testing.assert_allclose(first.value, other.value, atol=1e-5)
    two = model.apply({"params": params}, memory, maps[0] - maps[1])[1]
    assert float(jnp.abs(two.logits - first.logits).max()) > 1e-3


READ_BOTH = [
    (PooledActorCritic, ActorCriticConfig((6,), (False,), lstm_width=4, kind="pooled")),
    (
        DenseActorCritic,
        ActorCriticConfig((6,), lstm_width=4, kind="dense", heads_read_features=True),
    ),
    (ActorCritic, ActorCriticConfig((6,), (False,), lstm_width=4, heads_read_features=True)),
]


@pytest.mark.parametrize(("kind", "config"), READ_BOTH, ids=["pooled", "dense", "conv"])
def test_the_heads_read_the_features_as_well_as_the_memory(kind, config):
    model, keys = kind(config, 3), jax.random.split(jax.random.key(3), 3)
    maps = jax.random.normal(keys[0], (2, 5, 5, 3))
    memory = LSTMState.zeros((2,), 4)
    params = model.init(keys[1], memory, maps[:, None])["params"]
    kernel = jax.random.normal(keys[2], params["actor_linear"]["kernel"].shape)

    def logits(kernel):
        changed = params | {"actor_linear": params["actor_linear"] | {"kernel": kernel}}
        return model.apply({"params": changed}, memory, maps[:, None])[1].logits

    only_features = kernel.at[:4].set(0.0)
    assert float(jnp.ptp(logits(only_features), axis=0).max()) > 1e-2
    both = logits(only_features) + logits(kernel.at[4:].set(0.0))
    np.testing.assert_allclose(logits(kernel), both, atol=1e-5)


@pytest.mark.parametrize(("kind", "config"), READ_BOTH[1:], ids=["dense", "conv"])
def test_by_default_the_heads_read_the_memory_alone(kind, config):
    """Parameters of runs and agents that were stored before fit."""
    model = kind(replace(config, heads_read_features=False), 3)
    maps, memory = jnp.zeros((2, 1, 5, 5, 3)), LSTMState.zeros((2,), 4)
    params = model.init(jax.random.key(0), memory, maps)["params"]
    assert params["actor_linear"]["kernel"].shape == (4, 3)


PLACES = ((4, 4), (4, 7), (7, 5))
"""Far enough from the border that its padding is not seen."""


def test_more_gradient_steps_are_more_updates_on_the_same_imagination():
    agent, batch, *_ = rollout()
    once, twice = (
        agent.replace(
            spec=replace(
                agent.spec,
                config=replace(
                    agent.spec.config,
                    behavior=replace(
                        agent.spec.config.behavior, lookahead=True, gradient_steps=steps
                    ),
                ),
            )
        )
        for steps in (1, 2)
    )
    found, _ = jax.jit(imagine)(once, batch, jax.random.key(4))
    params = agent.policy
    for _ in range(2):
        grads, _ = jax.grad(behavior_loss, has_aux=True)(params.params, once, found)
        params, _ = apply_gradients(params, grads, agents.optimizers(agent.spec).policy)
    after, _ = jax.jit(update_actor_critic)(twice, batch, jax.random.key(4))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        after.policy.params,
        params.params,
    )
    alone, _ = jax.jit(update_actor_critic)(once, batch, jax.random.key(4))
    assert any(
        bool((a != b).any())
        for a, b in zip(
            *map(jax.tree.leaves, (alone.policy.params, after.policy.params)), strict=True
        )
    )
