"""Closed forms against enumeration, simulation and random draws."""

import itertools
import math

import numpy as np
import pytest

from reasoning.compositionality import theory
from reasoning.compositionality.planting import layerize
from reasoning.compositionality.targets import target_by_name


def expected_by_enumeration(width, density):
    """tanh_tree:1 in one layer of `width` units and an output: all masks of 2 * width + width
    weights, weighted with their probability.
    """
    total, weights = 0.0, 3 * width
    for bits in itertools.product((0, 1), repeat=weights):
        win, wo = np.array(bits[: 2 * width]).reshape(2, width), bits[2 * width :]
        count = sum(win[:, u].all() and wo[u] and sum(wo) == 1 for u in range(width))
        total += count * density ** sum(bits) * (1 - density) ** (weights - sum(bits))
    return total


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_the_expected_count_is_that_of_all_masks(width):
    where = theory.placement(target_by_name("tanh_tree:1"), 1, width)
    assert (where.edges, where.absent) == (3, width - 1)
    for density in (0.2, 0.6):
        assert math.exp(theory.log_expected_count(where, density)) == pytest.approx(
            expected_by_enumeration(width, density)
        )


def test_simulated_masks_have_the_expected_count():
    target = target_by_name("tanh_tree:2")
    where = theory.placement(target, 2, 3)
    mean, error = theory.simulated_count(target, 2, 3, 0.6, 40_000)
    assert (
        abs(mean - math.exp(theory.log_expected_count(where, 0.6))) < 4 * error
        and 0 < error < 0.2 * mean
    )


@pytest.mark.parametrize(
    ("name", "layers", "width"), [("tanh_tree:2", 2, 4), ("tanh_tree:3", 4, 12), ("chain:3", 4, 8)]
)
def test_the_best_density_is_that_of_a_grid(name, layers, width):
    where = theory.placement(target_by_name(name), layers, width)
    densities = np.linspace(0.001, 0.999, 999)
    best = densities[np.argmax([theory.log_expected_count(where, d) for d in densities])]
    assert theory.best_density(where) == pytest.approx(best, abs=1e-3)


def test_in_hidden_layers_the_best_density_is_arity_over_width():
    where = theory.Placement((3,), 6, 30, 12)  # three units with two inputs of twelve each
    assert theory.best_density(where) == pytest.approx(2 / 12)


def test_too_shallow_networks_hold_nothing_and_deeper_ones_less():
    target = target_by_name("tanh_tree:3")
    volumes = [theory.log_volume(target, layers, 40) for layers in range(1, 7)]
    assert volumes[:2] == [-math.inf] * 2 and all(a > b for a, b in itertools.pairwise(volumes[2:]))
    assert theory.depth_by_volume(target, 40) == 3


def test_a_relay_costs_about_what_the_closed_form_says():
    """One relayed value in a wide layer, at density k / W: log W + log(k / W) - k."""
    width, arity = 4000, 2
    added = math.log(width) + math.log(arity / width) + (width - 1) * math.log1p(-arity / width)
    assert theory.relay_cost(arity) == pytest.approx(added, abs=0.01) and theory.relay_cost(
        2
    ) == pytest.approx(-1.307, abs=1e-3)


def test_interference_stays_below_its_bound_in_a_thousand_draws():
    random, tight = np.random.default_rng(0), []
    for _ in range(1000):
        arity, surplus = random.integers(1, 4), random.integers(1, 6)
        size = arity + surplus
        mixed = np.eye(size) * random.uniform(1, 4) + random.normal(0, 0.3, (size, size))
        covariance = mixed @ mixed.T
        sd = np.sqrt(np.diag(covariance))
        r = covariance / np.outer(sd, sd)
        coherence = np.abs(r - np.eye(size)).max()
        weights, wanted = random.normal(0, 1, size), np.arange(size) < arity
        ratio = np.abs(weights[~wanted]).max() / np.abs(weights[wanted]).min()
        share = theory.interference(weights, r, wanted)
        bound = theory.interference_bound(arity, surplus, ratio, coherence)
        assert share / (1 - share) <= bound * (1 + 1e-9)
        tight.append(share / (1 - share) / bound)
    assert max(tight) > 0.5


def test_equal_weights_and_uncorrelated_inputs_reach_the_bound():
    wanted = np.arange(5) < 2
    share = theory.interference(np.ones(5), np.eye(5), wanted)
    assert (
        share / (1 - share)
        == pytest.approx(theory.interference_bound(2, 3, 1.0, 0.0))
        == pytest.approx(1.5)
    )
    assert theory.most_fan_in(2, 1.5) == 5


def test_the_sparsity_record_and_the_rates():
    target = target_by_name("tanh_tree:3")
    assert theory.compositional_sparsity(target) == (7, 14, 2, 3)
    shallow, deep = theory.units_needed(target, 0.1, 2)
    assert shallow == pytest.approx(1e4) and deep == pytest.approx(70)


def test_counts_of_a_planted_graph_are_those_of_its_masks():
    target = target_by_name("chain:3")
    where, planted = theory.placement(target, 3, 12), layerize(target, 3, 12)
    kept = sum(int(np.asarray(planted.masks[name]).sum()) for name in ("win", "wh", "wo"))
    assert where.edges == kept
