"""An OpenAI-compatible server as a backend: cached on disk, retried, several requests at a time.
Standard library only.
"""

import hashlib
import http.client
import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jaxrl.train.errors import Refusal
from jaxrl.train.rundir import write_atomically
from reasoning.e2c.asking import Ask, Completion, Weigh

RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
"""Statuses after which the same request may succeed."""


@dataclass(frozen=True)
class EndpointConfig:
    """Where the server is, and how it is asked."""

    base_url: str = "http://localhost:8000/v1"
    """Of the API."""
    model: str = "default"
    """The server's name of the model."""
    api: Literal["completions", "chat"] = "completions"
    """completions: the prompt is raw text with the chat template applied here, so that tags can be
    prefilled. chat: the server applies its template, and what should be prefilled is asked for in
    the user's turn.
    """
    template: str = "<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{prefill}"
    """Of raw prompts; the default is Qwen's."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable with the key; empty or unset: none is sent."""
    timeout: float = 600.0
    """Seconds until a request counts as failed."""
    retries: int = 5
    """Further attempts, after pauses of 1, 2, 4, ... times `pause`."""
    pause: float = 1.0
    """Seconds."""
    concurrency: int = 16
    """Requests at a time."""
    cache: str | None = "runs/e2c/cache"
    """Folder of replies: what was once answered is never asked again, so that an interrupted run
    goes on where it was. None: no cache.
    """


class Endpoint:
    """The backend. Every completion is a request of its own, so nothing is lost when one of them
    fails.
    """

    def __init__(self, config: EndpointConfig):
        self.config = config
        self.requests = 0
        """Sent so far, retries included."""

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """All completions of all asks, from the cache or the server.

        Raises:
          Refusal: the server is down, or replies with nonsense, after all retries. What was
            answered is in the cache.
        """
        bodies = [self._body(ask, number) for ask in asks for number in range(ask.n)]
        replies = iter(self._all(bodies))
        return [[self._completion(next(replies), ask) for _ in range(ask.n)] for ask in asks]

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Log-probabilities of continuations, by echoing prompts (the completions API only)."""
        if self.config.api != "completions":
            raise Refusal(
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
        return [
            self._weighed(reply, weigh)
            for reply, weigh in zip(self._all(bodies), weighs, strict=True)
        ]

    def _all(self, bodies: list[dict]) -> list[dict]:
        """Replies in order. All are tried even if one fails, so that the cache keeps
        whatever came.
        """
        with ThreadPoolExecutor(self.config.concurrency) as pool:
            jobs = [pool.submit(self._one, body) for body in bodies]
        failures = [job.exception() for job in jobs if job.exception() is not None]
        if failures:
            kept = (
                f"{len(jobs) - len(failures)} of {len(jobs)} replies are kept"
                if self.config.cache
                else "nothing was kept"
            )
            if isinstance(failures[0], Refusal):
                raise Refusal(f"{failures[0]}; {kept}") from failures[0]
            raise failures[0]
        return [job.result() for job in jobs]

    def _one(self, body: dict) -> dict:
        file = self._file(body)
        if file is not None and file.exists():
            try:
                return json.loads(file.read_text())
            except json.JSONDecodeError:
                file.unlink()
        reply = self._ask_until_answered(body)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(reply))
        return reply

    def _file(self, body: dict) -> Path | None:
        if self.config.cache is None:
            return None
        named = json.dumps([self.config.base_url, self.config.api, body], sort_keys=True)
        digest = hashlib.sha256(named.encode()).hexdigest()
        return Path(self.config.cache) / digest[:2] / f"{digest}.json"

    def _ask_until_answered(self, body: dict) -> dict:
        reason = ""
        for attempt in range(self.config.retries + 1):
            if attempt:
                time.sleep(self.config.pause * 2 ** (attempt - 1) * (1 + 0.1 * random.random()))
            try:
                return _checked(self._send(body), body)
            except urllib.error.HTTPError as error:
                reason = f"status {error.code}: {error.read()[:200].decode(errors='replace')}"
                if error.code not in RETRIED:
                    break
            except (OSError, http.client.HTTPException) as error:
                reason = str(getattr(error, "reason", error)) or type(error).__name__
            except (ValueError, KeyError, IndexError, TypeError) as error:
                reason = f"a reply that is no completion ({error!r})"
        raise Refusal(
            f"the server at {self.config.base_url} did not answer ({reason}, {attempt + 1} "
            "attempts): check that it runs and --base-url, "
            "then run the same command again to go on"
        )

    def _send(self, body: dict) -> Any:
        path = "/completions" if self.config.api == "completions" else "/chat/completions"
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(self.config.key_variable or "-", ""):
            headers["Authorization"] = f"Bearer {key}"
        url = self.config.base_url.rstrip("/") + path
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
        self.requests += 1
        with urllib.request.urlopen(request, timeout=self.config.timeout) as reply:
            return json.loads(reply.read())

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

    def _completion(self, reply: dict, ask: Ask) -> Completion:
        choice, usage = reply["choices"][0], reply["usage"]
        text = choice["text"] if self.config.api == "completions" else choice["message"]["content"]
        if self.config.api == "chat":
            text = text.removeprefix(ask.prompt.prefill)
        logprobs = (choice["logprobs"] or {}).get("token_logprobs")
        total = sum(logprobs) if logprobs and all(value is not None for value in logprobs) else None
        return Completion(
            text,
            int(usage["completion_tokens"]),
            choice.get("finish_reason") == "stop",
            total,
            int(usage["prompt_tokens"]),
        )

    def _weighed(self, reply: dict, weigh: Weigh) -> Completion:
        logprobs = reply["choices"][0]["logprobs"]
        start = len(self._raw(weigh.prompt))
        pairs = zip(logprobs["text_offset"], logprobs["token_logprobs"], strict=True)
        values = [value for offset, value in pairs if offset >= start and value is not None]
        return Completion(
            weigh.continuation,
            len(values),
            True,
            sum(values),
            len(logprobs["token_logprobs"]) - len(values),
        )


def _checked(reply: Any, body: dict) -> dict:
    """The parts of a reply that are used; raises where they are missing."""
    choice = reply["choices"][0]
    if not isinstance(choice["message"]["content"] if "messages" in body else choice["text"], str):
        raise ValueError("its text is no text")
    usage = {name: int(reply["usage"][name]) for name in ("prompt_tokens", "completion_tokens")}
    if min(usage.values()) < 0:
        raise ValueError("it counts less than no tokens")
    return {"choices": [{**choice, "logprobs": _numbers(choice, "echo" in body)}], "usage": usage}


def _numbers(choice: dict, needed: bool) -> dict | None:
    """Log-probabilities and offsets of tokens as plain numbers; None where a server gives none, or
    other things, and none are needed.
    """
    found = choice.get("logprobs")
    try:
        logprobs = [None if value is None else float(value) for value in found["token_logprobs"]]
        return {
            "token_logprobs": logprobs,
            "text_offset": [int(value) for value in found["text_offset"]] if needed else None,
        }
    except (TypeError, KeyError, ValueError):
        if needed:
            raise ValueError(
                "it echoes no log-probabilities: this server cannot weigh, choose --judge text"
            ) from None
        return None
