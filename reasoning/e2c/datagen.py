"""Causal data: solve, distil a plan, carry the plan out anew, keep what is right and follows the
plan (the paper's Algorithm 2).

Training on a plan and the *old* solution would be post-hoc: the plan is a summary, and a model
learns that it may ignore it. Executing anew makes the plan a cause. Prompts and thresholds are
ours; the paper's are not known.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c import answers
from reasoning.e2c.adherence import adherence
from reasoning.e2c.asking import Ask, Backend, Result, Sampling, solve
from reasoning.e2c.format import DEFAULT, E2CFormat, Prompt, titles
from reasoning.e2c.records import Appended, Record, is_blank, warn_of_other_servers


@dataclass(frozen=True)
class DataConfig:
    """The generator. All numbers are ours."""

    solutions: int = 4
    """Solutions sampled for every question that brings no reference solution."""
    solve_temperature: float = 0.7
    """Temperature of sampled solutions."""
    max_tokens: int = 8192
    """Most tokens of a solution, or of an execution."""
    max_plan_tokens: int = 1024
    """Most tokens of a plan."""
    steps: tuple[int, int] = (2, 12)
    """Fewest and most numbered steps of a plan."""
    plans: int = 2
    """Plans distilled from a solution until an execution is accepted."""
    retries: int = 3
    """Further executions of a plan, at temperature 0.5, after the greedy one."""
    adherence: float = 0.8
    """Least adherence of an accepted execution, in the strict mode."""
    post_hoc: bool = False
    """The ablation: keep the original solution with its plan, and execute nothing."""
    layout: E2CFormat = E2CFormat()
    """Tags and sentences."""
    batch: int = 16
    """Questions in step."""
    source: str = ""
    """Names the teacher; rows of another one are not continued."""
    server: str = ""
    """Address of the teacher's server, if there is one; a change is warned of, and recorded."""

    @property
    def kind(self) -> dict[str, Any]:
        """All that rows depend on and a command may change; it stands in every line."""
        names = ("source", "post_hoc", "adherence", "solutions")
        return {name: getattr(self, name) for name in names}


class Made(NamedTuple):
    """An execution of a plan; nothing is known of one that the data brought."""

    execution: str
    tokens: int | None = None
    adherence: float | None = None


class Question(NamedTuple):
    """A question and its right answer."""

    question: str
    answer: str
    source: str = ""
    solution: str | None = None
    """A reference solution."""


def questions_from(records: Sequence[Record], where: str = "the data") -> list[Question]:
    """Records with `question` and `answer`, maybe `source` and `solution`.

    Raises:
      UserError: no row, a row without question or answer, with a list or an object in their place,
        or with another answer than an earlier row's to the same question (its number is named).
    """
    found: list[Question] = []
    first: dict[str, tuple[int, str]] = {}
    for number, record in enumerate(records, 1):
        for field in ("question", "answer"):
            if is_blank(record.get(field)):
                raise UserError(
                    f"{where}, row {number}, has no {field}: every row needs a question and its "
                    "answer"
                )
            if isinstance(record[field], list | dict):
                raise UserError(
                    f"{where}, row {number}: the {field} is a {type(record[field]).__name__}, not "
                    "a text or a number"
                )
        question, answer = str(record["question"]), str(record["answer"])
        before, other = first.setdefault(question, (number, answer))
        if other != answer:
            raise UserError(
                f"{where}, row {number}: the question of row {before} has another answer here "
                f"({other[:40]!r}, {answer[:40]!r}): keep one of them"
            )
        solution = record.get("solution")
        text = None if is_blank(solution) else str(solution)
        found.append(Question(question, answer, str(record.get("source", "")), text))
    if not found:
        raise UserError(f"{where} has no rows: every row needs a question and its answer")
    return found


def generate(
    questions: Sequence[Question],
    backend: Backend,
    config: DataConfig,
    path: str | Path,
    seed: int = 0,
    check: answers.Checker = answers.math_verify,
) -> dict[str, Any]:
    """Write rows to a file, and return the yield. Questions that are in the file already are not
    asked again, unless a request of theirs was refused; one that the data repeats is asked once.

    Every question leaves one line: a row, or `{"question", "rejected": reason}`.

    Args:
      questions: questions with answers, and reference solutions where they exist.
      backend: the teacher, a language model.
      config: tries, temperatures, lengths and thresholds; `batch` questions are asked at a time.
      path: file of rows, .jsonl; it is created, or continued.
      seed: seed of sampling.
      check: `(found, right) -> bool`, compares answers.

    Returns:
      Counts of rows and rejections over the whole file.

    Raises:
      UserError: sizes that make no sense; the file has rows of another teacher, kind or seed, or
        other answers to its questions (what differs is named).
    """
    check_config(config)
    file, kind = Appended(path), config.kind | {"seed": seed}
    known = {question.question: question.answer for question in questions}
    for number, record in enumerate(file, 1):
        if "question" not in record or not ("rejected" in record or "exploration" in record):
            raise UserError(
                f"{file.path}, line {number}, is no row that gen-data writes: choose another --out"
            )
        made = record.get("made_by") or {}  # older files say less, or nothing
        other = [name for name, value in kind.items() if made.get(name, value) != value]
        if known.get(record["question"], record.get("answer")) != record.get("answer"):
            other.append("answer to its question")
        if other:
            raise UserError(
                f"{file.path}, line {number}, was made with another {', '.join(other)}: choose "
                "another --out"
            )
    done = {r["question"] for r in file if not ("rejected" in r and r.get("errors"))}
    place = {question.question: number for number, question in enumerate(questions)}
    left = [
        q
        for q in {question.question: question for question in questions}.values()
        if q.question not in done
    ]
    if config.server and left:
        warn_of_other_servers(file, config.server, file.path)
    for start in range(0, len(left), config.batch):
        part = left[start : start + config.batch]
        by_text = {question.question: question for question in part}

        def policy(text, settings, ledger, rng, by=by_text):
            return make_row(by[text], settings, rng, check)

        numbers = [place[question.question] for question in part]
        for question, result in zip(
            part, solve(policy, list(by_text), backend, config, seed, numbers), strict=True
        ):
            server = {"server": config.server} if config.server else {}
            file.add(_record(question, result) | {"made_by": kind} | server)
    return summary(file)


