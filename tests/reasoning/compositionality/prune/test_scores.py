"""Scores: the decomposition of a unit's variance, what they do not depend on, and which planted
weights they find.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.distributions import top_per_unit
from reasoning.compositionality.prune.moments import Activation, average, moments
from reasoning.compositionality.prune.score import Seen


def layer(seed, n=400, inputs=6, units=5, bias=0.3):
    random = np.random.default_rng(seed)
    h = np.tanh(random.normal(0, 1, (n, inputs)) @ random.normal(0, 1, (inputs, inputs))).astype(
        np.float32
    )
    w = random.normal(0, 1, (inputs, units)).astype(np.float32)
    z = h @ w + bias
    return h, w, z, np.tanh(z)


def seen(h, w, z, a=None, **more):
    return Seen(
        jnp.asarray(w),
        moments=moments(
            Activation(jnp.asarray(h), jnp.asarray(z), None if a is None else jnp.asarray(a))
        ),
        **more,
    )


def test_moments_are_those_of_numpy():
    h, _w, z, a = layer(0)
    found = moments(Activation(jnp.asarray(h), jnp.asarray(z), jnp.asarray(a)))
    both = np.cov(np.concatenate([h, z, a], 1).astype(np.float64).T, bias=True)
    assert np.asarray(found.input_before) == pytest.approx(both[:6, 6:11], abs=1e-5)
    assert np.asarray(found.input_after) == pytest.approx(both[:6, 11:], abs=1e-5)
    assert np.asarray(found.before_var) == pytest.approx(np.diag(both)[6:11], rel=1e-5)


def test_several_calls_of_a_layer_are_one_batch():
    h, _w, z, a = layer(1)
    whole = moments(Activation(*map(jnp.asarray, (h, z, a))))
    parts = average(
        [moments(Activation(*(jnp.asarray(v[i : i + 200]) for v in (h, z, a)))) for i in (0, 200)]
    )
    for name in ("input_var", "before_var", "input_before", "input_mean"):
        assert np.asarray(getattr(parts, name)) == pytest.approx(
            np.asarray(getattr(whole, name)), abs=1e-5
        )


def test_shares_of_a_unit_sum_to_one():
    h, w, z, _ = layer(2)
    assert np.asarray(scoring.signed_share(seen(h, w, z)).sum(0)) == pytest.approx(1, abs=1e-5)
    assert np.asarray(scoring.share(seen(h, w, z))) == pytest.approx(
        np.abs(np.asarray(scoring.signed_share(seen(h, w, z))))
    )


@pytest.mark.parametrize("rule", [scoring.share, scoring.edge])
def test_rescaling_units_changes_no_similarity(rule):
    h, w, z, a = layer(3)
    c = np.random.default_rng(0).uniform(0.1, 10, 6).astype(np.float32)
    plain, scaled = rule(seen(h, w, z, a)), rule(seen(h * c, w / c[:, None], z, a))
    assert np.asarray(scaled) == pytest.approx(np.asarray(plain), abs=1e-5)
    assert np.asarray(scoring.magnitude(seen(h * c, w / c[:, None], z))) != pytest.approx(
        np.abs(w), rel=0.01
    )


def test_edge_is_the_correlation_of_numpy():
    h, w, z, a = layer(4)
    assert np.asarray(scoring.edge(seen(h, w, z, a))) == pytest.approx(
        np.abs(np.corrcoef(h.T, a.T)[:6, 6:]), abs=1e-4
    )


def test_constant_units_score_nothing_and_not_nan():
    h, w, z, _a = layer(5)
    h[:, 0], w[:, 1] = 0.7, 0
    z = h @ w
    for rule in (scoring.share, scoring.edge):
        found = np.asarray(rule(seen(h, w, z)))
        assert (
            np.isfinite(found).all()
            and found[0] == pytest.approx(0, abs=1e-4)
            and (found[:, 1] == 0).all()
        )


def planted_network(noise, seed, width=12, depth=3):
    """Layers (h, w, z, planted units) of tanh_tree:3 in its first units, with noise on their other
    weights, among random units.
    """
    random = np.random.default_rng(seed)
    h, found = random.uniform(-1, 1, (4096, 8)), []
    for planted in (2 ** (depth - 1 - layer) for layer in range(depth)):
        w, b = (
            random.normal(0, h.shape[1] ** -0.5, (h.shape[1], width)),
            random.normal(0, 0.3, width),
        )
        w[:, :planted], b[:planted] = random.normal(0, noise, (h.shape[1], planted)), 0.3
        for unit in range(planted):
            w[[2 * unit, 2 * unit + 1], unit] = 2.2, -1.8
        found.append((h, w, h @ w + b, planted))
        h = np.tanh(found[-1][2])
    return found


def planted_recall(rule, noise, seed, rescale=False):
    """Share of all planted weights that fan-in 2 keeps; rescaling gives every unit's output a
    random factor, and takes it back above.
    """
    random, hits, total = np.random.default_rng(99 + seed), 0, 0
    for h, w, z, planted in planted_network(noise, seed):
        c = 10 ** random.uniform(-1, 1, h.shape[1]) if rescale else np.ones(h.shape[1])
        known = seen(*(v.astype(np.float32) for v in (h * c, w / c[:, None], z, np.tanh(z))))
        kept = np.asarray(top_per_unit(rule(known), 2 / h.shape[1]))
        hits += sum(kept[[2 * u, 2 * u + 1], u].sum() for u in range(planted))
        total += 2 * planted
    return hits / total


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.5])
def test_share_finds_all_planted_weights_under_noise(noise):
    assert all(planted_recall(scoring.share, noise, seed) == 1 for seed in range(20))


def test_rescaled_units_hide_planted_weights_from_magnitude_only():
    share = [planted_recall(scoring.share, 0.5, seed, rescale=True) for seed in range(10)]
    magnitude = [planted_recall(scoring.magnitude, 0.5, seed, rescale=True) for seed in range(10)]
    plain = [planted_recall(scoring.magnitude, 0.5, seed) for seed in range(10)]
    assert min(share) == 1 == min(plain) and np.mean(magnitude) < 0.7


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        (scoring.share, "were not captured"),
        (scoring.saliency, "needs gradients"),
        (scoring.random, "needs a key"),
    ],
)
def test_what_a_score_lacks_is_named(rule, sentence):
    with pytest.raises(UserError, match=f"enc/kernel.*{sentence}|{sentence}"):
        rule(Seen(jnp.ones((2, 3)), name="enc/kernel"))


def test_activations_of_another_layer_are_refused():
    h, w, z, _ = layer(6)
    with pytest.raises(UserError, match="capture them from the same model"):
        scoring.share(seen(h, w, z)._replace(weight=jnp.ones((6, 4))))


def test_saliency_and_random_by_hand():
    w, g = jnp.array([[1.0, -2.0]]), jnp.array([[0.5, 3.0]])
    assert scoring.saliency(Seen(w, g)).tolist() == [[0.5, 6.0]]
    drawn = scoring.random(Seen(w, key=jax.random.key(0)))
    assert drawn.shape == (1, 2) and drawn.min() >= 0 and drawn.max() < 1
