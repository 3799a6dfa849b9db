"""Speed of reasoning.e2c on this machine: `python -m benchmarks.e2c` writes `results/e2c.json`.

Masks and loss against a loop over rows; executions that share their question's prefill against
reading it for each; the early end of the sampler; programs compiled by policies; tokens per second.
The claims of a finished study are recorded by `benchmarks.e2c_study`.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.train.metrics import CompileCounter
from reasoning.e2c.asking import solve
from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.chain.model import ModelConfig, init_params
from reasoning.e2c.chain.rows import question_ids
from reasoning.e2c.chain.sample import Decoding, generate, generate_shared, left_pad
from reasoning.e2c.chain.task import WORDS, ChainConfig, draw_many
from reasoning.e2c.losses import clipped_policy_loss
from reasoning.e2c.masks import Markers, phase_weights
from reasoning.e2c.policies.by_name import POLICIES
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.policies import settings

TAGS = Markers(4, 5)


@dataclass(frozen=True)
class Settings:
    """Sizes."""

    rows: int = 256
    """Rows of the mask and loss."""
    tokens: int = 1024
    """Tokens of a row."""
    prompt: int = 512
    """Tokens of the question whose prefill is shared."""
    branches: int = 16
    """Executions of a question."""
    repeats: int = 5
    """Measurements; the least time counts."""


def least_time(function, repeats: int) -> float:
    """Seconds of the quickest call, after one that compiles."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - began)
    return min(times)


def weighted_loss(ids, mask, logp, old, advantages):
    """Compute masks, weights and loss of a batch at once.

    Args:
      ids: int32 `[B, T]`.
      mask: bool `[B, T]`, response tokens.
      logp: float32 `[B, T]`, log-probabilities of the tokens.
      old: the same at the time of sampling.
      advantages: float32 `[B]`.
    """
    weights = phase_weights(ids, mask, TAGS, 2.0)
    return clipped_policy_loss(logp, old, advantages[:, None] * weights, mask)


def loop_loss(ids, mask, logp, old, advantages):
    """The same, with a boundary looked for row by row on the host, as the authors' code does."""
    weights = np.ones(ids.shape, np.float32)
    for row in range(ids.shape[0]):
        for tag in TAGS:
            places = jnp.nonzero((ids[row] == tag) & mask[row])[0]
            if places.size:
                weights[row, : places[0].item()] = 2.0
                break
    return clipped_policy_loss(logp, old, advantages[:, None] * jnp.asarray(weights), mask)


def masks_and_loss(chosen: Settings) -> dict[str, float]:
    """Seconds of both, and how far their losses are apart."""
    rng = np.random.default_rng(0)
    shape = (chosen.rows, chosen.tokens)
    ids = rng.integers(10, 100, shape)
    ids[np.arange(chosen.rows), rng.integers(1, chosen.tokens, chosen.rows)] = TAGS.close_plan
    arrays = [
        jnp.asarray(ids),
        jnp.ones(shape, bool),
        *(jnp.asarray(rng.normal(-1, 0.1, shape), jnp.float32) for _ in range(2)),
    ]
    arrays.append(jnp.asarray(rng.normal(size=chosen.rows), jnp.float32))
    together = jax.jit(weighted_loss)
    apart = abs(float(together(*arrays)) - float(loop_loss(*arrays)))
    fast, slow = (
        least_time(lambda: together(*arrays), chosen.repeats),
        least_time(lambda: loop_loss(*arrays), 2),
    )
    return {
        "vectorised_seconds": fast,
        "loop_seconds": slow,
        "ratio": slow / fast,
        "difference": apart,
    }


