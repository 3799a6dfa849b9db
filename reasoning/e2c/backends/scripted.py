"""A backend that replies by a function of the ask: for tests, dry runs and replays of recorded
completions.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from reasoning.e2c.asking import Ask, Completion, Weigh


@dataclass
class Scripted:
    """`reply(ask, number)` is the text of the ask's completion `number`; a token is a word, and the
    stop is one more.
    """

    reply: Callable[[Ask, int], str]
    weight: Callable[[Weigh], float] = lambda weigh: 0.0
    """Log-probability of a continuation."""
    asked: list[Ask | Weigh] = field(default_factory=list)
    """Everything that was asked, in order."""

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """Completions, cut at `max_tokens` words and at the first stop."""
        self.asked += asks
        return [
            [self._cut(ask, self.reply(ask, number)) for number in range(ask.n)] for ask in asks
        ]

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Return the value of `weight`."""
        self.asked += weighs
        found = []
        for weigh in weighs:
            value = self.weight(weigh)
            assert math.isfinite(value)
            length = len(weigh.continuation.split())
            found.append(Completion(weigh.continuation, length, True, value, _words(weigh.prompt)))
        return found

    def _cut(self, ask: Ask, text: str) -> Completion:
        ends = [text.index(stop) for stop in ask.sampling.stop if stop in text]
        text = text[: min(ends)] if ends else text
        words = text.split()
        budget = ask.sampling.max_tokens
        if len(words) + 1 <= budget:
            return Completion(text, len(words) + 1, True, None, _words(ask.prompt))
        return Completion(
            " ".join(words[:budget]), min(len(words), budget), False, None, _words(ask.prompt)
        )


def _words(prompt) -> int:
    return len(f"{prompt.user} {prompt.prefill}".split())
