"""The sweep: every finished chunk of networks is kept, and found by the next start."""

import functools
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.files import read_npz, write_npz
from jaxrl.app.progress import Progress, duration, log
from jaxrl.train.metrics import CompileCounter
from reasoning.compositionality import network
from reasoning.compositionality.measure import finish
from reasoning.compositionality.structure import Probe, make_probe, structure
from reasoning.compositionality.study.config import DENSE, Cell, SweepConfig
from reasoning.compositionality.study.pruners import PRUNERS, Setting, Start, setting_of
from reasoning.compositionality.study.results import plan, results_of, safe
from reasoning.compositionality.study.train import Cells, begin
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import corner

PROBE_KEY = 7


def sweep(config: SweepConfig, results: Path) -> None:
    """All chunks of all targets that are missing."""
    counter, began = CompileCounter(), time.monotonic()
    all_chunks, kept = plan(config), results_of(config, results)
    waiting = kept.missing()
    total = sum(len(chunk) for _, chunk in all_chunks.values())
    count = sum(len(all_chunks[name][1]) for name in waiting)
    with Progress("networks", total, total - count) as bar:
        for name in waiting:
            target, chunk = all_chunks[name]
            found, shown = run_chunk(config, target, chunk, results)
            rows = [cell._asdict() | m._asdict() for cell, m in zip(chunk, found, strict=True)]
            kept.keep(name, rows, shown)
            bar.advance(len(chunk), fits=float(np.mean([m.fits for m in found])))
    if waiting:
        spent = duration(time.monotonic() - began)
        log(
            f"{count} networks in {spent}, of which {counter.seconds:.0f} s compiling "
            f"{counter.count} programs"
        )


@functools.lru_cache(maxsize=4)
def _setting(config: SweepConfig, name: str) -> tuple[Setting, Probe]:
    target = target_by_name(name)
    kept = corner(target) if config.withhold else None
    return setting_of(config, target, kept), make_probe(
        target, jax.random.key(PROBE_KEY), config.probe, kept
    )


def run_chunk(config: SweepConfig, name: str, chunk: list[Cell], results: Path | None = None):
    """Train and measure some cells of one target and pruner; missing ones fill up the chunk, so
    that one program serves all.

    Args:
      config: settings of the sweep.
      name: name of the target.
      chunk: 1 to `config.chunk` cells of one pruner.
      results: folder of the sweep, where finished dense networks are found; None: they are trained
        anew.

    Returns:
      a `Measures` per cell, and `{"win", ...}` of dense cells and those with the first seed,
      weights already masked.
    """
    here, probe = _setting(config, name)
    full = chunk + [chunk[-1]] * (config.chunk - len(chunk))
    start = _start(config, here, full, _dense(config, name, results))
    cells = PRUNERS[chunk[0].pruner](here, start)
    found = jax.device_get(measured(cells, probe))
    measures = [
        finish(jax.tree.map(lambda a, i=i: a[i], found), cell.depth, here.corner is not None)
        for i, cell in enumerate(chunk)
    ]
    first = [i for i, cell in enumerate(chunk) if cell.seed == config.seed or cell.pruner == DENSE]
    weights = jax.vmap(network.masked)(cells.params, cells.masks)
    shown = {n: np.asarray(a)[first] for n, a in weights.items()} | {
        f"mask_{n}": np.asarray(a)[first] for n, a in cells.masks.items()
    }
    return measures, shown | {"cell": np.array(first)}


@jax.jit
def measured(cells: Cells, probe: Probe):
    """`Structure` of all cells."""
    return jax.vmap(structure, in_axes=(0, 0, 0, None))(
        cells.params, cells.masks, cells.depth, probe
    )


def _start(config: SweepConfig, here: Setting, chunk: list[Cell], trained: network.Params) -> Start:
    which = jnp.array([cell.seed - config.seed for cell in chunk], jnp.int32)
    depth = jnp.array([cell.depth for cell in chunk], jnp.int32)
    initial = begin(here.keys, which, depth, config.shape(here.target))
    place = jnp.array(
        [config.depths.index(cell.depth) * config.seeds + cell.seed - config.seed for cell in chunk]
    )
    dense = initial._replace(params=jax.tree.map(lambda a: jnp.asarray(a)[place], trained))
    key = jax.random.fold_in(jax.random.key(config.seed), sum(map(ord, chunk[0].pruner)))
    return Start(
        initial, dense, jnp.array([cell.density for cell in chunk], jnp.float32), chunk, key
    )


def _dense(config: SweepConfig, name: str, results: Path | None) -> network.Params:
    """Dense networks of every depth and seed after the first phase, `[depths * seeds, ...]`; kept
    in a file for the other chunks.
    """
    path = None if results is None else results / f"{safe(name)}-dense.npz"
    if path is not None and path.exists():
        return read_npz(path)
    here, _ = _setting(config, name)
    cells = [
        Cell(name, "dense", 1.0, d, s)
        for d in config.depths
        for s in range(config.seed, config.seed + config.seeds)
    ]
    parts = []
    for i in range(0, len(cells), config.chunk):
        mine = cells[i : i + config.chunk]
        count = len(mine)
        full = mine + [mine[-1]] * (config.chunk - count)
        which = jnp.array([cell.seed - config.seed for cell in full], jnp.int32)
        initial = begin(
            here.keys,
            which,
            jnp.array([cell.depth for cell in full], jnp.int32),
            config.shape(here.target),
        )
        done = here.train(jax.tree.map(jnp.copy, initial.params), initial, config.steps)
        parts.append(jax.tree.map(lambda a, n=count: np.asarray(a)[:n], done.params))
    params = jax.tree.map(lambda *a: np.concatenate(a), *parts)
    if path is not None:
        write_npz(path, params, compress=True)
    return params
