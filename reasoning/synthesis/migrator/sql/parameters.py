"""Parameters as drivers want them: %(name)s, $1, ?, and sqlc.arg(name), sqlc.narg(name) and @name
of sqlc, read as :name and written again.
"""

import itertools
import re

QUOTED = r"'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|--[^\n]*|/\*.*?\*/"
STYLES = {"pyformat": r"%\((\w+)\)s", "numeric": r"\$(\d+)", "qmark": r"\?"}


SQLC = r"sqlc\.(?P<kind>n?arg)\(\s*'?(?P<name>\w+)'?\s*\)|(?<![\w@<&:])@(?P<short>[A-Za-z_]\w*)"


def named_by_sqlc(text: str) -> tuple[str, str]:
    """The text with :name in place of sqlc's named parameters, and how each was written; empty if
    there are none.
    """
    written: dict[str, str] = {}

    def replaced(seen):
        if seen["quoted"] is not None:
            return seen["quoted"]
        name = seen["name"] or seen["short"]
        written.setdefault(name, seen["kind"] or "@")
        return f":{name}"

    made = re.sub(rf"(?P<quoted>{QUOTED})|{SQLC}", replaced, text, flags=re.DOTALL)
    return made, "sqlc " + " ".join(f"{n}={kind}" for n, kind in written.items()) if written else ""


def named(text: str) -> tuple[str, str]:
    """The text with :name parameters, and how they were written; texts in quotes stay."""
    silent = re.sub(QUOTED, "''", text, flags=re.DOTALL)
    for style, pattern in STYLES.items():
        if not re.search(pattern, silent):
            continue
        numbers = itertools.count(1)

        def replaced(seen, style=style, numbers=numbers):
            if seen["quoted"] is not None:
                return seen["quoted"]
            if style == "pyformat":
                return f":{seen[2]}"
            return f":p{seen[2]}" if style == "numeric" else f":p{next(numbers)}"

        both = rf"(?P<quoted>{QUOTED})|{pattern}"
        return re.sub(both, replaced, text, flags=re.DOTALL), style
    return text, ""


def styled(text: str, style: str, params: tuple[str, ...]) -> str:
    """The text with its :name parameters as they were written.

    Question marks are written only where they come in the old order, each once; else the names
    stay, p1 for the first one.
    """
    pattern = rf"(?P<quoted>{QUOTED})|(?<![:\w]):([A-Za-z_]\w*)"
    found = [m[2] for m in re.finditer(pattern, text, re.DOTALL) if m["quoted"] is None]
    if not style or (style == "qmark" and found != list(params)):
        return text
    made = {"pyformat": lambda n: f"%({n})s", "numeric": lambda n: f"${n[1:]}"}
    made["qmark"] = lambda n: "?"
    if style.startswith("sqlc "):
        kinds = dict(one.split("=") for one in style.split()[1:])

        def in_sqlc(name):
            kind = kinds.get(name, "arg")
            return f"@{name}" if kind == "@" else f"sqlc.{kind}({name})"

        made[style] = in_sqlc
    return re.sub(
        pattern,
        lambda m: m[0] if m["quoted"] is not None else made[style](m[2]),
        text,
        flags=re.DOTALL,
    )
