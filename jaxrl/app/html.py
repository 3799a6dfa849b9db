"""Self-contained report pages: one template, one style sheet, images inlined, no script, nothing
loaded from elsewhere.

Build a page of parts and write it:

    scores = section("Scores", table(["steps", "return"], rows))
    write_page(path, "A run", scores, section("Curves", figure(png, "learning curves")))

Parts are `Markup`. Plain strings are escaped wherever they are given, so names from data cannot
become HTML.
"""

import base64
import difflib
import functools
import html.parser
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxrl.app.files import write_atomic

POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
"""Content security policy: browsers load nothing, run nothing and send nothing, whatever the data
holds.
"""
Content = Any
"""A `Markup`, or a string that will be escaped."""


@functools.cache
def _environment():
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("jaxrl.app"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _parts() -> Any:
    return _environment().get_template("parts.html").module


@functools.cache
def _style() -> str:
    from importlib.resources import files

    return (files("jaxrl.app") / "templates" / "style.css").read_text(encoding="utf-8")


def safe(text: str):
    """Mark HTML written by our own code (a drawing, for example) as it is; never text from data."""
    from markupsafe import Markup

    return Markup(text)


def join(*content: Content):
    """Concatenate parts, escaping plain strings."""
    from markupsafe import Markup

    return Markup("\n").join(content)


def page(
    title: str,
    *content: Content,
    lead: str = "",
    warnings: Sequence[str] = (),
    up: tuple[str, str] | None = None,
) -> str:
    """A whole HTML document.

    Args:
      title: heading of the page and its title.
      *content: parts in order.
      lead: a sentence or two under the heading.
      warnings: sentences that every reader must see.
      up: text and relative link of the page above.

    Raises:
      ValueError: a heading level is skipped, or an image has no alternative text; both shut out
        readers.
    """
    style = _style()
    whole = (
        _environment()
        .get_template("base.html")
        .render(
            title=title,
            body=join(*content),
            lead=lead,
            warnings=warnings,
            up=up,
            policy=POLICY,
            style=safe(style),
        )
    )
    check_page(whole)
    return whole + "\n"


def write_page(path: Path, title: str, *content: Content, **options: Any) -> Path:
    """Write a page (see `page`); returns its path.

    Args:
      path: file to write; its folder is made.
      title: heading of the page and its title.
      *content: parts in order.
      **options: `lead`, `warnings` and `up` of `page`.

    Raises:
      UserError: it cannot be written.
    """
    write_atomic(path, page(title, *content, **options))
    return path


def section(title: str, *content: Content, level: int = 2, id: str = ""):
    """A heading with what follows it; `level` 2 to 4.

    Args:
      title: text of the heading.
      *content: parts under it, in order.
      level: level of the heading, 2 to 4; levels may not be skipped within a page.
      id: HTML id, so that `link` can point to it; "" for none.
    """
    return _parts().section(title, join(*content), level, id)


def paragraph(text: Content, kind: str = ""):
    """A paragraph; `kind` is "", "note" (small) or "warning"."""
    from markupsafe import Markup

    return (
        Markup('<p class="{}">{}</p>').format(kind, text)
        if kind
        else Markup("<p>{}</p>").format(text)
    )


def bullets(items: Iterable[Content]):
    """A list."""
    from markupsafe import Markup

    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(item) for item in items)
    )


def link(text: Content, address: str):
    """A link to a file next to the page, a place in it (#id), or a web page; the text alone for any
    other address.
    """
    from markupsafe import Markup

    scheme = re.match(r"\s*([A-Za-z][A-Za-z0-9+.-]*):", address)
    if (scheme and scheme[1].lower() not in ("http", "https")) or re.search(
        r"[\x00-\x1f]", address
    ):
        return Markup("{}").format(text)
    return Markup('<a href="{}">{}</a>').format(address, text)


def tag(text: Content):
    """A short label on a colored ground."""
    from markupsafe import Markup

    return Markup('<span class="tag">{}</span>').format(text)


def _is_scalar(value: Any) -> bool:
    """True for NumPy's and JAX's numbers."""
    return hasattr(value, "dtype") and getattr(value, "shape", None) == ()


