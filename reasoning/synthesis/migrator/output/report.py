"""A refactoring as one HTML page; no script, nothing loaded from elsewhere."""

import difflib
from html import escape

from reasoning.synthesis.migrator.output.explain import (
    columns_in_words,
    functions_in_words,
    tables_in_words,
)
from reasoning.synthesis.migrator.result import Refactoring
from reasoning.synthesis.migrator.sql.program import Function
from reasoning.synthesis.migrator.sql.unparse import show_function

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 1180px; color: #222;
  background: #fff; padding: 0 1em }
pre { background: #f5f5f2; padding: .7em; margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 12.5px/1.45 ui-monospace, monospace }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
td, th { vertical-align: top; text-align: left; padding: .3em }
.gone { background: #fbe3df } .new { background: #dff2df }
.claim { border-left: 4px solid #1b6ca8; padding-left: .8em }
h3 { margin: 1.2em 0 .2em; font-size: 1em } .hand { color: #b8442c }
"""


def page(found: Refactoring) -> str:
    """The whole page: claims, columns, tables, and every function that changed before and after."""
    pairs = [
        (old, new)
        for old, new in zip(found.old.functions, found.new.functions, strict=True)
        if not new.text
    ]
    shown = "".join(_pair(old, new, found.new.dialect) for old, new in pairs)
    by_hand = "".join(
        f'<p class="hand">{escape(name)} is outside the fragment and must be rewritten by hand: '
        f"{escape(found.old.named(name).outside)}</p>"
        for name in found.by_hand
    )
    words = "\n".join(
        [*columns_in_words(found), "", *tables_in_words(found), "", *functions_in_words(found)]
    )
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A refactored '
        f"program</title><style>{STYLE}</style>"
        f"<h1>A program for a new schema</h1>{_claims(found)}{by_hand}<h2>Where everything "
        f"went</h2><pre>{escape(words)}</pre>"
        f"<h2>Functions before and after</h2>{shown or '<p>None had to change.</p>'}</html>\n"
    )


def _claims(found: Refactoring) -> str:
    effort = found.effort
    lines = [
        "Functions one by one, from databases related by the data mapping: no difference in "
        f"{found.related} calls.",
        f"Sequences of calls from the empty database: {found.checked.text()}.",
        f"For all arguments, by solver: {found.verified}.",
        f"{effort.correspondences} correspondences, {effort.iterations} proposals, "
        f"{effort.candidates} candidate functions, "
        f"{effort.seconds:.2f} s.",
        *(
            f"Not checked: {which} schema, {note}."
            for which, tables in (("old", found.source), ("new", found.target))
            for note in tables.not_read
        ),
    ]
    return '<div class="claim">' + "".join(f"<p>{escape(line)}</p>" for line in lines) + "</div>"


def _pair(old: Function, new: Function, dialect: str) -> str:
    before, after = (
        show_function(old, dialect).splitlines()[1:],
        show_function(new, dialect).splitlines()[1:],
    )
    left, right = _marked(before, after)
    head = f"<h3>{escape(old.name)}({escape(', '.join(old.params))})</h3>"
    return f"{head}<table><tr><td><pre>{left}</pre></td><td><pre>{right}</pre></td></tr></table>"


def _marked(before: list[str], after: list[str]) -> tuple[str, str]:
    """Both texts with the lines that only one has coloured."""
    same = difflib.SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
    kept = (
        {n for b in same for n in range(b.a, b.a + b.size)},
        {n for b in same for n in range(b.b, b.b + b.size)},
    )
    sides = []
    for lines, stay, mark in ((before, kept[0], "gone"), (after, kept[1], "new")):
        sides.append(
            "\n".join(
                escape(x) if n in stay else f'<span class="{mark}">{escape(x)}</span>'
                for n, x in enumerate(lines)
            )
        )
    return sides[0], sides[1]
