"""Losses against NumPy in float64, finite differences, and their properties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.e2c import losses
from reasoning.e2c.masks import Markers, phase_masks, phase_weights

TAGS = Markers(7, 8)
B, T, V = 6, 9, 10


def slow_policy_loss(logp, old, advantages, mask, low, high, dual, how):
    """Token by token, in float64."""
    rows, total, count = [], 0.0, 0.0
    for b in range(len(logp)):
        row = []
        for t in range(len(logp[b])):
            if not mask[b, t]:
                continue
            a = float(advantages[b, t])
            rho = np.exp(np.clip(float(logp[b, t]) - float(old[b, t]), -20, 20))
            loss = max(-a * rho, -a * min(max(rho, 1 - low), 1 + high))
            if a < 0 and dual is not None:
                loss = min(loss, -dual * a)
            row.append(loss)
        total, count = total + sum(row), count + len(row)
        if row:
            rows.append(sum(row) if how == "sequence-mean-token-sum" else sum(row) / len(row))
    return total / count if how == "token-mean" else float(np.mean(rows))


@pytest.fixture(scope="module")
def batch():
    rng = np.random.default_rng(0)
    mask = rng.random((B, T)) < 0.7
    mask[0] = False  # a row without a token
    ids = rng.integers(0, V, (B, T)).astype(np.int32)
    return {
        "logits": rng.normal(size=(B, T, V)).astype(np.float32),
        "ids": ids,
        "mask": mask,
        "advantages": rng.normal(size=B).astype(np.float32),
        "logp": rng.normal(-1, 1, (B, T)).astype(np.float32),
        "old": rng.normal(-1, 1, (B, T)).astype(np.float32),
    }


@pytest.mark.parametrize(
    "how", ["token-mean", "sequence-mean-token-mean", "sequence-mean-token-sum"]
)
@pytest.mark.parametrize("low, high, dual", [(0.2, 0.2, 3.0), (0.2, 0.28, 10.0), (0.2, 0.2, None)])
def test_the_policy_loss_is_that_of_a_loop(batch, how, low, high, dual):
    weights = np.asarray(phase_weights(batch["ids"], batch["mask"], TAGS, 2.0, "weighted"))
    advantages = batch["advantages"][:, None] * weights
    found = losses.clipped_policy_loss(
        batch["logp"], batch["old"], jnp.asarray(advantages), batch["mask"], low, high, dual, how
    )
    wanted = slow_policy_loss(
        batch["logp"], batch["old"], advantages, batch["mask"], low, high, dual, how
    )
    np.testing.assert_allclose(found, wanted, atol=1e-6, rtol=1e-5)


def test_one_advantage_per_response_is_the_same_for_all_its_tokens(batch):
    one = losses.clipped_policy_loss(
        batch["logp"], batch["old"], jnp.asarray(batch["advantages"]), batch["mask"]
    )
    each = losses.clipped_policy_loss(
        batch["logp"],
        batch["old"],
        jnp.repeat(jnp.asarray(batch["advantages"])[:, None], T, 1),
        batch["mask"],
    )
    assert float(one) == float(each)


def test_weighing_advantages_is_weighing_losses_and_lambda_one_is_plain(batch):
    weights = phase_weights(batch["ids"], batch["mask"], TAGS, 2.0)
    full = jnp.broadcast_to(jnp.asarray(batch["advantages"])[:, None], (B, T))

    def token(adv):
        return losses.clipped_token_loss(batch["logp"], batch["old"], adv, 0.2, 0.2, 3.0)

    np.testing.assert_allclose(token(full * weights), token(full) * weights, rtol=1e-6)
    ones = phase_weights(batch["ids"], batch["mask"], TAGS, 1.0)
    np.testing.assert_array_equal(token(full * ones), token(full))


def test_the_gradient_is_lambda_times_the_plans_plus_the_executions(batch):
    plan, execution = phase_masks(batch["ids"], batch["mask"], TAGS)
    full = jnp.broadcast_to(jnp.asarray(batch["advantages"])[:, None], (B, T))
    marked = np.asarray(
        (plan | execution) & (phase_weights(batch["ids"], batch["mask"], TAGS, 2.0, "zero") > 0)
    )

    def grad(weights):
        return jax.grad(
            lambda logp: losses.clipped_policy_loss(logp, batch["logp"], full * weights, marked)
        )(jnp.asarray(batch["logp"]))

    for plan_weight in (0.0, 0.5, 2.0):
        wanted = plan_weight * grad(plan.astype(jnp.float32)) + grad(execution.astype(jnp.float32))
        np.testing.assert_allclose(
            grad(phase_weights(batch["ids"], batch["mask"], TAGS, plan_weight, "zero")),
            wanted,
            atol=1e-7,
        )


def test_the_policy_gradient_is_that_of_finite_differences(batch):
    full = jnp.broadcast_to(jnp.asarray(batch["advantages"])[:, None], (B, T))

    def loss(logp):
        return slow_policy_loss(
            logp, batch["old"], full, batch["mask"], 0.2, 0.2, 3.0, "token-mean"
        )

    grad = jax.grad(
        lambda logp: losses.clipped_policy_loss(logp, batch["old"], full, batch["mask"])
    )(jnp.asarray(batch["logp"]))
    logp = batch["logp"].astype(np.float64)
    for b, t in [(1, 2), (2, 0), (3, 5), (5, 8), (0, 0)]:
        step = np.zeros_like(logp)
        step[b, t] = 1e-5
        np.testing.assert_allclose(
            grad[b, t], (loss(logp + step) - loss(logp - step)) / 2e-5, atol=1e-5
        )


def test_nll_by_hand_and_its_denominator_without_weights():
    logits = jnp.log(jnp.array([[[0.5, 0.25, 0.25], [0.1, 0.1, 0.8]]]))
    ids, mask = jnp.array([[0, 1]]), jnp.array([[1, 1]])
    plain = -(np.log(0.5) + np.log(0.1)) / 2
    np.testing.assert_allclose(losses.masked_nll(logits, ids, mask), plain, rtol=1e-5)
    weighted = -(2 * np.log(0.5) + np.log(0.1)) / 2
    np.testing.assert_allclose(
        losses.masked_nll(logits, ids, mask, jnp.array([[2.0, 1.0]])), weighted, rtol=1e-5
    )
    assert float(losses.masked_nll(logits, ids, mask * 0)) == 0


def test_sft_loss_with_unit_weights_is_plain_and_pads_change_nothing(batch):
    logits, ids, mask = (jnp.asarray(batch[name]) for name in ("logits", "ids", "mask"))
    plain = losses.masked_nll(logits, ids, mask)
    np.testing.assert_allclose(losses.e2c_sft_loss(logits, ids, mask, TAGS), plain, rtol=1e-6)

    def wide(a, *more):
        return jnp.pad(a, ((0, 0), (2, 3), *more))

    np.testing.assert_allclose(
        losses.e2c_sft_loss(wide(logits, (0, 0)), wide(ids), wide(mask), TAGS), plain, rtol=1e-6
    )


def test_ef_sft_gives_the_execution_no_gradient_but_its_closing_tag_one():
    ids = jnp.array([[1, 2, 7, 8, 3, 4], [1, 7, 8, 3, 4, 5]])
    mask = jnp.ones((2, 6), bool)
    logits = jax.random.normal(jax.random.key(0), (2, 6, V))
    grad = jax.grad(lambda x: losses.ef_sft_loss(x, ids, mask, TAGS))(logits)
    touched = np.abs(np.asarray(grad)).sum(-1) > 0
    assert touched.tolist() == [
        [True, True, True, False, False, False],
        [True, True, False, False, False, False],
    ]
    whole = jax.grad(lambda x: losses.ef_sft_loss(x, ids, mask, TAGS, jnp.array([False, True])))(
        logits
    )
    assert (np.abs(np.asarray(whole)).sum(-1) > 0).tolist() == [
        [True, True, True, False, False, False],
        [True] * 6,
    ]
    both = (
        losses.e2c_sft_loss(logits, ids, mask, TAGS, 1.0, 0.0) * 12 / 5
    )  # over all tokens instead of the plan's
    np.testing.assert_allclose(losses.ef_sft_loss(logits, ids, mask, TAGS), both, rtol=1e-6)


def test_advantages_by_hand_and_by_numpy():
    rewards = jnp.array([[0.0, 1.0, 1.0, 0.0], [1.0, 2.0, 3.0, 6.0]])
    wanted = (rewards - rewards.mean(1, keepdims=True)) / (
        np.std(rewards, axis=1, ddof=1, keepdims=True) + 1e-6
    )
    found = losses.group_advantages(rewards)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    np.testing.assert_allclose(
        found[0], np.array([-1, 1, 1, -1]) * 0.5 / (np.sqrt(1 / 3) + 1e-6), rtol=1e-5
    )
    np.testing.assert_allclose(
        losses.group_advantages(rewards, normalize="none"), rewards - rewards.mean(1, keepdims=True)
    )
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(
        losses.group_advantages(rewards[:, order]), found[:, order], rtol=1e-6
    )


def test_equal_rewards_give_no_gradient_at_all():
    advantages = losses.group_advantages(jnp.full((3, 5), 0.1))
    assert (np.asarray(advantages) == 0).all()
    grad = jax.grad(
        lambda logp: losses.clipped_policy_loss(
            logp, jnp.zeros((15, 4)), advantages.reshape(-1), jnp.ones((15, 4))
        )
    )
    assert (np.asarray(grad(jnp.full((15, 4), -0.3))) == 0).all()


def test_groups_of_one_and_rewards_that_are_not_finite_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        losses.group_advantages(jnp.ones((4, 1)))
    rewards = np.zeros((3, 4))
    rewards[2, 1] = np.nan
    with pytest.raises(UserError, match="prompt 2, response 1 is nan"):
        losses.check_rewards(rewards)
    losses.check_rewards(np.zeros((3, 4)))


def test_k3_is_never_negative_and_unbiased():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.4, 0.4, 0.2])
    values = np.asarray(losses.k3_kl(jnp.log(p), jnp.log(q)))
    assert (values >= 0).all() and float(losses.k3_kl(jnp.float32(-1), jnp.float32(-1))) == 0
    np.testing.assert_allclose((p * values).sum(), (p * np.log(p / q)).sum(), rtol=1e-5)


def test_reference_kl_by_numpy():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 4, 5)), rng.normal(size=(2, 4, 5))

    def soft(x):
        return np.exp(x) / np.exp(x).sum(-1, keepdims=True)

    kl = (soft(other) * (np.log(soft(other)) - np.log(soft(one)))).sum(-1)
    mask = np.array([[1, 1, 0, 0], [1, 0, 0, 0]])
    found = losses.reference_kl(
        jnp.asarray(one, jnp.float32), jnp.asarray(other, jnp.float32), jnp.asarray(mask)
    )
    np.testing.assert_allclose(found, (kl * mask).sum() / 3, rtol=1e-4)


def test_entropies_of_phases_leave_rows_without_tags_out():
    ids = jnp.array([[1, 7, 2], [1, 2, 3]])
    logits = (
        jnp.zeros((2, 3, 4))
        .at[0, 0]
        .set(jnp.array([50.0, 0, 0, 0]))
        .at[1]
        .set(jnp.array([9.0, 0, 0, 0]))
    )
    plan, execution = losses.phase_entropy(logits, ids, jnp.ones((2, 3)), TAGS)
    np.testing.assert_allclose([plan, execution], [0.0, np.log(4)], atol=1e-5)
