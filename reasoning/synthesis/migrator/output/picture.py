"""The correspondence as a drawing: old tables on the left, new ones on the right, a line from every
column to each of its places.
"""

from dataclasses import dataclass
from html import escape

from reasoning.synthesis.migrator.correspondence import mapping as maps
from reasoning.synthesis.migrator.sql.tables import Place

ROW, HEAD, GAP = 20, 24, 14
"""Heights of a column and of a table's name, and the space between tables, in pixels."""
SWITCH = 1000
"""Windows narrower than this, in pixels, show the narrow drawing."""
COLORS = ("#1d5b8f", "#b45309", "#2f7d4f", "#8b3a8f", "#5b6470", "#a3243b")
"""Colors of the lines, one for each old table in turn; dark enough on white."""


@dataclass(frozen=True)
class _Layout:
    """Widths of a drawing."""

    name: str  # of its class on the page
    wide: int  # width of a table, in pixels
    apart: int  # space between both sides
    letters: int  # of a name that fit
    size: int  # of the letters


WIDE = _Layout("wide-drawing", 300, 340, 40, 13)
NARROW = _Layout("narrow-drawing", 152, 40, 21, 11)


@dataclass
class _Side:
    """Tables of one schema, as they are drawn."""

    layout: _Layout
    left: int  # of all boxes
    parts: list[str]  # SVG
    rows: dict[Place, int]  # the height of the middle of each column
    bottom: int = 0  # of the last box

    def table(self, name: str, columns: dict[str, str], color: str) -> None:
        """Add a table whose columns have notes."""
        top = self.bottom + GAP if self.bottom else 2
        high = HEAD + ROW * len(columns) + 4
        self.parts.append(
            f'<rect x="{self.left}" y="{top}" width="{self.layout.wide}" height="{high}" rx="5" '
            f'fill="#f4f6f8" stroke="{color}"/>'
            f'<text x="{self.left + 10}" y="{top + 17}" font-weight="600">'
            f"{_short(name, self.layout.letters)}</text>"
        )
        for n, (column, note) in enumerate(columns.items()):
            y = top + HEAD + ROW * n + ROW // 2
            self.rows[name, column] = y
            letters = self.layout.letters
            left = max(letters - len(column), letters // 5)
            muted = f' <tspan fill="#52606d">{_short(note, left)}</tspan>' if note else ""
            shown = _short(column, letters - 5 * bool(note))
            self.parts.append(
                f'<text x="{self.left + 10}" y="{y + 4}">{shown}{muted}'
                f"<title>{escape(f'{column} {note}'.strip())}</title></text>"
            )
        self.bottom = top + high


def _short(text: str, letters: int) -> str:
    plain = " ".join(text.split())
    return escape(plain if len(plain) <= letters else plain[: letters - 1] + "…")


def picture(mapping: maps.DataMapping) -> str:
    """An SVG drawing of the tables that change, and a narrow one for small windows; empty if none
    does.

    Columns without a place are marked "dropped", new ones with what fills them.
    """
    drawn = [_drawing(mapping, layout) for layout in (WIDE, NARROW)]
    if not drawn[0]:
        return ""
    rules = (
        f".{NARROW.name}{{display:none}}@media (max-width:{SWITCH - 1}px)"
        f"{{.{WIDE.name}{{display:none}}.{NARROW.name}{{display:block}}}}"
    )
    return f"<style>{rules}</style>{''.join(drawn)}"


def _drawing(mapping: maps.DataMapping, layout: _Layout) -> str:
    changed = [name for name in mapping.source.by_name if name in mapping.changed]
    made = [name for name in mapping.target.by_name if not mapping.identity(name)]
    if not changed and not made:
        return ""
    copies = [
        ((cell.table, cell.column), (name, column))
        for name in made
        if name in mapping.rules
        for rule in mapping.rules[name].parts
        for column, cell in rule.cells.items()
        if isinstance(cell, maps.Copy)
    ]
    used = {one for one, _ in copies}
    drawn = list(dict.fromkeys([*changed, *(table for table, _ in sorted(used))]))
    color = {name: COLORS[n % len(COLORS)] for n, name in enumerate(drawn)}
    far = 2 + layout.wide + layout.apart
    old, new = _Side(layout, 2, [], {}), _Side(layout, far, [], {})
    for name in drawn:
        table = mapping.source[name]
        notes = {
            c: "computed" if c in table.computed else "" if (name, c) in used else "dropped"
            for c in table.types
        }
        old.table(name, notes, color[name])
    for name in made:
        new.table(name, _notes(mapping, name), "#52606d")
    lines = [
        _line(2 + layout.wide, old.rows[one], far, new.rows[other], color[one[0]])
        for one, other in copies
    ]
    high, wide = max(old.bottom, new.bottom) + 4, far + layout.wide + 2
    label = f"{len(copies)} columns of {len(drawn)} old tables and their places in the new schema"
    return (
        f'<svg class="{layout.name}" role="img" aria-label="{label}" width="{wide}" '
        f'height="{high}" viewBox="0 0 {wide} {high}" style="max-width:none" '
        f'font-family="system-ui, sans-serif" font-size="{layout.size}" fill="#1f2933">'
        f"{''.join([*lines, *old.parts, *new.parts])}</svg>"
    )


def _notes(mapping: maps.DataMapping, name: str) -> dict[str, str]:
    """Notes on the columns of a new table that no old column fills."""
    table, rule = mapping.target[name], mapping.rules.get(name)
    notes = {}
    for column in table.types:
        cell = rule.cells.get(column) if rule else None
        if rule and rule.also and (said := _constants(rule, column)):
            notes[column] = ", ".join(said)
        elif isinstance(cell, maps.Made):
            whose = f"each {rule.distinct}" if rule.distinct else cell.anchor
            notes[column] = f"key made for {whose}"
        elif isinstance(cell, maps.Found):
            notes[column] = f"key of its {cell.value} in {cell.lookup}"
        elif isinstance(cell, maps.Fixed):
            notes[column] = "NULL" if cell.value is None else f"always {cell.value}"
        else:
            notes[column] = "" if cell else "computed" if column in table.computed else "not filled"
    return notes


def _constants(rule: maps.Rule, column: str) -> list[str]:
    """The constants that old tables' rows have in a column; empty: all have the same, or none."""
    cells = [(part.anchor, part.cells.get(column)) for part in rule.parts]
    if len({str(cell) for _, cell in cells}) < 2:
        return []
    return [
        f"{'NULL' if cell.value is None else cell.value} ({anchor})"
        for anchor, cell in cells
        if isinstance(cell, maps.Fixed)
    ]


def _line(x: int, y: int, to_x: int, to_y: int, color: str) -> str:
    bend = (to_x - x) // 2
    return (
        f'<path d="M{x} {y} C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}" fill="none" '
        f'stroke="{color}" stroke-width="1.6" opacity="0.85"/>'
    )
