"""Galleries and pages: distinct patients, disjoint halves, everything inside, no pixel in path-only
mode.
"""

import re
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.html import check_page
from sae.data.cases import Cases, Unreadable
from sae.patterns import catalogue, exemplars
from sae.patterns import labels as measures
from sae.patterns.attribution import Attribution
from sae.patterns.catalogue import CatalogueConfig
from sae.patterns.evidence import Evidence
from sae.report import html, svg


@pytest.fixture(scope="module")
def cases():
    generator = np.random.default_rng(0)
    radiographs = generator.integers(0, 256, (120, 20, 30), np.uint8)

    def read(row):
        if row == 3:
            raise Unreadable("torn")
        return radiographs[row]

    labels = generator.integers(0, 2, (120, 2)).astype(np.float32)
    return Cases(
        tuple(f"radiograph<{i}>" for i in range(120)),
        tuple(f"p{i // 2}" for i in range(120)),
        ("Cardiomegaly", "Fracture"),
        labels,
        read,
        tuple("a secret report" for _ in range(120)),
        skipped=(("radiograph-x", "torn & lost"),),
        source="made up",
    )


@pytest.fixture(scope="module")
def signal():
    generator = np.random.default_rng(1)
    return np.where(generator.random(120) < 0.6, generator.random(120), 0)


def test_galleries_show_distinct_patients_and_matched_silence(cases, signal):
    patients, embeddings = (
        np.array(cases.patients),
        np.random.default_rng(2).standard_normal((120, 4)),
    )
    found = exemplars.gallery(signal, patients, embeddings)
    assert len(found.strongest) == 20 and (np.diff(signal[found.strongest]) <= 0).all()
    for part in (found.strongest, *found.bins, found.negatives):
        assert len(set(patients[part])) == len(part)
    assert (signal[found.negatives] == 0).all()
    assert not set(patients[found.negatives]) & set(patients[found.strongest])
    lows = [signal[part].min() for part in found.bins]
    assert lows == sorted(lows, reverse=True)
    a, b = exemplars.halves(found)
    assert not set(a) & set(b) and len(a) + len(b) == 20
    again = exemplars.gallery(signal, patients, embeddings)
    np.testing.assert_array_equal(again.bins[2], found.bins[2])


def test_a_silent_pattern_has_an_empty_gallery():
    found = exemplars.gallery(np.zeros(5), np.arange(5), np.ones((5, 2)))
    assert not len(found.strongest) and not len(found.negatives)


@pytest.fixture(scope="module")
def made(cases, signal):
    z = np.stack([signal[:, None]] * 2)
    config = CatalogueConfig(most_density=1.0)
    found = catalogue.build(z, np.ones((2, 1, 3)), np.ones((3, 2)), config)
    return measures.describe(
        found,
        np.random.default_rng(2).standard_normal((120, 4)),
        cases.labels,
        cases.findings,
        {},
        config,
    )


def site(shown, find=None):
    scores = {
        "Cardiomegaly": {
            "auc": 0.9,
            "low": 0.8,
            "high": 1.0,
            "present": 3,
            "cases": 9,
            "calibration_error": 0.1,
        }
    }
    return html.Site(
        "Title & more",
        ("A note.",),
        ("Cardiomegaly", "Fracture"),
        scores,
        {"source": "made up"},
        shown,
        evidence=find,
    )


def written(folder, cases, made, shown, find=None):
    def two(*values):
        return np.array([values, values])

    found = Attribution(
        two(1.5, -1.0),
        two(0.5, 0.0),
        np.array([[[0.7, -0.4]]] * 2),
        two(0.2, -0.4),
        two(0.0, 0.0),
        two(0.1, -0.2),
        np.ones((2, 1)),
        np.full((2, 1), 0.25),
    )
    embeddings = np.random.default_rng(2).standard_normal((120, 4))
    return html.write(
        folder, site(shown, find), made, cases, embeddings, [0, 3], found, [1e-7, 2e-7]
    )


def test_the_site_is_whole_escaped_and_loads_nothing(tmp_path, cases, made):
    index = written(tmp_path, cases, made, True)
    pages = {path: path.read_text() for path in tmp_path.rglob("*.html")}
    assert len(pages) == 4
    for path, text in pages.items():
        assert not re.search(r"<script|https?://", text)
        for link in re.findall(r'href="([^"]+)"', text):
            assert (path.parent / link).exists(), link
        assert "radiograph<" not in text
    assert (
        "Title &amp; more" in pages[index]
        and "torn &amp; lost" in pages[index]
        and "0.900 (0.800 to 1.000)" in pages[index]
    )
    case = pages[tmp_path / "cases" / "00000.html"]
    assert (
        "+0.700" in case and "25% image" in case and "1.0e-07" in case and "a secret report" in case
    )
    assert "could not be read" in pages[tmp_path / "cases" / "00003.html"]
    assert (tmp_path / "patterns" / "00000" / "strongest.png").exists()


