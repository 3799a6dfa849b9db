"""E2C-Select: many plans, few executions. A judge picks one plan, or clusters pick a few."""

import re

from reasoning.e2c.adherence import common_subsequence
from reasoning.e2c.asking import Ask, Completion, Ledger, Steps, Weigh
from reasoning.e2c.format import Prompt
from reasoning.e2c.policies.direct import completions_within_budget, execute_all
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.policies.votes import majority, representatives


def select_by_judge(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """k plans, one judged best, one execution.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, the judge, and the sampling of plans and executions.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    found = yield from completions_within_budget(question, settings, ledger, rng, judged=True)
    chosen = yield from judge(question, found, settings)
    (answer,) = yield from execute_all(question, [settings.plan_of(found[chosen])], settings)
    return answer, {"plans": [settings.plan_of(c) for c in found], "chosen": chosen}


def select_by_clusters(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """Sample k plans and execute those nearest to the centers of a few clusters; votes are weighted
    by the clusters' sizes.

    Args:
      question: text of the problem.
      settings: `k` or `budget`, `clusters`, `embed`, and the sampling of plans and executions.
      ledger: tokens spent so far; read only with a budget.
      rng: seeds of the sampled completions.
    """
    found = yield from completions_within_budget(question, settings, ledger, rng, settings.clusters)
    plans = [settings.plan_of(completion) for completion in found]
    chosen, sizes = representatives(settings.embed(plans), settings.clusters)
    answers = yield from execute_all(question, [plans[i] for i in chosen], settings)
    return majority(answers, sizes), {
        "plans": plans,
        "chosen": chosen,
        "sizes": sizes,
        "answers": answers,
    }


def judge(question: str, found: list[Completion], settings: Settings):
    """The place of the best plan: by one call of the same model, or the most probable one."""
    if settings.judge == "likelihood":
        return (yield from most_probable(question, found, settings))
    plans = [settings.plan_of(completion) for completion in found]
    if len(set(plans)) == 1:
        return 0
    ((verdict,),) = yield [Ask("judge", judge_prompt(question, plans), settings.judging)]
    return read_verdict(verdict.text, plans)


def most_probable(question: str, found: list[Completion], settings: Settings):
    """By the log-probabilities that came with the plans; a backend that gave none is asked to weigh
    them.
    """
    if any(completion.logprob is None for completion in found):
        prompt = settings.layout.question_prompt(question)
        found = yield [
            Weigh("judge", prompt, completion.text + settings.plan.stop[0]) for completion in found
        ]
    values = [completion.logprob for completion in found]
    return values.index(max(values))


def judge_prompt(question: str, plans: list[str]) -> Prompt:
    """Asks for the number of the best plan. Our choice: the authors ask for its full text."""
    listed = "\n\n".join(f"Plan {number}:\n{plan}" for number, plan in enumerate(plans, 1))
    return Prompt(
        f"Problem:\n{question}\n\n{listed}\n\nWhich plan is most likely to lead to the right "
        "answer? Reply with its number, as in "
        '"Plan 1".'
    )


def read_verdict(verdict: str, plans: list[str]) -> int:
    """The place that a judge names; else the plan that shares most words in order with the reply;
    else the first.
    """
    for number in re.findall(r"[Pp]lan\s*#?\s*(\d+)", verdict) or re.findall(r"^\s*(\d+)", verdict):
        if 1 <= int(number) <= len(plans):
            return int(number) - 1
    shared = [
        common_subsequence(plan.lower().split(), verdict.lower().split())
        / max(1, len(plan.split()))
        for plan in plans
    ]
    return shared.index(max(shared))
