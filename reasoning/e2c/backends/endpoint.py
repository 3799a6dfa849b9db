"""An OpenAI-compatible server as a backend, by the client of `jaxrl.app.chat`: cached on disk,
retried, several requests at a time; keys are masked and never follow a redirect.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jaxrl.app.chat import ChatConfig, Client, NoAnswer, Rejected, Reply, reply_of
from jaxrl.app.errors import UserError
from jaxrl.app.progress import log
from reasoning.e2c.asking import Ask, Completion, Weigh

CHARACTERS_PER_TOKEN = 4
"""Characters per token of an estimate, where a server counts no tokens."""
OF_THE_ITEM = re.compile(r"status (?:400|413|422)\b|no completion")
"""Failures that may belong to one request: it is too long, or its reply cannot be read."""
BROKEN = re.compile(r"status 500\b")
"""Failure of the server, unless it says that a request is too long, as llama.cpp's does."""
NO_ECHO = "echoes no log-probabilities of prompts, so it cannot weigh: choose --judge text"
SYSTEMATIC = 4
"""Requests of one batch that all fail alike, so that the fault is not one of the item's."""
TOO_LONG = re.compile(r"context|too (?:long|large|many)|maximum|length|exceed", re.IGNORECASE)


@dataclass(frozen=True)
class EndpointConfig(ChatConfig):
    """Address of the server, and the form of its requests."""

    api: Literal["completions", "chat"] = "completions"
    """completions: the prompt is raw text with the chat template applied here, so that tags can be
    prefilled. chat: the server applies its template, and what should be prefilled is asked for in
    the user's turn.
    """
    template: str = "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{prefill}"
    """Template of raw prompts; the default is Qwen's."""
    cache: str | None = "runs/e2c/cache"
    """Folder of replies: what was once answered is never asked again, so that an interrupted run
    resumes where it was. None: no cache.
    """


