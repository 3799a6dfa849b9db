"""One stage of training: SFT, EF-SFT or RL, with checkpoints, metrics and progress; a stage that
was broken off continues where it was.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.app.errors import UserError
from jaxrl.app.progress import Progress
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.metrics import MetricsLog, read_metrics
from jaxrl.train.rundir import open_run
from jaxrl.train.signals import stop_on_signals
from jaxrl.train.state import Learner

Advance = Callable[[Learner, int, int], tuple[Learner, dict[str, float]]]
"""(learner, first update, one past the last) -> learner and what was seen."""


def run_stage(
    folder: Path,
    config: dict[str, Any],
    start: Callable[[], Learner],
    advance: Advance,
    total: int,
    every: int,
) -> tuple[Learner, list[dict]]:
    """Carry a learner from update 0 to `total`, `every` updates at a time; returns it with the
    lines of its metrics.

    Args:
      folder: of this stage alone, whose name the progress bar shows; what is finished there is
        not done again.
      config: of the stage, JSON-ready; a folder of another configuration is refused.
      start: the learner before the first update.
      advance: some updates; must depend on nothing but its arguments, so that a resumed stage
        equals an unbroken one.
      total: updates.
      every: updates between two checkpoints.

    Raises:
      UserError: another configuration, or a damaged checkpoint.
      KeyboardInterrupt: asked to stop; everything up to here is saved.
    """
    folder = open_run(folder, config)
    store = Checkpoints(folder / "checkpoints", keep=1)
    try:
        learner = start()
        found = store.restore(learner)
        learner, record = found if found else (learner, {"updates": 0, "lines": 0})
        learner = jax.tree.map(jnp.asarray, learner)
        log, at = MetricsLog(folder, record["lines"]), record["updates"]
        with (
            contextlib.closing(log),
            stop_on_signals() as stop,
            Progress(folder.name, total, at) as bar,
        ):
            while at < total:
                upto = min(at + every, total)
                learner, seen = advance(learner, at, upto)
                log.write(upto, seen)
                store.save(upto, learner, {"updates": upto, "lines": log.lines})
                bar.advance(upto - at, **{name: seen[name] for name in list(seen)[:4]})
                at = upto
                if stop and at < total:
                    raise KeyboardInterrupt
    finally:
        store.close()
    return learner, read_metrics(folder)


def finished_params(folder: Path, template) -> Any:
    """The parameters of a stage's last checkpoint.

    Raises:
      UserError: there is none.
    """
    store = Checkpoints(folder / "checkpoints", read_only=True)
    try:
        found = store.restore(template)
    finally:
        store.close()
    if found is None:
        raise UserError(f"{folder} holds no checkpoint: train this stage first")
    return found[0].params
