"""The mapping as a drawing: source collections on the left, target collections on the right, a line
for every column that is carried over, every rule in a color.
"""

from html import escape
from typing import NamedTuple

from reasoning.synthesis.datalog import Const, Rule, Var, variables_of
from reasoning.synthesis.dynamite.mapping import Mapping
from reasoning.synthesis.engines.identity import flat_terms
from reasoning.synthesis.schema import NEST, Collection, Schema, layout, walk
from reasoning.synthesis.syntax import show_value

ROW, GAP, LETTER = 18, 14, 7.3
"""Sizes in pixels: a line of text, the space between boxes, a letter of the type face."""
COLORS = ("#1b6ca8", "#b8442c", "#3d7a37", "#7a4b9c", "#a67c1a", "#2a7f80")
CAPTION = (
    "A line for every column that is carried over; dashed lines on the left join columns that must "
    "be equal; a constant below a column is compared with it."
)
Column = tuple[str, str]
"""The path of a collection and the name of an attribute."""


class Frame(NamedTuple):
    """Widths of a drawing in pixels."""

    left: int
    """Left edge of the source's boxes; dashed lines lie before it."""
    width: int
    """Width of a box."""
    right: int
    """Left edge of the target's boxes."""

    @property
    def whole(self) -> int:
        """Width of the drawing."""
        return self.right + self.width + 4


WIDE, NARROW = Frame(60, 320, 640), Frame(22, 142, 204)
"""Frames for screens, and for telephones: letters keep their size in both."""
SWITCH = 760
"""Width of a window in pixels from which the wide drawing is shown."""


def drawings(mapping: Mapping) -> str:
    """Draw a mapping for wide and for narrow windows, of which the window shows one.

    Args:
      mapping: the mapping to draw.

    Returns:
      An SVG whose style shows the drawing that fits.
    """
    wide, high = drawing(mapping, WIDE)
    narrow, higher = drawing(mapping, NARROW)
    style = (
        f"<style>#mapping{{width:{WIDE.whole}px;height:{high}px}}#mapping .narrow{{display:none}}"
        f"@media (max-width:{SWITCH - 1}px){{#mapping{{width:{NARROW.whole}px;height:{higher}px}}"
        "#mapping .wide{display:none}#mapping .narrow{display:inline}}</style>"
    )
    return (
        '<svg role="img" aria-label="lines from source columns to target columns" id="mapping" '
        'font-family="ui-monospace, monospace" font-size="12" fill="#222" '
        f'style="max-width:none">{style}<g class="wide">{wide}</g>'
        f'<g class="narrow">{narrow}</g></svg>'
    )


def drawing(mapping: Mapping, frame: Frame) -> tuple[str, int]:
    """Draw boxes and lines in a frame; returns the parts of an SVG and their height."""
    said = _constants(mapping)
    left, right = _Side(frame.left, frame.width), _Side(frame.right, frame.width)
    left.boxes(mapping.source, said)
    right.boxes(mapping.target, {})
    lines = []
    for n, rule in enumerate(mapping.program.rules):
        color = COLORS[n % len(COLORS)]
        lines += _tests(mapping, rule, color, left) + _lines(mapping, rule, color, (left, right))
    return "".join(left.parts + right.parts + lines), max(left.bottom, right.bottom)


