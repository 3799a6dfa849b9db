"""Quality of a model on a set of problems: plans, executions, answers, adherence; and the
information in its plans.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from reasoning.e2c.asking import Ask, Sampling
from reasoning.e2c.chain import rewards
from reasoning.e2c.chain.backend import ChainBackend, words
from reasoning.e2c.chain.model import logits_of
from reasoning.e2c.chain.rewards import LAYOUT, Judged, find_answer
from reasoning.e2c.chain.rows import MARKERS, question_ids
from reasoning.e2c.chain.sample import left_pad
from reasoning.e2c.chain.task import PAD, Problem, execute, read_question
from reasoning.e2c.evaluate.scores import entropy_of
from reasoning.e2c.format import CLOSE_EXECUTION
from reasoning.e2c.losses import entropy
from reasoning.e2c.masks import has_boundary, phase_masks
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.policies import settings

SAMPLES = 8
"""Chains per problem of a pass@1, as in the paper."""


def respond(
    backend: ChainBackend,
    problems: list[Problem],
    study: StudyConfig,
    temperature: float = 0.0,
    n: int = 1,
) -> list[list[str]]:
    """n whole chains for each problem, behind the prefilled tag.

    Args:
      backend: the model.
      problems: problems to solve.
      study: gives the most tokens of plan and execution.
      temperature: temperature of sampling, at least 0; 0 is greedy.
      n: chains per problem.

    Returns:
      A list of n texts per problem; finished ones end with the closing tag.
    """
    longest = study.task.longest_plan + study.task.longest_execution
    sampling = Sampling(longest, temperature, 1.0, (CLOSE_EXECUTION,))
    asks = [
        Ask("chain", LAYOUT.question_prompt(problem.question), sampling, n) for problem in problems
    ]
    return [
        [completion.text + f" {CLOSE_EXECUTION}" * completion.finished for completion in group]
        for group in backend.complete(asks)
    ]


def judged(
    backend: ChainBackend, problems: list[Problem], study: StudyConfig, temperature: float = 0.0
) -> list[Judged]:
    """Sample one chain for each problem, and judge it.

    Args:
      backend: the model.
      problems: problems with right plans and answers.
      study: gives the most tokens of plan and execution.
      temperature: temperature of sampling, at least 0; 0 is greedy.
    """
    return [
        rewards.judge(p, group[0])
        for p, group in zip(problems, respond(backend, problems, study, temperature), strict=True)
    ]


def quality(backend: ChainBackend, problems: list[Problem], study: StudyConfig) -> dict[str, Any]:
    """Greedy outcomes problem by problem; pass@1, the share of right ones among 8 chains sampled at
    temperature 1 (`pass_at_1`); and entropies per token of such chains.
    """
    found = judged(backend, problems, study)
    chains = respond(backend, problems, study, 1.0, SAMPLES)
    right = [
        [rewards.judge(problem, chain).correct for chain in group]
        for problem, group in zip(problems, chains, strict=True)
    ]
    sampled = [group[0] for group in chains]
    return {
        "pass_at_1": [float(np.mean(row)) for row in right],
        "correct": [int(one.correct) for one in found],
        "plan_right": [int(one.plan_right) for one in found],
        "adherence": [one.adherence for one in found],
        "follows": [int(one.follows) for one in found],
        **entropies(backend, problems, sampled, study),
    }


def entropies(
    backend: ChainBackend, problems: list[Problem], chains: list[str], study: StudyConfig
) -> dict[str, list[float]]:
    """Entropy of the next token in the plan of each chain, and in its execution given the plan,
    nats: means over tokens (`plan_entropy`, `execution_entropy`) and sums (`plan_total`,
    `execution_total`: one sample's estimate of the whole text's entropy). Chains without a tag are
    left out.

    Args:
      backend: the model.
      problems: problems that the chains solve.
      chains: one text per problem, behind the prefilled tag.
      study: sizes of model and task.
    """
    asked = [question_ids(problem.question) for problem in problems]
    rows = [a + words(chain) for a, chain in zip(asked, chains, strict=True)]
    ids = jnp.asarray(left_pad(rows, study.task.length + 2))
    mask = np.zeros(ids.shape, bool)
    for row, (question, tokens) in enumerate(zip(asked, rows, strict=True)):
        mask[row, ids.shape[1] - len(tokens) + len(question) :] = True
    logits = logits_of(backend.params, ids[:, :-1], ids[:, :-1] != PAD, study.model)
    target, mask = ids[:, 1:], jnp.asarray(mask[:, 1:])
    marked = np.asarray(has_boundary(target, MARKERS, mask))
    nats, found = np.asarray(entropy(logits)), {}
    for name, part in zip(
        ("plan", "execution"), map(np.asarray, phase_masks(target, mask, MARKERS)), strict=True
    ):
        sums, lengths = (nats * part).sum(1), part.sum(1)
        kept = marked & (lengths > 0)
        found |= {
            f"{name}_entropy": (sums[kept] / lengths[kept]).tolist(),
            f"{name}_total": sums[kept].tolist(),
        }
    return found


def swapped_plans(problems: list[Problem], longest: int, seed: int) -> list[str]:
    """For each problem, another chain of the same problem: the longest one of at most `longest`
    variables; ties by chance.
    """
    rng, found = np.random.default_rng(seed), []
    for problem in problems:
        parents, _, query = read_question(problem.question)
        others = [
            name for name in parents if name != query and len(chain_of(name, parents)) <= longest
        ]
        lengths = [len(chain_of(name, parents)) + rng.random() for name in others]
        found.append(" ".join(chain_of(others[int(np.argmax(lengths))], parents)))
    return found


def chain_of(name: str, parents: dict[str, str | None]) -> list[str]:
    """Names on the path from its root to a name."""
    chain = [name]
    while (parent := parents[chain[0]]) is not None:
        chain.insert(0, parent)
    return chain


def counterfactual(
    backend: ChainBackend, problems: list[Problem], study: StudyConfig, seed: int
) -> dict[str, Any]:
    """Executions of the right plan, and of another chain's: how often they do exactly as the plan
    says, and whether the answer flips.

    Args:
      backend: the model.
      problems: problems with right plans and answers.
      study: sizes and sampling.
      seed: seed of the other plans.

    Returns:
      Lists over problems: `follows_right`, `follows_swapped` (0 or 1), `order` (adherence to the
      other plan, in [0, 1]); and `flips` (0 or 1), over problems whose two plans lead to different
      answers.
    """
    swapped = swapped_plans(problems, study.task.longest, seed)
    chosen = settings(study, 1)
    own = backend.complete(
        [chosen.asks_execution(problem.question, problem.plan) for problem in problems]
    )
    other = backend.complete(
        [
            chosen.asks_execution(problem.question, plan)
            for problem, plan in zip(problems, swapped, strict=True)
        ]
    )

    def follow(plans, runs):
        return [
            int(rewards.follows(p.question, plan, run[0].text))
            for p, plan, run in zip(problems, plans, runs, strict=True)
        ]

    flips = []
    for problem, plan, run in zip(problems, swapped, other, strict=True):
        parents, numbers, _ = read_question(problem.question)
        leads_to = execute(plan.split(), parents, numbers)[1]
        if leads_to != problem.answer:
            flips.append(int(find_answer(run[0].text) == leads_to))
    order = [rewards.adherence(plan, run[0].text) for plan, run in zip(swapped, other, strict=True)]
    return {
        "follows_right": follow([p.plan for p in problems], own),
        "follows_swapped": follow(swapped, other),
        "flips": flips,
        "order": order,
    }


def information(
    backend: ChainBackend, problems: list[Problem], study: StudyConfig
) -> dict[str, Any]:
    """Informativeness and determinism, in nats per problem, from M plans and M executions of each
    at temperature 1.

    `answer`: entropy of the answer given the question; `answer_given_plan`: given question and
    plan, averaged over plans, both corrected for the bias of few samples; `informativeness`: their
    difference; and what `entropies` tells of plans and executions.
    """
    samples = study.information_samples
    chosen = settings(study, samples)
    plan = Sampling(chosen.plan.max_tokens, 1.0, 1.0, chosen.plan.stop)
    execution = Sampling(chosen.execution.max_tokens, 1.0, 1.0, chosen.execution.stop)
    plans = [
        [LAYOUT.parse(c.text + "</EXPLORATION>").plan for c in group]
        for group in backend.complete(
            [Ask("plan", LAYOUT.question_prompt(p.question), plan, samples) for p in problems]
        )
    ]
    asks = [
        Ask("execution", LAYOUT.execution_prompt(problem.question, one), execution, samples)
        for problem, group in zip(problems, plans, strict=True)
        for one in group
    ]
    answers = [
        [find_answer(completion.text) for completion in group] for group in backend.complete(asks)
    ]
    rows = [answers[n * samples : (n + 1) * samples] for n in range(len(problems))]
    whole = [
        entropy_of([answer for group in row for answer in group], corrected=True) for row in rows
    ]
    given = [float(np.mean([entropy_of(group, corrected=True) for group in row])) for row in rows]
    chains = [group[0] for group in respond(backend, problems, study, 1.0)]
    return {
        "answer": whole,
        "answer_given_plan": given,
        "informativeness": [a - b for a, b in zip(whole, given, strict=True)],
        "different_plans": [len(set(group)) for group in plans],
        **entropies(backend, problems, chains, study),
    }


def random_chain(problem: Problem, longest: int, rng: np.random.Generator) -> str:
    """Another variable's chain of at most `longest` variables, drawn at random."""
    parents, _, query = read_question(problem.question)
    others = [name for name in parents if name != query and len(chain_of(name, parents)) <= longest]
    return " ".join(chain_of(others[int(rng.integers(len(others)))], parents))
