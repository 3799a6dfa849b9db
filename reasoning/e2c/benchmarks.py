"""Benchmarks from local files: AIME, MATH-500, GSM8K, AMC, MedQA, MedMCQA, MMLU. Nothing is
downloaded.

An adapter is a function from a record to a problem, by the commonly published field names; other
names are mapped by the caller.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from jaxrl.app.errors import UserError
from reasoning.e2c import answers
from reasoning.e2c.records import Record, is_blank, read_records


class Task(NamedTuple):
    """One problem of a benchmark."""

    question: str
    """Text of the question, with its options if it has any."""
    answer: str
    name: str = ""
    """Its id, if it has one."""


class Benchmark(NamedTuple):
    """Rules for reading records and checking answers."""

    read: Callable[[Record], Task]
    check: answers.Checker


LETTERS = "ABCDEFGHIJ"
FILLED = {"answer", "answer_idx", "cop", "opa", "opb", "opc", "opd"}
"""Fields that may not be empty where a record has them."""


def with_options(question: str, options: list[str]) -> str:
    """A multiple-choice question in words."""
    listed = "\n".join(
        f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)
    )
    return f"{question}\n{listed}\nAnswer with the letter of one option."


def integer_problem(record: Record) -> Task:
    """AIME {problem, answer} and AMC {question or problem, answer}: the answer is a number, 33 as
    good as 033 or 33.0.
    """
    value = answers.as_number(str(record["answer"]))
    if value is None:
        raise ValueError(f"the answer {record['answer']!r} is no number")
    return Task(
        str(record.get("problem") or record["question"]), str(value), str(record.get("id", ""))
    )


def latex_problem(record: Record) -> Task:
    """MATH-500: {problem, answer, unique_id}."""
    return Task(str(record["problem"]), str(record["answer"]), str(record.get("unique_id", "")))


def gsm8k_problem(record: Record) -> Task:
    """{question, answer}, the number behind the last ####."""
    _, mark, number = str(record["answer"]).rpartition("####")
    if not mark:
        raise ValueError("the answer has no ####")
    return Task(str(record["question"]), number.strip().replace(",", ""))


def medqa_problem(record: Record) -> Task:
    """{question, options: {A: ..., B: ...}, answer_idx}."""
    options = record["options"]
    return Task(
        with_options(str(record["question"]), [str(options[letter]) for letter in sorted(options)]),
        str(record["answer_idx"]),
    )


def medmcqa_problem(record: Record) -> Task:
    """{question, opa, opb, opc, opd, cop: 0 to 3}."""
    options = [str(record[name]) for name in ("opa", "opb", "opc", "opd")]
    return Task(
        with_options(str(record["question"]), options),
        _letter(record["cop"], options),
        str(record.get("id", "")),
    )


def mmlu_problem(record: Record) -> Task:
    """{question, choices: four, answer: 0 to 3 or a letter}; a CSV's choices may be columns A to D,
    and its header may be missing, as in the published files.
    """
    choices = record.get("choices") or [record[letter] for letter in "ABCD"]
    return Task(
        with_options(str(record["question"]), [str(choice) for choice in choices]),
        _letter(record["answer"], choices),
    )


def mmlu_records(path: str | Path) -> list[Record]:
    """Records of any kind of file; a .csv may lack its header."""
    if Path(path).suffix != ".csv":
        return read_records(path)
    named = read_records(path, ("question", *"ABCD", "answer"))
    return read_records(path) if named and "question" in named[0].values() else named


def _letter(value: Any, options: list) -> str:
    text = str(value).strip().upper()
    if text in LETTERS[: len(options)]:
        return text
    if text.isdigit() and int(text) < len(options):
        return LETTERS[int(text)]
    raise ValueError(f"{value!r} names none of {len(options)} options")


BENCHMARKS = {
    "aime": Benchmark(integer_problem, answers.numeric),
    "math500": Benchmark(latex_problem, answers.math_verify),
    "gsm8k": Benchmark(gsm8k_problem, answers.numeric),
    "amc": Benchmark(integer_problem, answers.numeric),
    "medqa": Benchmark(medqa_problem, answers.multiple_choice),
    "medmcqa": Benchmark(medmcqa_problem, answers.multiple_choice),
    "mmlu": Benchmark(mmlu_problem, answers.multiple_choice),
}


def load(name: str, path: str | Path, fields: Mapping[str, str] = {}) -> list[Task]:
    """All problems of a file.

    Args:
      name: of the benchmark, a key of BENCHMARKS.
      path: .jsonl, .json, .csv or .parquet.
      fields: the adapter's name of a field -> its name in the file, where they differ.

    Raises:
      UserError: an unknown benchmark, a file that cannot be read, or a record that does not fit
        (its number is named).
    """
    if name not in BENCHMARKS:
        raise UserError(f"{name!r} is no benchmark: choose one of {', '.join(BENCHMARKS)}")
    tasks = []
    for number, record in enumerate(
        mmlu_records(path) if name == "mmlu" else read_records(path), 1
    ):
        try:
            named = record | {ours: record[theirs] for ours, theirs in fields.items()}
            empty = sorted(field for field in FILLED & set(named) if is_blank(named[field]))
            if all(is_blank(named.get(field)) for field in ("problem", "question")):
                empty.append("question")
            if empty and set(named) & {"problem", "question"}:
                raise ValueError(f"its {empty[0]} is empty")
            tasks.append(BENCHMARKS[name].read(named))
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            missing = f"no field {error}" if isinstance(error, KeyError) else str(error)
            raise UserError(
                f"{path}, record {number}, does not fit {name}: {missing}; its fields are "
                f"{', '.join(map(str, record))}; other names are "
                "given by --fields"
            ) from None
    if not tasks:
        raise UserError(f"{path} holds no problems: name a file with at least one record")
    return tasks
