"""The explanation as one HTML page with a drawing of the mapping; no script, nothing loaded from
elsewhere.
"""

from html import escape
from pathlib import Path

from jaxrl.app import html
from reasoning.synthesis.datalog import Const, Var, variables_of
from reasoning.synthesis.dynamite.lineage import lineage, unmapped
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.output.explain import open_questions, sentence, worked
from reasoning.synthesis.dynamite.questions.ambiguity import Sought, next_question
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.errors import write_whole
from reasoning.synthesis.facts import to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import NEST, Schema, layout, walk
from reasoning.synthesis.syntax import show_rule, show_value

ROW, WIDTH, GAP, LEFT, RIGHT = 18, 260, 14, 60, 580
"""Sizes of the drawing in pixels: a line of text, a box, the space between boxes, the left edges of
source and target.
"""
COLOURS = ("#1b6ca8", "#b8442c", "#3d7a37", "#7a4b9c", "#a67c1a", "#2a7f80")
Places = dict[tuple[str, str], int]
"""The height of every column by path and name."""


def write_page(
    mapping: Mapping, path: str | Path, data: Instance | None = None, questions: bool = True
) -> Path:
    """Write the explanation of a mapping as one HTML page.

    Args:
      mapping: the mapping to explain, with its examples.
      path: the file to write.
      data: a source instance to look for open questions in; None: made up.
      questions: look for open questions, which takes some seconds.

    Returns:
      The path.

    Raises:
      UserError: the file cannot be written.
    """
    write_whole(path, page(mapping, data, questions))
    return Path(path)


def page(mapping: Mapping, data: Instance | None = None, questions: bool = True) -> str:
    """The whole page: counts, drawing, questions, rules in words with one record, program."""
    opened = [note.removeprefix("open: ") for note in mapping.notes if note.startswith("open: ")]
    notes = [note for note in mapping.notes if not note.startswith("open: ")]
    question, sought = _asked(mapping, data) if questions else (None, Sought())
    asked = [html.code(open_questions(mapping, question, sought))] if questions else []
    number = len(opened) + (question is not None)
    rules = [
        html.section(
            f"Rule {n}",
            html.paragraph(sentence(rule, mapping.source)),
            html.code(show_rule(rule)),
            html.details(
                "One record followed through", html.code("\n".join(worked(rule, mapping)))
            ),
            level=3,
        )
        for n, rule in enumerate(mapping.program.rules, 1)
    ]
    left = unmapped(mapping)
    return html.page(
        "A migration by example",
        html.tiles(_figures(mapping, number)),
        html.section("The mapping", html.drawing(drawing(mapping), CAPTION)),
        html.section(
            "Questions",
            html.bullets(opened) if opened else html.paragraph("The example leaves nothing open."),
            *asked,
        ),
        html.section("Rules", *rules),
        html.section(
            "Where the columns come from", html.table(("target", "source"), lineage(mapping))
        ),
        html.section(
            "What was noticed",
            html.bullets([*notes, *(f"nothing is made of {column}" for column in left)])
            if notes or left
            else html.paragraph("Every source column is used."),
        ),
        html.section("The program", html.code(mapping.datalog)),
        lead=f"{len(list(walk(mapping.source)))} source collections become "
        f"{len(list(walk(mapping.target)))}, learned from {len(mapping.examples)} example(s).",
    )


CAPTION = (
    "A line for every column that is carried over; dashed lines on the left join columns that must "
    "be equal; a constant next to a column is compared with it."
)


def _asked(mapping: Mapping, data: Instance | None):
    sought = Sought()
    return next_question(mapping, data, sought=sought), sought


def _figures(mapping: Mapping, opened: int):
    """The numbers at the top."""
    source = sum(len(rows) for facts in mapping.source_facts() for rows in facts.values())
    target = sum(
        len(rows)
        for _, one in mapping.examples
        for rows in to_facts(mapping.target, one, "target example", loose=True).values()
    )
    return [
        ("rules", len(mapping.program.rules)),
        ("open questions", opened),
        ("records in the source example", source),
        ("records in the target example", target),
        ("candidates tried", mapping.statistics.get("candidates", 0)),
    ]