class _Side:
    """The boxes of one schema."""

    def __init__(self, edge: int, width: int):
        self.edge, self.width = edge, width
        self.parts: list[str] = []
        self.rows: dict[Column, int] = {}
        self.bottom = 4

    def boxes(self, schema: Schema, said: dict[Column, list[str]]):
        """Add a box for every collection, and constants below the columns that they are for."""
        for path, collection in walk(schema):
            below = sum((path, attr.name) in said for attr in collection.attrs)
            high = ROW * (len(collection.attrs) + 1 + below) + 6
            x = self.start(path)
            self.parts.append(
                f'<rect x="{x}" y="{self.bottom}" width="{self.edge + self.width - x}" '
                f'height="{high}" rx="4" fill="#fafaf7" stroke="#888"/>'
            )
            y = self.bottom + ROW - 3
            self._text(x + 6, y, path.rpartition(NEST)[2], path, 'font-weight="bold"')
            for attr in collection.attrs:
                y += ROW
                self.rows[path, attr.name] = y - 4
                self._text(x + 12, y, *_titles(collection, attr))
                if values := said.get((path, attr.name)):
                    y += ROW
                    shown = "= " + " or ".join(values)
                    self._text(x + 18, y, shown, shown, f'fill="{COLORS[0]}"')
            self.bottom += high + GAP

    def start(self, path: str) -> int:
        """The left edge of a collection: nested ones are indented."""
        return self.edge + (14 if self.width > 200 else 8) * path.count(NEST)

    def _text(self, x: int, y: int, shown: str, whole: str, style: str = ""):
        """A text that is cut where its box ends; whole where the pointer rests on it."""
        most = int((self.edge + self.width - x - 4) / LETTER)
        if whole.startswith(shown) and len(whole) <= most:
            shown = whole
        shown = shown if len(shown) <= most else shown[: most - 1] + "…"
        self.parts.append(
            f'<text x="{x}" y="{y}" {style}><title>{escape(whole)}</title>{escape(shown)}</text>'
        )


def _titles(collection: Collection, attr) -> tuple[str, str]:
    """The name of a column, and the name with its type."""
    key = " (key)" if attr.name in collection.key else ""
    return attr.name, f"{attr.name}: {attr.type}{key}"


def _constants(mapping: Mapping) -> dict[Column, list[str]]:
    """For every source column the constants that rules compare it with."""
    said: dict[Column, dict[str, None]] = {}
    for rule in mapping.program.rules:
        for atom in rule.body:
            for term, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
                if isinstance(term, Const) and not column.is_id:
                    place = said.setdefault((atom.relation, column.name), {})
                    place[show_value(term.value)] = None
    return {place: list(values) for place, values in said.items()}


def _tests(mapping: Mapping, rule: Rule, color: str, left: _Side) -> list[str]:
    """Dashed lines between source columns that a rule demands to be equal."""
    found: list[str] = []
    seen: dict[Var, tuple[int, int]] = {}
    for atom in rule.body:
        for term, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
            if column.is_id or not isinstance(term, Var):
                continue
            x, y = left.start(atom.relation), left.rows[atom.relation, column.name]
            first, start = seen.setdefault(term, (x, y))
            bow = left.edge - min(45, left.edge)
            if start != y:
                found.append(
                    f'<path d="M{first} {start} C{bow} {start} {bow} {y} {x} {y}" fill="none" '
                    f'stroke="{color}" stroke-dasharray="4 3"/>'
                )
    return found


def _lines(mapping: Mapping, rule: Rule, color: str, sides: tuple[_Side, _Side]) -> list[str]:
    """Lines from source columns to the columns of a rule's last collection."""
    left, right = sides
    path = rule.heads[-1].relation
    attrs = dict(walk(mapping.target))[path].attrs
    terms = flat_terms(rule, len(rule.heads) - 1, mapping.target)
    start, end = left.edge + left.width, right.start(path)
    bend = (right.edge - start) // 2
    found: dict[str, None] = {}
    for attr, term in zip(attrs, terms[len(terms) - len(attrs) :], strict=True):
        for atom in rule.body:
            for one, column in zip(atom.terms, layout(mapping.source)[atom.relation], strict=True):
                if one in variables_of(term) and (atom.relation, column.name) in left.rows:
                    a, b = left.rows[atom.relation, column.name], right.rows[path, attr.name]
                    curve = f"M{start} {a} C{start + bend} {a} {end - bend} {b} {end} {b}"
                    found[f'<path d="{curve}" fill="none" stroke="{color}"/>'] = None
    return list(found)
