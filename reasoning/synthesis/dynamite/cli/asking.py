"""The command `ask`: on a terminal until nothing is open, or one question and one answer at a time
for a script.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from reasoning.synthesis.connect.json_stream import read_instance
from reasoning.synthesis.connect.sources import read_whole
from reasoning.synthesis.dynamite.mapping import Mapping, load_mapping, save_mapping
from reasoning.synthesis.dynamite.questions.ambiguity import Question, Sought, next_question
from reasoning.synthesis.dynamite.synthesize import Unsat, synthesize_mapping
from reasoning.synthesis.errors import UserError, write_whole
from reasoning.synthesis.infer import Instance

FOUND, WRONG, IMPOSSIBLE, SPENT = 0, 1, 3, 4
"""Exit codes; bad input is 2."""


@dataclass(frozen=True)
class Ask:
    """Put the smallest question that the examples leave open, and learn from the answer; on a
    terminal until nothing is open.
    """

    mapping: Path
    """The mapping file that `learn` wrote; it is replaced when something was learned."""
    sample: str | None = None
    """Path or URL of a small source instance to take records from; made up if absent."""
    question: Path | None = None
    """For scripts: write the question there as JSON and stop; with --answer, the question that is
    answered.
    """
    answer: str | None = None
    """1 or 2, or the path of a target instance."""
    rounds: int = 10
    """Questions at most, on a terminal."""


def read_sample(path: str | None, mapping: Path) -> Instance | None:
    """A source instance of any kind, whole; None if there is no path."""
    if path is None:
        return None
    unread: list[str] = []
    sample = read_whole(load_mapping(mapping).source, path, unread)
    for sentence in unread:
        print(f"note: not read: {sentence}", file=sys.stderr)
    return sample


def ask(command: Ask) -> int:
    """Ask once for a script, or until nothing is open on a terminal."""
    if command.question is None and command.answer is None:
        return _converse(command)
    if command.question is None:
        raise UserError("--answer needs --question: the file that the question was written to")
    if command.answer is None:
        return _write_question(command)
    try:
        asked = json.loads(command.question.read_text(encoding="utf-8"))
        source, answers = asked["source"], (asked["answers"][0], asked["answers"][1])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise UserError(f"{command.question} is no question that `ask` wrote ({error})") from error
    return _learn_more(command, source, _answer(command.answer, answers))


def _sought(command: Ask) -> tuple[Question | None, Sought]:
    """The next question, and the amount of search behind it."""
    sought, sample = Sought(), read_sample(command.sample, command.mapping)
    return next_question(load_mapping(command.mapping), sample, sought=sought), sought


def _write_question(command: Ask) -> int:
    question, sought = _sought(command)
    data = (
        {"source": None}
        if question is None
        else {"path": question.path, "source": question.source, "answers": question.answers}
    )
    write_whole(command.question, json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    print(
        f"nothing is open: {sought}"
        if question is None
        else f"{question.path} is open: {command.question}"
    )
    return FOUND


def _answer(text: str, answers) -> Instance:
    if text in ("1", "2"):
        return answers[int(text) - 1]
    return read_instance(Path(text))


def _learn_more(command: Ask, source: Instance, target: Instance) -> int:
    """Learn again with one more example; the mapping is replaced if there is still a program."""
    mapping = load_mapping(command.mapping)
    examples = [*mapping.examples, (source, target)]
    found = synthesize_mapping(mapping.source, mapping.target, examples, mapping.options)
    if not isinstance(found, Mapping):
        reason = found.reason if isinstance(found, Unsat) else "out of time"
        print(
            f"no program fits this answer next to the examples: {reason}; the mapping stays as it "
            "was",
            file=sys.stderr,
        )
        return IMPOSSIBLE if isinstance(found, Unsat) else SPENT
    save_mapping(found, command.mapping)
    print(found.datalog, end="")
    return FOUND


def _converse(command: Ask) -> int:
    for _ in range(command.rounds):
        question, sought = _sought(command)
        if question is None:
            print(f"nothing is open: {sought}")
            return FOUND
        reply = _put(question)
        if reply is None:
            return FOUND
        if status := _learn_more(command, question.source, _answer(reply, question.answers)):
            return status
    print(f"{command.rounds} questions were answered; more may be open")
    return FOUND


def _put(question: Question) -> str | None:
    """Print the question and read the reply; None: the user leaves."""

    def show_json(value):
        return json.dumps(value, indent=1, ensure_ascii=False)

    print(f"{question.path}: what should become of\n{show_json(question.source)}")
    for n, answer in enumerate(question.answers, 1):
        print(f"{n}: {show_json(answer)}")
    try:
        reply = input("1, 2, the path of another target instance, or nothing to stop: ").strip()
    except EOFError:
        return None
    return reply or None
