"""Every estimator under one contract: exactly one-hot, the law it states, jit, vmap, dtypes,
shapes, and where gradients may flow.
"""

import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant import estimators as q
from quant.estimators.bernoulli import bernoulli_decoupled_st_gs
from tests.quant.estimators.small import LOGITS, backward, softmax

CATEGORICAL = {
    "ste_identity": q.ste_identity,
    "ste_softmax": partial(q.ste_softmax, tau=0.7),
    "gumbel_softmax": partial(q.gumbel_softmax, tau=0.7),
    "st_gs inside": partial(q.st_gs, tau=0.7),
    "st_gs after": partial(q.st_gs, tau=0.7, form="after"),
    "decoupled": partial(q.decoupled_st_gs, tau_f=0.5, tau_b=2.0),
    "decoupled, no noise": partial(
        q.decoupled_st_gs, tau_f=0.5, tau_b=2.0, backward_noise="none", normalize_backward=True
    ),
    "reinmax": partial(q.reinmax, tau=1.3),
    "reinmax_rao": partial(q.reinmax_rao, tau=0.7, draws=2),
    "redge": partial(q.redge, time=0.6),
    "gr_mck": partial(q.gr_mck, tau=0.7, draws=2),
    "gst": q.gst,
    "gst p": partial(q.gst, gap="p"),
}
TEMPERED = {"st_gs after": 0.7, "decoupled": 0.5, "decoupled, no noise": 0.5}
BINARY = {
    "bernoulli_ste_identity": q.bernoulli_ste_identity,
    "bernoulli_ste_sigmoid": q.bernoulli_ste_sigmoid,
    "bernoulli_decoupled_st_gs": partial(bernoulli_decoupled_st_gs, tau_f=0.5, tau_b=2.0),
    "bernoulli_reinmax": q.bernoulli_reinmax,
    "hard_concrete": q.hard_concrete,
    "as_bernoulli(gr_mck)": q.as_bernoulli(q.gr_mck),
}
ALL = CATEGORICAL | BINARY
SCORES = {
    "reinforce": q.reinforce(0.3),
    "rloo": q.rloo(),
    "rebar": q.rebar(),
    "relax": q.relax(lambda z: jnp.tanh(z).sum()),
}


def each(subjects):
    return pytest.mark.parametrize("estimator", subjects.values(), ids=subjects)


PLAIN, FORBIDDEN = slice(0, 3000), slice(3000, 3050)
"""Rows of `many`; one more holds a NaN."""
COTANGENT = np.float32([0.3, -2.0, 1.0, 0.1, 0.7])


@functools.cache
def many(name, dtype=jnp.float32):
    """`(keys, samples, gradients)` of all rows, from one program per estimator."""
    logits = np.tile(np.float32(LOGITS), (3051, 1))
    logits[FORBIDDEN, 2], logits[3050, 1] = -np.inf, np.nan
    keys = jax.random.split(jax.random.key(1), 3051)
    sample, gradient = backward(
        jax.vmap(ALL[name]), keys, jnp.asarray(logits, dtype), np.tile(COTANGENT, (3051, 1))
    )
    return keys, jax.tree.map(np.asarray, sample), np.asarray(gradient)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_draws_are_one_hot_and_follow_the_law_that_the_sample_states(name):
    _, sample, _ = many(name)
    p = softmax(LOGITS / TEMPERED.get(name, 1.0))
    np.testing.assert_allclose(sample.probs[0], p, rtol=1e-5)
    np.testing.assert_allclose(
        sample.log_prob[PLAIN], np.log(p)[sample.index[PLAIN]], rtol=1e-4, atol=1e-5
    )
    counts = np.bincount(sample.index[PLAIN], minlength=len(p))
    assert (
        (counts - 3000 * p) ** 2 / (3000 * p)
    ).sum() < 27.9  # chi-squared with 4 degrees of freedom, 1 in 10^5
    if name != "gumbel_softmax":
        np.testing.assert_array_equal(
            sample.value[PLAIN], np.eye(len(p), dtype=np.float32)[sample.index[PLAIN]]
        )
    np.testing.assert_allclose(sample.soft[PLAIN].sum(-1), 1, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        "ste_identity",
        "gumbel_softmax",
        "decoupled",
        "reinmax",
        "gst p",
        "bernoulli_reinmax",
        "hard_concrete",
    ],
)
def test_jit_and_vmap_change_nothing(name):
    keys, together, _ = many(name)
    for field, other in zip(ALL[name](keys[7], jnp.float32(LOGITS)), together, strict=True):
        np.testing.assert_allclose(field, other[7], rtol=1e-5, atol=1e-6)


@each(ALL)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_dtypes_and_leading_axes_are_kept(estimator, dtype, key):
    """Traced only; values are looked at below."""
    sample, gradient = jax.eval_shape(
        lambda x: backward(estimator, key, x, np.ones((2, 3, 5))), jnp.zeros((2, 3, 5), dtype)
    )
    assert (sample.value.dtype, sample.soft.dtype, sample.probs.dtype, gradient.dtype) == (
        dtype,
    ) * 4
    assert (sample.index.dtype, sample.log_prob.dtype) == (jnp.int32, jnp.float32)
    assert (
        sample.value.shape == sample.soft.shape == sample.probs.shape == gradient.shape == (2, 3, 5)
    )
    assert sample.index.shape == sample.log_prob.shape == sample.value.shape[: sample.index.ndim]


