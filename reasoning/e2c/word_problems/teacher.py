"""Training data of the word problems, by `reasoning.e2c.datagen` with a program as its teacher.

The teacher distils the right plan from a solution and carries plans out. It slips now and then, as
a model would: a result is wrong, or a step is left out; strict adherence and the check of the
answer must find that.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np

from reasoning.e2c import answers
from reasoning.e2c.asking import Ask
from reasoning.e2c.backends.scripted import Scripted
from reasoning.e2c.datagen import DataConfig, Question, generate
from reasoning.e2c.records import Record, read_records, write_records
from reasoning.e2c.word_problems.problems import LAYOUT, Problem, execute, other_plan

SLIPS = 0.2
"""Share of executions in which the teacher slips."""


def teacher(problems: list[Problem], seed: int, slips: float = SLIPS) -> Scripted:
    """A backend that answers the prompts of `datagen` for these problems."""
    by_question = {problem.question: problem for problem in problems}

    def reply(ask: Ask, number: int) -> str:
        question = re.search(r"Problem:\n(.*?)\n\n", ask.prompt.user, re.S)
        problem = by_question[question[1]]
        if ask.phase == "distil":
            return problem.plan
        plan = re.search(r"\n\nPlan:\n(.*?)\n\nSolve the problem", ask.prompt.user, re.S)
        done = execute(plan[1])
        rng = np.random.default_rng((seed, ask.seed, number))
        if rng.random() >= slips:
            return done.text
        lines = done.text.splitlines()
        if rng.random() < 0.5:  # a step is left out, the answer stays right
            return "\n".join([*lines[1:]])
        wrong = int(done.answer) + int(rng.integers(1, 4))
        return "\n".join([*lines[:-1], f"\\boxed{{{wrong}}}"])

    return Scripted(reply)


def causal_rows(problems: list[Problem], path: Path, seed: int) -> dict[str, Any]:
    """Write rows for all problems, plan first and its execution anew; returns the yield."""
    questions = [
        Question(p.question, p.answer, p.family, f"Solution: {p.execution}") for p in problems
    ]
    config = DataConfig(adherence=1.0, layout=LAYOUT, batch=64)
    return generate(questions, teacher(problems, seed), config, path, seed, check=answers.exact)


def post_hoc_rows(source: Path, path: Path, problems: list[Problem], share: float, seed: int):
    """Write the same rows, but in a share of them with another plan: one that did not cause the
    execution next to it.

    Args:
      source: file of rows, .jsonl, that `causal_rows` wrote.
      path: file to write.
      problems: problems of these rows.
      share: probability that a plan is replaced, in [0, 1].
      seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    by_question = {problem.question: problem for problem in problems}

    def swapped(row: Record) -> Record:
        if "rejected" in row or rng.random() >= share:
            return row
        return row | {"exploration": other_plan(by_question[row["question"]], rng)}

    write_records(path, [swapped(row) for row in read_records(source)])
