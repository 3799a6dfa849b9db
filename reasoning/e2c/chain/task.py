"""The task: variables defined by others, `c: a 3` (c is a plus 3, modulo 10), two roots `a: # 4`,
one query `? c`.

The plan is the way from a root to the query, `a c`; the execution follows it, adding by counting
(left, value): `a 4 = 4 ; c 3 4 2 5 1 6 0 7 = 7 ;`, and ends with `? 7`. Which root and which turns
lead to the query must be known before the first step: that is the plan's business, and hard for a
small network, which has to guess at times. The execution only follows and counts. Every problem has
exactly one answer, one right plan and one right execution.

Our choice: plans run forwards. Walked backwards, from parent to parent, a plan needs no foresight,
is right 99 times in 100 as soon as it
is learned at all, and leaves nothing to explore.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c.format import CLOSE_EXECUTION, CLOSE_PLAN, OPEN_EXECUTION, OPEN_PLAN

NAMES = tuple("abcdefghijkl")
MODULUS = 10
LARGEST_STEP = 4
WORDS = (
    "<pad>",
    "<bos>",
    "<eos>",
    OPEN_PLAN,
    CLOSE_PLAN,
    OPEN_EXECUTION,
    CLOSE_EXECUTION,
    "?",
    "#",
    ";",
    "=",
    *NAMES,
    *(f"{name}:" for name in NAMES),
    *(f"Q{i}" for i in range(len(NAMES))),
    *map(str, range(MODULUS)),
)
"""The vocabulary; a word's place is its id. `c:` is the name where it is defined, `Q3` a code word
for one.
"""
IDS = {word: number for number, word in enumerate(WORDS)}
PAD, EOS = IDS["<pad>"], IDS["<eos>"]
Domain = Literal["names", "codes"]


@dataclass(frozen=True)
class ChainConfig:
    """The distribution of problems."""

    variables: int = 7
    """Defined variables, at most 12."""
    shortest: int = 2
    """Variables on the way from the query to its root, both counted, at least."""
    longest: int = 4
    """The same, at most; smaller than `variables`, since a second root takes one."""
    domain: Domain = "names"
    """names: the query is a name. codes: it is a code word for one, by a permutation that never
    changes: a new domain in which only the first step of the plan is new.
    """

    @property
    def question_length(self) -> int:
        """Tokens of a question with its opening tag: all questions are equally long."""
        return 3 * self.variables + 4

    @property
    def longest_plan(self) -> int:
        """Tokens of a plan with its closing tag."""
        return self.longest + 1

    @property
    def longest_execution(self) -> int:
        """Tokens from <EXECUTION> to <eos>."""
        return 1 + 5 + (self.longest - 1) * (6 + 2 * LARGEST_STEP) + 4

    @property
    def length(self) -> int:
        """Tokens of the longest row."""
        return self.question_length + self.longest_plan + self.longest_execution


class Problem(NamedTuple):
    """One problem, in words."""

    question: str
    """Definitions and query, without tags."""
    answer: str
    """One digit."""
    plan: str
    """Names from the root to the query."""
    execution: str
    """Steps from the root to the query, and `? answer`."""


def check(config: ChainConfig) -> None:
    """Refuse sizes that cannot be.

    Raises:
      UserError: with the field.
    """
    if not 2 <= config.shortest <= config.longest < config.variables <= len(NAMES):
        raise UserError(
            f"shortest {config.shortest}, longest {config.longest}, variables {config.variables}: "
            "choose 2 <= shortest <= longest < "
            f"variables <= {len(NAMES)}"
        )


def code_words(seed: int = 20250928) -> dict[str, str]:
    """The secret of the domain `codes`: which code word stands for which name."""
    order = np.random.default_rng(seed).permutation(len(NAMES))
    return {NAMES[place]: f"Q{number}" for number, place in enumerate(order)}


def draw(rng: np.random.Generator, config: ChainConfig) -> Problem:
    """One random problem: a chain from a root to the query, a second root, and others that hang on
    any of them.
    """
    length = int(rng.integers(config.shortest, config.longest + 1))
    names = [NAMES[i] for i in rng.permutation(len(NAMES))[: config.variables]]
    parents: dict[str, str | None] = {names[0]: None, names[length]: None}
    for number, name in enumerate(names[1:length], 1):
        parents[name] = names[number - 1]
    for number, name in enumerate(names[length + 1 :], length + 1):
        parents[name] = names[int(rng.integers(number))]
    numbers = {
        name: int(rng.integers(1, LARGEST_STEP + 1) if parent else rng.integers(MODULUS))
        for name, parent in parents.items()
    }
    defined = [
        f"{name}: {parents[name] or '#'} {numbers[name]}"
        for name in rng.permutation(names).tolist()
    ]
    query = names[length - 1]
    asked = code_words()[query] if config.domain == "codes" else query
    plan = names[:length]
    execution, answer = execute(plan, parents, numbers)
    return Problem(" ".join([*defined, "?", asked]), answer, " ".join(plan), execution)


def execute(
    plan: list[str], parents: dict[str, str | None], numbers: dict[str, int]
) -> tuple[str, str]:
    """`(execution, answer)` of following a plan from its first name, whose number counts as its
    value, to its last.
    """
    start = plan[0]
    value = numbers[start]
    words = [start, str(value), "=", str(value), ";"]
    for name in plan[1:]:
        words.append(name)
        for left in range(numbers[name] if parents[name] else 0, -1, -1):
            words += [str(left), str(value)]
            value = (value + (left > 0)) % MODULUS
        words += ["=", str(value), ";"]
    return " ".join([*words, "?", str(value)]), str(value)


def read_question(question: str) -> tuple[dict[str, str | None], dict[str, int], str]:
    """`(parents, numbers, query)` of a question's words; a code word is decoded."""
    words = question.split()
    parents, numbers = {}, {}
    for name, parent, number in zip(words[0:-2:3], words[1:-2:3], words[2:-2:3], strict=True):
        parents[name[:-1]] = None if parent == "#" else parent
        numbers[name[:-1]] = int(number)
    decode = {code: name for name, code in code_words().items()}
    return parents, numbers, decode.get(words[-1], words[-1])


def draw_many(count: int, config: ChainConfig, seed: int) -> list[Problem]:
    """Random problems; the same seed gives the same ones."""
    check(config)
    rng = np.random.default_rng(seed)
    return [draw(rng, config) for _ in range(count)]


def encode(text: str) -> list[int]:
    """Ids of words parted by blanks.

    Raises:
      UserError: a word that is none.
    """
    try:
        return [IDS[word] for word in text.split()]
    except KeyError as error:
        raise UserError(
            f"{error.args[0]!r} is no word of the chain task, whose words are "
            f"{' '.join(WORDS[:11])}, names, codes, digits"
        ) from None


def decode(ids) -> str:
    """The words of ids, pads left out."""
    return " ".join(WORDS[int(number)] for number in ids if int(number) != PAD)
