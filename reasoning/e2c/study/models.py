"""The models of the study: every training is a stage of its own in the run folder, found again by
the next start.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.train.config import to_dict
from jaxrl.train.rundir import write_atomically
from jaxrl.train.state import Learner, init_learner
from reasoning.e2c.chain import rl, sft
from reasoning.e2c.chain.model import init_params
from reasoning.e2c.chain.rows import Mixture, Rows, make_rows
from reasoning.e2c.chain.stage import run_stage
from reasoning.e2c.chain.task import Problem, draw_many
from reasoning.e2c.study.config import StudyConfig

TEST, DOMAIN, BASE_AGAIN, RL_PROBLEMS, SWAPS = 1_000_003, 2_000_003, 3_000_017, 4_000_037, 5_000_011
"""Offsets of seeds, so that no two sets of problems share one."""


@dataclass(frozen=True)
class Trained:
    """A model and how it was trained."""

    params: Any
    tokens: int
    """Trained tokens, in all."""
    lines: tuple[dict, ...]
    """Lines of its metrics."""


def train_rows(
    folder: Path,
    rows: Rows,
    config: sft.SFTConfig,
    study: StudyConfig,
    start=None,
    seed: int | None = None,
) -> Trained:
    """SFT or EF-SFT on fixed rows, from `start` or from nothing, in a folder of its own.

    Args:
      folder: folder of this training; what is finished there is not computed again.
      rows: training rows, all of one length.
      config: SFT or EF-SFT, and its settings.
      study: sizes of model and task.
      start: parameters to begin with, which are copied; None: new ones.
      seed: seed of new parameters and of the order of rows; the study's, if left out.
    """
    seed = study.seed if seed is None else seed
    table, where = jax.tree.map(jnp.asarray, rows), sft.places(len(rows.ids), config, seed)

    def begin():
        return start if start is not None else init_params(jax.random.key(seed), study.model)

    def advance(learner: Learner, at: int, upto: int):
        began = time.perf_counter()
        learner, seen = sft.updates(learner, table, where[at:upto], config, study.model)
        line = {name: float(value) for name, value in jax.device_get(seen)._asdict().items()}
        return learner, line | {"tokens_per_second": line["tokens"] / (time.perf_counter() - began)}

    described = {
        "sft": to_dict(config),
        "model": to_dict(study.model),
        "task": to_dict(study.task),
        "rows": len(rows.ids),
        "seed": seed,
    }

    def copy():
        return jax.tree.map(jnp.array, begin())  # its buffers are donated

    learner, lines = run_stage(
        folder,
        described,
        lambda: init_learner(copy(), sft.optimizer(config)),
        advance,
        config.steps,
        config.every,
    )
    return Trained(learner.params, int(sum(line["tokens"] for line in lines)), tuple(lines))


def base_model(folder: Path, study: StudyConfig, number: int = 0) -> Trained:
    """Plan and execution, from nothing; each `number` has data and a seed of its own."""
    seed = study.seed + number
    rows = make_rows(draw_many(study.rows, study.task, seed), study.task)
    return train_rows(folder / numbered("base", number), rows, study.sft, study, seed=seed)


def numbered(name: str, seed: int) -> str:
    """A name for each seed; the first keeps the plain one."""
    return name if seed == 0 else f"{name}-seed{seed}"


def chain_of_thought_model(folder: Path, study: StudyConfig) -> Trained:
    """Execution without a plan: as many updates, and about as many trained tokens, by larger
    batches.
    """
    problems = draw_many(study.rows, study.task, study.seed)
    with_plans, without = (
        make_rows(problems, study.task, mixture)
        for mixture in (Mixture(), Mixture(chain=0.0, execution=1.0))
    )
    batch = round(study.sft.batch * with_plans.mask.sum() / without.mask.sum())
    config = replace(study.sft, batch=batch)
    return train_rows(folder / "chain_of_thought", without, config, study)


def reinforced(
    folder: Path, name: str, start, config: rl.RLConfig, study: StudyConfig, seed: int
) -> Trained:
    """One stage of reinforcement learning from `start`.

    Args:
      folder: folder of the stages.
      name: name of this stage, a folder in it.
      start: parameters to begin with, also the reference of the KL.
      config: settings of the stage.
      study: sizes of model and task.
      seed: seed of problems and rollouts.

    Raises:
      UserError: see `rl.check`.
    """
    rl.check(config)
    reference = jax.tree.map(jnp.array, start)

    def advance(learner: Learner, at: int, upto: int):
        seen = []
        for number in range(at, upto):
            problems = draw_many(
                config.prompts,
                study.task,
                RL_PROBLEMS + 100_003 * seed + 1_009 * config.stage + number,
            )
            key = jax.random.fold_in(jax.random.key(seed), 7919 * config.stage + number)
            rollouts = rl.roll_out(learner.params, problems, key, config, study.task, study.model)
            learner, found = rl.update(learner, reference, rollouts, key, config, study.model)
            seen.append(found)
        return learner, {
            name: float(np.mean([one[name] for one in seen]))
            for name in ("reward", "correct", *seen[0])
        }

    described = {
        "rl": to_dict(config),
        "model": to_dict(study.model),
        "task": to_dict(study.task),
        "seed": seed,
    }

    def begin():
        return init_learner(jax.tree.map(jnp.array, start), rl.optimizer(config))

    learner, lines = run_stage(folder / name, described, begin, advance, config.updates, 5)
    return Trained(learner.params, 0, tuple(lines))


def held_out(
    study: StudyConfig, count: int | None = None, domain: str | None = None
) -> list[Problem]:
    """Test problems, fresh ones, the same for every model."""
    task = study.task if domain is None else replace(study.task, domain=domain)
    return draw_many(count or study.problems, task, TEST + study.seed)


def measured(folder: Path, name: str, compute) -> Any:
    """A measurement as JSON, computed once."""
    file = folder / "results" / f"{name}.json"
    if file.exists():
        return json.loads(file.read_text())
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(compute(), indent=1) + "\n")
    return json.loads(file.read_text())