def drawing(mapping: Mapping) -> str:
    """Source collections on the left, target collections on the right, every rule in a color.

    A line for every column that is carried over, a dashed one on the left for columns that must be
    equal, and constants next to the columns that are compared with them.
    """
    left, left_places, left_end = _boxes(mapping.source, LEFT)
    right, right_places, right_end = _boxes(mapping.target, RIGHT)
    lines = _constants(mapping, left_places)
    for n, rule in enumerate(mapping.program.rules):
        colour = COLOURS[n % len(COLOURS)]
        lines += _tests(mapping, rule, colour, left_places) + _lines(
            mapping, rule, colour, left_places, right_places
        )
    height = max(left_end, right_end)
    return (
        f'<svg viewBox="0 0 {RIGHT + WIDTH + 10} {height}" width="{RIGHT + WIDTH + 10}" '
        'role="img" aria-label="lines from source columns to target columns" '
        'font-family="ui-monospace, monospace" font-size="12" fill="#222">'
        f"{''.join(left + right + lines)}</svg>"
    )


def _boxes(schema: Schema, x: int) -> tuple[list[str], Places, int]:
    parts, places, y = [], {}, 10
    for path, collection in walk(schema):
        indent = 14 * path.count(NEST)
        height = ROW * (len(collection.attrs) + 1) + 6
        parts.append(
            f'<rect x="{x + indent}" y="{y}" width="{WIDTH - indent}" height="{height}" rx="4" '
            'fill="#fafaf7" stroke="#888"/>'
            f'<text x="{x + indent + 8}" y="{y + ROW - 3}" font-weight="bold">'
            f"{escape(_cut(path, indent))}</text>"
        )
        for n, attr in enumerate(collection.attrs, 1):
            places[path, attr.name] = y + ROW * n + ROW - 6
            key = " (key)" if attr.name in collection.key else ""
            parts.append(
                f'<text x="{x + indent + 16}" y="{places[path, attr.name]}">'
                f"{escape(_cut(attr.name, indent + 90))}: "
                f"{attr.type}{key}</text>"
            )
        y += height + GAP
    return parts, places, y


def _cut(name: str, taken: int) -> str:
    """A name that fits into its box."""
    most = (WIDTH - taken - 16) // 8
    return name if len(name) <= most else name[: most - 1] + "…"


def _constants(mapping: Mapping, left: Places) -> list[str]:
    """Next to every source column the constants that rules compare it with."""
    said: dict[int, dict[str, None]] = {}
    for rule in mapping.program.rules:
        for atom in rule.body:
            for term, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
                if isinstance(term, Const) and (atom.relation, column.name) in left:
                    y = left[atom.relation, column.name]
                    said.setdefault(y, {})[show_value(term.value)] = None
    return [
        f'<text x="{LEFT + WIDTH - 8}" y="{y}" text-anchor="end" fill="{COLOURS[0]}">'
        f"= {escape(_cut(' or '.join(values), 110))}</text>"
        for y, values in said.items()
    ]


def _tests(mapping, rule, colour, left: Places) -> list[str]:
    """Lines between source columns that a rule demands to be equal."""
    found, seen = [], {}
    for atom in rule.body:
        for term, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
            y = left.get((atom.relation, column.name), 0) - 4
            if column.is_id:
                continue
            if isinstance(term, Var):
                x, bow = LEFT + 14 * atom.relation.count(NEST), LEFT - 45
                x_0, start = seen.setdefault(term, (x, y))
                if start != y:
                    found.append(
                        f'<path d="M{x_0} {start} C{bow} {start} {bow} {y} {x} {y}" fill="none" '
                        f'stroke="{colour}" '
                        'stroke-dasharray="4 3"/>'
                    )
    return found


def _lines(mapping, rule, colour, left: Places, right: Places) -> list[str]:
    path = rule.heads[-1].relation
    collection = dict(walk(mapping.target))[path]
    terms = (
        flat_terms(rule, len(rule.heads) - 1, mapping.target)[-len(collection.attrs) :]
        if collection.attrs
        else []
    )
    found = []
    for attr, term in zip(collection.attrs, terms, strict=True):
        for atom in rule.body:
            for one, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
                if one in variables_of(term) and (atom.relation, column.name) in left:
                    a, b = left[atom.relation, column.name] - 4, right[path, attr.name] - 4
                    start, end = LEFT + WIDTH, RIGHT + 14 * path.count(NEST)
                    found.append(
                        f'<path d="M{start} {a} C{start + 120} {a} {end - 120} {b} {end} {b}" '
                        f'fill="none" stroke="{colour}"/>'
                    )
    return found
