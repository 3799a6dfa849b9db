r"""Word problems in several families, with a language of plans that a program can carry out.

A plan names operations and the numbers of the question, never a result:

    1. multiply 4 by 3
    2. subtract from 20

Its execution is `1. multiply 4 by 3: 4*3=12`, `2. subtract from 20: 20-12=8`, `\boxed{8}`. Which
operations a story asks for is the plan's business; the execution follows and calculates.
"""

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np

from jaxrl.app.errors import UserError
from reasoning.e2c.adherence import common_subsequence
from reasoning.e2c.format import E2CFormat

LAYOUT = E2CFormat(suffix="", plan_opening="", execution_opening="", instructions=False)
"""Tags and nothing else: the study's model is trained without instructions."""
Domain = Literal["daily", "workshop"]
MISSES = 1000
"""Draws in a row without a new problem, after which a domain counts as exhausted."""
LARGEST = 99
"""Values that a right plan passes through lie between 0 and this."""


class Problem(NamedTuple):
    """One problem, in words."""

    question: str
    answer: str
    plan: str
    """The right plan."""
    execution: str
    """Execution of the right plan."""
    numbers: tuple[int, ...]
    """Those of the question, in order."""
    family: str


class Executed(NamedTuple):
    """A plan, carried out."""

    text: str
    answer: str


_FIRST = {
    "multiply": (re.compile(r"multiply (\d+) by (\d+)"), lambda a, b: (a * b, f"{a}*{b}")),
    "add": (re.compile(r"add (\d+) and (\d+)"), lambda a, b: (a + b, f"{a}+{b}")),
    "subtract": (re.compile(r"subtract (\d+) from (\d+)"), lambda a, b: (b - a, f"{b}-{a}")),
}
_NEXT = {
    "add": (re.compile(r"add (\d+)"), lambda x, a: (x + a, f"{x}+{a}")),
    "subtract": (re.compile(r"subtract (\d+)"), lambda x, a: (x - a, f"{x}-{a}")),
    "from": (re.compile(r"subtract from (\d+)"), lambda x, a: (a - x, f"{a}-{x}")),
    "multiply": (re.compile(r"multiply by (\d+)"), lambda x, a: (x * a, f"{x}*{a}")),
}


def execute(plan: str) -> Executed | None:
    """Carry a plan out; None if it is none: a line of another form, or a value outside 0 to 999."""
    lines, value = plan.strip().splitlines(), None
    text = []
    for number, line in enumerate(lines, 1):
        step = line.strip().removeprefix(f"{number}. ")
        known = _FIRST if value is None else _NEXT
        for pattern, apply in known.values():
            if step != line.strip() and (match := pattern.fullmatch(step)):
                operands = [int(group) for group in match.groups()]
                value, formula = apply(*(operands if value is None else [value, *operands]))
                text.append(f"{number}. {step}: {formula}={value}")
                break
        else:
            return None
        if not 0 <= value <= 999:
            return None
    return Executed("\n".join([*text, f"\\boxed{{{value}}}"]), str(value)) if text else None


def follows(plan: str, execution: str) -> bool:
    """True if an execution is word for word what the plan leads to."""
    expected = execute(plan)
    return expected is not None and execution.strip() == expected.text


def steps_in_order(plan: str, execution: str) -> float:
    """Share of a plan's steps that the execution names in order, in [0, 1]."""
    planned = [line.strip() for line in plan.strip().splitlines()]
    done = [line.partition(":")[0].strip() for line in execution.strip().splitlines()]
    return common_subsequence(planned, done) / max(1, len(planned))


class Family(NamedTuple):
    """One kind of story."""

    name: str
    draw: Callable[[np.random.Generator], tuple[int, ...]]
    """Numbers of a question, in order."""
    stories: tuple[str, ...]
    """Templates with {who}, {what} and the numbers {0}, {1}, ..."""
    steps: tuple[str, ...]
    """Steps of the right plan, with the same numbers."""


