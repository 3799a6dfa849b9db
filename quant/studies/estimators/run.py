"""The study from data to files: the numbers of a task's grid and of each of its estimators are kept
as soon as they are there, and found again by the next start.
"""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.cells import Cells, run_cells
from jaxrl.app.progress import log
from quant.data.data_by_name import load
from quant.data.loaders import Data
from quant.estimators import decoupled_st_gs
from quant.studies.cells import open_study
from quant.studies.estimators.config import StudyConfig, check
from quant.studies.estimators.gradient_quality import ROWS, Trained, json_numbers, measure
from quant.studies.estimators.report import report
from quant.studies.estimators.tasks import Task, make_task, vae_module
from quant.studies.estimators.training import Runs, train_runs


def run(config: StudyConfig, run_dir: str | Path) -> Path:
    """Train what is not trained yet, measure, and write the report; returns the path of its text.

    Raises:
      UserError: the configuration, the data or the folder do not work.
    """
    check(config)
    folder, results = open_study(config, run_dir)
    data = functools.cache(lambda: load(config.data, config.data_dir))

    parts = Cells(
        results / "parts",
        [part_of(task, row) for task in config.tasks for row in (GRID, *config.rows)],
    )

    def compute(name):
        return run_task(config, make_task(name, config, data()), data(), parts), None

    return report(folder, run_cells(Cells(results, config.tasks), compute, _amount(config)))


def _amount(config):
    cells = 2 * len(config.taus) ** 2
    return f"{cells} cells of the grid and {len(config.rows)} estimators, {config.seeds} seeds each"


GRID = "grid"
"""Part of a task that trains every pair of temperatures; the others are the estimators' names."""


def part_of(task: str, part: str) -> str:
    """Name of the cell of a task's part."""
    return f"{task}-{part}"


def run_task(config: StudyConfig, task: Task, data: Data, parts: Cells) -> dict:
    """The numbers of one task, ready for JSON; its parts are trained where `parts` lacks them.

    {"measure", "taus", "seeds", "grid": {"plain" and "normalized": {"test_loss" and parts:
    [S, F, B]}}, "rows": {name: {"taus", "test_loss" and parts: [S, T]}}, and for the VAE
    "fidelity"}

    Args:
      config: the study's.
      task: what is trained.
      data: its data.
      parts: cells of the tasks' parts.
    """
    seeds = range(config.seed, config.seed + config.seeds)
    names = [part_of(task.name, part) for part in (GRID, *config.rows)]

    def compute(name):
        part = name.removeprefix(part_of(task.name, ""))
        if part == GRID:
            return _grid_numbers(config, task, seeds)
        return _row_numbers(config, task, seeds, part), None

    for name in names:
        if not parts.finished(name):
            parts.keep(name, *compute(name))
    result = {
        "measure": task.measure,
        "taus": list(config.taus),
        "seeds": list(seeds),
        "grid": parts.read(names[0]),
        "rows": {row: parts.read(part_of(task.name, row)) for row in config.rows},
    }
    if task.name == "vae" and config.fidelity.examples:
        result["fidelity"] = _fidelity(config, data, task, parts.read_arrays(names[0]))
    return result


def _grid_numbers(config: StudyConfig, task: Task, seeds: range) -> tuple[dict, dict]:
    """Losses of the grid, and the parameters that fidelity is measured with: those of the first
    seed at both temperatures nearest to 1, gradients plain.
    """
    grid = train_grid(config, task, seeds)
    shape = (config.seeds, 2, len(config.taus), len(config.taus))
    nearest = int(np.abs(np.log(config.taus)).argmin())
    cell = nearest * len(config.taus) + nearest
    leaves = jax.tree.leaves(jax.tree.map(lambda a: a[0, cell], grid.params))
    kinds = {
        kind: _numbers(grid, lambda a, i=i: a.reshape(shape)[:, i])
        for i, kind in enumerate(("plain", "normalized"))
    }
    return kinds, {f"leaf_{number}": np.asarray(leaf) for number, leaf in enumerate(leaves)}


def _row_numbers(config: StudyConfig, task: Task, seeds: range, name: str) -> dict:
    taus = config.row_taus[:1] if name == "identity" else config.row_taus
    trained = train_runs(
        task, ROWS[name], jnp.array(taus), seeds, config.test_draws, f"{task.name}, {name}"
    )
    return {"taus": list(taus)} | _numbers(trained, lambda a: a)


def train_grid(config: StudyConfig, task: Task, seeds: range) -> Runs:
    """Decoupled straight-through Gumbel-softmax at every pair of temperatures, plain then
    normalized, in one program.

    Settings are numbered with tau_b running fastest, then tau_f, then the two scales.
    """
    taus = np.array(config.taus, np.float32)
    normalized, tau_f, tau_b = (
        a.reshape(-1) for a in np.meshgrid([False, True], taus, taus, indexing="ij")
    )
    settings = {
        "tau_f": jnp.asarray(tau_f),
        "tau_b": jnp.asarray(tau_b),
        "normalize_backward": jnp.asarray(normalized),
    }

    def make(setting):
        return functools.partial(decoupled_st_gs, **setting)

    return train_runs(task, make, settings, seeds, config.test_draws, f"{task.name}, grid")


def _numbers(runs: Runs, pick) -> dict:
    named = {"test_loss": runs.test_loss, "train_loss": runs.train_loss} | runs.parts
    return {
        name: json_numbers(np.asarray(pick(values), np.float64)) for name, values in named.items()
    }


def _fidelity(config: StudyConfig, data: Data, task: Task, arrays: dict[str, np.ndarray]) -> dict:
    """Measured in the network whose parameters the grid kept."""
    structure = jax.tree.structure(jax.eval_shape(task.init, jax.random.key(0)))
    leaves = [jnp.asarray(arrays[f"leaf_{number}"]) for number in range(len(arrays))]
    log("vae: fidelity of the gradients")
    return measure(
        config.fidelity,
        Trained(vae_module(config.vae, data), jax.tree.unflatten(structure, leaves)),
        task.test[0][: config.fidelity.examples],
        config.taus,
        config.row_taus,
        config.rows,
    )
