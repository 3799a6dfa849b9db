"""Policies without selection: greedy, self-consistency of chains, of plans, a random plan, all
plans in one.
"""

import re

from reasoning.e2c.asking import Ask, Completion, Ledger, Sampling, Steps
from reasoning.e2c.format import Prompt
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.policies.votes import majority


def greedy(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """One greedy chain.

    Args:
      question: text of the problem.
      settings: layout of prompts, and length of a chain.
      ledger: not used.
      rng: not used.

    Returns:
      Steps that return `(answer or None, trace)`; so do all policies.
    """
    ((chain,),) = yield [settings.asks_chain(question, greedy=True)]
    return settings.answer_of(chain), {"chain": chain.text}


def self_consistency(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """k sampled chains, majority vote; chains in a loop do not vote. With a budget: chains until it
    is spent.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of chains.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    chains: list[Completion] = []
    if settings.budget is None:
        (chains,) = yield [settings.asks_chain(question, settings.k, seed=_seed(rng))]
    while settings.budget is not None and ledger.generated < settings.budget:
        ((chain,),) = yield [settings.asks_chain(question, seed=_seed(rng))]
        chains.append(chain)
    answers = [settings.answer_of(chain) for chain in chains]
    return majority(answers), {"answers": answers}


def plan_consistency(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """E2C-SC: k plans, each executed greedily, majority vote. With a budget: plan and execution in
    turn until it is spent.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of plans and executions.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    plans, answers = [], []
    if settings.budget is None:
        plans = yield from sample_plans(question, settings, rng)
        answers = yield from execute_all(question, plans, settings)
    while settings.budget is not None and ledger.generated < settings.budget:
        (plan,) = yield from sample_plans(question, settings, rng, 1)
        if (
            plans and ledger.generated >= settings.budget
        ):  # a plan may be the last call, an execution behind it would be one more
            break
        if settings.share_equal and plan in plans:
            plans, answers = [*plans, plan], [*answers, answers[plans.index(plan)]]
            continue
        plans, answers = (
            [*plans, plan],
            answers + (yield from execute_all(question, [plan], settings)),
        )
    return majority(answers), {"plans": plans, "answers": answers}


def random_plan(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """E2C-RP, the control of selection: k plans, one of them, drawn at random, is executed.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of plans and executions.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions, and the choice of a plan.
    """
    plans = yield from plans_within_budget(question, settings, ledger, rng)
    chosen = int(rng.integers(len(plans)))
    (answer,) = yield from execute_all(question, [plans[chosen]], settings)
    return answer, {"plans": plans, "chosen": chosen}


def combine(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """k plans as one renumbered plan, whose last step is to combine what the ways gave; one
    execution.

    A model that reads no instructions gets the plans behind one another, and nothing else.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of plans and executions.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    plans = yield from plans_within_budget(question, settings, ledger, rng)
    different = list(dict.fromkeys(plans))
    plan = fused(different) if settings.layout.instructions else " ".join(different)
    (answer,) = yield from execute_all(question, [plan], settings)
    return answer, {"plans": plans, "fused": plan}


def fused(plans: list[str]) -> str:
    """Different plans behind one another, with continued numbers; a single one stays as it is."""
    if len(plans) == 1:
        return plans[0]
    steps = []
    for number, plan in enumerate(plans):
        steps += ["Try another way."] * (number > 0)
        steps += [
            re.sub(r"^\s*\d+\.\s*", "", line).strip() for line in plan.splitlines() if line.strip()
        ]
    steps.append("Combine what the ways gave and decide on one answer.")
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def sample_plans(question: str, settings: Settings, rng, n: int | None = None):
    """Sample plans as text.

    Args:
      question: text of the problem.
      settings: gives the sampling of plans.
      rng: seed of the sampled completions.
      n: number of plans; `settings.k`, if left out.
    """
    return [
        settings.plan_of(c) for c in (yield from sample_completions(question, settings, rng, n))
    ]


def sample_completions(question: str, settings: Settings, rng, n: int | None = None):
    """Sample plans as completions, with their log-probabilities.

    Arguments as `sample_plans`.
    """
    (found,) = yield [settings.asks_plans(question, n or settings.k, _seed(rng))]
    return found


def plans_within_budget(question: str, settings: Settings, ledger: Ledger, rng):
    """k plans; with a budget, plans until what is left of it is one execution.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of plans.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    found = yield from completions_within_budget(question, settings, ledger, rng)
    return [settings.plan_of(completion) for completion in found]


def completions_within_budget(
    question: str,
    settings: Settings,
    ledger: Ledger,
    rng,
    executions: int = 1,
    judged: bool = False,
):
    """Sample k plans as completions; with a budget, plans until the reserve is all that is left of
    it.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, and the sampling of plans.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
      executions: executions whose most tokens are kept in reserve.
      judged: keep the tokens of a verdict in reserve too, where the judge writes one.
    """
    if settings.budget is None:
        return (yield from sample_completions(question, settings, rng))
    reserve, found = executions * (settings.execution.max_tokens + settings.rescue), []
    reserve += settings.judging.max_tokens if judged and settings.judge == "text" else 0
    while not found or ledger.generated < settings.budget - reserve:
        found += yield from sample_completions(question, settings, rng, 1)
    return found


def execute_all(question: str, plans: list[str], settings: Settings):
    """The answers of greedy executions of all plans; equal ones are executed once, if the settings
    say so.
    """
    deterministic = settings.share_equal and settings.execution.temperature == 0
    different = list(dict.fromkeys(plans)) if deterministic else plans
    replies = yield [settings.asks_execution(question, plan) for plan in different]
    found = []
    for plan, (execution,) in zip(different, replies, strict=True):
        found.append((yield from _answered(question, plan, execution, settings)))
    return [found[different.index(plan)] for plan in plans] if deterministic else found


def _answered(question: str, plan: str, execution: Completion, settings: Settings):
    """The answer, after one more call for the box alone if there is none and the settings
    allow it.
    """
    answer = settings.answer_of(execution)
    if answer is not None or not settings.rescue:
        return answer
    prompt = settings.layout.execution_prompt(question, plan)
    prefill = f"{prompt.prefill}{execution.text}\nThe final answer is \\boxed{{"
    ((reply,),) = yield [Ask("rescue", Prompt(prompt.user, prefill), Sampling(settings.rescue))]
    return settings.find_answer("\\boxed{" + reply.text)


def _seed(rng) -> int:
    return int(rng.integers(2**31))
