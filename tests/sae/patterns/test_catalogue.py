"""Filtering, matching, leaders, categories and measures, on latents whose meaning is known."""

from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.patterns import catalogue, matching
from sae.patterns import labels as measures
from sae.patterns.catalogue import CatalogueConfig
from sae.patterns.matching import MatchConfig

CONFIG = CatalogueConfig(MatchConfig(block=16), support=0.5)


@pytest.fixture(scope="module")
def latents():
    """Four members that share six features, each in an order of its own, and two latents of noise
    each.
    """
    generator, cases = np.random.default_rng(0), 600
    truth = (generator.random((cases, 6)) < 0.15) * generator.uniform(0.5, 1.5, (cases, 6))
    directions = generator.standard_normal((6, 8))
    z, rows = np.zeros((4, cases, 9)), np.zeros((4, 9, 8))
    where = np.stack([generator.permutation(9) for _ in range(4)])
    for m in range(4):
        z[m][:, where[m][:6]] = truth * (1 + 0.05 * generator.standard_normal(truth.shape))
        rows[m][where[m][:6]] = directions + 0.05 * generator.standard_normal((6, 8))
        z[m][:, where[m][6:8]] = np.maximum(generator.standard_normal((cases, 2)) - 1, 0)
        rows[m][where[m][6:8]] = generator.standard_normal((2, 8))
    return z, rows, where, truth  # the last latent of each member is dead


def test_planted_features_become_patterns_with_full_support(latents):
    z, rows, where, truth = latents
    made = catalogue.build(z, rows, np.eye(8)[:, :2], CONFIG)
    assert len(made.patterns) == 6 and all(p.support == 1 for p in made.patterns)
    for pattern in made.patterns:
        features = {int(np.flatnonzero(where[m] == i)[0]) for m, i in pattern.latents}
        assert len(features) == 1 and len(pattern.latents) == 4
        (feature,) = features
        assert np.corrcoef(made.activations[:, pattern.id], truth[:, feature])[0, 1] > 0.99
        np.testing.assert_allclose(
            pattern.weights, np.mean([rows[m, i, :2] for m, i in pattern.latents], 0), rtol=1e-5
        )
    assert (made.assignment >= 0).sum() == 24
    assert made.filtered["never active"] == 4
    assert made.curve[-1] == (1.0, 6) and made.curve[0][1] == 6 + 8


def test_the_order_of_members_does_not_matter(latents):
    z, rows, *_ = latents
    order = [2, 0, 3, 1]
    one, other = (
        catalogue.build(a, b, np.eye(8)[:, :2], CONFIG)
        for a, b in ((z, rows), (z[order], rows[order]))
    )

    def back(pairs):
        return {(order[m], i) for m, i in pairs}

    assert [set(p.latents) for p in one.patterns] == [back(p.latents) for p in other.patterns]
    np.testing.assert_allclose(one.activations, other.activations, atol=1e-6)


def test_edges_equal_brute_force_whatever_the_block(latents):
    z, rows, *_ = latents
    flat, signals, own = (
        rows.reshape(36, 8),
        z.transpose(1, 0, 2).reshape(600, 36),
        np.repeat(np.arange(4), 9),
    )

    def unit(a):
        return a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-12)

    cosine = unit(flat) @ unit(flat).T
    correlation = unit((signals - signals.mean(0)).T) @ unit((signals - signals.mean(0)).T).T
    expected = set(
        zip(
            *np.nonzero((cosine >= 0.7) & (correlation >= 0.5) & (own[:, None] != own)), strict=True
        )
    )
    for block in (5, 16, 64):
        found = matching.edges(flat, signals.T, own, MatchConfig(block=block))
        assert set(zip(found.source, found.target, strict=True)) == expected
        assert len(found.source) == len(expected)


def test_leaders_do_not_chain():
    """a - b - c, with a and c apart: b leads and takes both, or a leads and takes b alone."""
    edges = matching.Edges(
        np.array([0, 1, 1, 2]), np.array([1, 0, 2, 1]), np.full(4, 0.9), np.full(4, 0.9)
    )
    members = np.array([0, 1, 2])

    def groups(order):
        return [sorted(g.tolist()) for g in matching.leaders(edges, members, np.array(order))]

    assert groups([1, 0, 2]) == [[0, 1, 2]]
    assert groups([0, 1, 2]) == [[0, 1], [2]]