class Endpoint:
    """The backend. Every completion is a request of its own, so nothing is lost when one of them
    fails; one that the server cannot answer is recorded (`Completion.error`) and skipped.
    """

    def __init__(self, config: EndpointConfig):
        self.config = config
        self.client = Client(config)
        self._api: Literal["chat", "completions"] = config.api
        self.answered = 0
        """Requests that were answered, from the server or the cache."""

    @property
    def requests(self) -> int:
        """Requests sent so far, retries included."""
        return self.client.requests

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """All completions of all asks, from the cache or the server.

        Raises:
          UserError: the server is down, refuses everything, or replies with nonsense, after all
            retries. What was answered is in the cache.
        """
        bodies = [self._body(ask, number) for ask in asks for number in range(ask.n)]
        replies = iter(self._all(bodies, _checked))
        return [[self._completion(next(replies), ask) for _ in range(ask.n)] for ask in asks]

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Log-probabilities of continuations, by echoing prompts (the completions API only)."""
        if self.config.api != "completions":
            raise UserError(
                "a chat endpoint cannot weigh continuations: choose --endpoint.api completions, or "
                "the judge text"
            )
        bodies = []
        for weigh in weighs:
            text = self._raw(weigh.prompt) + weigh.continuation
            bodies.append(
                {
                    "model": self.config.model,
                    "prompt": text,
                    "max_tokens": 0,
                    "echo": True,
                    "logprobs": 1,
                    "temperature": 0,
                }
            )
        replies = self._all(bodies, self._echoed, skip=False)
        return [self._weighed(r, weigh) for r, weigh in zip(replies, weighs, strict=True)]

    def _all(
        self, bodies: list[dict], check: Callable[[Any], Any], skip: bool = True
    ) -> list[dict | UserError]:
        """Replies in order, an error in the place of each request that is skipped. All are tried
        even if one fails, so that the cache keeps whatever came.
        """
        found = self.client.ask_all(self._api, bodies, check)
        good = sum(not isinstance(reply, UserError) for reply in found)
        self.answered += good
        failures = [reply for reply in found if isinstance(reply, UserError)]
        fatal = [error for error in failures if not (skip and self._may_skip(error))]
        if not good and len(failures) >= SYSTEMATIC and len(set(map(str, failures))) == 1:
            fatal = fatal or [e for e in failures if not TOO_LONG.search(str(e))]
        if fatal:
            kept = (
                f"; {good} of {len(found)} replies are kept" if good and self.config.cache else ""
            )
            raise type(fatal[0])(f"{fatal[0]}{kept}") from fatal[0]
        for error in failures:
            log(f"skipped a request: {error}")
        return found

    def _may_skip(self, error: UserError) -> bool:
        """True if a failure belongs to the request and not to the server: it is too long, or
        others were answered.
        """
        text = str(error)
        if isinstance(error, NoAnswer) and BROKEN.search(text):
            return bool(TOO_LONG.search(text))
        if not isinstance(error, Rejected | NoAnswer) or not OF_THE_ITEM.search(text):
            return False
        return self.answered > 0 or bool(isinstance(error, Rejected) and TOO_LONG.search(text))

    def _ask_until_answered(self, body: dict) -> dict:
        """One raw request."""
        return self.client.ask(self._api, body, reply_of)

    def _raw(self, prompt) -> str:
        return self.config.template.format(user=prompt.user, prefill=prompt.prefill)

    def _body(self, ask: Ask, number: int) -> dict:
        sampling = ask.sampling
        body = {
            "model": self.config.model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "seed": ask.seed * 1_000_003 % 2**31 + number,
        }
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        if self.config.api == "completions":
            return body | {"prompt": self._raw(ask.prompt), "logprobs": 1}
        user = ask.prompt.user
        if ask.prompt.prefill:
            user += f"\n\nBegin your reply with exactly this text and go on:\n{ask.prompt.prefill}"
        return body | {"messages": [{"role": "user", "content": user}]}

    def _completion(self, reply: dict | UserError, ask: Ask) -> Completion:
        if isinstance(reply, UserError):
            return Completion("", 0, False, None, 0, error=str(reply))
        read = reply_of(reply)
        text = read.text
        if self.config.api == "chat":
            text = text.removeprefix(ask.prompt.prefill)
        logprobs = _numbers(reply["choices"][0])
        values = logprobs["token_logprobs"] if logprobs else []
        total = sum(values) if values and None not in values else None
        tokens = _tokens(read, values)
        sent = ask.prompt.user + ask.prompt.prefill
        # a server that counts 0 tokens of a text counts none at all
        prompt = read.prompt_tokens or (_estimate(sent) if sent else 0)
        counted = _count(read) is not None and bool(read.prompt_tokens or not sent)
        finished = read.finished or _stopped_early(read, ask.sampling.max_tokens)
        return Completion(text, tokens, finished, total, prompt, estimated=not counted)

    def _weighed(self, reply: dict, weigh: Weigh) -> Completion:
        logprobs = self._echoed(reply)
        start = len(self._raw(weigh.prompt))
        pairs = zip(logprobs["text_offset"], logprobs["token_logprobs"], strict=True)
        values = [value for offset, value in pairs if offset >= start]
        whole = logprobs["text_offset"][:1] == [0] and values and None not in values
        if weigh.continuation and not whole:  # nothing counted would be the likeliest of all
            raise Rejected(f"the server at {self.client.shown} {NO_ECHO}")
        return Completion(
            weigh.continuation,
            len(values),
            True,
            sum(values),
            len(logprobs["token_logprobs"]) - len(values),
        )

    def _echoed(self, reply: Any) -> dict:
        """The log-probabilities of an echoed prompt.

        Raises:
          Rejected: the server gives none, or not of the whole prompt; another try would not help.
        """
        found = _numbers(reply["choices"][0], offsets=True)
        whole = (
            found and found["text_offset"][:1] == [0] and None not in found["token_logprobs"][1:]
        )
        if not whole:
            raise Rejected(f"the server at {self.client.shown} {NO_ECHO}")
        return found


def _checked(raw: Any) -> Reply:
    """A completion that can be used.

    Raises:
      ValueError, KeyError, IndexError, TypeError: it is none, or it counts less than no tokens.
    """
    usage = raw.get("usage") if isinstance(raw, dict) else None
    for name in ("prompt_tokens", "completion_tokens"):
        count = (usage or {}).get(name)
        if isinstance(count, int | float) and count < 0:
            raise ValueError(f"it counts {count} {name}")
    return reply_of(raw)


def _tokens(reply: Reply, values: list) -> int:
    """Generated tokens: as the server counts, else its log-probabilities, else an estimate."""
    return _count(reply) or len(values) or _estimate(reply.text)


def _count(reply: Reply) -> int | None:
    """Tokens that the server counted; None if it did not, or counted none of a text."""
    return None if reply.completion_tokens == 0 and reply.text else reply.completion_tokens


def _stopped_early(reply: Reply, max_tokens: int) -> bool:
    """True if a server gives no reason for the end, but its count is below the limit of tokens:
    then the limit cannot have ended the completion.
    """
    count = _count(reply)
    return reply.finish_reason is None and count is not None and count < max_tokens


def _estimate(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def _numbers(choice: dict, offsets: bool = False) -> dict | None:
    """Log-probabilities (and offsets) of tokens as plain numbers; None where a server gives none,
    or other things.
    """
    found = choice.get("logprobs")
    try:
        logprobs = [_probable(value) for value in found["token_logprobs"]]
        places = [int(value) for value in found["text_offset"]] if offsets else None
        return {"token_logprobs": logprobs, "text_offset": places}
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def _probable(value: Any) -> float | None:
    """A log-probability; None for what is none (null, NaN), which no plan may be chosen by."""
    found = None if value is None else float(value)
    return None if found is None or math.isnan(found) else found
