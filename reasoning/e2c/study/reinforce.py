"""Part (iii): two stages of reinforcement learning, the second with lambda 1 and 2."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.models import Trained, held_out, measured, numbered, reinforced
from reasoning.e2c.study.quality import quality


def reinforce(folder: Path, starts: list[Any], study: StudyConfig) -> dict[str, Any]:
    """Greedy outcomes and entropies before, after stage 1 and after stage 2, for every seed and
    lambda. Run `seed` begins with base model `seed`, modulo their number.
    """
    problems = held_out(study, study.rl_problems)

    def look(params):
        return quality(ChainBackend(params, study.model, study.task), problems, study)

    found: dict[str, Any] = {}
    for number, start in enumerate(starts):
        name = numbered("rl-before", number)
        found[f"before-{number}"] = measured(folder, name, lambda start=start: look(start))
    stages = folder / "stages"
    for seed in range(study.rl_seeds):
        name, start = f"rl-stage1-{seed}", starts[seed % len(starts)]

        def first(name=name, start=start, seed=seed):
            return reinforced(stages, name, start, study.stage_one, study, seed)

        found[name] = measured(folder, name, lambda first=first: _told(first(), look))
        for weight in study.plan_weights if study.stage_two.updates else ():
            name = f"rl-stage2-{weight:g}-{seed}"
            config = replace(study.stage_two, plan_weight=weight)

            def second(name=name, first=first, config=config, seed=seed):
                return reinforced(stages, name, first().params, config, study, seed)

            found[name] = measured(folder, name, lambda second=second: _told(second(), look))
    return found


def _told(trained: Trained, look) -> dict[str, Any]:
    curve = [
        {
            name: line[name]
            for name in ("step", "reward", "correct", "plan_entropy", "execution_entropy")
        }
        for line in trained.lines
    ]
    return look(trained.params) | {"curve": curve}
