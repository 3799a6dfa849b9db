"""Reward of a response of the chain task: its answer, and whether it did what its plan says."""

import re
from typing import NamedTuple

import numpy as np

from reasoning.e2c.adherence import common_subsequence
from reasoning.e2c.chain.task import NAMES, Problem, execute, read_question
from reasoning.e2c.format import E2CFormat, Parsed

LAYOUT = E2CFormat(suffix="", plan_opening="", execution_opening="", instructions=False)
"""Tags and nothing else: the tiny model reads no instructions."""


class Judged(NamedTuple):
    """One response."""

    correct: bool
    plan_right: bool
    """The plan is the one right plan."""
    adherence: float
    """Share of the plan's variables that were executed in order, in [0, 1]."""
    follows: bool
    """The execution is word for word what the plan leads to."""


def find_answer(text: str) -> str | None:
    """The digit behind the last question mark."""
    found = re.findall(r"\? (\d)(?: |$)", text)
    return found[-1] if found else None


def executed(execution: str) -> list[str]:
    """Variables in the order of execution: the names at the beginnings of steps."""
    steps = [step.split() for step in execution.split(";")]
    return [step[0] for step in steps if step and step[0] in NAMES]


def adherence(plan: str, execution: str) -> float:
    """Longest common subsequence of the plan and the executed variables, over the longer one's
    length; 0 without a plan.
    """
    planned, done = plan.split(), executed(execution)
    return common_subsequence(planned, done) / max(len(planned), len(done)) if planned else 0.0


def follows(question: str, plan: str, execution: str) -> bool:
    """True if an execution is exactly what the plan leads to."""
    parents, numbers, _ = read_question(question)
    steps = plan.split()
    if not steps or any(step not in parents for step in steps):
        return False
    return execution.split("<eos>")[0].strip() == execute(steps, parents, numbers)[0]


def judge(problem: Problem, response: str) -> Judged:
    """Take a response apart and judge it."""
    parsed: Parsed = LAYOUT.parse(response)
    answer = find_answer(parsed.execution)
    return Judged(
        answer == problem.answer,
        parsed.plan == problem.plan,
        adherence(parsed.plan, parsed.execution),
        follows(problem.question, parsed.plan, parsed.execution),
    )


def stage_rewards(judged: list[list[Judged]], stage: int) -> np.ndarray:
    """float32 `[P, G]`: correctness in stage 1, times adherence in stage 2."""

    def value(one):
        return float(one.correct) * (1.0 if stage == 1 else one.adherence)

    return np.array([[value(one) for one in group] for group in judged], np.float32)
