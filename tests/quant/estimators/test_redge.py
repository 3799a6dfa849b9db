"""Bias and spread of `redge` and `reinmax_rao` against exact ones, for two categories: their draws
are enumerated, and their noise, which has one dimension then, is integrated by quadrature.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.estimators import redge, reinmax_rao
from quant.estimators.bias_variance import bias_variance
from tests.quant.estimators.small import LOGITS, backward, jacobian, softmax

PAIR = np.array([0.4, -0.5])
SLOPE = np.array([1.0, -2.0])
CURVE = np.array([[0.7, -1.1], [0.6, 2.0]])
P = softmax(PAIR)
GRADIENTS = SLOPE + CURVE + CURVE.T
"""Row k: the loss's gradient at the draw k."""


def loss(z):
    """Quadratic in a one-hot value `[1, 2]`."""
    row = z[0]
    return row @ jnp.asarray(SLOPE, row.dtype) + row @ jnp.asarray(CURVE, row.dtype) @ row


def exact():
    """Of the first logit; that of the second is its negative."""
    values = SLOPE + np.diag(CURVE)
    return P[0] * P[1] * (values[0] - values[1])


def normal_nodes():
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    return nodes, weights / weights.sum()


def of_redge(time):
    """Estimates of the first logit `[2, nodes]` and their weights."""
    nodes, weights = normal_nodes()
    sign = np.array([1.0, -1.0])[:, None]
    apart = (1 - time) * sign + time * np.sqrt(2) * nodes[None]
    m = 1 / (1 + np.exp(-(PAIR[0] - PAIR[1] + (1 - time) / time**2 * apart)))
    factor = 1 + 2 * ((1 - time) / time) ** 2 * P[0] * P[1]
    step = (GRADIENTS[:, 0] - GRADIENTS[:, 1])[:, None]
    return factor * m * (1 - m) * step, P[:, None] * weights[None]


def of_reinmax_rao(tau):
    """The same with one noise per draw: a logistic number, given that it keeps the draw."""
    inside = (np.arange(4000) + 0.5) / 4000
    found = []
    for k in (0, 1):
        middle = np.log((P + np.eye(2)[k]) / 2)
        lead = middle[k] - middle[1 - k]
        least = 1 / (1 + np.exp(lead))
        u = least + (1 - least) * inside
        z = 1 / (1 + np.exp(-(lead + np.log(u / (1 - u))) / tau))
        jacobians = 2 * z * (1 - z) / tau - P[0] * P[1] / 2
        found.append(jacobians * (GRADIENTS[k, 0] - GRADIENTS[k, 1]))
    return np.stack(found), P[:, None] * np.full((1, 4000), 1 / 4000)


@pytest.mark.parametrize(
    ("estimator", "quadrature"),
    [
        (partial(redge, time=0.7), of_redge(0.7)),
        (partial(redge, time=0.4), of_redge(0.4)),
        (partial(reinmax_rao, tau=0.7, draws=1), of_reinmax_rao(0.7)),
        (partial(reinmax_rao, tau=2.0, draws=1), of_reinmax_rao(2.0)),
    ],
    ids=("redge .7", "redge .4", "rao .7", "rao 2"),
)
def test_bias_and_spread_are_those_of_the_exact_law(estimator, quadrature, key):
    estimates, weights = quadrature
    mean = (weights * estimates).sum()
    spread = np.sqrt((weights * (estimates - mean) ** 2).sum())
    n = 40_000
    found = jax.jit(lambda k: bias_variance(estimator, loss, k, jnp.float32(PAIR[None]), n))(key)
    truth = abs(exact())
    assert abs(float(found.bias_rel_debiased) - abs(mean - exact()) / truth) < 5 * (
        spread / truth / np.sqrt(n)
    )
    np.testing.assert_allclose(found.std_rel, spread / truth, rtol=0.02)


def test_redge_without_signal_is_straight_through(key):
    """At time 1 nothing of the draw is left in the noise."""
    cotangent = np.float32([0.3, -2.0, 1.0, 0.1, 0.7])
    _, ours = backward(partial(redge, time=1.0), key, jnp.float32(LOGITS), cotangent)
    np.testing.assert_allclose(ours, jacobian(softmax(LOGITS)) @ cotangent, rtol=1e-5, atol=1e-6)


def test_redge_is_exact_to_third_order_in_the_signal_for_linear_losses():
    """Half of (1 - t) / t has some sixteenth of the bias; without the second factor, a quarter."""
    bias = []
    for c in (0.2, 0.1):
        estimates, weights = of_redge(1 / (1 + c))
        step = (GRADIENTS[:, 0] - GRADIENTS[:, 1])[:, None]
        bias.append((weights * estimates / step).sum() - P[0] * P[1])
    assert 12 < bias[0] / bias[1] < 20


def test_more_draws_change_only_the_spread_of_reinmax_rao(key):
    def run(draws):
        one = partial(reinmax_rao, tau=0.7, draws=draws)
        return jax.jit(lambda k: bias_variance(one, loss, k, jnp.float32(PAIR[None]), 20_000))(key)

    few, many = run(1), run(20)
    assert many.std_rel < few.std_rel
    limit = 5 * float(few.std_rel) / np.sqrt(20_000)
    assert abs(float(few.bias_rel_debiased) - float(many.bias_rel_debiased)) < limit


def test_both_have_less_bias_than_straight_through_beyond_linear_losses():
    """Exactly, as above."""
    steps = GRADIENTS[:, 0] - GRADIENTS[:, 1]
    plain = abs(P[0] * P[1] * (P @ steps) - exact())
    for estimates, weights in (of_redge(0.6), of_reinmax_rao(0.7)):
        assert abs((weights * estimates).sum() - exact()) < 0.8 * plain
