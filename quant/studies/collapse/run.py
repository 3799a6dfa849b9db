"""The study from data to files: every cell's numbers are kept as soon as they are there, and found
again by the next start.
"""

import functools
from pathlib import Path
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.cells import run_cells
from jaxrl.app.progress import log
from quant.data.data_by_name import load
from quant.data.loaders import Data, gaussian_mixture
from quant.models.autoencoder import autoencoder_for
from quant.quantizers.deferred import Schedule, Trained, reconstruct, train
from quant.quantizers.vq import VQConfig
from quant.studies.cells import cells_of, open_study
from quant.studies.collapse.config import Cell, CollapseConfig, check, settings_of
from quant.studies.collapse.measure import measure
from quant.studies.collapse.report import report

SHOWN = 1000
"""Held-out examples, evenly spaced, whose embeddings and reconstructions are kept for the figures,
of the first seed.
"""


def run(config: CollapseConfig, run_dir: str | Path) -> Path:
    """Train and measure what is not there yet, and write the report; returns the path of its text.

    Raises:
      UserError: the configuration, the data or the folder do not work.
    """
    check(config)
    folder, results = open_study(config, run_dir)
    kept, by_name = cells_of(results, config.cells())
    data: dict[int, Data] = {}

    def compute(name):
        cell = by_name[name]
        if cell.dim not in data:
            data[cell.dim] = (
                gaussian_mixture(cell.dim)
                if config.data == "mixture"
                else load(config.data, config.data_dir)
            )
        found, shown = run_cell(config, cell, data[cell.dim])
        log(f"  {summary(found)}")
        return found, shown

    numbers = run_cells(kept, compute, f"{config.seeds} seeds")
    return report(folder, config, kept, {by_name[name]: of for name, of in numbers.items()})


def run_cell(config: CollapseConfig, cell: Cell, data: Data) -> tuple[dict, dict[str, np.ndarray]]:
    """All seeds of a cell in one program.

    Returns:
      {"seeds", "every", "features" of a token, true "modes" or null, "curves": {name:
      [seeds, points]}, and every measure: [seeds]}; and arrays of the first seed for the figures.
    """
    shape = data.train.x.shape[1:]
    latent = min(config.latent, max(shape[0] // 2, 2)) if len(shape) == 1 else config.latent
    module = autoencoder_for(shape, latent, cell.width, dense_tokens=config.dense_tokens)
    quantizer, schedule = settings_of(config, cell, module.latent)
    seeds = range(config.seed, config.seed + config.seeds)
    keys = jnp.stack([jax.random.key(seed) for seed in seeds])
    modes = None if data.centers is None else jnp.asarray(data.centers)
    arrays = _Arrays(jnp.asarray(data.train.x), jnp.asarray(data.test.x), modes)
    curves, measures, shown = _train_and_measure(keys, arrays, module, quantizer, schedule)

    def plain(tree):
        return {name: np.asarray(a, np.float64).tolist() for name, a in tree.items()}

    sizes = {"features": module.latent, "modes": None if modes is None else len(modes)}
    found = (
        {"seeds": list(seeds), "every": schedule.every, "curves": plain(curves)}
        | sizes
        | plain(measures)
    )
    return found, {name: np.asarray(a) for name, a in shown.items()}


class _Arrays(NamedTuple):
    """Data on the device."""

    train: jax.Array
    test: jax.Array
    modes: jax.Array | None


@functools.partial(jax.jit, static_argnames=("module", "quantizer", "schedule"))
def _train_and_measure(
    keys, data: _Arrays, module: nn.Module, quantizer: VQConfig, schedule: Schedule
):
    def one(key):
        trained = train(key, data.train, module, quantizer, schedule)
        return trained, measure(trained, data.test, module, quantizer, data.modes)

    trained, measures = jax.vmap(one)(keys)
    first: Trained = jax.tree.map(lambda a: a[0], trained)
    few = data.test[:: -(-data.test.shape[0] // SHOWN)]
    z, back, _ = reconstruct(first, few, module, quantizer)
    rows = z.reshape(-1, z.shape[-1])[:SHOWN]
    codes = (
        first.quantizer[1].book.codes[0]
        if quantizer.update == "ema"
        else first.quantizer[0]["codes"][0]
    )
    return (
        trained.curves,
        measures,
        {"x": few, "z": rows, "back": back, "codes": codes, "at_start": first.at_start[:SHOWN]},
    )


def summary(found: dict) -> str:
    """One line of means over seeds."""

    def mean(name):
        return float(np.mean(found[name]))

    line = (
        f"mse {mean('mse'):.4g}  perplexity {mean('perplexity'):.1f}  used {mean('usage'):.2f} "
        f" rank {mean('effective_rank'):.2f}"
    )
    return line + (f"  mode entropy {mean('mode_entropy'):.2f}" if "mode_entropy" in found else "")
