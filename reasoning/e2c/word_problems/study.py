"""E2C shown on a small real language model: data, training, policies, adherence, a new domain.

Every training is a run folder of `reasoning.e2c.llm.sft`, every measurement a cell; what is
there is found again by the next start. The report is written anew after every seed.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.cells import Cells
from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.app.progress import log
from jaxrl.train.config import to_dict
from jaxrl.train.metrics import read_metrics
from jaxrl.train.rundir import open_run
from reasoning.e2c.asking import Ask, Backend, Completion, Sampling, Weigh
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN
from reasoning.e2c.llm.config import LocalModel, RLTraining, SFTTraining
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.study.examples import examples
from reasoning.e2c.study.policies import over_base_models, run_policy
from reasoning.e2c.study.report import write_report
from reasoning.e2c.word_problems import problems as words
from reasoning.e2c.word_problems.config import WordStudyConfig
from reasoning.e2c.word_problems.problems import LAYOUT, Problem, draw_many, other_plan
from reasoning.e2c.word_problems.report import text
from reasoning.e2c.word_problems.teacher import causal_rows, post_hoc_rows

TEST, NEW, SWAP = 1_000_003, 2_000_003, 3_000_017
"""Offsets of seeds, so that no two sets of problems share one."""
LONGEST_QUESTION, LONGEST_PLAN, LONGEST_EXECUTION = 48, 32, 72
"""Tokens of questions, plans and executions; right ones have at most 28, 24 and 60 (questions: the
largest of 800).
"""


def settings(study: WordStudyConfig, k: int) -> Settings:
    """Settings of the policies: the judge is the likelihood of a plan, since the model is trained
    without instructions.
    """
    return Settings(
        k=k,
        layout=LAYOUT,
        judge="likelihood",
        plan=Sampling(LONGEST_PLAN, study.temperature, 1.0, (CLOSE_PLAN,)),
        execution=Sampling(LONGEST_EXECUTION, 0.0, 1.0, (CLOSE_EXECUTION,)),
        chain=Sampling(
            LONGEST_PLAN + LONGEST_EXECUTION, study.temperature, 1.0, (CLOSE_EXECUTION,)
        ),
    )


class Remembering:
    """A backend that answers equal asks from memory, so that policies which begin with the same
    plans pay for them once. Ledgers still count them for each.
    """

    def __init__(self, backend: Backend):
        self.backend = backend
        self.known: dict[Ask | Weigh, Any] = {}

    def complete(self, asks: Sequence[Ask]) -> list[list[Completion]]:
        """Completions, known or new."""
        return self._all(asks, self.backend.complete)

    def weigh(self, weighs: Sequence[Weigh]) -> list[Completion]:
        """Log-probabilities, known or new."""
        return self._all(weighs, self.backend.weigh)

    def _all(self, asks: Sequence[Any], answer: Callable[[Any], list]) -> list:
        new = [ask for ask in dict.fromkeys(asks) if ask not in self.known]
        self.known.update(zip(new, answer(new) if new else [], strict=True))
        return [self.known[ask] for ask in asks]


def cells_of(study: WordStudyConfig, seed: int) -> list[str]:
    """Names of all measurements of one seed; the first one has reinforcement learning too."""
    policies = ["greedy-1", f"sc-{study.chains}"]
    policies += [
        f"{name}-{study.k}" for name in ("select_judge", "select_clusters", "random_plan", "e2c_sc")
    ]
    adapted = ["adapt-before", "adapt-ef_sft", "adapt-full_sft"]
    learned = ["rl-base", "rl-stage1", "rl-stage2"] if study.rl_updates and not seed else []
    return [*policies, "adherence-causal", "adherence-post_hoc", *adapted, *learned, "examples"]


def run(study: WordStudyConfig, run_dir: str | Path) -> Path:
    """Train and measure what is not there yet; the report's path.

    Raises:
      UserError: sizes that make no sense, or a folder of another configuration.
    """
    check(study)
    folder = open_run(run_dir, to_dict(replace(study, path=None)))
    path = study.path
    if path is None:
        from reasoning.e2c.llm.fetch import fetch

        path = folder / "model"
        if not (path / "config.json").exists():
            fetch(study.model, path)
    names = [f"{name}-seed{s}" for s in range(study.seeds) for name in cells_of(study, s)]
    cells = Cells(folder / "cells", names)
    report, results = folder, []
    for seed in range(study.seeds):
        results.append(OneSeed(study, path, folder, cells, seed).all())
        found = joined(results)
        report = write_report(folder, found, text(study, found))
        log(f"seed {seed + 1} of {study.seeds}: {report}")
    return report


def check(study: WordStudyConfig) -> None:
    """Refuse sizes that cannot be run.

    Raises:
      UserError: with the field.
    """
    counts = ("seeds", "rows", "more_rows", "epochs", "problems", "k", "chains", "lora_rank")
    for name in (*counts, *(("families",) if study.families is not None else ())):
        if getattr(study, name) < 1:
            raise UserError(f"{name} is {getattr(study, name)}: it must be at least 1")
    if not 0 < study.ef_updates <= 1:
        raise UserError(f"ef_updates is {study.ef_updates}: it must be above 0 and at most 1")
    if study.batch < 1 or study.micro_batch < 1 or study.batch % study.micro_batch:
        raise UserError(
            f"batch {study.batch} is no multiple of micro_batch {study.micro_batch}: choose "
            "another one"
        )


class OneSeed:
    """All of one seed: `all` is the order of the parts."""

    def __init__(self, study: WordStudyConfig, model: Path, folder: Path, cells: Cells, seed: int):
        self.study, self.cells, self.seed = study, cells, seed
        self.folder = folder / f"seed{seed}"
        self.local = LocalModel(
            path=model, dtype="float32", lora_rank=study.lora_rank, chat=False, batch=study.problems
        )
        self.problems = draw_many(study.problems, TEST, families=study.families)
        self.new_problems = draw_many(study.problems, TEST, "workshop", study.families)
        self._backend: tuple[str, Remembering] = ("", None)

    def all(self) -> dict[str, Any]:
        """Policies on the trained model, then adherence, then the new domain."""
        study = self.study
        found: dict[str, Any] = {"policies": {}, "adherence": {}, "adapt": {}, "rl": {}}
        for cell in cells_of(study, self.seed):
            name, _, k = cell.rpartition("-")
            log(f"seed {self.seed}: {cell}")
            if cell == "examples":
                found["examples"] = self.measure(cell, self.examples)
            elif name == "adherence":
                found[name][k] = self.measure(cell, lambda k=k: self.adherence(k))
            elif name == "adapt":
                found[name][k] = self.measure(cell, lambda k=k: self.adapted(k))
            elif name == "rl":
                found[name][k] = self.measure(cell, lambda k=k: self.reinforced(k))
            else:
                found["policies"][cell] = self.measure(
                    cell, lambda name=name, k=k: self.policy(name, int(k))
                )
        return found

    def measure(self, cell: str, compute: Callable[[], Any]) -> Any:
        """A cell of this seed."""
        return self.cells.get(f"{cell}-seed{self.seed}", compute)

    # Data and training

    def data(self, name: str) -> Path:
        """Training rows by name, made when they are first asked for."""
        study, path = self.study, self.folder / f"{name}.jsonl"
        base = 100 * self.seed
        if path.exists():
            return path
        test = {p.question for p in (*self.problems, *self.new_problems)}
        count = study.rows if name in ("base", "rl") else study.more_rows
        number = {"base": 1, "causal": 2, "post_hoc": 2, "workshop": NEW, "rl": 3}[name]
        domain = "workshop" if name == "workshop" else "daily"
        drawn = draw_many(count + len(test), base + number, domain, study.families)
        problems = [p for p in drawn if p.question not in test][:count]
        if name == "rl":
            asked = [{"question": p.question, "answer": p.answer} for p in problems]
            write_atomic(path, "".join(json.dumps(row) + "\n" for row in asked))
        elif name == "post_hoc":
            post_hoc_rows(self.data("causal"), path, problems, study.wrong_plans, base + number)
        else:
            log(f"{name}: {causal_rows(problems, path, base + number)}")
        return path

    def training(self, name: str) -> SFTTraining:
        """Data, updates and settings of a training by name."""
        study = self.study
        data = {"ef_sft": "workshop", "full_sft": "workshop"}.get(name, name)
        count = study.rows if name == "base" else study.more_rows
        share = study.ef_updates if name == "ef_sft" else 1.0
        steps = max(1, round(share * study.epochs * count / study.batch))
        return SFTTraining(
            data=self.data(data),
            trained="plan" if name == "ef_sft" else "all",
            steps=steps,
            batch=study.batch,
            micro_batch=study.micro_batch,
            max_length=study.max_length,
            learning_rate=study.learning_rate if name == "base" else study.more_learning_rate,
            save_every=max(1, steps // 2),
            log_every=3,
            seed=self.seed,
        )

    def trained(self, name: str) -> Path:
        """Run folder of a training, finished or taken up where it broke off."""
        from reasoning.e2c.llm import rl, sft

        run, before = self.folder / name, "stage1" if name == "stage2" else "base"
        done = self.folder / f"{name}.done"
        if not done.exists():
            begin = None if name == "base" else self.trained(before)
            start = replace(self.local, trained=begin)
            if name.startswith("stage"):
                rl.train(start, self.reinforcement(name), run, LAYOUT)
            else:
                sft.train(start, self.training(name), run, LAYOUT)
            done.write_text("finished\n")
        return run

    def reinforcement(self, name: str) -> RLTraining:
        """Settings of a stage of reinforcement learning: four responses to each of eight
        questions an update. Our choice.
        """
        study, stage = self.study, 1 if name == "stage1" else 2
        return RLTraining(
            data=self.data("rl"),
            stage=stage,
            group=4,
            prompts=8,
            mini_batch=8,
            micro_batch=4,
            steps=study.rl_updates,
            plan_weight=float(stage),
            learning_rate=study.rl_learning_rate,
            max_prompt=LONGEST_QUESTION,
            max_response=LONGEST_PLAN + LONGEST_EXECUTION,
            overlong_buffer=16,
            save_every=max(1, study.rl_updates // 2),
            seed=self.seed + stage,
        )

    def backend(self, name: str) -> Remembering:
        """A trained model; only the last one is kept in memory."""
        if self._backend[0] != name:
            from reasoning.e2c.backends.tunix_local import TunixBackend

            self._backend = ("", None)
            run = self.trained(name)
            loaded = TunixBackend.load(replace(self.local, trained=run))
            self._backend = (name, Remembering(loaded))
        return self._backend[1]

    # Measurements

    def policy(self, name: str, k: int) -> dict[str, Any]:
        """One policy on the test problems."""
        return run_policy(
            name, self.backend("base"), self.problems, settings(self.study, k), self.seed
        )

    def examples(self) -> list[dict[str, Any]]:
        """Plans and executions, for reading."""
        return examples(self.backend("base"), self.problems, settings(self.study, 1))

    def adherence(self, name: str) -> dict[str, Any]:
        """Executions of the right plan and of another one, after more training on
        causal or post-hoc data.
        """
        chosen, backend = settings(self.study, 1), self.backend(name)
        rng = np.random.default_rng(SWAP)
        swapped = [other_plan(problem, rng) for problem in self.problems]
        right = [problem.plan for problem in self.problems]

        def executions(plans):
            asks = [
                chosen.asks_execution(problem.question, plan)
                for problem, plan in zip(self.problems, plans, strict=True)
            ]
            return [group[0].text for group in backend.complete(asks)]

        own, other = executions(right), executions(swapped)

        def answers(texts):
            return [chosen.find_answer(text) for text in texts]

        return {
            "follows_right": [int(words.follows(*pair)) for pair in zip(right, own, strict=True)],
            "follows_swapped": [
                int(words.follows(*pair)) for pair in zip(swapped, other, strict=True)
            ],
            "order": [words.steps_in_order(*pair) for pair in zip(swapped, other, strict=True)],
            "flips": [
                int(answer == words.execute(plan).answer)
                for plan, answer in zip(swapped, answers(other), strict=True)
            ],
        }

    def adapted(self, method: str) -> dict[str, Any]:
        """Accuracy in the new domain and in the old one, before or after training on it."""
        backend = self.backend("base" if method == "before" else method)

        def score(problems: list[Problem]) -> list[int]:
            return run_policy("greedy", backend, problems, settings(self.study, 1), 0)["correct"]

        found = {"new": score(self.new_problems), "old": score(self.problems)}
        if method == "before":
            return found
        return found | {
            "method": method,
            "rows": self.study.more_rows,
            "draw": self.seed,
            "tokens": self.trained_tokens(method),
        }

    def reinforced(self, name: str) -> dict[str, Any]:
        """Greedy outcomes, and the share of right ones among sampled chains of every problem,
        before or after a stage.
        """
        backend, study = self.backend(name), self.study
        chosen = settings(study, study.k)
        asks = [chosen.asks_chain(p.question, study.k, self.seed) for p in self.problems]
        sampled = [
            float(np.mean([chosen.answer_of(chain) == problem.answer for chain in chains]))
            for problem, chains in zip(self.problems, backend.complete(asks), strict=True)
        ]
        greedy = run_policy("greedy", backend, self.problems, settings(study, 1), 0)["correct"]
        found = {"pass_at_1": sampled, "correct": greedy, "samples": study.k}
        if name == "base":
            return found
        return found | {"curve": read_metrics(self.folder / name)}

    def trained_tokens(self, method: str) -> int:
        """Tokens that a method trains on in all of its updates."""
        from reasoning.e2c.llm.load import load_tokenizer
        from reasoning.e2c.llm.sft import all_rows, batches
        from reasoning.e2c.llm.tags import add_tags

        tokenizer = load_tokenizer(Path(self.local.path))
        add_tags(tokenizer)
        tokenizer.chat_template = None
        config = self.training(method)
        parts = batches(all_rows(config, tokenizer, LAYOUT), config)
        return sum(int(part.trained.sum()) for part in parts)


def joined(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The parts of all finished seeds in the form that the report reads."""
    adherence = {}
    for name, first in results[0]["adherence"].items():
        own = [result["adherence"][name] for result in results]
        means = {key: np.mean([one[key] for one in own], 0).tolist() for key in first}
        adherence[name] = means | {"by_seed": [one["follows_swapped"] for one in own]}
    before = [result["adapt"]["before"] for result in results]
    adapt: dict[str, Any] = {
        "before": {side: np.mean([one[side] for one in before], 0).tolist() for side in before[0]}
    }
    for seed, result in enumerate(results):
        for method in ("ef_sft", "full_sft"):
            adapt[f"adapt-{method}-{seed}"] = result["adapt"][method]
    return {
        "seeds": len(results),
        "policies": over_base_models([result["policies"] for result in results]),
        "adherence": adherence,
        "adapt": adapt,
        "examples": results[0]["examples"],
    } | ({"rl": by_run(results[0]["rl"])} if results[0]["rl"] else {})


def by_run(cells: dict[str, Any]) -> dict[str, Any]:
    """The cells of reinforcement learning, by the names that the report reads."""
    names = {"base": "before-0", "stage1": "rl-stage1-0", "stage2": "rl-stage2-2-0"}
    return {names[name]: cell for name, cell in cells.items()}