def show(value: Any) -> Any:
    """Format a cell: floats with three digits, whole numbers with separators, None as nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float) or _is_scalar(value):
        number: Any = value
        number = number.item() if hasattr(number, "item") else number
        return f"{number:.3g}" if isinstance(number, float) else show(number)
    return value if hasattr(value, "__html__") else str(value)


_NUMBER = re.compile(r"[+\-−±]?[\d.,]+(e[+-]?\d+)?\s?%?|[+\-−]?(nan|inf)|")


def table(
    header: Sequence[str],
    rows: Iterable[Sequence[Any]],
    caption: str = "",
    wide: bool = False,
    row_heads: bool = False,
):
    """A table; columns of numbers are aligned right, and a table wider than the window scrolls.

    Args:
      header: column names; empty for none.
      rows: cells, see `show`.
      caption: what the table holds; screen readers announce it.
      wide: small letters, for many columns.
      row_heads: the first cell of each row names it.

    Raises:
      ValueError: a row has another number of cells.
    """
    shown = [[show(cell) for cell in row] for row in rows]
    width = len(header) or max(map(len, shown), default=0)
    for row in shown:
        if len(row) != width:
            raise ValueError(f"a row has {len(row)} cells and the table {width} columns: {row}")
    numeric = [
        bool(shown) and all(_NUMBER.fullmatch(str(row[n])) for row in shown) for n in range(width)
    ]
    return _parts().table(header, shown, numeric, caption, wide, row_heads)


def facts(pairs: Mapping[str, Any] | Iterable[tuple[str, Any]], caption: str = ""):
    """A table of names and values, one a line."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return table((), [(name, value) for name, value in items], caption, row_heads=True)


_KINDS = {b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}


def image(data: bytes, alt: str, pixelated: bool = False):
    """An image inside the page.

    Args:
      data: PNG, GIF, JPEG or WebP file.
      alt: what it shows, for readers who do not see it.
      pixelated: enlarge without smoothing, for frames of a game.

    Raises:
      ValueError: it is none of these, or `alt` is empty.
    """
    from markupsafe import Markup

    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
    if kind is None or not alt.strip():
        raise ValueError("an image needs PNG, GIF, JPEG or WebP data and an alternative text")
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    look = Markup(' class="pixelated"') if pixelated else ""
    return Markup('<img src="{}" alt="{}"{}>').format(source, alt, look)


def figure(
    data: bytes, alt: str, caption: Content = "", pixelated: bool = False, small: bool = False
):
    """An image with a caption; see `image`. `small` is for thumbnails in a row.

    Args:
      data: PNG, GIF, JPEG or WebP file.
      alt: what the image shows, for readers who do not see it; not empty.
      caption: text under the image; "" for none.
      pixelated: enlarge without smoothing, for frames of a game.
      small: a thumbnail, 108 pixels wide, several of which stand in a row.
    """
    return _parts().figure(image(data, alt, pixelated), caption, small)


def drawing(svg: str, caption: Content = ""):
    """An SVG drawing with a caption; it must have role="img" and an aria-label, and its texts must
    be escaped.

    Raises:
      ValueError: it has no label.
    """
    if "aria-label=" not in svg.split(">", 1)[0]:
        raise ValueError("a drawing needs role='img' and an aria-label")
    return _parts().figure(safe(svg), caption, False)


def tiles(items: Iterable[tuple[str, Any] | tuple[str, Any, str]]):
    """The few numbers that matter, large: (label, value) or (label, value, note)."""
    return _parts().tiles(
        [(item[0], show(item[1]), item[2] if len(item) > 2 else "") for item in items]
    )


def row(*content: Content):
    """Parts side by side where the window is wide enough."""
    from markupsafe import Markup

    return Markup('<div class="row">{}</div>').format(join(*content))


def code(text: str):
    """Text as it is, in a fixed-width font."""
    from markupsafe import Markup

    return Markup('<pre tabindex="0"><code>{}</code></pre>').format(text)


def details(summary: str, *content: Content, open: bool = False):
    """Parts that a click opens."""
    return _parts().details(summary, join(*content), open)