def check_config(config: DataConfig) -> None:
    """Refuse sizes that make no sense.

    Raises:
      UserError: with the field.
    """
    for name in ("solutions", "batch", "plans"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
    if not 0 <= config.adherence <= 1:
        raise UserError(f"adherence is {config.adherence}: it is a share, between 0 and 1")


def _record(question: Question, result: Result) -> Record:
    record = {
        "question": question.question,
        "answer": question.answer,
        "source": question.source,
        **result.trace,
    }
    phases = {name: spent.generated for name, spent in result.ledger.phases.items()}
    skipped = {"errors": result.ledger.errors} if result.ledger.errors else {}
    estimated = {"estimated": True} if result.ledger.estimated else {}
    return record | {"generated": phases} | skipped | estimated


def make_row(
    question: Question, config: DataConfig, rng: np.random.Generator, check: answers.Checker
):
    """The steps for one question, as a policy: a trace with the row, or with the reason of
    rejection.

    Args:
      question: the question, with its answer and maybe a solution.
      config: tries, temperatures, lengths and thresholds.
      rng: seeds of the sampled completions.
      check: `(found, right) -> bool`, compares answers.

    Returns:
      Steps that return `(right answer or None, trace)`.
    """
    rejects: Counter[str] = Counter()
    outcome: dict[str, Any] = {"rejected": "no right solution"}
    solution = yield from right_solution(question, config, rng, check)
    if solution is not None:
        outcome = {"rejected": "no acceptable plan"}
        for attempt in range(config.plans):
            plan, tokens = yield from distil(question, solution, config, attempt, rng)
            if reason := faults(plan, question.answer, config):
                rejects[reason] += 1
                continue
            made = (
                Made(solution)
                if config.post_hoc
                else (yield from execute_anew(question, plan, config, rng, check, rejects))
            )
            if made is not None:
                outcome = row(question, plan, tokens, solution, made)
                break
            outcome = {"rejected": "no acceptable execution"}
    return outcome.get("answer"), outcome | {"rejects": dict(rejects)}


def row(question: Question, plan: str, plan_tokens: int, solution: str, made: Made) -> Record:
    """A finished row; `exploration` and `re_execution` are what is trained on.

    Args:
      question: not used; a row gets its question and answer where it is written.
      plan: text of the plan.
      plan_tokens: tokens of the plan.
      solution: text that the plan was distilled from.
      made: execution, its tokens, and its adherence, which is computed here if it is None.
    """
    execution, tokens, score = made
    score = adherence(plan, execution) if score is None else score
    return {
        "execution": solution,
        "exploration": plan,
        "re_execution": execution,
        "adherence": round(score, 4),
        "plan_tokens": plan_tokens,
        "execution_tokens": tokens,
        "kind": "chain",
    }


def right_solution(question: Question, config: DataConfig, rng, check):
    """The reference solution, unless its boxed answer is another, or the first sampled one whose
    answer is right; None if there is none.

    Args:
      question: the question, with its answer and maybe a solution.
      config: number, length and temperature of sampled solutions.
      rng: seeds of the sampled completions.
      check: `(found, right) -> bool`, compares answers.
    """
    if question.solution:
        boxed = answers.last_box(question.solution)
        return None if boxed and not check(boxed, question.answer) else question.solution
    sampling = Sampling(config.max_tokens, config.solve_temperature, 0.95)
    ask = Ask(
        "solution",
        config.layout.plain_prompt(question.question),
        sampling,
        config.solutions,
        _seed(rng),
    )
    (found,) = yield [ask]
    return next((c.text for c in found if _is_right(c.text, question.answer, check)), None)


def distil(question: Question, solution: str, config: DataConfig, attempt: int, rng):
    """A plan as text, and its tokens: greedy at first, then sampled.

    Args:
      question: the question that the solution answers.
      solution: a right solution.
      config: gives the most tokens of a plan.
      attempt: number of the try from 0; the first is greedy, further ones have temperature 0.7.
      rng: seeds of the sampled completions.
    """
    sampling = Sampling(config.max_plan_tokens, 0.0 if attempt == 0 else 0.7, 0.95)
    ((reply,),) = yield [
        Ask("distil", distil_prompt(question.question, solution), sampling, 1, _seed(rng))
    ]
    return reply.text.strip(), reply.tokens


def faults(plan: str, answer: str, config: DataConfig) -> str | None:
    """Why a plan is rejected: it tells the answer, or has too few or too many steps. None: it is
    not.
    """
    if "\\boxed" in plan or tells(plan, answer):
        return "the plan tells the answer"
    fewest, most = config.steps
    if not fewest <= len(titles(plan)) <= most:
        return "the plan has too few or too many steps"
    return None


def tells(plan: str, answer: str) -> bool:
    """True if a plan holds the answer as a word of its own; the numbers of its steps do not count.
    Answers of one sign are let through as long as no equality leads to them.
    """
    text = re.sub(r"^\s*\d+\.\s", "", plan, flags=re.MULTILINE)
    bare = re.escape(answer.strip().strip("$"))
    if len(answer.strip()) == 1:
        return re.search(rf"(?:=|\bis|\banswer:?)\s*\$?{bare}(?!\w)", text) is not None
    before, after = (
        (r"(?<![\w.])" if answer.strip()[0].isalnum() else ""),
        (r"(?!\w)" if answer.strip()[-1].isalnum() else ""),
    )
    return re.search(before + bare + after, text) is not None


def execute_anew(question: Question, plan: str, config: DataConfig, rng, check, rejects: Counter):
    """The first accepted execution of a plan; None after the last retry.

    Args:
      question: the question, with its answer.
      plan: the plan to carry out.
      config: retries, length, and least adherence.
      rng: seeds of the sampled completions.
      check: `(found, right) -> bool`, compares answers.
      rejects: counts of the reasons of rejection; this function adds to them.
    """
    prompt = execute_prompt(question.question, plan)
    for attempt in range(config.retries + 1):
        sampling = Sampling(config.max_tokens, 0.0 if attempt == 0 else 0.5, 0.95)
        ((reply,),) = yield [Ask("re_execution", prompt, sampling, 1, _seed(rng))]
        score = adherence(plan, reply.text)
        if not reply.finished:
            rejects["the execution was cut off"] += 1
        elif not _is_right(reply.text, question.answer, check):
            rejects["the execution's answer is wrong"] += 1
        elif score < config.adherence:
            rejects["the execution does not follow the plan"] += 1
        else:
            return Made(reply.text, reply.tokens, score)
    return None


def distil_prompt(question: str, solution: str) -> Prompt:
    """Asks for a plan that a solution follows."""
    return Prompt(
        f"Problem:\n{question}\n\nA solution:\n{solution}\n\nWrite the plan that this solution "
        "follows, as a numbered list (1., 2., ...) "
        "of short steps. Say what to do in each step, without any calculation, intermediate result "
        "or final answer."
    )


def execute_prompt(question: str, plan: str) -> Prompt:
    """Asks for a solution that follows a plan."""
    return Prompt(
        f"Problem:\n{question}\n\nPlan:\n{plan}\n\nSolve the problem by following every step of "
        "the plan in order, and nothing else. Begin "
        "each step with its number and its title from the plan. Put the final answer in \\boxed{}."
    )


def summary(records) -> dict[str, Any]:
    """The yield: questions, rows, why the others were rejected, tokens of each phase per row."""
    records = list({record["question"]: record for record in records}.values())  # the last counts
    rows = [record for record in records if "rejected" not in record]
    reasons = Counter(record["rejected"] for record in records if "rejected" in record)
    inner: Counter[str] = Counter()
    generated: Counter[str] = Counter()
    for record in records:
        inner.update(record.get("rejects", {}))
        generated.update(record.get("generated", {}))
    lengths = [
        (row["plan_tokens"], row["execution_tokens"]) for row in rows if row.get("execution_tokens")
    ]
    return {
        "questions": len(records),
        "rows": len(rows),
        "yield": len(rows) / max(1, len(records)),
        "rejected": dict(reasons),
        "attempts_rejected": dict(inner),
        "generated": dict(generated),
        "plan_share": sum(p for p, _ in lengths) / max(1, sum(p + e for p, e in lengths)),
        "adherence": float(np.mean([row["adherence"] for row in rows])) if rows else None,
        "skipped_requests": sum(len(record.get("errors", ())) for record in records),
        "tokens_estimated": any(record.get("estimated", False) for record in records),
    }


def training_texts(
    records: Sequence[Record], layout: E2CFormat = DEFAULT
) -> Iterator[tuple[Prompt, str]]:
    """(prompt, response) of every row that was not rejected."""
    for record in records:
        if "rejected" not in record:
            yield (
                layout.question_prompt(record["question"]),
                layout.response(record["exploration"], record["re_execution"]),
            )


def _is_right(text: str, answer: str, check: answers.Checker) -> bool:
    found = answers.last_box(text)
    return found is not None and check(found, answer)


def _seed(rng) -> int:
    return int(rng.integers(2**31))
