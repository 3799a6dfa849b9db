"""Training rows: problems as token arrays, of the kinds that the authors mix."""

from dataclasses import dataclass, fields
from typing import Literal, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c.chain.task import IDS, PAD, ChainConfig, Problem, encode
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN, OPEN_EXECUTION, OPEN_PLAN
from reasoning.e2c.masks import Markers

Kind = Literal["chain", "execution", "given_plan", "plan"]
MARKERS = Markers(IDS[CLOSE_PLAN], IDS[OPEN_EXECUTION])


@dataclass(frozen=True)
class Mixture:
    """Shares of the kinds of rows; they need not sum to 1. The authors' data set has the same kinds
    (sft_dataset.py).
    """

    chain: float = 1.0
    """Question, then plan and execution, both trained."""
    execution: float = 0.0
    """Question, then execution without a plan."""
    given_plan: float = 0.0
    """Question and plan, then the execution, which alone is trained."""
    plan: float = 0.0
    """Question, then the plan alone: what EF-SFT trains on."""


class Rows(NamedTuple):
    """R rows of T tokens."""

    ids: np.ndarray
    """int32 `[R, T]`, padded on the right."""
    mask: np.ndarray
    """bool `[R, T]`: tokens that are trained."""
    whole: np.ndarray
    """bool `[R]`: rows that keep their execution in EF-SFT."""


def question_ids(question: str) -> list[int]:
    """<bos>, the question, and the tag that opens the plan."""
    return encode(f"<bos> {question} {OPEN_PLAN}")


def row(problem: Problem, kind: Kind) -> tuple[list[int], int]:
    """`(ids, how many at the start are not trained)`."""
    plan = encode(f"{problem.plan} {CLOSE_PLAN}")
    execution = encode(f"{OPEN_EXECUTION} {problem.execution} {CLOSE_EXECUTION} <eos>")
    asked = question_ids(problem.question)
    if kind == "execution":
        return [*asked[:-1], *execution], len(asked) - 1
    if kind == "plan":
        return [*asked, *plan], len(asked)
    return [*asked, *plan, *execution], len(asked) + (len(plan) if kind == "given_plan" else 0)


def make_rows(
    problems: list[Problem],
    config: ChainConfig,
    mixture: Mixture = Mixture(),
    seed: int = 0,
    whole: bool = False,
) -> Rows:
    """Token rows, one per problem, whose kinds are drawn by the shares.

    Args:
      problems: problems with right plans and executions.
      config: gives the length T of a row, tokens.
      mixture: shares of the kinds; they need not sum to 1.
      seed: seed of the draw of kinds.
      whole: mark every row to keep its execution in EF-SFT.

    Raises:
      UserError: shares that are negative or all 0.
    """
    shares = {field.name: getattr(mixture, field.name) for field in fields(mixture)}
    if min(shares.values()) < 0 or not sum(shares.values()):
        raise UserError(
            f"the mixture is {shares}: shares must not be negative, and one at least above 0"
        )
    kinds = np.random.default_rng(seed).choice(
        list(shares), len(problems), p=np.array(list(shares.values())) / sum(shares.values())
    )
    ids = np.full((len(problems), config.length), PAD, np.int32)
    mask = np.zeros(ids.shape, bool)
    for number, (problem, kind) in enumerate(zip(problems, kinds.tolist(), strict=True)):
        tokens, given = row(problem, kind)
        ids[number, : len(tokens)] = tokens
        mask[number, given : len(tokens)] = True
    return Rows(ids, mask, np.full(len(problems), whole))


def join(*parts: Rows) -> Rows:
    """All rows of several sets, of one length or padded to the longest."""
    longest = max(part.ids.shape[1] for part in parts)

    def wide(a, fill):
        return np.pad(a, ((0, 0), (0, longest - a.shape[1])), constant_values=fill)

    return Rows(
        np.concatenate([wide(part.ids, PAD) for part in parts]),
        np.concatenate([wide(part.mask, False) for part in parts]),
        np.concatenate([part.whole for part in parts]),
    )
