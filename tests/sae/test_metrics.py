"""Measures against scikit-learn, enumeration and hand numbers."""

import numpy as np
import pytest

from sae import metrics

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.fixture(scope="module")
def scored():
    generator = np.random.default_rng(0)
    label = generator.random(200) < 0.3
    score = np.round(generator.standard_normal(200) + label, 1)  # with ties
    return score, label.astype(float)


def test_auc_equals_scikit_learn_with_ties_and_masks(scored):
    score, label = scored
    assert metrics.auc(score, label).value == pytest.approx(sklearn.roc_auc_score(label, score))
    mask = np.arange(200) % 3 > 0
    assert metrics.auc(score, label, mask).value == pytest.approx(
        sklearn.roc_auc_score(label[mask], score[mask])
    )
    assert np.isnan(metrics.auc(score, np.ones(200)).value)


def test_many_aucs_at_once(scored):
    score, label = scored
    found = metrics.aucs(
        np.stack([score, -score], 1), np.stack([label, 1 - label, np.zeros(200)], 1)
    )
    area = sklearn.roc_auc_score(label, score)
    np.testing.assert_allclose(found, [[area, 1 - area, 0.5], [1 - area, area, 0.5]], atol=1e-6)


def test_the_interval_of_auc_covers_as_often_as_it_says():
    generator, true = np.random.default_rng(1), 0.760250  # P(N(1, 1) > N(0, 1))
    hits = 0
    for _ in range(400):
        label = np.repeat([0, 1], 60)
        found = metrics.auc(generator.standard_normal(120) + label, label)
        hits += found.low <= true <= found.high
    assert 0.92 <= hits / 400 <= 0.98


def test_average_precision_equals_scikit_learn(scored):
    score, label = scored
    assert metrics.average_precision(score, label) == pytest.approx(
        sklearn.average_precision_score(label, score)
    )


def test_wilson_and_calibration_by_hand():
    low, high = metrics.wilson(8, 10)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    found = metrics.calibration(np.array([0.1, 0.1, 0.9, 0.9]), np.array([0, 0, 1, 0]))
    assert found.error == pytest.approx(0.5 * 0.1 + 0.5 * 0.4) and found.brier == pytest.approx(
        (0.01 + 0.01 + 0.01 + 0.81) / 4
    )


def test_recovery_of_permuted_and_scaled_directions():
    known = np.random.default_rng(0).standard_normal((5, 8))
    found = metrics.recovery(np.concatenate([-3 * known[::-1], np.ones((2, 8))]), known)
    assert found.mcc == pytest.approx(1) and found.share == 1
    np.testing.assert_array_equal(found.matches, [4, 3, 2, 1, 0])


def test_fvu_of_the_mean_is_one():
    y = np.random.default_rng(0).standard_normal((30, 3))
    assert metrics.fvu(y, np.broadcast_to(y.mean(0), y.shape)) == pytest.approx(1)
    assert metrics.fvu(y, y) == 0
