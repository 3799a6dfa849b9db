"""What findings rest on: shares, shortcuts, near duplicates, and names that tell patterns apart."""

import importlib
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app import old_names
from sae.patterns import leanings as rests
from sae.patterns.attribution import Attribution
from sae.patterns.catalogue import Catalogue, Pattern
from sae.patterns.labels import distinctions
from sae.report.index import findings_part


def pattern(number, category, acquisition=None, name="Edema"):
    measures = {"acquisition": acquisition or {}}
    return Pattern(number, ((0, number),), 1.0, 0.5, (1.0,), category, "", name, measures)


def catalogue(patterns, activations):
    assignment = np.zeros((1, len(patterns)), np.int32)
    return Catalogue(tuple(patterns), assignment, activations, [(1.0, len(patterns))], {})


def test_a_shortcut_is_summed_and_its_effect_is_measured():
    """One finding, six cases; half have a marker, which adds 1.5 to their logit."""
    marked = np.array([1, 1, 1, 0, 0, 0], np.float64)
    truth = np.array([1, 0, 1, 0, 1, 0], np.float64)
    parts = np.stack([truth, marked, 0.5 * marked], 1)[..., None]
    zero = np.zeros((6, 1))
    logit = parts.sum(1) - 1
    found = Attribution(logit, zero - 1, parts, zero, zero, zero, np.ones((6, 3)), np.ones((6, 3)))
    made = catalogue(
        [
            pattern(0, "pulmonary"),
            pattern(1, "artifact", {"marker": 0.9, "exposure": 0.6}),
            pattern(2, "artifact", {"marker": 0.8, "exposure": 0.5}),
        ],
        parts[..., 0],
    )
    acquisition = {"marker": marked, "exposure": np.arange(6.0)}
    (one,) = rests.leanings(found, made, ("Edema",), truth[:, None], acquisition)
    assert one.shares == pytest.approx({"pulmonary": 3 / 7.5, "artifact": 4.5 / 7.5})
    assert one.outside == 0
    (shortcut,) = one.shortcuts
    assert shortcut.kind == "marker" and shortcut.patterns == (1, 2) and shortcut.cases == 3
    assert shortcut.change == pytest.approx(-1.5)
    assert shortcut.auc == pytest.approx(8 / 9) and shortcut.auc_without == 1.0
    assert rests.sentence(one, shortcut) == (
        "Edema: removing the 2 artifact patterns of marker lowers the logit by 1.50 on average (3 "
        "cases); AUC 0.889 -> 1.000"
    )


def test_near_duplicates_stand_together_and_other_categories_apart():
    generator = np.random.default_rng(0)
    base = generator.random(200)
    signals = np.stack([base, base + 0.01 * generator.random(200), generator.random(200), base], 1)
    kinds = ("pulmonary", "pulmonary", "pulmonary", "pleural")
    made = catalogue([pattern(i, kind) for i, kind in enumerate(kinds)], signals)
    assert rests.families(made) == [[0, 1], [2], [3]]


def test_namesakes_are_told_apart_by_what_else_they_predict():
    generator = np.random.default_rng(1)
    edema, device = (generator.random((2, 400)) < 0.5).astype(np.float64)
    signals = np.stack([edema + 0.8 * device, edema, edema + 1e-3 * generator.random(400)], 1)
    made = [pattern(i, "pulmonary", name=f"Edema ({i})") for i in range(3)]
    labels = np.stack([edema, device], 1)
    apart = distinctions(made, signals, labels, ("Edema", "Support Devices"))
    assert apart[0] == "with Support Devices"
    assert distinctions(made[:1], signals, labels, ("Edema", "Support Devices")) == {}


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("sae.patterns.attribution", "explain", "sae.patterns.attribution:attribute_cases"),
        ("sae.data.mimic", "film_path", "sae.data.mimic:image_path"),
        ("sae.pipeline.run", "embed_film", "sae.pipeline.run:embed_image"),
        ("sae.classifier", "judge", "sae.classifier.head:evaluate"),
        ("sae", "learn", "sae.transcoders:train_step"),
        ("sae", "transcoder", "sae.transcoders:model"),
        ("sae.classifier.head", "judge", "sae.classifier.head:evaluate"),
    ],
)
def test_old_names_warn_and_give_their_successors(module, old, new, monkeypatch):
    monkeypatch.setattr(old_names, "_warned", set())
    place, name = new.split(":")
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is {place}.{name} now"):
        found = getattr(importlib.import_module(module), old)
    assert found is getattr(importlib.import_module(place), name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing


def test_patterns_that_tell_a_circumstance_nearly_as_well_are_under_suspicion():
    def one(number, category, area, linked):
        made = pattern(number, category, {"mark": linked, "exposure": 0.5})
        pure = {"purity": {"finding": "Coat", "auroc": area}}
        return replace(made, measures=made.measures | pure)

    patterns = [
        one(0, "unassigned", 0.97, 0.96),
        one(1, "unassigned", 0.95, 0.91),
        one(2, "unassigned", 0.97, 0.85),  # tells the finding clearly better
        one(3, "artifact", 0.9, 0.96),  # is called an artifact already
        one(4, "unassigned", 0.7, 0.75),  # tells neither well
    ]
    made = catalogue(patterns, np.zeros((3, 5)))
    (found,) = rests.suspects(made)
    assert found == ("Coat", "mark", (0, 1), (0.96, 0.97), "")
    assert rests.suspicion(found).startswith(
        "2 patterns of Coat tell mark nearly as well (AUROC 0.96, of the finding 0.97)"
    )
    assert rests.suspects(catalogue(patterns[2:], np.zeros((3, 3)))) == []
    assert "rest" not in rests.suspicion(found)
    # Two of two rest on one place, then one of two.
    for places, ending in (
        (("lower left",) * 2, "a shortcut; most of them rest on the image's lower left"),
        (("lower left", ""), "so it may be a shortcut"),
    ):
        known = [
            replace(p, measures=p.measures | {"evidence": place})
            for p, place in zip(patterns[:2], places, strict=True)
        ]
        (found,) = rests.suspects(catalogue([*known, *patterns[2:]], np.zeros((3, 5))))
        assert rests.suspicion(found).endswith(ending)


@pytest.mark.parametrize(("count", "rest"), [(1, ""), (10, ""), (12, ", and 2 more")])
def test_the_index_links_the_galleries_of_patterns_under_suspicion(count, rest):
    measures = {"purity": {"finding": "A & B", "auroc": 0.9}, "acquisition": {"mark": 0.9}}
    patterns = [
        replace(pattern(i, "unassigned", name="x < y"), measures=measures) for i in range(count)
    ]
    page = "".join(map(str, findings_part((), catalogue(patterns, np.zeros((3, count))))))
    links = [f'<a href="patterns/{i:05d}.html">x &lt; y</a>' for i in range(min(count, 10))]
    assert f"see the galleries of\n{', '.join(links)}{rest}</li>" in page
    assert "of A &amp; B tell" in page
