"""Rewards of reinforcement learning: correctness, times adherence in the second stage, minus a
penalty for length.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c import answers
from reasoning.e2c.adherence import adherence
from reasoning.e2c.format import DEFAULT, E2CFormat


@dataclass(frozen=True)
class RewardConfig:
    """One stage's reward."""

    stage: Literal[1, 2] = 1
    """1: correctness. 2: correctness times adherence."""
    mode: Literal["corrected", "official"] = "corrected"
    """official repeats the quirks of the authors' reward_score/e2c.py."""
    longest: int = 8192
    """Tokens of a response at most."""
    buffer: int = 4096
    """Tokens before that over which the penalty grows from 0 to `penalty`; 0: no penalty."""
    penalty: float = 1.0
    """The largest penalty."""


def overlong(length: int, longest: int = 8192, buffer: int = 4096, penalty: float = 1.0) -> float:
    """`min(-penalty (length - (longest - buffer)) / buffer, 0)`: 0 up to `longest - buffer` tokens,
    then falling linearly.

    Args:
      length: tokens of the response.
      longest: tokens at which the whole penalty is reached.
      buffer: tokens before `longest` in which the penalty rises; 0: no penalty.
      penalty: size of the penalty at `longest` tokens; longer ones get more.
    """
    return min(-penalty * (length - (longest - buffer)) / buffer, 0.0) if buffer else 0.0


def correctness(
    response: str,
    answer: str,
    check: answers.Checker,
    mode: Literal["corrected", "official"] = "corrected",
) -> float:
    """1.0 if the response's last box is right, else 0.0.

    Args:
      response: all text behind the prefilled tag.
      answer: the right one.
      check: `(found, right) -> bool`, compares answers.
      mode: "official": a box that begins more than 300 characters before the end does not count;
        "corrected": any complete box does.
    """
    found = answers.official_box(response) if mode == "official" else answers.last_box(response)
    return float(found is not None and check(found, answer))


def reward(
    response: str,
    answer: str,
    tokens: int,
    config: RewardConfig,
    layout: E2CFormat = DEFAULT,
    check: answers.Checker | None = None,
) -> float:
    """One response's reward.

    Args:
      response: all text behind the prefilled tag.
      answer: the right one.
      tokens: length of the response, for the penalty.
      config: stage and mode.
      layout: tags and sentences.
      check: compares answers; by default math-verify, or the authors' comparison in mode official.

    In stage 2 a right answer without any numbered plan scores 0 in mode official. Our choice
    otherwise: such a plan is read line by line, and only an empty one scores 0.
    """
    if not answer.strip():
        raise UserError(
            "a row has no answer: every row of the data needs one that responses can be compared "
            "with"
        )
    check = check or (answers.official if config.mode == "official" else answers.math_verify)
    value = correctness(response, answer, check, config.mode)
    if config.stage == 2 and value:
        parsed = layout.parse(response)
        value *= adherence(
            parsed.plan, parsed.execution, "official" if config.mode == "official" else "strict"
        )
    return value + overlong(tokens, config.longest, config.buffer, config.penalty)


def rewards(
    responses: list[list[str]], answers_: list[str], tokens: np.ndarray, config: RewardConfig, **how
) -> np.ndarray:
    """Rewards of G responses to each of P questions.

    Args:
      responses: P lists of G texts.
      answers_: right answers, one per question.
      tokens: lengths of the responses, int `[P, G]`, for the penalty.
      config: stage, mode and lengths.
      **how: further arguments of `reward`: `layout` and `check`.

    Returns:
      float32 `[P, G]`.

    Raises:
      UserError: an answer is empty.
    """
    table = [
        [
            reward(text, answer, int(length), config, **how)
            for text, length in zip(group, lengths, strict=True)
        ]
        for group, answer, lengths in zip(responses, answers_, tokens, strict=True)
    ]
    return np.asarray(table, np.float32)
