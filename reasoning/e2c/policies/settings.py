"""Settings that all policies share: sampling of plans and executions, how answers are found, and
checks of their numbers.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c.answers import last_box
from reasoning.e2c.asking import Ask, Completion, Sampling
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN, E2CFormat
from reasoning.e2c.policies.loops import is_loop

Embedder = Callable[[list[str]], np.ndarray]
"""Texts to vectors `[n, D]`."""


def bag_of_words(texts: list[str]) -> np.ndarray:
    """Counts of words, `[n, words]`, rows of length 1: an embedding where no encoder is at hand."""
    split = [re.findall(r"[\w']+", text.lower()) for text in texts]
    places = {
        word: place
        for place, word in enumerate(sorted({word for words in split for word in words}))
    }
    table = np.zeros((len(texts), max(1, len(places))), np.float32)
    for row, words in zip(table, split, strict=True):
        for word in words:
            row[places[word]] += 1
    return table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True)
class Settings:
    """Settings of a policy. The numbers are those of the authors' tts.yaml."""

    k: int = 8
    """Plans, or chains for self-consistency."""
    layout: E2CFormat = E2CFormat()
    """Tags and sentences."""
    chains: Literal["e2c", "plain"] = "e2c"
    """Kind of whole chains: "e2c" begins with a plan, "plain" does not."""
    plan: Sampling = Sampling(512, 0.9, 0.95, (CLOSE_PLAN,))
    """Sampling of plans."""
    execution: Sampling = Sampling(16_384, 0.0, 1.0, (CLOSE_EXECUTION,))
    """Sampling of executions: deterministic."""
    chain: Sampling = Sampling(16_384, 0.9, 0.95, (CLOSE_EXECUTION,))
    """Sampling of whole chains."""
    judge: Literal["text", "likelihood"] = "text"
    """text: one call that names the best plan. likelihood: the most probable plan; generates
    nothing.
    """
    judging: Sampling = Sampling(512, 0.0)
    """Sampling of a judge's call."""
    clusters: int = 3
    """Clusters of plans, at most."""
    share_equal: bool = True
    """Execute equal prompts of greedy executions once, and count the result for all: they would be
    word for word the same. Our choice; the authors execute each.
    """
    thought: Sampling = Sampling(256, 0.9, 0.95, (CLOSE_PLAN,))
    """Sampling of a thought in a tree: a fragment of a plan."""
    rounds: int = 3
    """Refinements of the ReAct loop, at most."""
    rescue: int = 0
    """Tokens of one more call for the box alone, where an execution broke off without an answer; 0:
    none.
    """
    budget: int | None = None
    """Generated tokens after which sampling stops (equal-token comparison); overshoots by less than
    one call. None: `k` decides.
    """
    find_answer: Callable[[str], str | None] = last_box
    """The answer in an execution."""
    embed: Embedder = bag_of_words
    """Embedding of plans, for clusters."""

    def asks_chain(self, question: str, n: int = 1, seed: int = 0, greedy: bool = False) -> Ask:
        """Ask for whole chains.

        Args:
          question: text of the problem.
          n: number of chains.
          seed: seed of sampling.
          greedy: take the most probable token, whatever `chain` says.
        """
        make = self.layout.question_prompt if self.chains == "e2c" else self.layout.plain_prompt
        sampling = (
            Sampling(self.chain.max_tokens, 0.0, 1.0, self.chain.stop) if greedy else self.chain
        )
        return Ask("chain", make(question), sampling, n, seed)

    def asks_plans(self, question: str, n: int, seed: int = 0) -> Ask:
        """Plans, stopped at their closing tag."""
        return Ask("plan", self.layout.question_prompt(question), self.plan, n, seed)

    def asks_execution(self, question: str, plan: str, seed: int = 0) -> Ask:
        """One execution of a plan."""
        return Ask(
            "execution", self.layout.execution_prompt(question, plan), self.execution, 1, seed
        )

    def answer_of(self, completion: Completion) -> str | None:
        """Answer in a completion; None if there is none, or if the text runs in a loop."""
        return None if is_loop(completion.text) else self.find_answer(completion.text)

    def plan_of(self, completion: Completion) -> str:
        """Plan in a completion, without lead-in and tags."""
        return self.layout.parse(completion.text + CLOSE_PLAN).plan


def check(settings: Settings) -> None:
    """Refuse numbers that make no sense.

    Raises:
      UserError: with the field.
    """
    if settings.k < 1:
        raise UserError(f"k is {settings.k}: at least one plan or chain is needed")
    for name in ("plan", "execution", "chain"):
        if getattr(settings, name).max_tokens < 1:
            raise UserError(
                f"max_tokens of the {name} is {getattr(settings, name).max_tokens}: it must be at "
                "least 1"
            )
    least = max(settings.execution.max_tokens, settings.plan.max_tokens)
    if settings.budget is not None and settings.budget < least:
        raise UserError(
            f"budget is {settings.budget} tokens, less than one call may take ({least}): raise it "
            "or lower max_tokens"
        )
