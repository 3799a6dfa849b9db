import re

import numpy as np
import pytest

from jaxrl.app import html, plots
from jaxrl.app.errors import UserError
from jaxrl.app.html import (
    bullets,
    check_page,
    code,
    details,
    diff,
    drawing,
    facts,
    figure,
    from_markdown,
    image,
    join,
    link,
    page,
    paragraph,
    row,
    section,
    table,
    tag,
    tiles,
    write_page,
)

PNG = plots.array_to_png(np.zeros((2, 2), np.uint8))
HOSTILE = "<script>alert(1)</script>\"'&"


def whole():
    return page(
        "A run",
        tiles([("return", 12.345), ("steps", 100_000, "of training")]),
        section(
            "Scores",
            table(
                ["steps", "return", "note"], [[1000, 0.5, "a"], [2000, float("nan"), "b"]], "Scores"
            ),
            section("Finer", paragraph("text", "note"), facts({"seed": 3}), level=3),
        ),
        section("Curves", figure(PNG, "a curve", "Caption.", pixelated=True)),
        section(
            "More",
            details("config", code("{}")),
            bullets(["a", link("b", "b.html")]),
            row(tag("x")),
        ),
        lead="One sentence.",
        warnings=["Not for clinical use."],
        up=("all runs", "../index.html"),
    )


def test_a_page_needs_nothing_else_and_is_in_order():
    text = whole()
    check_page(text)
    assert html.POLICY in text.replace("&#39;", "'")
    assert not re.search(r"(src|href)=\"(?!data:|b\.html|\.\./index\.html)", text)
    assert 'name="viewport"' in text and '<html lang="en">' in text
    assert [int(level) for level in re.findall(r"<h(\d)", text)] == [1, 2, 3, 2, 2]


def test_pages_are_the_same_every_time():
    assert whole() == whole()


def test_text_from_data_is_never_html():
    shown = page(
        HOSTILE,
        paragraph(HOSTILE),
        section(HOSTILE, table([HOSTILE], [[HOSTILE]], HOSTILE), facts({HOSTILE: HOSTILE})),
        figure(PNG, HOSTILE, HOSTILE),
        tiles([(HOSTILE, HOSTILE, HOSTILE)]),
        details(HOSTILE, HOSTILE, code(HOSTILE)),
        bullets([HOSTILE, link(HOSTILE, HOSTILE), tag(HOSTILE)]),
        diff(HOSTILE, "b\n" + HOSTILE, HOSTILE, HOSTILE),
        lead=HOSTILE,
        warnings=[HOSTILE],
        up=(HOSTILE, HOSTILE),
    )
    assert "<script" not in shown
    assert "alert(1)" in shown
    assert from_markdown(f"# {HOSTILE}\n\n{HOSTILE}\n\n| {HOSTILE} |\n|-|\n| x |")[0] == HOSTILE
    assert "<script" not in str(from_markdown(f"{HOSTILE}\n\n| {HOSTILE} |\n|-|\n| x |")[1])


@pytest.mark.parametrize(
    "address",
    ["javascript:alert(1)", " JavaScript:x", "data:text/html,x", "java\nscript:x", "file:///etc"],
)
def test_links_that_run_or_read_are_only_text(address):
    assert str(link("text", address)) == "text"


def test_links_and_relative_ones():
    assert str(link("a", "b/c.html#d")) == '<a href="b/c.html#d">a</a>'
    assert str(link("a", "https://x.org/?a=1&b=2")) == '<a href="https://x.org/?a=1&amp;b=2">a</a>'


def test_numbers_are_aligned_right_and_shown_shortly():
    shown = str(table(["name", "n", "share"], [["a", 12345, "50 %"], ["b", None, "+1.5e-3"]]))
    assert shown.count('<th scope="col" class="n">') == 2
    assert '<td class="n">12,345</td>' in shown and '<td class="n"></td>' in shown
    assert [html.show(v) for v in (0.123456, np.float32(2), np.int64(1000), True, None, "a")] == [
        "0.123",
        "2",
        "1,000",
        "yes",
        "",
        "a",
    ]


