"""The tiny model as a backend of policies: words in, words out, fixed shapes, each question read
once.
"""

import re
import zlib
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from reasoning.e2c.asking import Ask, Completion, Sampling, Weigh
from reasoning.e2c.chain.model import ModelConfig, logits_of
from reasoning.e2c.chain.sample import Decoding, generate_shared, left_pad
from reasoning.e2c.chain.task import EOS, IDS, PAD, ChainConfig, decode, encode
from reasoning.e2c.format import TAGS
from reasoning.e2c.losses import token_logprobs

LARGEST_BATCH = 256
TAG = re.compile("|".join(map(re.escape, TAGS)))


class ChainBackend:
    """`Backend` for a tiny model's parameters. Asks of one kind form batches of few sizes, so that
    little is ever compiled.
    """

    def __init__(self, params, model: ModelConfig, task: ChainConfig, seed: int = 0):
        self.params, self.model, self.task, self.seed = params, model, task, seed

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """All completions; asks with the same sampling and a branch of the same bucket share
        batches.
        """
        rows = [(ask, number) for number, ask in enumerate(asks) for _ in range(ask.n)]
        found: list[list[Completion]] = [[] for _ in asks]
        groups: dict = {}
        for ask, number in rows:
            branch = branch_ids(ask)
            groups.setdefault((ask.sampling, self._bucket(len(branch))), []).append(
                (ask, number, branch)
            )
        for (sampling, width), group in groups.items():
            group.sort(key=lambda each: each[0].prompt.user)
            for part in _pieces(group, LARGEST_BATCH):
                for (_, number, _), completion in zip(
                    part, self._batch(part, sampling, width), strict=True
                ):
                    found[number].append(completion)
        return found

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Log-probabilities of continuations, teacher-forced."""
        found, length = [], self.task.length + 2
        for part in _pieces(list(weighs), LARGEST_BATCH):
            before = [[IDS["<bos>"], *words(w.prompt.user), *words(w.prompt.prefill)] for w in part]
            after = [words(w.continuation) for w in part]
            ids = left_pad([a + b for a, b in zip(before, after, strict=True)], length)
            ids = np.concatenate([ids, np.zeros((_size(len(part)) - len(part), length), np.int32)])
            logp = np.asarray(_weigh(self.params, jnp.asarray(ids), self.model))
            for number, (asked, text) in enumerate(zip(before, after, strict=True)):
                value = float(logp[number, length - 1 - len(text) :].sum()) if text else 0.0
                found.append(Completion(decode(text), len(text), True, value, len(asked)))
        return found

    def _bucket(self, length: int) -> int:
        """Branches are one tag, or up to a whole plan with its tags, or longer: then the next power
        of two.
        """
        plan = self.task.longest_plan + 5
        return 1 if length == 1 else plan if length <= plan else 1 << (length - 1).bit_length()

    def _batch(self, part, sampling: Sampling, width: int) -> list[Completion]:
        questions = list(dict.fromkeys(ask.prompt.user for ask, _, _ in part))
        place = {question: number for number, question in enumerate(questions)}
        size = _size(len(part))
        prompts = left_pad(
            [[IDS["<bos>"], *words(q)] for q in questions], self.task.question_length - 1
        )
        prompts = np.concatenate(
            [prompts, np.repeat(prompts[:1], _size(len(questions)) - len(questions), 0)]
        )
        owner = np.array(
            [place[ask.prompt.user] for ask, _, _ in part] + [0] * (size - len(part)), np.int32
        )
        branches = left_pad([branch for _, _, branch in part] + [[EOS]] * (size - len(part)), width)
        key = jax.random.fold_in(jax.random.key(self.seed), stable_number(part))
        how = Decoding(
            sampling.max_tokens, (EOS, *(IDS[stop] for stop in sampling.stop)), sampling.top_p
        )
        temperature = jnp.float32(sampling.temperature)
        written = generate_shared(
            self.params, prompts, owner, branches, key, temperature, how, self.model
        )
        written = jax.tree.map(np.asarray, written)
        read = len(prompts[0]) + width
        return [_completion(written, row, how, read) for row in range(len(part))]


def _completion(written, row: int, how: Decoding, read: int) -> Completion:
    """Text begins with a blank, so that it can be put behind what it continues."""
    length, ended = int(written.length[row]), bool(written.ended[row])
    text = decode(written.ids[row, : length - ended])
    return Completion(
        f" {text}" if text else "", length, ended, float(written.logp[row].sum()), read
    )


@jax.jit
def _shifted(logits, ids):
    return token_logprobs(logits[:, :-1], ids[:, 1:])


def _weigh(params, ids, model):
    return _shifted(logits_of(params, ids, ids != PAD, model), ids)


def words(text: str) -> list[int]:
    """Ids of a text in which tags may stand without blanks around them."""
    return encode(TAG.sub(lambda match: f" {match[0]} ", text))


def branch_ids(ask: Ask) -> list[int]:
    """Tokens to prefill; where there are none, the question's last word must do, so a chain without
    a plan gets no tag but its execution's.
    """
    return words(ask.prompt.prefill) or words("<EXECUTION>")


def stable_number(part) -> int:
    """Number of a batch, so that equal asks get equal samples, whatever was asked before."""
    return zlib.crc32(repr([(ask.phase, ask.prompt, ask.seed) for ask, _, _ in part]).encode())


def _size(count: int) -> int:
    """Batches have 16, 64 or 256 rows."""
    return next(size for size in (16, 64, LARGEST_BATCH) if count <= size)


def _pieces(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