def test_path_only_mode_writes_no_pixel_and_no_report(tmp_path, cases, made):
    written(tmp_path, cases, made, True)
    written(tmp_path, cases, made, False)
    assert not list(tmp_path.glob("patterns/*/*.png"))
    for path in tmp_path.rglob("*.html"):
        text = path.read_text()
        assert "<img" not in text and "data:image" not in text and "a secret report" not in text
    assert "radiograph&lt;" in (tmp_path / "patterns" / "00000.html").read_text()


def test_evidence_is_shown_with_its_place_and_never_in_path_only_mode(tmp_path, cases, made):
    asked, corner = [], np.zeros((1, 8, 8))
    corner[0, 7, 0] = 1.0

    def find(pixels):
        asked.append(pixels)
        return Evidence(np.zeros((16, 16), np.uint8), corner)

    def pages(folder, shown):
        written(folder, cases, made, shown, find)
        paths = ("patterns/00000.html", "cases/00000.html", "cases/00003.html")
        return [(folder / path).read_text() for path in paths]

    pattern, case, torn = pages(tmp_path / "a", True)
    assert pattern.count("Where its strongest cases show it</h2>") == 1
    assert pattern.count(": lower left</figcaption>") == 3
    alt = 'alt="Evidence in radiograph&lt;0&gt;, '
    assert alt in case and "+0.70 for Cardiomegaly: lower left" in case
    assert "their evidence" not in torn
    assert len(asked) == len({pixels.tobytes() for pixels in asked})  # nothing twice
    for text in (pattern, case, torn):
        check_page(text)
    asked.clear()
    assert not any("vidence" in text for text in pages(tmp_path / "b", False)) and not asked


def test_case_pages_show_the_logit_as_patterns_go_and_come(tmp_path, cases, made):
    written(tmp_path, cases, made, True)
    case = (tmp_path / "cases" / "00000.html").read_text()
    assert (
        case.count("patterns taken out") == case.count("patterns put in") == 2 * 2
    )  # per finding: a name, and the picture's label
    both = svg.curves({"out": [3.0, 1.0, 2.0], "back": [-1.0, 1.0, 0.0]}, width=150, height=176)
    # from 42 to 142 across, from 16 (3) to 100 (-1) down
    assert (
        'points="42.0,16.0 92.0,58.0 142.0,37.0"' in both
        and 'points="42.0,100.0 92.0,58.0 142.0,79.0"' in both
    )
    assert 'y1="79.0" y2="79.0"' in both  # the line at 0


def test_deletion_and_insertion_end_where_the_other_begins():
    generator = np.random.default_rng(0)
    parts, rest = generator.standard_normal((7, 2)), generator.standard_normal((4, 2))
    found = Attribution(
        parts.sum(0) + rest.sum(0),
        rest[0],
        parts,
        rest[1],
        rest[2],
        rest[3],
        np.ones(7),
        np.ones(7),
    )
    lines = re.findall(r'points="([^"]+)"', html.curves_of(found, 1))
    heights = [[float(point.split(",")[1]) for point in line.split()] for line in lines]
    assert [len(line) for line in heights] == [8, 8]
    assert heights[0][0] == heights[1][-1] and heights[0][-1] == heights[1][0]


def test_catalogues_of_many_findings_name_the_largest_effects(made):
    narrow = html.catalogue_table(made, ("Cardiomegaly", "Fracture"))
    assert "<th" in narrow and "largest effects" not in narrow and narrow.count("<th scope") == 10
    names = tuple(f"finding {c}" for c in range(14))
    weights = tuple(float(c - 3) for c in range(14))
    many = replace(made, patterns=tuple(replace(p, weights=weights) for p in made.patterns))
    wide = html.catalogue_table(many, names)
    assert (
        wide.count("<th scope") == 9
        and "finding 13 +10.00, finding 12 +9.00, finding 11 +8.00" in wide
        and "finding 10" not in wide
    )


def test_a_waterfall_runs_from_base_to_logit():
    text = svg.waterfall([("up", 2.0, None), ("down", -0.5, "x.html")], 1.0, 2.5)
    assert (
        text.count("<rect") == 4
        and "+2.000" in text
        and "-0.500" in text
        and 'href="x.html"' in text
    )
    assert "never active" in svg.histogram(np.zeros(4))


def test_contact_sheets_hold_every_radiograph():
    sheet = exemplars.contact_sheet([np.full((10, 20), 255, np.uint8)] * 11, columns=10, size=32)
    assert sheet.shape == (64, 320) and sheet[32 + 8, 16] == 255 and sheet[32 + 8, 48] == 24
