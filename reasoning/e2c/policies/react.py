"""The ReAct loop (the paper's third version): select, execute, look, and refine the plan where the
execution reached no accepted answer.
"""

import re

from reasoning.e2c.asking import Ask, Completion, Ledger, Sampling, Steps
from reasoning.e2c.format import OPEN_PLAN, Prompt
from reasoning.e2c.policies.direct import sample_completions
from reasoning.e2c.policies.selecting import judge
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.policies.votes import majority

TAIL = 3500
"""Characters of a failed execution that a refinement reads."""
OVERLAP = 0.85
"""Share of common words from which on a refined plan is no new one."""
SHORTEST_LEAD, LONGEST_REST = 300, 500
"""Characters before an accepted box, at least, and after it, at most."""
NEGATIONS = (
    "this approach fails",
    "does not work",
    "contradiction",
    "this is wrong",
    "i made a mistake",
    "cannot be right",
)
"""Sentences by which an execution says that its plan is no good."""


def react(question: str, settings: Settings, ledger: Ledger, rng) -> Steps:
    """Judge one of k plans, execute it; up to `rounds` times, if its answer is not accepted, try
    another plan; at last, vote.

    Args:
      question: text of the problem.
      settings: `k`, `rounds`, and the sampling of plans and executions.
      ledger: not used; this policy keeps no budget.
      rng: seeds of the sampled completions.
    """
    found = yield from sample_completions(question, settings, rng)
    plans = [settings.plan_of(completion) for completion in found]
    plan = plans[(yield from judge(question, found, settings))]
    tried, answers = [], []
    for round_ in range(settings.rounds + 1):
        ((execution,),) = yield [settings.asks_execution(question, plan)]
        tried.append(plan)
        answers.append(settings.answer_of(execution))
        if accepted(execution, settings):
            return answers[-1], {"plans": plans, "tried": tried, "answers": answers}
        if round_ == settings.rounds:
            break
        plan = yield from next_plan(question, plans, tried, execution, settings, rng)
        if plan is None:
            break
    return majority(answers), {"plans": plans, "tried": tried, "answers": answers}


def accepted(execution: Completion, settings: Settings) -> bool:
    """True if an execution ended with an answer: a box with a text before it and no long one after
    it.

    A layout without instructions (no words) only needs an answer and an end.
    """
    if settings.answer_of(execution) is None:
        return False
    if not settings.layout.instructions:
        return execution.finished
    before, _, after = execution.text.rpartition("\\boxed")
    return len(before) >= SHORTEST_LEAD and len(after) <= LONGEST_REST


def next_plan(
    question: str,
    plans: list[str],
    tried: list[str],
    execution: Completion,
    settings: Settings,
    rng,
):
    """A refined plan; an unused one if the refinement is no new one, or if the execution denied
    itself; None if nothing is left.

    Where the model reads no instructions there is no refinement: the next unused plan is taken.

    Args:
      question: text of the problem.
      plans: the plans that were sampled at first.
      tried: plans that were executed, the last one last.
      execution: reply to the last plan.
      settings: layout and sampling of plans.
      rng: seeds of the sampled completions.
    """
    unused = [plan for plan in dict.fromkeys(plans) if plan not in tried]
    if not settings.layout.instructions:
        return unused[0] if unused else None
    if denied := [phrase for phrase in NEGATIONS if phrase in execution.text.lower()]:
        fresh = [plan for plan in unused if not any(phrase in plan.lower() for phrase in denied)]
        return fresh[0] if fresh else (yield from explore_again(question, tried[-1], settings, rng))
    refined = yield from refine(question, tried[-1], execution, settings, rng)
    if overlap(refined, tried[-1]) > OVERLAP and unused:
        return unused[0]
    return refined


def refine(question: str, plan: str, execution: Completion, settings: Settings, rng):
    """A better plan, written with the end of the failed execution in sight.

    Args:
      question: text of the problem.
      plan: the plan that failed.
      execution: reply to it; its last TAIL characters are shown to the model.
      settings: layout and sampling of plans.
      rng: seed of the sampled completion.
    """
    user = (
        f"{question}\n\nThis plan was carried out:\n{plan}\n\nThe end of what came of "
        f"it:\n{execution.text[-TAIL:]}\n\n"
        "It reached no accepted answer. Write a corrected plan of numbered steps, without "
        "calculations."
    )
    return (
        yield from _plan_after(user, Sampling(1024, 0.3, 0.95, settings.plan.stop), settings, rng)
    )


def explore_again(question: str, plan: str, settings: Settings, rng):
    """A plan that avoids the last one.

    Args:
      question: text of the problem.
      plan: the plan to avoid.
      settings: layout and sampling of plans.
      rng: seed of the sampled completion.
    """
    user = (
        f"{question}\n\nDo not use this approach, it failed:\n{plan}\n\nWrite a different plan "
        "of numbered steps."
    )
    sampling = Sampling(settings.plan.max_tokens, 0.95, settings.plan.top_p, settings.plan.stop)
    return (yield from _plan_after(user, sampling, settings, rng))


def _plan_after(user, sampling, settings, rng):
    ((reply,),) = yield [
        Ask("refine", Prompt(user, OPEN_PLAN), sampling, 1, int(rng.integers(2**31)))
    ]
    return settings.plan_of(reply)


def overlap(one: str, other: str) -> float:
    """Common words over the words of the first."""
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
    return len(a & b) / max(1, len(a))