def test_at_most_one_latent_of_a_member():
    edges = matching.Edges(np.array([0, 0]), np.array([1, 2]), np.array([0.8, 0.9]), np.ones(2))
    assert [g.tolist() for g in matching.leaders(edges, np.array([0, 1, 1]), np.arange(3))] == [
        [0, 2],
        [1],
    ]


def test_an_empty_catalogue_is_refused_with_the_reason(latents):
    z, rows, *_ = latents
    with pytest.raises(UserError, match=r"none passes the filter .*'never active': 36"):
        catalogue.build(np.zeros_like(z), rows, np.eye(8), CONFIG)
    with pytest.raises(UserError, match="no pattern is shared by 4 of 4 members"):
        catalogue.build(
            z,
            rows,
            np.eye(8),
            replace(CONFIG, support=1.0, match=MatchConfig(cosine=0.99999, block=16)),
        )


def test_saved_and_loaded_it_is_the_same(latents, tmp_path):
    z, rows, _, truth = latents
    made = catalogue.build(z, rows, np.eye(8)[:, :2], CONFIG)
    labels = (truth[:, :2] > 0).astype(np.float32)
    made = measures.describe(
        made, z[0], labels, ("Cardiomegaly", "Fracture"), {"marker": truth[:, 5]}, CONFIG
    )
    catalogue.save(made, tmp_path / "c")
    again = catalogue.load(tmp_path / "c")
    assert again.patterns == made.patterns and again.curve == made.curve
    np.testing.assert_array_equal(again.assignment, made.assignment)
    with pytest.raises(UserError, match="there is no catalogue"):
        catalogue.load(tmp_path / "none")
    (tmp_path / "c" / "patterns.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match="damaged"):
        catalogue.load(tmp_path / "c")


def test_categories_follow_findings_and_acquisition(latents):
    z, rows, _, truth = latents
    made = catalogue.build(z, rows, np.eye(8)[:, :2], CONFIG)
    labels = (truth[:, :3] > 0).astype(np.float32)
    findings = ("Cardiomegaly", "Fracture", "Support Devices")
    made = measures.describe(
        made, z[0], labels, findings, {"marker": (truth[:, 5] > 0).astype(float)}, CONFIG
    )
    kinds = {}
    for pattern in made.patterns:
        feature = int(
            np.argmax([np.corrcoef(made.activations[:, pattern.id], t)[0, 1] for t in truth.T])
        )
        kinds[feature] = pattern.category
        assert pattern.measures["stability"] == 1
    assert [kinds[f] for f in (0, 1, 2, 5)] == ["cardiac", "structural", "device", "artifact"]
    assert {kinds[3], kinds[4]} == {"unassigned"}


def test_similarity_sees_a_cluster_and_none_in_noise():
    generator = np.random.default_rng(0)
    embeddings = generator.standard_normal((300, 16))
    signal = np.zeros(300)
    signal[:25] = generator.uniform(1, 2, 25)
    noise = measures.similarity(signal, embeddings, 20)
    assert noise["low"] < 0.05 and abs(noise["value"]) < 0.1
    embeddings[:25] += 4
    found = measures.similarity(signal, embeddings, 20)
    assert found["low"] > 0.5 and found["low"] <= found["value"] <= found["high"]
    assert measures.similarity(np.zeros(300), embeddings, 20)["cases"] == 0


def test_matchings_of_two_members():
    rows = np.random.default_rng(0).standard_normal((6, 10))
    order = np.array([3, 1, 5, 0, 2, 4])
    assert matching.agreement(rows, rows[order]) == pytest.approx(1)
    soft = matching.sinkhorn(rows, rows[order])
    np.testing.assert_allclose(soft.sum(0), 1, atol=1e-6)
    np.testing.assert_array_equal(soft.argmax(0), order)