@pytest.mark.parametrize("name", ["ste_softmax", "decoupled", "bernoulli_reinmax"])
def test_bfloat16_logits_are_computed_with_in_float32(name):
    """Nearly the same draws as from the unrounded logits, and gradients to bfloat16's precision."""
    (_, half, half_gradient), (_, full, full_gradient) = many(name, jnp.bfloat16), many(name)
    same = (half.index[PLAIN] == full.index[PLAIN]).reshape(3000, -1).all(-1)
    assert same.mean() > 0.99
    for one, other in ((half.value, full.value), (half_gradient, full_gradient)):
        np.testing.assert_allclose(
            np.float32(one[PLAIN][same]), other[PLAIN][same], rtol=0.05, atol=0.03
        )


@pytest.mark.parametrize("name", [name for name in CATEGORICAL if name != "ste_identity"])
def test_gradients_sum_to_zero_over_categories(name):
    """As the softmax does not see a shift of its logits."""
    _, _, gradient = many(name)
    assert np.abs(gradient[PLAIN]).max() > 1e-2
    np.testing.assert_allclose(gradient[PLAIN].sum(-1), 0, atol=1e-5)


@pytest.mark.parametrize("name", CATEGORICAL)
def test_a_forbidden_category_is_never_drawn_and_gets_no_gradient(name):
    _, sample, gradient = many(name)
    assert not (sample.index[FORBIDDEN] == 2).any()
    assert (sample.value[FORBIDDEN, 2] == 0).all() and (sample.probs[FORBIDDEN, 2] == 0).all()
    assert np.isfinite(gradient[FORBIDDEN]).all() and (gradient[FORBIDDEN, 2] == 0).all()


@pytest.mark.parametrize("name", [name for name in CATEGORICAL if name != "ste_identity"])
def test_not_a_number_stays_visible(name):
    _, sample, gradient = many(name)
    assert np.isnan(sample.probs[3050]).any() and np.isnan(gradient[3050]).any()


@each({name: CATEGORICAL[name] for name in ("st_gs inside", "reinmax", "gr_mck", "gst p")})
def test_one_category_is_certain_and_has_no_gradient(estimator, key):
    sample, gradient = backward(estimator, key, jnp.ones((2, 1)), np.full((2, 1), 3.0))
    np.testing.assert_allclose(sample.value, 1)
    np.testing.assert_allclose(sample.log_prob, 0, atol=1e-6)
    np.testing.assert_allclose(gradient, 0, atol=1e-6)


@each({name: ALL[name] for name in ("decoupled", "reinmax", "bernoulli_reinmax")})
def test_pmap_equals_vmap(estimator, key):
    keys, logits = (
        jax.random.split(key, 4),
        jnp.float32(np.random.default_rng(4).normal(size=(4, 5))),
    )
    for one, other in zip(
        jax.pmap(estimator)(keys, logits), jax.jit(jax.vmap(estimator))(keys, logits), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


@each(ALL)
def test_integers_are_refused(estimator, key):
    with pytest.raises(ValueError, match="floating-point"):
        estimator(key, jnp.zeros((3,), jnp.int32))


@each(CATEGORICAL)
def test_logits_without_categories_are_refused(estimator, key):
    with pytest.raises(ValueError, match="no categories"):
        estimator(key, jnp.zeros((3, 0)))


@pytest.mark.parametrize(
    "call, complaint",
    [
        (lambda k, x: q.ste_softmax(k, x, tau=0.0), "tau must be above 0"),
        (lambda k, x: q.gumbel_softmax(k, x, tau=-1.0), "tau must be above 0"),
        (lambda k, x: q.decoupled_st_gs(k, x, tau_f=0.0), "tau_f must be above 0"),
        (lambda k, x: q.decoupled_st_gs(k, x, tau_b=float("nan")), "tau_b must be above 0"),
        (lambda k, x: q.decoupled_st_gs(k, x, form="before"), "form is"),
        (lambda k, x: q.gr_mck(k, x, draws=0), "draws must be above 0"),
        (lambda k, x: q.gst(k, x, gap=-1.0), "gap must be above 0"),
        (lambda k, x: q.reinmax_rao(k, x, tau=0.0), "tau must be above 0"),
        (lambda k, x: q.redge(k, x, time=0.0), "time must be above 0"),
        (lambda k, x: q.redge(k, x, time=1.5), "time must be at most 1"),
        (lambda k, x: q.hard_concrete(k, x, gamma=0.1), "stretched interval"),
        (lambda k, x: q.estimate_gradient(q.rloo(), jnp.sum, k, x, n=1), "at least 2 draws"),
        (lambda k, x: q.estimate_gradient(q.reinmax, lambda z: z, k, x), "scalar"),
    ],
)
def test_bad_options_are_refused(call, complaint, key):
    with pytest.raises(ValueError, match=complaint):
        call(key, jnp.zeros(3))


@each({**SCORES, "gr_mck": CATEGORICAL["gr_mck"], "decoupled": CATEGORICAL["decoupled"]})
def test_one_interface_estimates_gradients_of_all(estimator, key):
    def f(z):
        return jnp.square(z).sum() + z[..., 0].sum()

    logits = jnp.zeros((2, 3), jnp.bfloat16)
    estimate = jax.jit(lambda k: q.estimate_gradient(estimator, f, k, logits, n=3))(key)
    assert estimate.gradient.shape == (2, 3) and estimate.gradient.dtype == jnp.bfloat16
    assert estimate.values.shape == (3,) and np.isfinite(np.float32(estimate.gradient)).all()
