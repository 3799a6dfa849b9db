"""The format of an Explore-Execute chain: tags, prompts, and a parser that survives truncation and
repetition.

A response is `<EXPLORATION>` plan `</EXPLORATION><EXECUTION>` steps `</EXECUTION>`; its first tag
is prefilled (the authors' e2c_rl.sh).
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

OPEN_PLAN, CLOSE_PLAN = "<EXPLORATION>", "</EXPLORATION>"
OPEN_EXECUTION, CLOSE_EXECUTION = "<EXECUTION>", "</EXECUTION>"
TAGS = (OPEN_PLAN, CLOSE_PLAN, OPEN_EXECUTION, CLOSE_EXECUTION)


class Prompt(NamedTuple):
    """Prompt for a language model: a user's turn, and the beginning of the assistant's, which it
    continues with.
    """

    user: str
    prefill: str = ""


class Parsed(NamedTuple):
    """A response, taken apart."""

    plan: str
    """Text of the exploration; "" if there is none."""
    execution: str
    """Text of the execution; the whole response if nothing parts it."""
    has_boundary: bool
    """A tag, or the execution's first sentence, parted plan and execution."""
    is_closed: bool
    """The execution's closing tag was written."""
    is_repeated: bool
    """A tag stands there more than once; only the first of each counts."""

    @property
    def well_formed(self) -> bool:
        """Plan, boundary and end, each once."""
        return bool(self.plan) and self.has_boundary and self.is_closed and not self.is_repeated


@dataclass(frozen=True)
class E2CFormat:
    """Words around questions, plans and executions. All sentences are ours."""

    suffix: str = "Reason step by step and put the final answer in \\boxed{}."
    """After every question."""
    plan_opening: str = "Let me lay out a plan, step by step."
    """First sentence of every plan in training data."""
    execution_opening: str = "Now I carry out the plan, one step after the other."
    """First sentence of every execution in training data; it also parts plan and execution where
    the tags are missing.
    """
    instructions: bool = True
    """True for a model that reads instructions in the user's turn. An execution's prompt then names
    the plan there as well, as the authors' does, and judges and refinements are asked for in words.
    False: only the prefilled text speaks.
    """

    def question_prompt(self, question: str) -> Prompt:
        """Asks for a whole chain, or for its plan if generation stops at </EXPLORATION>."""
        return Prompt(f"{question} {self.suffix}".strip(), OPEN_PLAN)

    def plain_prompt(self, question: str) -> Prompt:
        """Asks for a solution without a plan."""
        return Prompt(f"{question} {self.suffix}".strip())

    def execution_prompt(self, question: str, plan: str) -> Prompt:
        """Asks for the execution of a plan: generation continues inside <EXECUTION>."""
        user = f"{question} {self.suffix}".strip()
        if self.instructions:
            user += f"\n\nFollow this plan exactly, step by step:\n{plan}"
        return Prompt(user, f"{OPEN_PLAN}{plan}{CLOSE_PLAN}{OPEN_EXECUTION}")

    def response(self, plan: str, execution: str) -> str:
        """The training target behind the prefilled tag, without the end-of-sequence token."""

        def opened(opening, text):
            return f"{opening}\n{text}" if opening and not text.startswith(opening) else text

        plan, execution = (
            opened(self.plan_opening, plan.strip()),
            opened(self.execution_opening, execution.strip()),
        )
        return f"{plan}{CLOSE_PLAN}{OPEN_EXECUTION}{execution}{CLOSE_EXECUTION}"

    def parse(self, text: str) -> Parsed:
        """Take a response apart, with or without its prefilled tag.

        The boundary is the first </EXPLORATION>, else the first <EXECUTION>, else the execution's
        opening sentence. What follows the first </EXECUTION> is dropped; a missing end is no
        obstacle.
        """
        text = text.strip().removeprefix(OPEN_PLAN)
        repeated = any(text.count(tag) > 1 for tag in TAGS[1:]) or OPEN_PLAN in text
        before, boundary, after = self._split(text)
        execution, closed, _ = after.partition(CLOSE_EXECUTION)

        def strip(part, opening):
            return _without_tags(part).strip().removeprefix(opening).strip()

        plan = strip(before, self.plan_opening) if boundary else ""
        return Parsed(
            plan, strip(execution, self.execution_opening), boundary, bool(closed), repeated
        )

    def _split(self, text: str) -> tuple[str, bool, str]:
        for mark in (CLOSE_PLAN, OPEN_EXECUTION, self.execution_opening):
            if mark and mark in text:
                before, _, after = text.partition(mark)
                return before, True, after
        return "", False, text


DEFAULT = E2CFormat()
"""Tags with our sentences."""


def _without_tags(text: str) -> str:
    return re.sub("|".join(map(re.escape, TAGS)), "", text)


TITLE = re.compile(r"^[ \t]*(?:\*\*|#+ *)?(\d+)\.[ \t]+(.*)$", re.MULTILINE)


def titles(text: str) -> list[str]:
    """Titles of a numbered list whose numbers stand at the start of a line: what follows `N.` up to
    the end of the line, no asterisks.
    """
    return [
        match[2].replace("*", "").strip()
        for match in TITLE.finditer(text)
        if match[2].replace("*", "").strip()
    ]


def titles_official(text: str) -> list[str]:
    """The authors' rule: whatever follows a number, a point and a blank anywhere, also inside a
    sentence ("... is 3. Then ...").
    """
    return [
        title.replace("*", "").strip()
        for title in re.findall(r"\d+\.\s*([^\n]+)", text)
        if title.replace("*", "").strip()
    ]
