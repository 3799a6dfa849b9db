"""Two-stage reinforcement learning of the tiny model: GRPO with a weight on the plan's tokens."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxrl.app.errors import UserError
from jaxrl.train.state import Learner, apply_gradients
from reasoning.e2c.chain.model import ModelConfig, logits_of
from reasoning.e2c.chain.rewards import judge, stage_rewards
from reasoning.e2c.chain.rows import MARKERS, question_ids
from reasoning.e2c.chain.sample import Decoding, generate_shared, left_pad
from reasoning.e2c.chain.task import EOS, IDS, PAD, ChainConfig, Problem, decode
from reasoning.e2c.format import CLOSE_EXECUTION
from reasoning.e2c.losses import (
    aggregate_tokens,
    check_rewards,
    clipped_policy_loss,
    group_advantages,
    k3_kl,
    phase_entropy,
    token_logprobs,
)
from reasoning.e2c.masks import Missing, phase_weights

DECAY = 0.01


@dataclass(frozen=True)
class RLConfig:
    """One stage. Groups, temperatures, weights and clipping are the paper's; sizes and rates are
    ours, for a tiny model.
    """

    stage: int = 1
    """1: reward is correctness. 2: correctness times adherence."""
    updates: int = 30
    """Batches of rollouts."""
    prompts: int = 64
    """Questions of a batch."""
    group: int = 8
    """Responses to each, at least 2 (the paper: 32, then 8; our choice: 8, since other questions
    teach more than other responses).
    """
    temperature: float = 1.3
    """Temperature of rollouts, for plan and execution alike (the paper: 1.3, then 1.0)."""
    plan_weight: float = 1.0
    """lambda: weight of the plan's tokens (the paper: 1, then 2)."""
    missing: Missing = "one"
    """Weight of responses without tags; see `phase_weights`."""
    minibatches: int = 2
    """Optimizer steps per batch."""
    learning_rate: float = 5e-4
    """Highest learning rate of AdamW, after a warm-up over a tenth of the steps; it then falls
    linearly to 0. Our choice: the authors' is constant, and far smaller. Without the warm-up Adam's
    first steps, all of full size, harm the model; without the fall the noise of the last ones
    stays.
    """
    eps_low: float = 0.2
    eps_high: float = 0.2
    """Clipping of the ratio."""
    dual_clip: float = 3.0
    """Bound for negative advantages."""
    kl: float = 0.0
    """Coefficient of the k3 KL to the policy that the stage began with."""


def stage_one(**changes: Any) -> RLConfig:
    """The warm-up."""
    return RLConfig(**{"stage": 1, "temperature": 1.3, "plan_weight": 1.0} | changes)


def stage_two(**changes: Any) -> RLConfig:
    """The main stage."""
    return RLConfig(**{"stage": 2, "temperature": 1.0, "plan_weight": 2.0} | changes)


class Rollouts(NamedTuple):
    """P questions, G responses each, as rows of T tokens."""

    ids: np.ndarray
    """int32 `[P*G, T]`, question and response, pads on both sides."""
    mask: np.ndarray
    """bool `[P*G, T]`: response tokens."""
    rewards: np.ndarray
    """float32 `[P, G]`."""
    seen: dict[str, float]
    """Averages: correct, plan_right, adherence, follows, length."""


class Batch(NamedTuple):
    """Responses that are learned from, R rows of T tokens."""

    ids: jax.Array | np.ndarray
    """int32 `[R, T]`"""
    mask: jax.Array | np.ndarray
    """bool `[R, T]`: response tokens."""
    advantages: jax.Array | np.ndarray
    """float32 `[R]`"""


def check(config: RLConfig) -> None:
    """Refuse what cannot be learned from.

    Raises:
      UserError: a group of one, or a batch that minibatches cannot share.
    """
    if config.group < 2:
        raise UserError(
            f"group is {config.group}: an advantage compares the responses to a question, so it "
            "must be at least 2"
        )
    if (config.prompts * config.group) % config.minibatches:
        raise UserError(
            f"{config.prompts * config.group} responses cannot be parted into {config.minibatches} "
            "equal minibatches"
        )


def learning_rates(config: RLConfig) -> optax.Schedule:
    """Step number to learning rate: up along a line for a tenth of the steps, then down to 0."""
    steps, peak = config.updates * config.minibatches, config.learning_rate
    warmup = max(1, steps // 10)
    up, down = (
        optax.linear_schedule(peak / (warmup + 1), peak, warmup),
        optax.linear_schedule(peak, 0.0, max(1, steps - warmup)),
    )
    return optax.join_schedules([up, down], [warmup])


def optimizer(config: RLConfig) -> optax.GradientTransformation:
    """AdamW with the betas of SFT; gradients are clipped at norm 1."""
    return optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.adamw(learning_rates(config), 0.9, 0.95, weight_decay=DECAY),
    )


