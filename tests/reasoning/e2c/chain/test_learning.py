"""SFT, EF-SFT and RL of a very small model: what moves, what does not, resume, and one thing
learned.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.train.state import init_learner
from reasoning.e2c.asking import Ask, Sampling, Weigh
from reasoning.e2c.chain import rl, sft
from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.chain.model import ModelConfig, init_params
from reasoning.e2c.chain.rewards import LAYOUT
from reasoning.e2c.chain.rows import MARKERS, make_rows
from reasoning.e2c.chain.sample import generate_shared
from reasoning.e2c.chain.stage import finished_params, run_stage
from reasoning.e2c.chain.task import ChainConfig, draw_many
from reasoning.e2c.losses import ef_sft_mask

TASK = ChainConfig(variables=4, shortest=2, longest=2)
MODEL = ModelConfig(layers=1, width=16, heads=2, hidden=16)
SFT = sft.SFTConfig(steps=4, batch=8, every=2, learning_rate=1e-2)
RL = rl.RLConfig(prompts=2, group=4, updates=2, learning_rate=1e-2)
PROBLEMS = draw_many(24, TASK, 0)
# Compiled once; operation by operation they take longer than everything else here.
SFT_LOSS = jax.jit(sft.loss, static_argnums=(4, 5))
RL_LOSS = jax.jit(rl.loss, static_argnums=(4, 5))
LOGP = jax.jit(rl.logp_of, static_argnums=(2, 3))


@pytest.fixture(scope="module")
def rows():
    return jax.tree.map(jnp.asarray, make_rows(PROBLEMS, TASK))


def fresh(config=SFT, module=sft):
    return init_learner(init_params(jax.random.key(0), MODEL), module.optimizer(config))


def test_training_on_rows_lowers_their_loss(rows):
    config = replace(SFT, steps=40)
    learner = fresh(config)
    _, before = SFT_LOSS(learner.params, *rows, config, MODEL)
    learner, seen = sft.updates(learner, rows, sft.places(24, config, 0), config, MODEL)
    _, after = SFT_LOSS(learner.params, *rows, config, MODEL)
    assert float(after.loss) < 0.8 * float(before.loss)
    assert int(seen.tokens) == sum(
        int(rows.mask[place].sum()) for place in sft.places(24, config, 0)
    )


def test_ef_sft_counts_plan_tokens_and_whole_rows(rows):
    whole = rows._replace(whole=jnp.arange(24) < 3)
    _, seen = SFT_LOSS(fresh().params, *whole, replace(SFT, trained="plan"), MODEL)
    plans = sum(len(p.plan.split()) + 1 for p in PROBLEMS[3:])
    assert int(seen.tokens) == plans + int(rows.mask[:3].sum())
    assert int(seen.tokens) == int(ef_sft_mask(rows.ids, rows.mask, MARKERS, whole.whole).sum())


def test_every_row_is_visited_once_per_epoch():
    found = sft.places(24, replace(SFT, steps=6), 5)
    for epoch in found.reshape(2, 24):
        assert sorted(epoch.tolist()) == list(range(24))


def advance_by(rows, config, stop_at=None):
    def advance(learner, at, upto):
        if stop_at is not None and at >= stop_at:
            raise KeyboardInterrupt
        learner, seen = sft.updates(
            learner, rows, sft.places(24, config, 0)[at:upto], config, MODEL
        )
        return learner, {"loss": float(seen.loss)}

    return advance


def test_a_stage_that_was_broken_off_equals_an_unbroken_one(rows, tmp_path):
    whole, lines = run_stage(tmp_path / "a", {"x": 1}, fresh, advance_by(rows, SFT), 4, 2)
    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path / "b", {"x": 1}, fresh, advance_by(rows, SFT, stop_at=2), 4, 2)
    resumed, again = run_stage(tmp_path / "b", {"x": 1}, fresh, advance_by(rows, SFT), 4, 2)
    jax.tree.map(np.testing.assert_array_equal, whole, resumed)
    assert [line["loss"] for line in lines] == [line["loss"] for line in again] and len(lines) == 2
    jax.tree.map(
        np.testing.assert_array_equal, finished_params(tmp_path / "b", fresh()), whole.params
    )

    def never(*_):
        return pytest.fail("a finished stage was trained again")

    run_stage(tmp_path / "b", {"x": 1}, fresh, never, 4, 2)
    with pytest.raises(UserError, match="x is 1 there and 2 here"):
        run_stage(tmp_path / "b", {"x": 2}, fresh, never, 4, 2)


def test_a_stage_without_checkpoints_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no checkpoint"):
        finished_params(tmp_path, fresh())


@pytest.fixture(scope="module")
def rollouts():
    return rl.roll_out(fresh().params, PROBLEMS[:2], jax.random.key(0), RL, TASK, MODEL)


def test_rollouts_hold_question_and_response(rollouts):
    assert rollouts.ids.shape[0] == 8 and rollouts.rewards.shape == (2, 4)
    assert (
        not rollouts.mask[:, : TASK.question_length].any()
        and rollouts.mask[:, TASK.question_length].all()
    )
    assert (
        rollouts.ids[:4, : TASK.question_length] == rollouts.ids[0, : TASK.question_length]
    ).all()
    assert (
        (rollouts.ids != 0)
        == (rollouts.mask | (np.arange(rollouts.ids.shape[1]) < TASK.question_length))
    ).all()


def test_equal_rewards_leave_only_the_decay(rollouts):
    config = replace(RL, learning_rate=1e-2)
    learner, _ = rl.improve(
        fresh(config, rl),
        fresh().params,
        rl.Batch(rollouts.ids, rollouts.mask, jnp.zeros(8)),
        config,
        MODEL,
    )
    left = np.prod(
        [
            1 - rl.DECAY * float(rl.learning_rates(config)(step))
            for step in range(config.minibatches)
        ]
    )
    decayed = jax.tree.map(lambda a: a * left, fresh(config, rl).params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), learner.params, decayed)


def test_learning_rates_rise_and_fall():
    rates = [
        float(rl.learning_rates(replace(RL, updates=10, minibatches=2))(step)) for step in range(21)
    ]
    assert (
        rates[2] == max(rates) == pytest.approx(1e-2)
        and rates[0] == pytest.approx(1e-2 / 3)
        and rates[20] == 0.0
    )
    assert rates[11] == pytest.approx(1e-2 / 2) and min(rates[:20]) > 0


def test_responses_with_an_advantage_become_more_probable(rollouts):
    config = replace(RL, minibatches=1)
    advantages = jnp.array([1.0, -1.0] * 4)
    before = LOGP(fresh().params, rollouts.ids, config.temperature, MODEL)[0]
    learner, _ = rl.improve(
        fresh(config, rl),
        fresh().params,
        rl.Batch(rollouts.ids, rollouts.mask, advantages),
        config,
        MODEL,
    )
    after = LOGP(learner.params, rollouts.ids, config.temperature, MODEL)[0]
    change = ((after - before) * rollouts.mask[:, 1:]).sum(1)
    assert float((change * advantages).sum()) > 0


def test_the_kl_term_is_zero_at_the_reference_and_lambda_weighs_the_plan(rollouts):
    params = fresh().params
    logp = LOGP(params, rollouts.ids, RL.temperature, MODEL)[0]
    arguments = (params, params, rl.Batch(rollouts.ids, rollouts.mask, jnp.ones(8)), logp)
    plain, _ = RL_LOSS(*arguments, RL, MODEL)
    with_kl, _ = RL_LOSS(*arguments, replace(RL, kl=0.5), MODEL)
    np.testing.assert_allclose(with_kl, plain, atol=1e-6)
    np.testing.assert_allclose(plain, -1.0, atol=1e-6)  # ratio 1, advantage 1
    assert (
        float(RL_LOSS(*arguments, replace(RL, plan_weight=2.0, missing="weighted"), MODEL)[0])
        < -1.0
    )


def test_groups_of_one_and_odd_minibatches_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        rl.check(replace(RL, group=1))
    with pytest.raises(UserError, match="minibatches"):
        rl.check(replace(RL, minibatches=3))


def test_an_update_reports_and_nothing_is_compiled_twice(rollouts):
    learner = fresh(RL, rl)
    reference = fresh().params

    def update(learner, problems, number):
        key = jax.random.key(number)
        rollouts = rl.roll_out(learner.params, problems, key, RL, TASK, MODEL)
        return rl.update(learner, reference, rollouts, key, RL, MODEL)

    learner, seen = update(learner, PROBLEMS[:2], 1)
    programs = (generate_shared._cache_size(), rl.improve._cache_size())
    learner, seen = update(learner, PROBLEMS[2:4], 2)
    assert programs == (generate_shared._cache_size(), rl.improve._cache_size())
    assert {"reward", "correct", "plan_entropy", "execution_entropy", "adherence", "length"} <= set(
        seen
    )
    assert np.isfinite(list(seen.values())).all() and int(learner.updates) == 4


def test_the_backend_replies_in_order_and_weighs_what_it_wrote():
    backend = ChainBackend(fresh().params, MODEL, TASK)
    greedy = Sampling(6, 0.0, 1.0, ("</EXPLORATION>",))
    asks = [
        Ask("plan", LAYOUT.question_prompt(p.question), greedy, n)
        for p, n in zip(PROBLEMS[:3], (1, 3, 2), strict=True)
    ]
    found = backend.complete(asks)
    assert [len(group) for group in found] == [1, 3, 2]
    assert found[1][0].text == found[1][2].text  # greedy samples are equal
    alone = ChainBackend(fresh().params, MODEL, TASK).complete(asks[2:])
    assert alone[0][0].text == found[2][0].text
    first = found[0][0]
    tail = "" if not first.finished else " </EXPLORATION>"
    (weighed,) = backend.weigh([Weigh("judge", asks[0].prompt, first.text + tail)])
    if not first.finished or first.tokens == weighed.tokens:
        np.testing.assert_allclose(weighed.logprob, first.logprob, atol=1e-3)
    runs = backend.complete(
        [
            Ask("execution", LAYOUT.execution_prompt(p.question, p.plan), greedy)
            for p in PROBLEMS[:2]
        ]
    )
    assert all(run[0].tokens <= 6 for run in runs)
