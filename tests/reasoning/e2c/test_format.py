"""Tags, prompts and the parser, on whole, truncated and repeated responses."""

import pytest

from reasoning.e2c.format import E2CFormat, Prompt, titles, titles_official

LAYOUT = E2CFormat()
PLAN, STEPS = (
    "1. Add the numbers.\n2. Halve the sum.",
    "1. Add the numbers.\n2 + 4 = 6\n2. Halve the sum.\n\\boxed{3}",
)


def test_what_is_written_is_read_back():
    text = LAYOUT.response(PLAN, STEPS)
    found = LAYOUT.parse(text)
    assert (found.plan, found.execution) == (PLAN, STEPS) and found.well_formed
    assert LAYOUT.parse("<EXPLORATION>" + text) == found
    assert (
        LAYOUT.response(PLAN, LAYOUT.execution_opening + " x").count(LAYOUT.execution_opening) == 1
    )


@pytest.mark.parametrize(
    "text, plan, execution, boundary, closed, repeated",
    [
        ("a</EXPLORATION><EXECUTION>b</EXECUTION>", "a", "b", True, True, False),
        ("a</EXPLORATION><EXECUTION>b", "a", "b", True, False, False),  # cut off in the execution
        ("a, and then", "", "a, and then", False, False, False),  # cut off in the plan
        ("a<EXECUTION>b</EXECUTION>", "a", "b", True, True, False),  # the closing tag is missing
        (
            "a\nNow I carry out the plan, one step after the other.\nb",
            "a",
            "b",
            True,
            False,
            False,
        ),  # no tag at all
        ("a</EXPLORATION><EXECUTION>b</EXECUTION>c</EXECUTION>", "a", "b", True, True, True),
        (
            "a</EXPLORATION>x</EXPLORATION><EXECUTION>b</EXECUTION>",
            "a",
            "xb",
            True,
            True,
            True,
        ),  # the first closing tag counts
        ("", "", "", False, False, False),
        ("</EXPLORATION><EXECUTION></EXECUTION>", "", "", True, True, False),
    ],
)
def test_odd_responses_are_parsed(text, plan, execution, boundary, closed, repeated):
    found = LAYOUT.parse(text)
    assert found[:2] == (plan, execution)
    assert (found.has_boundary, found.is_closed, found.is_repeated) == (boundary, closed, repeated)


def test_prompts_prefill_the_tags_and_repeat_the_plan():
    asked = LAYOUT.question_prompt("What is half of 2 + 4?")
    assert asked.prefill == "<EXPLORATION>" and asked.user.endswith("\\boxed{}.")
    run = LAYOUT.execution_prompt("What?", PLAN)
    assert PLAN in run.user and run.prefill == f"<EXPLORATION>{PLAN}</EXPLORATION><EXECUTION>"
    bare = E2CFormat(suffix="", instructions=False)
    assert bare.execution_prompt("What?", "p").user == "What?"
    assert bare.plain_prompt("What?") == Prompt("What?", "")


def test_titles_stand_at_the_start_of_a_line():
    text = "1. First **step**\nso x is 3. Then we go on\n  2. Second\n**3. Third**\n4.5 is a number"
    assert titles(text) == ["First step", "Second", "Third"]
    # the authors' rule also takes numbers inside sentences, and the decimals of 4.5
    assert titles_official(text) == [
        "First step",
        "Then we go on",
        "Second",
        "Third",
        "5 is a number",
    ]
