"""The study from data to files: every cell's numbers are kept as soon as they are there, and found
again by the next start.
"""

import functools
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.cells import run_cells
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import log
from quant.data.data_by_name import load
from quant.data.loaders import Data, as_shares, from_arrays
from quant.models.autoencoder import autoencoder_for
from quant.studies.cells import cells_of, open_study
from quant.studies.gmvq.bias import biases
from quant.studies.gmvq.config import METHODS, Cell, GMVQStudyConfig, check
from quant.studies.gmvq.measure import measure, reconstruct
from quant.studies.gmvq.report import report
from quant.studies.gmvq.training import train

SHOWN = 8
"""Held-out examples that are drawn next to what comes back, of the first seed."""


def run(config: GMVQStudyConfig, run_dir: str | Path) -> Path:
    """Train and measure what is not there yet, and write the report; returns the path of its text.

    Raises:
      UserError: the configuration, the data or the folder do not work.
    """
    check(config)
    folder, results = open_study(config, run_dir)
    kept, by_name = cells_of(results, config.cells())
    data = functools.cache(lambda: load_data(config))

    def compute(name):
        found, shown = run_cell(config, by_name[name], data())
        log(f"  {summary(found)}")
        return found, shown

    numbers = run_cells(kept, compute, f"{config.seeds} seeds")
    if config.draws and not (results / "bias.json").exists():
        found = jax.jit(biases, static_argnums=1)(jax.random.key(config.seed), config.draws)
        write_atomic(
            results / "bias.json",
            json.dumps({n: np.asarray(a, np.float64).tolist() for n, a in found._asdict().items()}),
        )
    return report(folder, config, kept, {by_name[name]: of for name, of in numbers.items()})


def load_data(config: GMVQStudyConfig) -> Data:
    """Load the data that the configuration names; bytes stay bytes, for large sets."""
    if config.data == "generated":
        shape = (4096, config.size, config.size, 3)
        return from_arrays(
            np.random.default_rng(0).integers(0, 256, shape, np.uint8),
            name="generated",
            keep_bytes=True,
        )
    return load(config.data, config.data_dir, config.size, config.crop, keep_bytes=True)


def run_cell(config: GMVQStudyConfig, cell: Cell, data: Data) -> tuple[dict, dict[str, np.ndarray]]:
    """All seeds of a cell in one program.

    Returns:
      {"seeds", "every", "examples_per_second", "curves": {name: [seeds, points]}, and every
      measure: [seeds]}; and the first examples with what comes back, "x" and "back".
    """
    module = autoencoder_for(
        data.train.x.shape[1:], config.latent, config.width, config.levels, config.dense_tokens
    )
    quantizer = METHODS[cell.method].make(cell, config.codes, module.latent, module.tokens)
    seeds = range(config.seed, config.seed + config.seeds)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    learners, history = train(
        keys, data.train.x, module, quantizer, cell.batch, config.learn, cell.name
    )
    judge = jax.jit(lambda learner, x: measure(learner, x, module, quantizer))

    def one(number):
        return jax.tree.map(lambda a: a[number], learners)

    test = jnp.asarray(data.test.x)
    judged = [jax.device_get(judge(one(number), test)) for number in range(config.seeds)]
    measures = {name: [float(found[name]) for found in judged] for name in judged[0]}
    few = jnp.asarray(as_shares(data.test.x[:SHOWN]))
    back = jax.jit(functools.partial(reconstruct, module=module, quantizer=quantizer))(one(0), few)
    speed = history.examples_per_second
    found = {
        "seeds": list(seeds),
        "every": config.learn.every,
        "examples_per_second": None if np.isnan(speed) else speed,
    }
    curves = {name: np.asarray(a, np.float64).tolist() for name, a in history.curves.items()}
    return found | {"curves": curves} | measures, {"x": np.asarray(few), "back": np.asarray(back)}


def summary(found: dict) -> str:
    """One line of means over seeds."""

    def mean(name):
        return float(np.mean(found[name]))

    speed = found["examples_per_second"]
    line = (
        f"mse {mean('mse'):.4g}  perplexity {mean('perplexity'):.1f}  used {mean('usage'):.2f} "
        f" I(x; c) {mean('information'):.2f}"
    )
    return line + (f"  {speed:.0f} examples/s" if speed else "")