def prefix_reuse(chosen: Settings, model: ModelConfig, params) -> dict[str, float]:
    """One prompt and many branches: seconds with one prefill, and with one per branch."""
    rng = np.random.default_rng(1)
    prompt = rng.integers(11, len(WORDS), (1, chosen.prompt)).astype(np.int32)
    branches = rng.integers(11, len(WORDS), (chosen.branches, 8)).astype(np.int32)
    whole = np.concatenate([np.repeat(prompt, chosen.branches, 0), branches], 1)
    owner, how, key = (
        np.zeros(chosen.branches, np.int32),
        Decoding(16, (2,), early_end=False),
        jax.random.key(0),
    )

    def shared():
        return generate_shared(params, prompt, owner, branches, key, 0.0, how, model)

    def alone():
        return generate(params, whole, key, 0.0, how, model)

    same = bool((np.asarray(shared().ids) == np.asarray(alone().ids)).all())
    fast, slow = least_time(shared, chosen.repeats), least_time(alone, chosen.repeats)
    return {
        "shared_seconds": fast,
        "alone_seconds": slow,
        "ratio": slow / fast,
        "same_tokens": same,
    }


def sampler(chosen: Settings, model: ModelConfig, params, task: ChainConfig) -> dict[str, float]:
    """Measure tokens per second, and the time that an early end saves where all rows end early.

    Args:
      chosen: gives the number of repeats.
      model: sizes of the model.
      params: its parameters.
      task: lengths of questions.
    """
    prompts = left_pad(
        [question_ids(p.question) for p in draw_many(256, task, 0)], task.question_length
    )
    key = jax.random.key(0)
    every = tuple(range(len(WORDS)))  # each token ends its row: the earliest possible end

    def full():
        return generate(params, prompts, key, 1.0, Decoding(64, (), early_end=False), model)

    def early():
        return generate(params, prompts, key, 1.0, Decoding(64, every), model)

    seconds, ended = least_time(full, chosen.repeats), least_time(early, chosen.repeats)
    return {
        "tokens_per_second": 256 * 64 / seconds,
        "seconds_full": seconds,
        "seconds_ended": ended,
        "early_end_ratio": seconds / ended,
    }


def compiled_programs(model: ModelConfig, params, study: StudyConfig) -> dict[str, int]:
    """Programs compiled by a first round of policies, and by a second one on other problems."""
    counter, counts = CompileCounter(), []
    for seed in range(2):
        questions = [problem.question for problem in draw_many(20, study.task, seed)]
        before = counter.count
        for name in ("sc", "e2c_sc", "select_judge", "select_clusters", "random_plan"):
            solve(
                POLICIES[name],
                questions,
                ChainBackend(params, model, study.task),
                settings(study, 4),
                seed,
            )
        counts.append(counter.count - before)
    return {"first_round": counts[0], "second_round": counts[1]}


def measure(chosen: Settings) -> Path:
    """Measure and record."""
    study = StudyConfig()
    model = study.model
    params = init_params(jax.random.key(0), model)
    figures = {
        "masks_and_loss": masks_and_loss(chosen),
        "prefix_reuse": prefix_reuse(chosen, model, params),
        "sampler": sampler(chosen, model, params, study.task),
        "compiled": compiled_programs(model, params, study),
    }
    shape, branches = (
        f"{chosen.rows} x {chosen.tokens}",
        f"{chosen.branches} executions of a question of {chosen.prompt} tokens",
    )
    claims = [
        Claim(
            f"E2C: masks and loss of {shape} tokens, time of a loop over rows over ours",
            10.0,
            ">=",
            figures["masks_and_loss"]["ratio"],
        ),
        Claim(
            f"E2C: {branches}, time of a prefill each over one shared",
            2.0,
            ">=",
            figures["prefix_reuse"]["ratio"],
        ),
        Claim(
            "E2C: programs compiled by five policies on new problems",
            0.0,
            "<=",
            float(figures["compiled"]["second_round"]),
        ),
        Claim(
            "E2C: sampler, tokens/s of 256 rows, tiny model",
            10_000.0,
            ">=",
            figures["sampler"]["tokens_per_second"],
        ),
    ]
    return record("e2c", figures, claims)


def main(arguments: list[str] | None = None) -> int:
    """Measure and record; returns the exit code."""
    return command.run("e2c", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
