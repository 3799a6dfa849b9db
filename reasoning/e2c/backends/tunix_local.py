"""A local Tunix model as a backend (extra `llm`): fixed batch and prompt sizes, tags as stop
tokens.

Tunix's sampler takes whole prompts and begins with an empty cache, so what prompts have in common
is read for each of them; only equal greedy asks, whose replies would be word for word the same, are
sampled once. A server that keeps prefixes (vLLM, SGLang), asked through `endpoint`, or the tiny
model's sampler read a shared prompt once.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from reasoning.e2c.asking import Ask, Completion, Weigh
from reasoning.e2c.format import TAGS
from reasoning.e2c.llm import extra
from reasoning.e2c.llm.config import LocalModel
from reasoning.e2c.llm.load import Loaded, load_model
from reasoning.e2c.llm.prompts import prompt_text
from reasoning.e2c.losses import token_logprobs


class TunixBackend:
    """`Backend` for a loaded model. One sampler per cache size; batches are filled up with copies,
    so that shapes repeat.
    """

    def __init__(self, loaded: Loaded, local: LocalModel):
        self.loaded, self.local = loaded, local
        self._samplers: dict[int, Any] = {}

    @classmethod
    def load(cls, local: LocalModel) -> "TunixBackend":
        """From a folder."""
        return cls(load_model(local), local)

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """All completions; asks with the same sampling share batches, and equal greedy asks one
        completion.
        """
        found: list[list[Completion]] = [[] for _ in asks]
        groups: dict = {}
        for number, ask in enumerate(asks):
            rows = groups.setdefault(ask.sampling, {})
            for copy in range(ask.n):
                same = ask.prompt if ask.sampling.temperature == 0 else (number, copy)
                rows.setdefault(same, (ask, []))[1].append(number)
        for sampling, rows in groups.items():
            group = list(rows.values())
            for start in range(0, len(group), self.local.batch):
                part = group[start : start + self.local.batch]
                for (_, numbers), completion in zip(
                    part, self._batch(part, sampling, start), strict=True
                ):
                    for number in numbers:
                        found[number].append(completion)
        return found

    def _batch(self, part, sampling, start: int) -> list[Completion]:
        texts = [prompt_text(self.loaded.tokenizer, ask.prompt) for ask, _ in part]
        lengths = [
            len(self.loaded.tokenizer.encode(text, add_special_tokens=False)) for text in texts
        ]
        length = padded(max(lengths), self.local.max_prompt)
        stops = [self.loaded.tags[stop] for stop in sampling.stop if stop in TAGS]
        greedy = sampling.temperature == 0
        with self.loaded.mesh:
            out = self._sampler(length + sampling.max_tokens)(
                texts + texts[:1] * (self.local.batch - len(texts)),
                max_generation_steps=sampling.max_tokens,
                max_prompt_length=length,
                eos_tokens=[*ends(self.loaded.tokenizer), *stops],
                temperature=sampling.temperature,
                top_p=None if greedy else sampling.top_p,
                seed=(part[0][0].seed + start) % 2**31,
            )
        return [
            self._completion(np.asarray(out.tokens[row]), sampling, stops, lengths[row])
            for row in range(len(part))
        ]

    def _completion(self, tokens: np.ndarray, sampling, stops: list[int], read: int) -> Completion:
        """The sampler leaves out the stop token; the ledger counts it."""
        finished = len(tokens) < sampling.max_tokens
        text = self.loaded.tokenizer.decode(tokens.tolist())
        for stop in (s for s in sampling.stop if s not in TAGS and s in text):
            text = text[: text.index(stop)]
        return Completion(text, len(tokens) + finished, finished, None, read)

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Log-probabilities of continuations, batch by batch, padded to powers of two."""
        size = self.local.batch
        parts = [weighs[start : start + size] for start in range(0, len(weighs), size)]
        return [completion for part in parts for completion in self._weigh(part)]

    def _weigh(self, part: Sequence[Weigh]) -> list[Completion]:
        def encode(text):
            return self.loaded.tokenizer.encode(text, add_special_tokens=False)

        pairs = [
            (encode(prompt_text(self.loaded.tokenizer, w.prompt)), encode(w.continuation))
            for w in part
        ]
        longest = max(len(before) + len(after) for before, after in pairs)
        length = padded(longest, self.local.max_prompt)
        ids = np.zeros((self.local.batch, length), np.int32)
        valid = np.zeros(ids.shape, bool)
        valid[len(part) :, 0] = True  # a row that sees nothing would divide by zero
        for row, (before, after) in enumerate(pairs):
            ids[row, : len(before) + len(after)] = before + after
            valid[row, : len(before) + len(after)] = True
        with self.loaded.mesh:
            logp = np.asarray(_logprobs(self.loaded.model, jnp.asarray(ids), jnp.asarray(valid)))
        return [
            Completion(
                weigh.continuation,
                len(after),
                True,
                float(logp[row, len(before) - 1 : len(before) + len(after) - 1].sum()),
                len(before),
            )
            for row, (weigh, (before, after)) in enumerate(zip(part, pairs, strict=True))
        ]

    def _sampler(self, cache: int):
        if cache not in self._samplers:
            sampler, config = extra.load("tunix.generate.sampler"), self.loaded.config
            sizes = sampler.CacheConfig(
                cache, config.num_layers, config.num_kv_heads, config.head_dim
            )
            self._samplers[cache] = sampler.Sampler(self.loaded.model, self.loaded.tokenizer, sizes)
        return self._samplers[cache]


def ends(tokenizer: Any) -> list[int]:
    """Ids that end a response, the end token first: behind a sampled pad, which Tunix hides from
    the model, nothing sensible could follow.
    """
    return [tokenizer.eos_token_id, tokenizer.pad_token_id]


SHORTEST = 64
"""Tokens that prompts are padded to, at least."""


def padded(length: int, most: int) -> int:
    """The size of a prompt with pads: powers of two, so that few programs are compiled, but `most`
    where that is enough and less.
    """
    power = max(SHORTEST, 1 << (length - 1).bit_length())
    return most if length <= most < power else power


@nnx.jit
def _logprobs(model, ids, valid):
    return token_logprobs(forward(model, ids, valid)[:, :-1], ids[:, 1:])


def forward(model: Any, ids: jax.Array, valid: jax.Array) -> jax.Array:
    """Logits `[B, T, V]` of a Tunix model for right-padded `ids [B, T]`."""
    positions = jnp.maximum(jnp.cumsum(valid, -1) - 1, 0)
    causal = jnp.tril(jnp.ones((ids.shape[1],) * 2, bool))[None] & valid[:, None, :]
    return model(ids, positions, None, causal)[0]
