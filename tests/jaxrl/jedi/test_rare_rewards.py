"""What helps where rewards are rare: logits that begin at a prior, and batches in which something
happens, weighted back.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.agent import init
from jaxrl.jedi.learn.loops import PHASES, draw_for
from jaxrl.jedi.learn.reward_end import accuracies, classification_loss, update_reward_end
from jaxrl.jedi.nets.reward_end import ChangeReader, PooledRewardEnd, RewardEnd, RewardEndConfig
from jaxrl.jedi.nets.reward_values import add_log_prior
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.presets import tiny
from jaxrl.jedi.training.run import fresh_agent
from jaxrl.nn.recurrent import LSTMState
from jaxrl.replay import buffer
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.replay.eventful import eventful
from tests.jaxrl.jedi import small_agent
from tests.jaxrl.replay.slow_replay import FRAME, Game

PRIOR = (0.01, 0.96, 0.03)


def test_a_silent_network_says_the_prior():
    config = RewardEndConfig((1,), (8,), cond_width=8, lstm_width=8)
    z, action = jax.random.normal(jax.random.key(0), (2, 3, 4, 4, 5)), jnp.zeros((2, 3), jnp.int32)
    arguments = (LSTMState.zeros((2,), 8), z, z[::-1], action)
    params = RewardEnd(config, 4).init(jax.random.key(1), *arguments)
    _, *plain = RewardEnd(config, 4).apply(params, *arguments)
    _, *shifted = RewardEnd(replace(config, reward_prior=PRIOR, end_prior=(0.9, 0.1)), 4).apply(
        params, *arguments
    )
    for logits, before, prior in zip(shifted, plain, (PRIOR, (0.9, 0.1)), strict=True):
        np.testing.assert_allclose(
            logits - before, np.broadcast_to(np.log(prior), before.shape), atol=1e-5
        )
    np.testing.assert_allclose(jax.nn.softmax(add_log_prior(PRIOR, jnp.zeros(3))), PRIOR, rtol=1e-5)


def test_a_reader_of_changes_says_nothing_before_it_has_learned():
    config = RewardEndConfig((1,), (8,), cond_width=8, lstm_width=8)
    z, action = jax.random.normal(jax.random.key(0), (2, 3, 4, 4, 5)), jnp.zeros((2, 3), jnp.int32)
    arguments = (LSTMState.zeros((2,), 8), z, z[::-1], action)
    with_reader = RewardEnd(replace(config, change_width=6), 4)
    params = with_reader.init(jax.random.key(1), *arguments)["params"]
    assert params["changes"]["conv_0"]["kernel"].shape == (3, 3, 10, 6) and params["changes"][
        "readout"
    ]["kernel"].shape == (12, 5)
    plain = {name: value for name, value in params.items() if name != "changes"}
    _, *found = with_reader.apply({"params": params}, *arguments)
    _, *wanted = RewardEnd(config, 4).apply({"params": plain}, *arguments)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_change_is_read_the_same_wherever_it_happens():
    reader = ChangeReader(6, 5)
    spot = jax.random.normal(jax.random.key(2), (3,))

    def at(row, column):
        return jnp.zeros((11, 11, 3)).at[row, column].set(spot)

    params = reader.init(jax.random.key(3), at(4, 4), at(4, 4))
    params["params"]["readout"]["kernel"] = jax.random.normal(jax.random.key(4), (12, 5))
    goes = [
        np.asarray(reader.apply(params, at(row, column), jnp.zeros((11, 11, 3))))
        for row, column in ((4, 4), (3, 6), (7, 5))
    ]
    np.testing.assert_allclose(goes[1:], [goes[0]] * 2, rtol=1e-4, atol=1e-5)
    stays = np.asarray(reader.apply(params, at(4, 4), at(4, 4)))
    assert np.abs(stays - goes[0]).max() > 5e-3


def test_a_pooled_model_sees_events_alike_everywhere_and_the_action_of_each():
    config = RewardEndConfig((1,), (6,), cond_width=8, lstm_width=0, kind="pooled")
    model, spot = PooledRewardEnd(config, 3), jax.random.normal(jax.random.key(2), (3,))

    def arguments(row, column, action):
        z = jnp.zeros((1, 11, 11, 3)).at[0, row, column].set(spot)
        return LSTMState.zeros((), 0), z, jnp.zeros_like(z), jnp.full(1, action)

    params = model.init(jax.random.key(3), *arguments(4, 4, 0))
    _, *silent = model.apply(params, *arguments(4, 4, 0))
    assert not any(np.asarray(logits).any() for logits in silent)
    params["params"]["changes"]["readout"]["kernel"] = jax.random.normal(jax.random.key(4), (12, 5))

    def logits(*event):
        state, reward, end = model.apply(params, *arguments(*event))
        assert state.hidden.shape == (0,) and reward.shape == (1, 3) and end.shape == (1, 2)
        return np.concatenate([reward, end], -1)

    np.testing.assert_allclose(logits(3, 6, 1), logits(7, 5, 1), rtol=1e-4, atol=1e-5)
    assert np.abs(logits(4, 4, 1) - logits(4, 4, 2)).max() > 5e-3


@pytest.mark.slow
def test_a_model_with_a_reader_learns_what_it_alone_sees():
    """Spots come and go on a busy, constant background; a spot that goes is a reward, one that
    comes is none.
    """
    config = RewardEndConfig(
        (1,), (8,), cond_width=8, lstm_width=8, reward_prior=PRIOR, change_width=8
    )
    background = jax.random.normal(jax.random.key(5), (8, 8, 4))
    model, optimizer = RewardEnd(config, 2), optax.adam(1e-2)

    def batch(key):
        keys = jax.random.split(key, 3)
        spots = (
            jax.nn.one_hot(jax.random.randint(keys[0], (64,), 0, 64), 64).reshape(64, 1, 8, 8, 1)
            * 2.0
        )
        goes = jax.random.bernoulli(keys[1], 0.2, (64, 1))
        before = jnp.broadcast_to(background, (64, 1, 8, 8, 4)) + jnp.where(
            goes[..., None, None, None], spots, 0.0
        )
        comes = jax.random.bernoulli(keys[2], 0.2, (64, 1)) & ~goes
        after = jnp.broadcast_to(background, (64, 1, 8, 8, 4)) + jnp.where(
            comes[..., None, None, None], spots, 0.0
        )
        return before, after, goes

    def loss(params, before, after, goes):
        action = jnp.zeros((64, 1), jnp.int32)
        _, reward, _ = model.apply(
            {"params": params}, LSTMState.zeros((64,), 8), before, after, action
        )
        return -jnp.take_along_axis(jax.nn.log_softmax(reward), goes[..., None] + 1, -1).mean()

    @jax.jit
    def learn(params):
        def step(carry, key):
            value, grads = jax.value_and_grad(loss)(carry[0], *batch(key))
            updates, state = optimizer.update(grads, carry[1])
            return (optax.apply_updates(carry[0], updates), state), value

        return jax.lax.scan(
            step, (params, optimizer.init(params)), jax.random.split(jax.random.key(6), 80)
        )

    before, after, _ = batch(jax.random.key(7))
    params = model.init(
        jax.random.key(8), LSTMState.zeros((64,), 8), before, after, jnp.zeros((64, 1), jnp.int32)
    )["params"]
    _, losses = learn(params)
    base_rate = -(0.2 * np.log(0.2) + 0.8 * np.log(0.8))
    assert losses[0] > base_rate and losses[-10:].mean() < 0.3 * base_rate, losses[::10]


def test_losses_and_accuracies_are_weighted_means():
    steps = small_agent.segments(jax.random.key(0), (4,), 3)
    steps = steps.replace(step_mask=steps.step_mask.at[1, 2].set(False))
    weight = jnp.broadcast_to(jnp.array([[0.5], [2.0], [0.0], [1.0]]), (4, 3))
    reward, end = (jax.random.normal(jax.random.key(number), (4, 3, number)) for number in (3, 2))
    found = classification_loss(reward, end, steps.replace(weight=weight)) + accuracies(
        reward, end, steps.replace(weight=weight)
    )
    counts = np.asarray(weight * steps.step_mask)
    wanted = []
    for logits, label in ((reward, np.sign(steps.reward) + 1), (end, steps.end)):
        nats = -np.take_along_axis(
            np.asarray(jax.nn.log_softmax(logits)), np.asarray(label, int)[..., None], -1
        )[..., 0]
        wanted.append(
            (
                (nats * counts).sum() / counts.sum(),
                ((logits.argmax(-1) == label) * counts).sum() / counts.sum(),
            )
        )
    np.testing.assert_allclose(
        found, [*(loss for loss, _ in wanted), *(hit for _, hit in wanted)], rtol=1e-5
    )
    np.testing.assert_allclose(
        classification_loss(reward, end, steps),
        classification_loss(reward, end, steps.replace(weight=jnp.ones((4, 3)))),
        rtol=1e-6,
    )


@pytest.mark.slow
def test_batches_of_rewards_and_ends_prefer_events_and_the_others_do_not():
    replay = buffer.init(ReplayConfig(capacity=96, episodes=12), 2, FRAME)
    game = Game(2, 0, p_end=0.04)
    for _ in range(4):
        chunk = game.chunk(8)
        replay = buffer.append(replay, chunk._replace(reward=chunk.reward * (chunk.reward == 1)))
    config = replace(
        small_agent.CONFIG,
        reward_end_learning=replace(
            small_agent.CONFIG.reward_end_learning, batch=64, candidates=5, preference=20.0
        ),
    )
    agent = init(config, small_agent.ACTIONS, (16, 16, 3), jax.random.key(0))
    drawn = {
        name: draw_for(phase, agent.spec, replay.index, jax.random.key(1), replay.age_weights)
        for name, phase in PHASES.items()
    }
    assert [name for name, draw in drawn.items() if draw.weight is not None] == ["reward_end"]
    assert (
        drawn["reward_end"].weight.shape == (64, 5)
        and len(np.unique(drawn["reward_end"].weight)) > 1
    )
    many = replace(
        small_agent.CONFIG,
        reward_end_learning=replace(small_agent.CONFIG.reward_end_learning, batch=64),
    )
    usual = draw_for(
        PHASES["reward_end"],
        replace(agent.spec, config=many),
        replay.index,
        jax.random.key(1),
        replay.age_weights,
    )
    assert usual.weight is None
    assert (
        eventful(replay.index, drawn["reward_end"]).mean()
        > eventful(replay.index, usual).mean() + 0.15
    )


def test_an_update_with_weights_moves_one_model_alone():
    batch = small_agent.segments(jax.random.key(5), (4,), 5)
    batch = batch.replace(weight=jnp.broadcast_to(jnp.array([[2.0], [0.5], [1.0], [0.0]]), (4, 5)))
    agent, key = small_agent.agent(), jax.random.key(6)
    update = jax.jit(update_reward_end)
    changed, metrics = update(agent, batch, key)
    other, _ = update(
        agent, batch.replace(reward=batch.reward.at[3].set(1.0)), key
    )  # what counts for nothing changes nothing
    for a, b in zip(
        jax.tree.leaves(changed.reward_end), jax.tree.leaves(other.reward_end), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    assert np.isfinite(list(map(float, metrics.values()))).all()

    def same(new, old):
        return jax.tree.all(
            jax.tree.map(lambda a, b: bool((a == b).all()), new.opt_state, old.opt_state)
        )

    heard, _ = update(
        agent, batch.replace(reward=batch.reward.at[1].set(1 - jnp.abs(batch.reward[1]))), key
    )
    assert not same(heard.reward_end, changed.reward_end)
    assert (
        same(changed.world, agent.world)
        and same(changed.policy, agent.policy)
        and not same(changed.reward_end, agent.reward_end)
    )


@pytest.mark.parametrize(
    ("part", "change", "sentence"),
    [
        (
            "reward_end_learning",
            {"candidates": 0},
            r"reward_end_learning.candidates \(0\) and its preference \(16.0\) must be at least 1",
        ),
        ("reward_end_learning", {"preference": 0.5}, r"its preference \(0.5\) must be at least 1"),
        (
            "reward_end",
            {"reward_prior": (0.5, 0.5)},
            "reward_end.reward_prior must be empty or 3 shares above 0",
        ),
        (
            "reward_end_learning",
            {"preference": float("nan")},
            r"its preference \(nan\) must be at least 1, and finite",
        ),
        (
            "reward_end_learning",
            {"sampled_share": 1.5},
            r"reward_end_learning.sampled_share \(1.5\) must be from 0 to 1",
        ),
        ("reward_end_learning", {"noise": -1.0}, r"its noise \(-1.0\) 0 or more"),
        (
            "reward_end",
            {"reward_prior": (float("nan"), 0.9, 0.1)},
            "reward_end.reward_prior must be empty or 3 shares",
        ),
        ("reward_end", {"reward_prior": (5.0, 90.0, 5.0)}, "3 shares above 0 that sum to 1"),
        ("reward_end", {"change_width": -1}, r"reward_end.change_width must be 0 or more, is -1"),
        (
            "reward_end",
            {"change_width": 4, "kind": "dense"},
            "reward_end.change_width must be 0 with reward_end.kind dense",
        ),
        ("reward_end", {"lstm_width": 0}, "lstm_width must be above 0 with reward_end.kind conv"),
        (
            "reward_end",
            {"kind": "pooled", "lstm_width": 0, "attention": (True,)},
            "reward_end.attention must be empty with reward_end.kind pooled",
        ),
        (
            "denoiser",
            {"kind": "dense", "attention": (True,)},
            "denoiser.attention must be empty with denoiser.kind dense",
        ),
        ("reward_end_learning", {"open_loop_share": -1.0}, "must be from 0 to 1, is -1.0"),
        ("reward_end_learning", {"open_loop_share": 7.0}, "must be from 0 to 1, is 7.0"),
        (
            "reward_end",
            {"kind": "pooled"},
            "reward_end.lstm_width must be 0 with reward_end.kind pooled",
        ),
        (
            "actor_critic",
            {"pool": (True, False, True)},
            "actor_critic.pool needs one True or False",
        ),
        (
            "behavior",
            {"candidates": 0},
            r"behavior.candidates \(0\) and its preference \(16.0\) must be at least 1",
        ),
        ("behavior", {"gradient_steps": 0}, "behavior.gradient_steps must be at least 1, is 0"),
        (
            "behavior",
            {"gradient_steps": 2},
            "behavior.gradient_steps must be 1 without behavior.lookahead, is 2",
        ),
        (
            "reward_end",
            {"end_prior": (1.0, 0.0)},
            "reward_end.end_prior must be empty or 2 shares above 0",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(part, change, sentence):
    config = replace(
        small_agent.CONFIG, **{part: replace(getattr(small_agent.CONFIG, part), **change)}
    )
    with pytest.raises(ValueError, match=sentence):
        init(config, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))


def test_a_run_whose_settings_no_longer_fit_is_one_sentence():
    """As when `evaluate` reads a stored run: what was ignored in old ones is refused now."""
    config = tiny("catch")
    dense = replace(config.agent.reward_end, kind="dense", change_width=4)
    stored = replace(config, agent=replace(config.agent, reward_end=dense))
    with pytest.raises(UserError, match="write 0 into its config.json"):
        fresh_agent(stored, make_game(stored))
