"""A policy on a benchmark: answers, accuracy with intervals, tokens by phase."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.progress import Progress
from jaxrl.train.rundir import write_atomically
from reasoning.e2c.answers import Checker
from reasoning.e2c.asking import Backend, solve
from reasoning.e2c.benchmarks import Task
from reasoning.e2c.evaluate.scores import bootstrap, mean_pass_at_k, pass_at_1
from reasoning.e2c.policies.by_name import POLICIES, check_policy
from reasoning.e2c.policies.settings import Settings
from reasoning.e2c.policies.votes import majority
from reasoning.e2c.records import Appended, warn_of_other_servers


@dataclass(frozen=True)
class Evaluation:
    """One policy with its settings, and how often it is asked."""

    policy: str
    """A key of POLICIES."""
    settings: Settings
    check: Checker
    """Compares answers."""
    samples: int = 1
    """Times that every problem is solved."""
    batch: int = 16
    """Problems in step."""
    seed: int = 0
    """Seed of sampling."""
    source: str = ""
    """Names model and data."""
    server: str = ""
    """Address of the server, if there is one; a change is warned of, and recorded."""

    @property
    def kind(self) -> dict[str, Any]:
        """All that outcomes depend on; those of another kind are not taken for these."""
        named = {"policy": self.policy, "seed": self.seed, "source": self.source}
        return named | asked_for(self.settings)


def evaluate(
    tasks: Sequence[Task], backend: Backend, asked: Evaluation, out: str | Path
) -> dict[str, Any]:
    """Run a policy on every task; returns the summary and writes it to `out`, a .json file.

    Every problem's outcome is appended to `out` with the suffix .jsonl as soon as it is there, and
    not asked for again.

    Args:
      tasks: problems of a benchmark.
      backend: the model.
      asked: policy, settings and samples.
      out: file of the summary.

    Raises:
      UserError: settings that make no sense, or a file of other outcomes (what differs is named).
    """
    check_policy(asked.policy, asked.settings)
    if not tasks or min(asked.samples, asked.batch) < 1:
        raise UserError(
            f"{len(tasks)} problems, samples {asked.samples} and batch {asked.batch}: all must be "
            "at least 1"
        )
    if Path(out).suffix == ".jsonl":
        raise UserError(f"{out} would hold the outcomes and the summary: choose a name in .json")
    file = Appended(Path(out).with_suffix(".jsonl"))
    kind, samples = asked.kind, asked.samples
    for number, record in enumerate(file, 1):
        if other := [name for name, value in kind.items() if record.get(name) != value]:
            raise UserError(
                f"{file.path}, line {number}, was found with another {', '.join(other)}: choose "
                "another --out"
            )
        place = record["problem"]
        if place < len(tasks) and record.get("task") not in (None, task_digest(tasks[place])):
            raise UserError(
                f"{file.path}, line {number}, is about another problem {place} than the file has "
                "now: choose another --out"
            )
    done = {(record["problem"], record["sample"]) for record in file}
    left = [
        (number, sample)
        for sample in range(samples)
        for number in range(len(tasks))
        if (number, sample) not in done
    ]
    if asked.server and left:
        warn_of_other_servers(file, asked.server, file.path)
    with Progress(asked.policy, len(tasks) * samples, len(done)) as bar:
        for start in range(0, len(left), asked.batch):
            part = left[start : start + asked.batch]
            _run(asked, tasks, part, backend, file)
            bar.advance(len(part))
    wanted = [
        record for record in file if record["problem"] < len(tasks) and record["sample"] < samples
    ]
    found = summarize(wanted, len(tasks), samples, asked.check, [task.answer for task in tasks])
    write_atomically(
        Path(out),
        json.dumps({"policy": asked.policy, "k": asked.settings.k} | found, indent=2) + "\n",
    )
    return found


def task_digest(task: Task) -> str:
    """A short name of a problem's text and answer, by which a changed file is noticed."""
    text = f"{task.question}\0{task.answer}".encode("utf-8", "replace")
    return hashlib.sha256(text).hexdigest()[:12]


def asked_for(settings: Settings) -> dict[str, Any]:
    """Settings that outcomes depend on, but for the functions and sentences of a caller's own."""
    limits = {
        f"max_{name}_tokens": getattr(settings, name).max_tokens
        for name in ("plan", "execution", "chain")
    }
    return {
        "k": settings.k,
        "budget": settings.budget,
        "chains": settings.chains,
        "judge": settings.judge,
    } | limits


def _run(asked: Evaluation, tasks, part, backend, file):
    by_sample = sorted({sample for _, sample in part})
    for sample in by_sample:
        numbers = [number for number, other in part if other == sample]
        questions = [tasks[number].question for number in numbers]
        results = solve(
            POLICIES[asked.policy],
            questions,
            backend,
            asked.settings,
            asked.seed * 1000 + sample,
            numbers,
        )
        for number, result in zip(numbers, results, strict=True):
            right = result.answer is not None and asked.check(result.answer, tasks[number].answer)
            phases = {name: vars(spent) for name, spent in result.ledger.phases.items()}
            record = {
                "problem": number,
                "sample": sample,
                "task": task_digest(tasks[number]),
                "answer": result.answer,
                "correct": bool(right),
                "phases": phases,
            }
            file.add(
                asked.kind
                | record
                | {"generated": result.ledger.generated, "prefill": result.ledger.prefill}
                | ({"errors": result.ledger.errors} if result.ledger.errors else {})
                | ({"estimated": True} if result.ledger.estimated else {})
                | ({"server": asked.server} if asked.server else {})
            )


def summarize(
    records: list[dict], problems: int, samples: int, check_answer: Checker, truths: list[str]
) -> dict[str, Any]:
    """Accuracies with intervals over problems, and mean tokens per problem and sample.

    Args:
      records: one outcome per problem and sample, as they are saved.
      problems: number of problems.
      samples: samples per problem.
      check_answer: `(found, right) -> bool`, compares a voted answer with the right one.
      truths: right answers, one per problem.

    Returns:
      Figures by name: `pass@k` and `maj@k` with intervals, tokens generated and read, tokens by
      phase, skipped requests.
    """
    correct = [[False] * samples for _ in range(problems)]
    answers: list[list[str | None]] = [[None] * samples for _ in range(problems)]
    for record in records:
        correct[record["problem"]][record["sample"]] = record["correct"]
        answers[record["problem"]][record["sample"]] = record["answer"]

    def voted(k):
        return [majority(row[:k]) for row in answers]

    def right(k):
        return [
            vote is not None and check_answer(vote, truth)
            for vote, truth in zip(voted(k), truths, strict=True)
        ]

    phases: dict[str, float] = {}
    for record in records:
        for name, spent in record["phases"].items():
            phases[name] = phases.get(name, 0.0) + spent["generated"] / len(records)
    ks = [k for k in (1, 2, 4, 8, 16, 32) if k <= samples]
    majorities = {f"maj@{k}": bootstrap(right(k))._asdict() for k in sorted({*ks, samples})}
    return {
        "problems": problems,
        "samples": samples,
        "one_problem": 1 / problems,
        "pass@1": pass_at_1(correct)._asdict(),
        **{f"pass@{k}": mean_pass_at_k(correct, k)._asdict() for k in ks if k > 1},
        **majorities,
        "generated": float(np.mean([record["generated"] for record in records])),
        "prefill": float(np.mean([record["prefill"] for record in records])),
        "generated_by_phase": phases,
        "skipped_requests": sum(len(record.get("errors", ())) for record in records),
        "tokens_estimated": any(record.get("estimated") for record in records),
    }
