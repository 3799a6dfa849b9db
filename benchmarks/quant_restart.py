"""Restart of dead codes compared with none, over rows and codes per step: `python -m
benchmarks.quant_restart` writes `results/quant_restart.json`.

A codebook of moving averages follows a mixture of 48 Gaussians of unequal shares; the error is
measured on rows that were held out. Codes begin at random (most are dead), or at centers of
k-means (all are in use, and a restart can only take a living one away).
"""

import dataclasses
import functools
import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import command
from benchmarks.recording import Claim, record
from quant.codebooks.updates import Restart
from quant.quantizers import vq

RULES = {"none": None, "Restart()": Restart(), "Restart(threshold=1.0)": Restart(threshold=1.0)}
INITS = ("normal", "kmeans")
FEATURES = 8
MODES = 48


@dataclass(frozen=True)
class Settings:
    """Sizes and lengths."""

    rows: tuple[int, ...] = (8, 64, 512)
    """Rows of a step."""
    codes: tuple[int, ...] = (32, 128, 512)
    """Codes."""
    steps: int = 2000
    """Steps of training."""
    seeds: int = 3
    """Trainings of each cell, with data and codes of their own."""


def draw(key: jax.Array, places: jax.Array, count: int) -> jax.Array:
    """Rows `[count, FEATURES]` around the modes, whose shares fall as one over their rank."""
    key_mode, key_noise = jax.random.split(key)
    mode = jax.random.categorical(key_mode, -jnp.log(jnp.arange(1, MODES + 1.0)), shape=(count,))
    return places[mode] + 0.3 * jax.random.normal(key_noise, (count, FEATURES))


@functools.partial(jax.jit, static_argnames=("config", "rows", "steps"))
def error(seeds: jax.Array, config: vq.VQConfig, rows: int, steps: int) -> jax.Array:
    """Mean squared error of held-out rows after training, by initial codes and seed."""

    def one(seed):
        key_places, key_sample, key_codes, key_steps, key_test = jax.random.split(
            jax.random.key(seed), 5
        )
        places = 2 * jax.random.normal(key_places, (MODES, FEATURES))

        def step(state, key):
            key_rows, key_quantize = jax.random.split(key)
            x = draw(key_rows, places, rows)
            return vq.quantize({}, state, x, config, key=key_quantize)[1], None

        def train(init):
            begun = dataclasses.replace(config, init=init)
            return vq.init(key_codes, begun, draw(key_sample, places, 2048))[1]

        states = jax.tree.map(lambda *a: jnp.stack(a), *(train(init) for init in INITS))
        keys = jax.random.split(key_steps, steps)
        states = jax.vmap(lambda state: jax.lax.scan(step, state, keys)[0])(states)
        x = draw(key_test, places, 4096)

        def left(state):
            out, _ = vq.quantize({}, state, x, config, train=False)
            return ((out.quantized - x) ** 2).mean()

        return jax.vmap(left)(states)

    return jax.lax.map(one, seeds).T


def measure(settings: Settings) -> Path:
    """Train all cells and record."""
    figures, worst = [], dict.fromkeys(list(RULES)[1:], 0.0)
    for rows in settings.rows:
        for codes in settings.codes:
            config = vq.VQConfig(codes, FEATURES)
            found = {
                rule: np.asarray(
                    error(
                        jnp.arange(settings.seeds),
                        dataclasses.replace(config, restart=restart),
                        rows,
                        settings.steps,
                    )
                )
                for rule, restart in RULES.items()
            }
            for number, init in enumerate(INITS):
                errors = {rule: values[number].tolist() for rule, values in found.items()}
                figures.append({"rows": rows, "codes": codes, "init": init, "error": errors})
                for rule in worst:
                    ratio = np.mean(errors[rule]) / np.mean(errors["none"])
                    worst[rule] = max(worst[rule], float(ratio))
                means = ", ".join(f"{rule} {np.mean(e):.4f}" for rule, e in errors.items())
                print(f"{rows} rows, {codes} codes, {init}: {means}", flush=True)
    claims = [
        Claim(
            f"{rule}: error over that without restart, {len(figures)} cells of rows, codes and "
            "initial codes (largest ratio)",
            1.0,
            "<=",
            ratio,
            settings.seeds,
        )
        for rule, ratio in worst.items()
    ]
    return record("quant_restart", {"cells": figures}, claims)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("quant_restart", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
