"""Training an ensemble in a run folder: progress, metrics of every member, checkpoints, exact
resumption.
"""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import Progress
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.metrics import MetricsLog
from jaxrl.train.parallel import check_shares, data_mesh
from sae.transcoders import ensemble, losses
from sae.transcoders.ensemble import EnsembleConfig, Trace
from sae.transcoders.model import Params
from sae.transcoders.train_step import Setting

CHECKPOINTS = 5
"""Checkpoints over a whole run; one more wherever it is stopped."""


class Examples(NamedTuple):
    """Rows that members are trained on, in the order that it will have when the run is resumed."""

    x: np.ndarray
    """`[N, D]`."""
    y: np.ndarray
    """`[N, E]`."""
    inputs: np.ndarray | None = None
    """Masks over the features of x, see `ensemble.grid`."""


class Devices(NamedTuple):
    """Devices of the members; see `RunConfig`."""

    count: int = 1
    form: str = "jit"


def train_ensemble(
    folder: Path,
    examples: Examples,
    config: EnsembleConfig,
    setting: Setting,
    devices: Devices = Devices(),  # noqa: B008 (a tuple)
    stop: Callable[[], bool] = lambda: False,
) -> Params | None:
    """Train from scratch or from the last checkpoint below `folder`; parameters of all members for
    raw x and y.

    Args:
      folder: of the run.
      examples, config, setting, devices: see the classes.
      stop: asked between calls of the program; if it says so, a checkpoint is written and the
        result is None.

    Raises:
      UserError: rows, shape or devices do not fit.
    """
    shape, loss, how = setting
    ensemble.check(config, shape)
    losses.check(loss, shape)
    mesh = mesh_for(devices.count, config.members)
    store, scale = ensemble.store_of(examples.x, examples.y, shape)
    keys = ensemble.member_keys(config)
    hparams = ensemble.grid(config, *setting, examples.inputs)
    learners = ensemble.start(config, shape, how, store.y.mean(0))
    checkpoints = Checkpoints(folder / "checkpoints", keep=1)
    restored = checkpoints.restore(learners)
    first, lines = 0, 0
    if restored is not None:
        learners, record = restored
        first, lines = record["updates"], record["lines"]
    learners = jax.tree.map(jnp.asarray, learners)
    programs: dict[int, Callable] = {}
    log, every = MetricsLog(folder, lines), max(1, config.updates // config.chunk // CHECKPOINTS)
    try:
        with Progress(f"{config.members} transcoders", config.updates, first) as bar:
            while first < config.updates:
                size = min(config.chunk, config.updates - first)
                if size not in programs:  # the schedule knows the whole run: only the call is short
                    part = replace(config, chunk=size)
                    programs[size] = ensemble.program(part, setting, mesh, devices.form)
                run = programs[size]
                learners, trace = run(learners, (hparams, keys), (store, jnp.int32(first)))
                first += size
                shown = _write(log, folder, first, jax.device_get(trace))
                bar.advance(size, **shown)
                stopped = stop()
                if stopped or first == config.updates or (first // config.chunk) % every == 0:
                    checkpoints.save(first, learners, {"updates": first, "lines": log.lines})
                if stopped and first < config.updates:
                    return None
        return jax.device_get(ensemble.finish(learners, hparams, shape, scale))
    finally:
        log.close()
        checkpoints.close()


def mesh_for(devices: int, members: int):
    """Devices that share the members.

    Raises:
      UserError: there are not so many, or their number does not divide the members.
    """
    try:
        mesh = data_mesh(devices)
        check_shares({"members": members}, mesh)
    except ValueError as error:
        raise UserError(str(error)) from None
    return mesh


def _write(log: MetricsLog, folder: Path, updates: int, trace: Trace) -> dict[str, float]:
    """Means over members into metrics.jsonl, every member's last numbers into members.json."""
    last = {name: np.asarray(values)[-1] for name, values in trace._asdict().items()}
    shown = {name: float(values.mean()) for name, values in last.items()}
    log.write(updates, shown | {"fvu_worst": float(last["fvu"].max())})
    table = {"updates": updates} | {
        name: np.round(values.astype(float), 6).tolist() for name, values in last.items()
    }
    write_atomic(folder / "members.json", json.dumps(table) + "\n")
    return {"fvu": shown["fvu"], "l0": shown["l0"]}