def diff(before: str, after: str, before_title: str = "before", after_title: str = "after"):
    """Two texts next to one another, the lines that only one has marked.

    Args:
      before, after: the texts, compared line by line.
      before_title, after_title: captions of the two sides.
    """
    old, new = before.splitlines(), after.splitlines()
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    kept_old = {n for b in blocks for n in range(b.a, b.a + b.size)}
    kept_new = {n for b in blocks for n in range(b.b, b.b + b.size)}
    left = [("" if n in kept_old else "removed", line) for n, line in enumerate(old)]
    right = [("" if n in kept_new else "added", line) for n, line in enumerate(new)]
    return _parts().diff(left, right, before_title, after_title)


def word_diff(before: str, after: str, before_title: str = "before", after_title: str = "after"):
    """Two texts next to one another, the words that only one has marked; spaces and line breaks are
    no difference.

    Args:
      before, after: the texts, compared by words and single punctuation marks.
      before_title, after_title: captions of the two sides.
    """
    old, new = (re.findall(r"\w+|[^\w\s]|\s+", text) for text in (before, after))
    blank = [[" " if token.isspace() else token for token in side] for side in (old, new)]
    blocks = difflib.SequenceMatcher(None, *blank, autojunk=False).get_matching_blocks()
    sides = []
    for side, start, mark in ((old, 0, "removed"), (new, 1, "added")):
        kept = {n for b in blocks for n in range(b[start], b[start] + b.size)}
        runs: list[list[str]] = []
        for n, token in enumerate(side):
            kind = "" if n in kept or token.isspace() else mark
            if runs and (runs[-1][0] == kind or (token.isspace() and "\n" not in token)):
                runs[-1][1] += token
            else:
                runs.append([kind, token])
        sides.append(runs)
    return _parts().word_diff(*sides, before_title, after_title)


def from_markdown(text: str, images: Mapping[str, bytes] | None = None) -> tuple[str, Any]:
    """Turn a Markdown report into a title and a part.

    Args:
      text: CommonMark with tables; HTML in it is escaped.
      images: data by the name that the text refers to; others are left as their alternative text.

    Returns:
      The title (the first heading of level 1, else "") and the rest.
    """
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens, title = parser.parse(text), ""
    for n, token in enumerate(tokens):
        if token.type == "heading_open" and token.tag == "h1":
            title = _plain(tokens[n + 1])
            del tokens[n : n + 3]
            break

    def draw(renderer, inner, n, options, environment):
        token = inner[n]
        name, alt = str(token.attrs.get("src", "")), token.content
        found = (images or {}).get(name)
        return (
            str(image(found, alt or name)) if found is not None else str(join(f"[{alt or name}]"))
        )

    parser.add_render_rule("image", draw)
    body = parser.renderer.render(tokens, parser.options, {})
    body = body.replace(
        "<table>", '<div class="scroll" tabindex="0" role="region" aria-label="table"><table>'
    )
    return title, safe(
        body.replace("</table>", "</table></div>")
        .replace("<th ", '<th scope="col" ')
        .replace("<th>", '<th scope="col">')
    )


def _plain(inline) -> str:
    return "".join(
        child.content for child in inline.children or () if child.type in ("text", "code_inline")
    ).strip()


class _Outline(html.parser.HTMLParser):
    """Headings and images of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if re.fullmatch(r"h[1-6]", tag):
            level, last = int(tag[1]), self.levels[-1] if self.levels else 0
            if level > last + 1:
                self.problems.append(f"a heading of level {level} follows one of level {last}")
            self.levels.append(level)
        if tag == "img":
            found = dict(attrs)
            if not (found.get("alt") or "").strip():
                self.problems.append("an image has no alternative text")
            if not (found.get("src") or "").startswith("data:image/"):
                self.problems.append(f"an image is not inside the page: {found.get('src')}")
        if tag in ("script", "iframe", "object", "embed", "link", "base", "form"):
            self.problems.append(f"the page has a {tag} element")


def check_page(text: str) -> None:
    """Check the order of headings, the alternative texts, and that the page needs nothing else.

    Raises:
      ValueError: naming what is wrong.
    """
    outline = _Outline()
    outline.feed(text)
    if outline.levels.count(1) != 1:
        outline.problems.append(f"there are {outline.levels.count(1)} headings of level 1")
    if outline.problems:
        raise ValueError("; ".join(dict.fromkeys(outline.problems)))