def test_a_table_refuses_ragged_rows_and_may_be_empty():
    with pytest.raises(ValueError, match="a row has 1 cells and the table 2 columns"):
        table(["a", "b"], [[1]])
    assert "<td" not in str(table(["a"], []))


def test_images_name_their_kind_and_need_a_text():
    assert 'src="data:image/png;base64,' in str(image(PNG, "x"))
    assert "image/gif" in str(image(plots.frames_to_gif(np.zeros((2, 4, 4, 3), np.uint8)), "x"))
    for data, alt in ((PNG, " "), (b"<svg", "x"), (b"", "x")):
        with pytest.raises(ValueError, match="an image needs"):
            image(data, alt)
    with pytest.raises(ValueError, match="aria-label"):
        drawing("<svg></svg>")
    assert "<figcaption>c</figcaption>" in str(
        drawing('<svg role="img" aria-label="x"></svg>', "c")
    )


@pytest.mark.parametrize(
    "body, complaint",
    [
        ("<h1>a</h1><h3>b</h3>", "level 3 follows one of level 1"),
        ("<h2>a</h2>", "0 headings of level 1"),
        ("<h1>a</h1><h1>b</h1>", "2 headings of level 1"),
        ('<h1>a</h1><img src="data:image/png;base64,">', "no alternative text"),
        ('<h1>a</h1><img src="x.png" alt="x">', "not inside the page"),
        ("<h1>a</h1><script>x</script>", "a script element"),
        ('<h1>a</h1><link href="x">', "a link element"),
    ],
)
def test_what_shuts_readers_out_or_loads_is_seen(body, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_page(body)


def test_the_parts_are_told_by_what_both_sides_have():
    shown = str(diff("a\nb\nc", "a\nx\nc"))
    assert '<span class="removed">b</span>' in shown and '<span class="added">x</span>' in shown
    assert shown.count("span") == 4


def test_markdown_reports():
    text = (
        "# Title `x`\n\nText.\n\n## Part\n\n![a curve](curve.png)\n\n![lost](no.png)\n\n"
        "| a | b |\n|-|-|\n| 1 | 2 |\n"
    )
    title, body = from_markdown(text, {"curve.png": PNG})
    assert title == "Title x"
    shown = page(title, body)
    assert 'alt="a curve"' in shown and "[lost]" in shown and '<th scope="col">a</th>' in shown
    assert 'class="scroll"' in shown


def test_a_markdown_link_that_runs_is_text():
    assert "<a" not in str(from_markdown("[x](javascript:alert(1))")[1])


def test_parts_are_joined_escaped():
    assert str(join("<", html.safe("<b>"))) == "&lt;\n<b>"


def test_a_page_is_written_whole_or_refused(tmp_path):
    path = write_page(tmp_path / "report" / "index.html", "T", paragraph("é"))
    assert "é" in path.read_text(encoding="utf-8")
    with pytest.raises(UserError, match="is a folder"):
        write_page(tmp_path, "T")


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return np.dot(linear, (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_in_light_and_dark(scheme):
    """WCAG 2.2, 1.4.3: at least 4.5 to 1 for text."""
    colors = dict(re.findall(r"--([\w-]+): (#\w{6});", html._style().split(":root")[scheme + 1]))
    pairs = [
        ("ink", "paper"),
        ("muted", "paper"),
        ("accent", "paper"),
        ("ink", "panel"),
        ("muted", "panel"),
        ("accent", "panel"),
        ("warn-ink", "warn"),
        ("mark-ink", "added"),
        ("mark-ink", "removed"),
    ]
    for one, other in pairs:
        high, low = sorted((luminance(colors[one]), luminance(colors[other])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (scheme, one, other)
