"""Part (iv): do executions follow plans, and is it the causal data that makes them?"""

from pathlib import Path
from typing import Any

import numpy as np

from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.chain.rows import make_rows
from reasoning.e2c.chain.task import Problem, draw_many
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.models import SWAPS, held_out, measured, numbered, train_rows
from reasoning.e2c.study.quality import counterfactual, quality, random_chain


def post_hoc(problems: list[Problem], share: float, longest: int, seed: int) -> list[Problem]:
    """The same right executions, but in a share of rows with another chain as plan: a plan that
    did not cause what follows it.

    Args:
      problems: problems with right plans and executions.
      share: probability that a plan is replaced, in [0, 1].
      longest: most steps of the other chain.
      seed: seed of the draws.
    """
    rng = np.random.default_rng(seed)
    return [
        p._replace(plan=random_chain(p, longest, rng)) if rng.random() < share else p
        for p in problems
    ]


def over_base_models(folder: Path, starts: list[Any], study: StudyConfig) -> dict[str, Any]:
    """Join what `causal_against_post_hoc` measures on every base model: lists over problems hold
    means over the models, and `by_seed` each model's `follows_swapped`.
    """
    runs = [
        causal_against_post_hoc(folder, start, study, number) for number, start in enumerate(starts)
    ]
    joined = {}
    for name, first in runs[0].items():
        swapped = [run[name]["follows_swapped"] for run in runs]
        means = {
            key: np.mean([run[name][key] for run in runs], 0).tolist()
            for key in ("follows_right", "follows_swapped", "flips", "order")
        }
        joined[name] = first | means | {"by_seed": swapped}
    return joined


def causal_against_post_hoc(
    folder: Path, start: Any, study: StudyConfig, number: int = 0
) -> dict[str, Any]:
    """Measure a base model, and the models that more training makes of it on causal and on post-hoc
    data, equally long.

    Args:
      folder: run folder; what is finished there is not computed again.
      start: parameters of the base model.
      study: sizes of the study.
      number: number of the base model, from 0; part of names and seeds.

    Returns:
      Measurements by name: "base", "causal" and "post_hoc".
    """
    problems = held_out(study)

    def measure(params):
        backend = ChainBackend(params, study.model, study.task)
        return counterfactual(backend, problems, study, SWAPS) | {
            "quality": quality(backend, problems, study)
        }

    fresh = draw_many(
        study.causal.batch * study.causal.steps, study.task, SWAPS + study.seed + number
    )
    data = {
        "causal": fresh,
        "post_hoc": post_hoc(fresh, study.wrong_plans, study.task.longest, SWAPS),
    }
    found = {"base": measured(folder, numbered("adherence-base", number), lambda: measure(start))}
    for name, problems_ in data.items():

        def train(name=name, rows=problems_):
            return train_rows(
                folder / "stages" / numbered(name, number),
                make_rows(rows, study.task),
                study.causal,
                study,
                start,
            )

        found[name] = measured(
            folder,
            numbered(f"adherence-{name}", number),
            lambda train=train: measure(train().params),
        )
    return found
