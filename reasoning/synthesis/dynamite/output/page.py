"""The explanation as one HTML page with a drawing of the mapping; no script, nothing loaded from
elsewhere.
"""

from html import escape
from pathlib import Path

from reasoning.synthesis.datalog import Const, Var
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.dynamite.output.explain import explain
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.errors import write_whole
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import NEST, Schema, layout, walk
from reasoning.synthesis.syntax import show_value

ROW, WIDTH, GAP, LEFT, RIGHT = 18, 260, 14, 60, 580
"""Sizes of the drawing in pixels: a line of text, a box, the space between boxes, the left edges of
source and target.
"""
COLOURS = ("#1b6ca8", "#b8442c", "#3d7a37", "#7a4b9c", "#a67c1a", "#2a7f80")
STYLE = """body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto;
  max-width: 860px; color: #222; background: #fff }
pre { background: #f5f5f2; padding: 1em; overflow-x: auto;
  white-space: pre-wrap }
svg { max-width: 100%; height: auto }
svg text { font: 12px ui-monospace, monospace; fill: #222 } svg .name { font-weight: bold }"""

Places = dict[tuple[str, str], int]
"""The height of every column by path and name."""


def write_page(
    mapping: Mapping, path: str | Path, data: Instance | None = None, questions: bool = True
) -> Path:
    """Write the page; returns its path. Raises UserError if the place cannot be written."""
    write_whole(path, page(mapping, data, questions))
    return Path(path)


def page(mapping: Mapping, data: Instance | None = None, questions: bool = True) -> str:
    """The whole page: drawing, sentences, program, statistics."""
    statistics = ", ".join(f"{name} {value}" for name, value in mapping.statistics.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>A migration by '
        f"example</title><style>{STYLE}</style>"
        f"<h1>A migration by example</h1>{drawing(mapping)}<h2>In "
        f"words</h2><pre>{escape(explain(mapping, data, questions))}</pre>"
        f"<h2>The program</h2><pre>{escape(mapping.datalog)}</pre><p>Learned from "
        f"{len(mapping.examples)} examples: "
        f"{escape(statistics)}.</p></html>\n"
    )


def drawing(mapping: Mapping) -> str:
    """Source collections on the left, target collections on the right, every rule in a colour.

    A line for every column that is carried over, a dashed one on the left for columns that must be
    equal, and constants next to the columns that are compared with them.
    """
    left, left_places, left_end = _boxes(mapping.source, LEFT)
    right, right_places, right_end = _boxes(mapping.target, RIGHT)
    lines = []
    for n, rule in enumerate(mapping.program.rules):
        colour = COLOURS[n % len(COLOURS)]
        lines += _tests(mapping, rule, colour, left_places) + _lines(
            mapping, rule, colour, left_places, right_places
        )
    height = max(left_end, right_end)
    return (
        f'<svg viewBox="0 0 {RIGHT + WIDTH + 10} {height}" role="img" aria-label="lines from '
        'source columns to target columns">'
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
            f'<text x="{x + indent + 8}" y="{y + ROW - 3}" class="name">{escape(path)}</text>'
        )
        for n, attr in enumerate(collection.attrs, 1):
            places[path, attr.name] = y + ROW * n + ROW - 6
            key = " (key)" if attr.name in collection.key else ""
            parts.append(
                f'<text x="{x + indent + 16}" y="{places[path, attr.name]}">{escape(attr.name)}: '
                f"{attr.type}{key}</text>"
            )
        y += height + GAP
    return parts, places, y


def _tests(mapping, rule, colour, left: Places) -> list[str]:
    """Demands of the rule of source columns: equality to one another, or to a constant."""
    found, seen = [], {}
    for atom in rule.body:
        for term, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
            y = left.get((atom.relation, column.name), 0) - 4
            if column.is_id:
                continue
            if isinstance(term, Const):
                said = f"= {escape(show_value(term.value))}"
                found.append(
                    f'<text x="{LEFT + WIDTH - 8}" y="{y + 4}" text-anchor="end" style="fill: '
                    f'{colour}">{said}</text>'
                )
            elif isinstance(term, Var):
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
                if one == term and isinstance(term, Var) and (atom.relation, column.name) in left:
                    a, b = left[atom.relation, column.name] - 4, right[path, attr.name] - 4
                    start, end = LEFT + WIDTH, RIGHT + 14 * path.count(NEST)
                    found.append(
                        f'<path d="M{start} {a} C{start + 120} {a} {end - 120} {b} {end} {b}" '
                        f'fill="none" stroke="{colour}"/>'
                    )
    return found
