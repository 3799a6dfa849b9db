"""The study from data to report. Every training and every measurement is kept, and found again by
the next start.
"""

from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError
from jaxrl.app.progress import log
from jaxrl.train.config import to_dict
from jaxrl.train.rundir import open_run
from reasoning.e2c.chain import rl, task
from reasoning.e2c.chain.backend import ChainBackend
from reasoning.e2c.study import adapt, causal, models, policies, reinforce
from reasoning.e2c.study.config import StudyConfig
from reasoning.e2c.study.examples import examples
from reasoning.e2c.study.quality import information, quality
from reasoning.e2c.study.report import text, verdicts_of, write_report


def run(study: StudyConfig, run_dir: str | Path) -> Path:
    """Train and measure what is not there yet, and write the report; the path of its text.

    Raises:
      UserError: a configuration or a folder that does not work.
    """
    check(study)
    folder = open_run(run_dir, to_dict(study))
    stages = folder / "stages"
    problems = models.held_out(study)
    log("1/6 base model: plan, then execution")
    bases = [models.base_model(stages, study, number) for number in range(study.base_seeds)]
    backends = [
        ChainBackend(base.params, study.model, study.task, study.seed + number)
        for number, base in enumerate(bases)
    ]
    base, backend = bases[0], backends[0]
    found: dict[str, Any] = {
        "quality": models.measured(folder, "quality", lambda: quality(backend, problems, study))
    }
    found["tokens"] = {"base": base.tokens}
    plain = None
    if study.plain:
        log("2/6 the same without plans")
        other = models.chain_of_thought_model(stages, study)
        plain = ChainBackend(other.params, study.model, study.task, study.seed)
        found["tokens"]["chain_of_thought"] = other.tokens
    log("3/6 policies: accuracy against tokens")

    def keep(name, compute):
        return models.measured(folder, name, compute)

    sweeps = [policies.sweep(study, backend, plain, problems, keep)]
    for number, other in list(enumerate(backends))[1:]:

        def keep_seed(name, compute, number=number):
            return keep(models.numbered(name, number), compute)

        sweeps.append(policies.sweep(study, other, None, problems, keep_seed))
    found["policies"] = policies.over_base_models(sweeps)
    starts = [one.params for one in bases]
    if study.adapt_rows:
        log("4/6 a new domain: EF-SFT against full SFT")
        found["adapt"] = adapt.adapt(folder, starts, study)
    if study.rl_seeds:
        log("5/6 reinforcement learning")
        found["rl"] = reinforce.reinforce(folder, starts, study)
    log("6/6 adherence and information")
    found["adherence"] = causal.over_base_models(folder, starts, study)
    if study.information_problems:
        few = models.held_out(study, study.information_problems)
        found["information"] = models.measured(
            folder, "information", lambda: information(backend, few, study)
        )
    found["examples"] = models.measured(
        folder, "examples", lambda: examples(backend, problems, policies.settings(study, 1))
    )
    return write_report(folder, found, text(study, found, verdicts_of(found)))


def check(study: StudyConfig) -> None:
    """Refuse what cannot be run.

    Raises:
      UserError: with the field.
    """
    task.check(study.task)
    if study.model.vocabulary != len(task.WORDS):
        raise UserError(
            f"model.vocabulary is {study.model.vocabulary}, but the task has {len(task.WORDS)} "
            "words: leave it alone"
        )
    if study.model.width % (2 * study.model.heads):
        raise UserError(
            f"model.width {study.model.width} is no multiple of twice {study.model.heads} heads: "
            "choose another one"
        )
    if study.base_seeds < 1:
        raise UserError(f"base_seeds is {study.base_seeds}: at least one base model is needed")
    if not study.ks or min(study.ks) < 1:
        raise UserError(f"ks is {study.ks}: name at least one number of plans, each at least 1")
    for stage in (study.stage_one, study.stage_two) if study.rl_seeds else ():
        rl.check(stage)
