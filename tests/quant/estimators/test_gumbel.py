"""Temperatures of the two passes, the conditional noise, and the rules of the backward pass written
out in NumPy.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import conditional_scores, decoupled_st_gs, gr_mck, gumbel_softmax, st_gs
from tests.quant.estimators.small import LOGITS, backward, jacobian, softmax

G = np.array([0.3, -2.0, 1.0, 0.1, 0.7])


def noise(key):
    return np.asarray(jax.random.gumbel(key, (5,), jnp.float64))


@pytest.mark.parametrize("tau_f, tau_b", [(0.3, 2.0), (1.0, 1.0), (3.0, 0.5)])
@pytest.mark.parametrize(
    "options", [{}, {"backward_noise": "none"}, {"normalize_backward": True}, {"form": "inside"}]
)
def test_both_passes_of_the_decoupled_form_equal_their_formulas(tau_f, tau_b, options, key):
    with jax.enable_x64(True):
        g = noise(key)
        estimator = partial(decoupled_st_gs, tau_f=tau_f, tau_b=tau_b, **options)
        sample, gradient = backward(estimator, key, jnp.asarray(LOGITS), G)
    inside = options.get("form") == "inside"
    forward = (LOGITS + g) / tau_f if inside else LOGITS / tau_f + g
    relaxed = softmax(
        (LOGITS + g) / tau_b if inside else LOGITS / tau_b + ("backward_noise" not in options) * g
    )
    assert sample.index == forward.argmax()
    np.testing.assert_allclose(sample.soft, relaxed, rtol=1e-12)
    wanted = jacobian(relaxed) @ G * (1 if "normalize_backward" in options else 1 / tau_b)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("tau", [0.4, 1.0, 2.5])
def test_equal_temperatures_are_straight_through_gumbel_softmax_bit_for_bit(tau, key):
    logits = jnp.float32(LOGITS)
    one = backward(partial(decoupled_st_gs, tau_f=tau, tau_b=tau), key, logits, G)
    other = backward(partial(st_gs, tau=tau, form="after"), key, logits, G)
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_at_temperature_one_both_forms_are_the_same(key):
    logits = jnp.float32(LOGITS)
    jax.tree.map(
        np.testing.assert_array_equal,
        *(backward(partial(st_gs, form=f), key, logits, G) for f in ("after", "inside")),
    )


def draw_many(estimator, key, count=2000):
    return np.asarray(
        jax.vmap(lambda k: estimator(k, jnp.float32(LOGITS)).index)(jax.random.split(key, count))
    )


def test_noise_inside_makes_the_forward_temperature_idle(key):
    """The known fault of other programs: (l + g) / tau has the same largest entry whatever tau."""
    inside = [
        draw_many(partial(decoupled_st_gs, tau_f=t, form="inside"), key) for t in (0.3, 1.0, 3.0)
    ]
    after = [draw_many(partial(decoupled_st_gs, tau_f=t), key) for t in (0.3, 1.0, 3.0)]
    np.testing.assert_array_equal(inside[0], inside[2])
    assert (after[0] == 2).mean() > (after[1] == 2).mean() + 0.1 > (after[2] == 2).mean() + 0.2


def test_a_forward_temperature_near_zero_is_argmax(key):
    assert (draw_many(partial(decoupled_st_gs, tau_f=1e-3), key, 200) == LOGITS.argmax()).all()


def test_gradients_fall_with_the_backward_temperature_unless_normalized(key):
    """tau times the gradient tends to J(softmax(g)) G; the normalized gradient is that from the
    start.
    """
    with jax.enable_x64(True):
        limit = jacobian(softmax(noise(key))) @ G
        for tau, tolerance in ((1e2, 0.1), (1e4, 1e-3)):
            _, plain = backward(partial(decoupled_st_gs, tau_b=tau), key, jnp.asarray(LOGITS), G)
            _, scaled = backward(
                partial(decoupled_st_gs, tau_b=tau, normalize_backward=True),
                key,
                jnp.asarray(LOGITS),
                G,
            )
            np.testing.assert_allclose(tau * np.asarray(plain), scaled, rtol=1e-12)
            np.testing.assert_allclose(scaled, limit, rtol=tolerance, atol=tolerance * 0.1)


def test_temperatures_and_normalization_may_be_traced(key):
    logits = jnp.float32(LOGITS)
    taus, normalize = jnp.array([0.5, 2.0]), jnp.array([False, True])

    def run(f, b, n):
        return backward(
            partial(decoupled_st_gs, tau_f=f, tau_b=b, normalize_backward=n), key, logits, G
        )[1]

    many = jax.jit(jax.vmap(run))(taus, taus[::-1], normalize)
    np.testing.assert_allclose(many[0], run(0.5, 2.0, False), rtol=1e-5)
    np.testing.assert_allclose(many[1], run(2.0, 0.5, True), rtol=1e-5)


def test_the_relaxation_has_the_gradient_of_its_own_objective(key):
    """Central differences with the noise held."""

    def f(x):
        return (jnp.sin(3 * gumbel_softmax(key, x, 0.7).value) * jnp.asarray(G)).sum()

    with jax.enable_x64(True):
        x = jnp.asarray(LOGITS)
        numeric = [(f(x + 1e-6 * e) - f(x - 1e-6 * e)) / 2e-6 for e in jnp.eye(5, dtype=x.dtype)]
        np.testing.assert_allclose(jax.grad(f)(x), np.array(numeric), rtol=1e-7, atol=1e-9)


def conditional(key, count=4000):
    """Perturbed logits given draws from softmax(LOGITS), and those draws."""
    logits = jnp.float32(LOGITS)
    first, second = jax.random.split(key)
    index = jax.random.categorical(first, logits, shape=(count,)).astype(jnp.int32)
    noises = jax.random.gumbel(second, (count, 5))
    return np.asarray(
        jax.vmap(conditional_scores, in_axes=(0, None, 0))(noises, logits, index)
    ), np.asarray(index)


def test_conditional_scores_have_their_largest_where_it_was_asked_for(key):
    scores, index = conditional(key)
    np.testing.assert_array_equal(scores.argmax(-1), index)


def test_conditional_scores_are_gumbel_when_the_draw_is_averaged_out(key):
    """Kolmogorov-Smirnov distance of scores minus logits to exp(-exp(-x)), every category, 1 in
    10^5.
    """
    scores, _ = conditional(key)
    for column in (scores - np.float32(LOGITS)).T:
        x = np.sort(column)
        law = np.exp(-np.exp(-x))
        steps = np.arange(len(x) + 1) / len(x)
        distance = max(np.abs(law - steps[:-1]).max(), np.abs(law - steps[1:]).max())
        assert distance < 2.47 / np.sqrt(len(x))


def test_conditional_scores_by_hand():
    """Two logits 0 and ln 3, Z = 4: the largest is g + ln 4."""
    scores = conditional_scores(
        jnp.array([0.5, -0.2]), jnp.log(jnp.array([1.0, 3.0])), jnp.int32(1)
    )
    largest = -0.2 + np.log(4)
    np.testing.assert_allclose(
        scores, [-np.log(np.exp(-0.5) + np.exp(-largest)), largest], rtol=1e-6
    )


def test_gumbel_rao_keeps_the_mean_and_lowers_the_variance(key):
    """Against straight-through Gumbel-softmax at tau = 0.3, mean within 5 standard errors per
    entry.
    """
    logits, count = jnp.float32(LOGITS), 6000
    keys = jax.random.split(key, count)
    gradients = {}
    for name, estimator in {
        "st": partial(st_gs, tau=0.3),
        "gr": partial(gr_mck, tau=0.3, draws=8),
    }.items():
        gradients[name] = np.asarray(
            jax.jit(jax.vmap(lambda k, e=estimator: backward(e, k, logits, G)[1]))(keys)
        )
    variance = {name: g.var(0) for name, g in gradients.items()}
    difference = gradients["st"].mean(0) - gradients["gr"].mean(0)
    assert (np.abs(difference) < 5 * np.sqrt((variance["st"] + variance["gr"]) / count)).all()
    assert variance["gr"].sum() < 0.6 * variance["st"].sum()


def test_straight_through_gumbel_softmax_trades_bias_for_variance(key):
    """Linear loss, falling temperature: less bias, more spread."""
    logits, keys = jnp.float32(LOGITS), jax.random.split(key, 20_000)
    truth = jacobian(softmax(LOGITS)) @ G
    bias, spread = [], []
    for tau in (1.0, 0.3):
        gradient = np.asarray(
            jax.jit(jax.vmap(lambda k, t=tau: backward(partial(st_gs, tau=t), k, logits, G)[1]))(
                keys
            )
        )
        bias.append(np.linalg.norm(gradient.mean(0) - truth))
        spread.append(np.sqrt(gradient.var(0).sum()))
    assert bias[1] < 0.7 * bias[0] and spread[1] > 1.5 * spread[0]