def _ints(*bounds: tuple[int, int]) -> Callable[[np.random.Generator], tuple[int, ...]]:
    def draw(rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(int(rng.integers(low, high + 1)) for low, high in bounds)

    return draw


SMALL, MIDDLE = (2, 9), (2, 20)
FAMILIES: dict[str, tuple[Family, ...]] = {
    "daily": (
        Family(
            "change",
            _ints(SMALL, SMALL, (20, 90)),
            (
                "{who} buys {0} {what} at {1} dollars each and pays with {2} dollars. How many "
                "dollars does {who} get back?",
                "One of the {what} costs {1} dollars. {who} takes {0} and has {2} dollars. How "
                "many dollars are left?",
            ),
            ("multiply {0} by {1}", "subtract from {2}"),
        ),
        Family(
            "boxes",
            _ints(SMALL, SMALL, MIDDLE),
            (
                "{who} fills {0} boxes with {1} {what} each and loses {2} of them. How many {what} "
                "are left?",
                "{0} bags hold {1} {what} each. {who} gives {2} away. How many {what} remain?",
            ),
            ("multiply {0} by {1}", "subtract {2}"),
        ),
        Family(
            "collect",
            _ints(MIDDLE, MIDDLE, MIDDLE),
            (
                "{who} has {0} {what}, gets {1} more and gives {2} away. How many {what} does "
                "{who} have now?",
                "{who} finds {0} {what} today and {1} tomorrow, but drops {2}. How many {what} "
                "are left?",
            ),
            ("add {0} and {1}", "subtract {2}"),
        ),
        Family(
            "wages",
            _ints(SMALL, SMALL, MIDDLE),
            (
                "{who} packs {0} {what} an hour for {1} hours, and {2} more at home. How many is "
                "that?",
                "{who} has {2} {what} and buys {0} packs of {1}. How many {what} does {who} have?",
            ),
            ("multiply {0} by {1}", "add {2}"),
        ),
        Family(
            "bus",
            _ints((20, 60), SMALL, SMALL, MIDDLE),
            (
                "{who} counts {0} {what}. {1} groups of {2} come and {3} go. How many {what} are "
                "there?",
            ),
            ("multiply {1} by {2}", "add {0}", "subtract {3}"),
        ),
    ),
    "workshop": (
        Family(
            "faults",
            _ints(SMALL, SMALL, MIDDLE),
            ("A press stamps {0} lids per minute; after {1} minutes {2} are faulty. Good lids?",),
            ("multiply {0} by {1}", "subtract {2}"),
        ),
        Family(
            "stock",
            _ints((40, 90), SMALL, SMALL),
            ("Stock: {0} bolts. {1} machines use {2} bolts each. Bolts left in stock?",),
            ("multiply {1} by {2}", "subtract from {0}"),
        ),
        Family(
            "tank",
            _ints(MIDDLE, MIDDLE, SMALL),
            ("A tank at level {0} rises by {1}; the scale counts each level {2} times. Reading?",),
            ("add {0} and {1}", "multiply by {2}"),
        ),
    ),
}
"""Families by domain. In the new one, stories use other words and one pair of steps is new;
executions are of the same kind.
"""
WHO = ("Ana", "Tom", "Mia", "Leo", "Eva", "Sam")
WHAT = ("pens", "cups", "books", "nuts", "cards", "eggs", "stamps", "keys")


def draw_many(
    count: int, seed: int, domain: Domain = "daily", families: int | None = None
) -> list[Problem]:
    """Draw different problems.

    Args:
      count: number of problems.
      seed: seed of the draws.
      domain: stories of everyday life, or of a workshop.
      families: kinds of stories, from the first of the domain; None: all.

    Returns:
      `count` problems whose questions differ.

    Raises:
      UserError: the domain does not hold so many.
    """
    rng, found = np.random.default_rng(seed), {}
    misses = 0
    while len(found) < count and misses < MISSES:
        problem = draw(rng, domain, families)
        misses += 1
        if problem is not None and problem.question not in found:
            found[problem.question], misses = problem, 0
    if len(found) == count:
        return list(found.values())
    raise UserError(f"{domain} does not hold {count} different problems: ask for fewer")


def draw(
    rng: np.random.Generator, domain: Domain = "daily", families: int | None = None
) -> Problem | None:
    """Draw one problem; None if a value on its way is negative or too large."""
    kinds = FAMILIES[domain][:families]
    family = kinds[int(rng.integers(len(kinds)))]
    numbers = family.draw(rng)
    story = family.stories[int(rng.integers(len(family.stories)))]
    who, what = WHO[int(rng.integers(len(WHO)))], WHAT[int(rng.integers(len(WHAT)))]
    plan = numbered([step.format(*numbers) for step in family.steps])
    done = execute(plan)
    if done is None or any(int(v) > LARGEST for v in re.findall(r"=(\d+)", done.text)):
        return None
    question = story.format(*numbers, who=who, what=what)
    return Problem(question, done.answer, plan, done.text, numbers, family.name)


def numbered(steps: list[str]) -> str:
    """A plan of these steps."""
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def other_plan(problem: Problem, rng: np.random.Generator) -> str:
    """Another plan of the same numbers that can be carried out and leads to another answer."""
    for _ in range(1000):
        numbers = [int(n) for n in rng.permutation(problem.numbers)]
        first = ("multiply {} by {}", "add {} and {}", "subtract {} from {}")
        later = ("add {}", "subtract {}", "subtract from {}")
        steps = [first[int(rng.integers(3))].format(*numbers[:2])]
        steps += [later[int(rng.integers(3))].format(number) for number in numbers[2:]]
        plan = numbered(steps)
        done = execute(plan)
        if done is not None and done.answer != problem.answer:
            return plan
    raise UserError(f"no other plan of {problem.numbers} can be carried out")
