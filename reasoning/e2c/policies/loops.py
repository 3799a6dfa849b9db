"""Noticing a text that runs in circles."""

import re


def is_loop(text: str, block: int = 40, times: int = 4) -> bool:
    """True if the end of a text repeats itself: a block of up to 400 characters `times` times in a
    row (ABAB counts as a block AB), or one paragraph of at least `block` characters as often
    anywhere.

    Blocks need `block` characters in all their repetitions together times two, so that short
    counting is no loop.
    """
    return _repeats_at_the_end(text, block, times) or _repeats_paragraphs(text, block, times)


def _repeats_at_the_end(text: str, block: int, times: int) -> bool:
    tail = text.rstrip()[-400 * times :]
    for size in range(1, min(400, len(tail) // times) + 1):
        if size * times >= 2 * block and tail.endswith(tail[-size:] * times):
            return True
    return any(
        tail.endswith(tail[-size:] * (2 * block // size + times))
        for size in range(1, 2 * block // times + 1)
        if len(tail) >= size
    )


def _repeats_paragraphs(text: str, block: int, times: int) -> bool:
    paragraphs = [part.strip() for part in re.split(r"\n\s*\n", text) if len(part.strip()) >= block]
    return any(paragraphs.count(part) >= times for part in set(paragraphs))
