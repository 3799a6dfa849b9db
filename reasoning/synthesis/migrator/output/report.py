"""A refactoring as one HTML page that a reviewer can sign: what goes where, every function before
and after, how far each was checked, and the data script.
"""

from collections.abc import Sequence

from jaxrl.app import html
from reasoning.synthesis.migrator.equivalence.strength import HEADER, remarks, strengths
from reasoning.synthesis.migrator.output.data_migration import migration_sql
from reasoning.synthesis.migrator.output.explain import columns_in_words, tables_in_words
from reasoning.synthesis.migrator.output.picture import picture
from reasoning.synthesis.migrator.result import Refactoring
from reasoning.synthesis.migrator.sql.program import Function
from reasoning.synthesis.migrator.sql.unparse import show_function


def page(found: Refactoring, counts: Sequence[tuple[str, int, str]] = ()) -> str:
    """The whole page; `counts` are those of a dry run."""
    effort, by_hand = found.effort, set(found.by_hand)
    warnings = [
        f"{name} is outside the fragment and must be rewritten by hand: "
        f"{found.old.named(name).outside}"
        for name in found.by_hand
    ]
    tiles = [
        ("functions", len(found.new.functions)),
        ("rewritten", len(found.rewritten)),
        ("kept as they were", len(found.new.functions) - len(found.rewritten) - len(by_hand)),
        ("to be rewritten by hand", len(by_hand)),
        ("calls compared", found.related + found.checked.queries),
        ("seconds", round(effort.seconds, 2)),
    ]
    return html.page(
        "A program for a new schema",
        html.tiles(tiles),
        _where(found),
        _claims(found),
        html.section("Functions before and after", *_functions(found)),
        _data(found, counts),
        _signature(),
        lead="Read the correspondence, the functions that changed and how far each was checked; "
        "then sign at the end.",
        warnings=warnings,
    )


def _where(found: Refactoring):
    drawn = picture(found.mapping)
    parts = [html.safe(f'<div class="scroll" tabindex="0">{drawn}</div>')] if drawn else []
    lines = [one.strip() for one in (*columns_in_words(found)[1:], *tables_in_words(found)[1:])]
    return html.section("Where everything goes", *parts, html.bullets(lines))


def _claims(found: Refactoring):
    claims = [
        "One by one, from databases related by the data mapping: no difference in "
        f"{found.related:,} calls.",
        f"Sequences of calls: {found.checked.text()}.",
        f"By solver: {found.verified}.",
        *(_sentence(line) for line in remarks(found)),
    ]
    table = html.table(
        HEADER, strengths(found), "How far each function was checked", row_heads=True
    )
    return html.section("What is claimed", html.bullets(claims), table)


def _sentence(line: str) -> str:
    """A remark with a capital, unless it begins with a name."""
    name = any(mark in line.split(" ", 1)[0] for mark in "._")
    return f"{line}." if name else f"{line[0].upper()}{line[1:]}."


def _functions(found: Refactoring):
    pairs = [
        (old, new)
        for old, new in zip(found.old.functions, found.new.functions, strict=True)
        if not new.text
    ]
    yield from (_pair(old, new, found.new.dialect, found.new.schemas) for old, new in pairs)
    if not pairs:
        yield html.paragraph("None had to change.")


def _pair(old: Function, new: Function, dialect: str, schemas: dict[str, str]):
    before, after = (
        "\n".join(show_function(one, dialect, schemas).splitlines()[1:]) for one in (old, new)
    )
    title = f"{old.name}({', '.join(old.params)})"
    return html.section(title, html.word_diff(before, after, "before", "after"), level=3)


def _data(found: Refactoring, counts: Sequence[tuple[str, int, str]]):
    script = migration_sql(found.mapping, found.new.dialect)
    if counts:
        shown = html.table(("what", "rows", "first keys"), counts, "Counted in the old database")
    else:
        shown = html.paragraph("Nothing was counted: name the database by --database.", "note")
    return html.section(
        "The data script", shown, html.details("Show the script", html.code(script))
    )


def _signature():
    return html.section(
        "Signature", html.table(("name", "date", "decision"), [("\u00a0", "\u00a0", "\u00a0")])
    )
