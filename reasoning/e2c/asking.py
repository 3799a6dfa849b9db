"""Questions of a policy to a language model, the replies, and their cost in tokens.

A policy is a generator: it yields lists of asks and is sent the replies, so it is written for one
problem, and `solve` runs many problems
in step, with all their asks in one batch. `solve` alone writes the ledger: no policy can forget to
count.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

from reasoning.e2c.format import Prompt


@dataclass(frozen=True)
class Sampling:
    """Settings for continuing a prompt."""

    max_tokens: int
    """Most tokens of a completion."""
    temperature: float = 0.0
    """0: greedy."""
    top_p: float = 1.0
    """Mass of the nucleus, in (0, 1]; 1 samples from all tokens."""
    stop: tuple[str, ...] = ()
    """Texts that end a completion; they are counted as generated, and left out of its text."""


class Ask(NamedTuple):
    """`n` completions of one prompt."""

    phase: str
    """plan, execution, judge, refine, ...: the ledger's entry."""
    prompt: Prompt
    sampling: Sampling
    n: int = 1
    seed: int = 0


class Weigh(NamedTuple):
    """The log-probability of a continuation; it generates nothing."""

    phase: str
    prompt: Prompt
    continuation: str


class Completion(NamedTuple):
    """One reply."""

    text: str
    tokens: int
    """Tokens generated, the stop included."""
    finished: bool = True
    """Ended by a stop or the end of the sequence, not by the limit."""
    logprob: float | None = None
    """Log-probability of the generated tokens at temperature 1; None if the backend gives none."""
    prompt_tokens: int = 0
    """Tokens of the prompt that were read."""
    error: str | None = None
    """The reason why there is none, if the backend skipped the request."""
    estimated: bool = False
    """The backend counted no tokens, and the numbers are estimates."""


class Backend(Protocol):
    """A language model."""

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """`ask.n` completions for every ask, in order."""
        ...

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """The log-probability of every continuation, with `tokens` its length."""
        ...


@dataclass
class Spent:
    """Tokens of one phase."""

    generated: int = 0
    prefill: int = 0
    """Prompt tokens; those of a prompt with several completions count once."""
    calls: int = 0
    """Completions and weighed continuations."""


@dataclass
class Ledger:
    """Cost of one problem, by phase."""

    phases: dict[str, Spent] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """Reasons why completions were skipped."""
    estimated: bool = False
    """True if some tokens are estimates."""

    def add(self, phase: str, generated: int, prefill: int, calls: int) -> None:
        """Enter what one ask cost.

        Args:
          phase: entry of the ledger, such as "plan" or "execution".
          generated: tokens generated, stops included.
          prefill: prompt tokens read; a prompt with several completions counts once.
          calls: completions, or weighed continuations.
        """
        spent = self.phases.setdefault(phase, Spent())
        spent.generated += generated
        spent.prefill += prefill
        spent.calls += calls

    @property
    def generated(self) -> int:
        """Tokens generated in all calls: the number that the paper reports."""
        return sum(spent.generated for spent in self.phases.values())

    @property
    def prefill(self) -> int:
        """Prompt tokens of all calls; the paper does not count them."""
        return sum(spent.prefill for spent in self.phases.values())

    @property
    def calls(self) -> int:
        """Calls of all phases."""
        return sum(spent.calls for spent in self.phases.values())


class Result(NamedTuple):
    """One problem, solved or not."""

    answer: str | None
    """None: no execution reached an answer."""
    ledger: Ledger
    trace: dict[str, Any]
    """Plans, executions and choices, for reading."""


Steps = Generator[list[Ask | Weigh], list[Any], tuple[str | None, dict[str, Any]]]
Policy = Callable[[str, Any, Ledger, np.random.Generator], Steps]
"""(question, settings, ledger so far, random numbers) -> steps that return (answer, trace)."""


def solve(
    policy: Policy,
    questions: Sequence[str],
    backend: Backend,
    settings: Any,
    seed: int = 0,
    numbers: Sequence[int] | None = None,
) -> list[Result]:
    """Run a policy on all questions in step: at every step, all their asks go to the backend
    together.

    Random numbers depend on `seed` and the question's number (its place, or `numbers`), not on what
    is solved with it.

    Args:
      policy: the generator function of `reasoning.e2c.policies` that is run for each question.
      questions: texts of the problems.
      backend: the language model that completes and weighs.
      settings: passed to the policy as they are; for those of `reasoning.e2c.policies` a
        `Settings`.
      seed: seed of the random numbers of all questions.
      numbers: one integer per question that selects its random numbers; its place, if left out.

    Returns:
      One result per question, in order: its answer (or None), its ledger and its trace.
    """
    ledgers = [Ledger() for _ in questions]
    streams = [np.random.default_rng((seed, number)) for number in numbers or range(len(questions))]
    runs = [
        policy(*each, ledger, rng)
        for each, ledger, rng in zip(
            ((q, settings) for q in questions), ledgers, streams, strict=True
        )
    ]
    results: list[Result | None] = [None] * len(runs)
    replies: dict[int, Any] = dict.fromkeys(range(len(runs)))
    while replies:
        asked = {}
        for number, reply in replies.items():
            try:
                asked[number] = runs[number].send(reply)
            except StopIteration as done:
                results[number] = Result(done.value[0], ledgers[number], done.value[1])
        replies = _answered(asked, backend, ledgers)
    return results


def _answered(asked: dict[int, list], backend: Backend, ledgers: list[Ledger]) -> dict[int, list]:
    """Replies to all asks, entered into the ledgers."""
    places = [(number, place) for number, asks in asked.items() for place in range(len(asks))]
    kinds = {
        kind: [at for at in places if isinstance(asked[at[0]][at[1]], kind)]
        for kind in (Ask, Weigh)
    }
    replies = {number: [None] * len(asks) for number, asks in asked.items()}
    for kind, answer in ((Ask, backend.complete), (Weigh, backend.weigh)):
        at = kinds[kind]
        for (number, place), reply in zip(
            at, answer([asked[n][p] for n, p in at]) if at else [], strict=True
        ):
            replies[number][place] = reply
            _enter(ledgers[number], asked[number][place], reply)
    return replies


def _enter(ledger: Ledger, ask: Ask | Weigh, reply) -> None:
    if isinstance(ask, Weigh):
        ledger.add(ask.phase, 0, reply.prompt_tokens + reply.tokens, 1)
    else:
        ledger.errors += [completion.error for completion in reply if completion.error]
        ledger.estimated |= any(completion.estimated for completion in reply)
        ledger.add(
            ask.phase,
            sum(c.tokens for c in reply),
            reply[0].prompt_tokens if reply else 0,
            len(reply),
        )
