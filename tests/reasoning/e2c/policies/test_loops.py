"""Texts that run in circles, and texts that do not."""

import pytest

from reasoning.e2c.policies.loops import is_loop

PARAGRAPH = "We see that the sum of both numbers is even, so we can halve it."


@pytest.mark.parametrize(
    "text, loop",
    [
        ("start " + "and so we try again from the start, " * 6, True),
        ("x" * 300, True),
        ("first this way, and now " + "the one way; or the other way; " * 5, True),  # ABAB
        ("\n\n".join([PARAGRAPH, "a", PARAGRAPH, "b", PARAGRAPH, "c", PARAGRAPH]), True),
        ("\n\n".join([PARAGRAPH, "a", PARAGRAPH]), False),
        ("a 3 4 2 5 1 6 0 7 = 7 ; b 2 7 1 8 0 9 = 9 ;", False),
        ("no no no", False),
        ("", False),
        (PARAGRAPH, False),
    ],
)
def test_loops_are_seen(text, loop):
    assert is_loop(text) is loop