def roll_out(
    params,
    problems: list[Problem],
    key: jax.Array,
    config: RLConfig,
    task: ChainConfig,
    model: ModelConfig,
) -> Rollouts:
    """Sample G responses to each problem, and judge them.

    Args:
      params: parameters of the policy.
      problems: P problems with their right plans and answers.
      key: PRNG key of sampling.
      config: group size G, temperature and stage.
      task: lengths of questions, plans and executions, tokens.
      model: sizes of the model.

    Returns:
      Rows of P*G responses, grouped by problem, with rewards `[P, G]`.
    """
    questions = left_pad(
        [question_ids(problem.question) for problem in problems], task.question_length
    )
    owner = np.repeat(np.arange(len(problems), dtype=np.int32), config.group)
    how = Decoding(task.longest_plan + task.longest_execution, (EOS, IDS[CLOSE_EXECUTION]))
    temperature = jnp.float32(config.temperature)
    written = generate_shared(
        params, questions[:, :-1], owner, questions[owner][:, -1:], key, temperature, how, model
    )
    response = np.asarray(written.ids)
    texts = [decode(row) for row in response]
    judged = [
        [judge(problem, text) for text in texts[n * config.group : (n + 1) * config.group]]
        for n, problem in enumerate(problems)
    ]
    ids = np.concatenate([questions[owner], response], 1)
    mask = np.concatenate([np.zeros((len(owner), questions.shape[1]), bool), response != PAD], 1)
    flat = [one for group in judged for one in group]
    seen = {name: float(np.mean([getattr(one, name) for one in flat])) for name in flat[0]._fields}
    seen["length"] = float(mask.sum(1).mean())
    return Rollouts(ids, mask, stage_rewards(judged, config.stage), seen)


def logp_of(params, ids, temperature: float, model: ModelConfig) -> tuple[jax.Array, jax.Array]:
    """Log-probabilities of tokens at the rollout's temperature, as the authors compute them.

    Args:
      params: parameters of the model.
      ids: int32 `[B, T]`; pads are masked.
      temperature: divides the logits; above 0.
      model: sizes of the model.

    Returns:
      `(logp [B, T-1], logits [B, T-1, V])`, float32: log-probabilities of tokens 1 to T-1, and the
      raw logits, not divided by the temperature.
    """
    logits = logits_of(params, ids[:, :-1], ids[:, :-1] != PAD, model)
    return token_logprobs(logits / temperature, ids[:, 1:]), logits


def loss(params, reference, batch: Batch, logp_old, config: RLConfig, model: ModelConfig):
    """The weighted GRPO loss of rows `[B, T]`, and entropies of both phases.

    Args:
      params: parameters of the policy, which are differentiated.
      reference: parameters at the start of the stage; used only where `config.kl` is not 0.
      batch: R rows of T tokens with their advantages.
      logp_old: float32 `[R, T-1]`, log-probabilities before the first step on this batch.
      config: clipping, weight of the plan, coefficient of the KL.
      model: sizes of the model.

    Returns:
      `(loss, (plan entropy, execution entropy))`, scalars; entropies in nats per token, without
      gradient.
    """
    ids, advantages = batch.ids, batch.advantages
    logp, logits = logp_of(params, ids, config.temperature, model)
    target, counted = ids[:, 1:], batch.mask[:, 1:]
    weights = phase_weights(target, counted, MARKERS, config.plan_weight, config.missing)
    value = clipped_policy_loss(
        logp,
        logp_old,
        advantages[:, None] * weights,
        counted,
        config.eps_low,
        config.eps_high,
        config.dual_clip,
    )
    if config.kl:
        value += config.kl * aggregate_tokens(
            k3_kl(logp, logp_of(reference, ids, config.temperature, model)[0]), counted
        )
    return value, phase_entropy(jax.lax.stop_gradient(logits), target, counted, MARKERS)


@functools.partial(jax.jit, static_argnames=("config", "model"), donate_argnums=0)
def improve(learner: Learner, reference, batch: Batch, config: RLConfig, model: ModelConfig):
    """Take the optimizer steps of one batch of rollouts.

    Args:
      learner: parameters and state of the optimizer; its buffers are donated.
      reference: parameters at the start of the stage, for the KL.
      batch: R rows of T tokens; R is a multiple of `config.minibatches`.
      config: sizes of minibatches and settings of the loss.
      model: sizes of the model.

    Returns:
      `(learner, (plan entropy, execution entropy))`, entropies in nats per token, means over the
      minibatches.
    """
    logp_old = jax.lax.stop_gradient(
        logp_of(learner.params, batch.ids, config.temperature, model)[0]
    )

    def split(a):
        return a.reshape(config.minibatches, -1, *a.shape[1:])

    def step(learner, part):
        grads, entropies = jax.grad(loss, has_aux=True)(
            learner.params, reference, *part, config, model
        )
        return apply_gradients(learner, grads, optimizer(config))[0], entropies

    learner, entropies = jax.lax.scan(step, learner, jax.tree.map(split, (batch, logp_old)))
    return learner, jax.tree.map(jnp.mean, entropies)


def update(
    learner: Learner,
    reference,
    rollouts: Rollouts,
    key: jax.Array,
    config: RLConfig,
    model: ModelConfig,
):
    """Learn from one batch of rollouts: compute advantages, then take the optimizer steps.

    Args:
      learner: parameters and state of the optimizer; its buffers are donated.
      reference: parameters at the start of the stage, for the KL.
      rollouts: rows and rewards of `roll_out`.
      key: PRNG key of the order in which rows are parted into minibatches.
      config: the stage's settings.
      model: sizes of the model.

    Returns:
      The learner, and averages by name: those of the rollouts, `reward`, `plan_entropy` and
      `execution_entropy` (nats per token).

    Raises:
      UserError: a reward that is not finite, or groups of one.
    """
    check_rewards(rollouts.rewards)
    advantages = np.asarray(group_advantages(jnp.asarray(rollouts.rewards))).reshape(-1)
    order = np.random.default_rng(int(jax.random.bits(key))).permutation(len(advantages))
    batch = Batch(rollouts.ids[order], rollouts.mask[order], advantages[order])
    learner, (plan, execution) = improve(learner, reference, batch, config, model)
    return learner, rollouts.seen | {
        "reward": float(rollouts.rewards.mean()),
        "plan_entropy": float(plan),
        "execution_entropy": float(execution),
    }
