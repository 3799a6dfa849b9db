"""The process that runs math-verify: pairs come in as lines of JSON, verdicts go out.

It is a script of its own, started by `deadline`, and imports nothing of this project: a tower of
powers may take for ever or all memory, and then only this process ends.
"""

import argparse
import json
import logging
import re
import signal
import sys

HARD_LIMIT = 30
"""Seconds after which the process ends itself, should its parent be gone."""
MEMORY = 6 << 30
"""Bytes of address space."""
PROBE = 7919
TOLERANCE = 1e-6
EXACT = 1e-12


def same(gold: str, candidate: str) -> bool:
    """True if math-verify finds both equal, and both were read whole."""
    from math_verify import verify

    gold, candidate = apart(gold, candidate)
    read_gold, read_candidate = read(gold), read(candidate)
    if not verify(read_gold, read_candidate, timeout_seconds=None):
        complex_pair = imaginary(read_gold), imaginary(read_candidate)
        if complex_pair == (read_gold, read_candidate):
            return False
        read_gold, read_candidate = complex_pair
        if not equal_numbers(first_expression(read_gold), first_expression(read_candidate)):
            return False
    pair = first_expression(read_gold), first_expression(read_candidate)
    if None in pair:
        return True
    if far_apart(*pair) and "%" not in gold + candidate:
        return False
    return whole(gold, pair[0]) and whole(candidate, pair[1])


def apart(*texts: str) -> list[str]:
    """Texts in which a capital variable has another name than the small one: math-verify reads R
    and r as one, so that R/r would be 1. Only where a text has both.
    """
    word = r"\\[A-Za-z]+|[A-Za-z]{3,}"  # a command, or a word: no variables

    def letters(text):
        return set(re.findall("[A-Za-z]", re.sub(word, " ", text)))

    both = {c for t in texts for c in letters(t) if c.isupper() and c.lower() in letters(t)}

    def renamed(match):
        found = match[0]
        return f" {found.lower()}_{{{PROBE}}} " if found in both else found

    return [re.sub(word + "|[A-Z]", renamed, text) for text in texts]


def read(text: str) -> list:
    """math-verify's reading of one formula."""
    from math_verify import parse

    return parse(f"${text}$", parsing_timeout=None)


def imaginary(found: list) -> list:
    r"""A reading in which the variable i is the imaginary unit, as in e^{i\pi}."""
    import sympy

    return [with_unit(item) if isinstance(item, sympy.Expr) else item for item in found]


def with_unit(expression):
    """The expression with the imaginary unit for i, if that is its only variable."""
    import sympy

    names = {symbol.name: symbol for symbol in expression.free_symbols}
    return expression.subs(names["i"], sympy.I) if set(names) == {"i"} else expression


def equal_numbers(one, other) -> bool:
    """True for two numbers, complex ones too, that agree to rounding."""
    if one is None or other is None or one.free_symbols or other.free_symbols:
        return False
    a, b = complex(one.evalf(20)), complex(other.evalf(20))
    return abs(a - b) <= EXACT * max(abs(a), abs(b))


def first_expression(found: list):
    """The first sympy expression, a scalar, of a reading; None for sets, relations and text."""
    import sympy

    for item in found:
        if isinstance(item, sympy.Expr) and not getattr(item, "is_Matrix", False):
            return item
        if not isinstance(item, str):
            return None
    return None


def far_apart(one, other) -> bool:
    """True for numbers whose relative difference is not rounding.

    math-verify compares six decimals, so that 1/2004! and 1/2006! are both 0 to it.
    """
    try:
        if one.free_symbols or other.free_symbols:
            return False
        a, b = one.evalf(20), other.evalf(20)
        if not (a.is_number and b.is_number and a.is_finite and b.is_finite):
            return False
        scale = max(abs(a), abs(b))
        return bool(scale != 0 and abs(a - b) > TOLERANCE * scale)
    except (TypeError, ValueError, AttributeError, ArithmeticError):
        return False


def whole(text: str, found) -> bool:
    r"""True if all of a formula was read: adding a number at either end adds it to the value.

    math-verify reads `4\sqrt(2)` as 4 and says nothing.
    """
    import sympy

    if re.fullmatch(r"[+-]?[\d.,/ ]+", text) or re.search(r"=|\\pm|%|,|_", text):
        return True
    for probe in (f"({text})+{PROBE}", f"{PROBE}+({text})"):
        other = first_expression(read(probe))
        if other is None:
            return False
        if not found.free_symbols:
            other = with_unit(other)
        gap = sympy.simplify(other - found - PROBE)
        if gap != 0 and not (gap.is_number and abs(gap.evalf()) < 1e-6):
            return False
    return True


def main() -> None:
    """Serve until the input ends."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    logging.disable(logging.CRITICAL)
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # a machine without such limits: the deadline remains
    sys.set_int_max_str_digits(20_000)
    try:
        import math_verify  # noqa: F401
    except ImportError:
        print(json.dumps({"missing": "math-verify"}), flush=True)
        return
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        signal.alarm(HARD_LIMIT)
        gold, candidate = json.loads(line)
        try:
            verdict = same(gold, candidate)
        except MemoryError:
            verdict = False
        except RecursionError:
            verdict = False
        except Exception:  # sympy raises anything on malformed input: such an answer is not right
            verdict = False
        signal.alarm(0)
        print(json.dumps({"same": bool(verdict)}), flush=True)


if __name__ == "__main__":
    main()
