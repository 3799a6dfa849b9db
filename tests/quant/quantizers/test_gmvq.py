"""GM-VQ: the identities of its terms, its limits, and the bound that is none."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.codebooks.soft_assignment import entropy, mean_posterior, squared_distances
from quant.quantizers import gmvq
from quant.quantizers.gmvq import GMVQConfig
from quant.studies.gmvq import elbo

CONFIG = GMVQConfig(5, 3)
X = jax.random.normal(jax.random.key(1), (16, 3))


@pytest.fixture(scope="module")
def made():
    return gmvq.init(jax.random.key(0), CONFIG)


@pytest.mark.slow
def test_the_kl_of_rows_is_the_kl_of_their_mean_and_the_information(made):
    log_q = gmvq.log_posterior(made[0], X, CONFIG)
    terms = gmvq.mixture_terms(log_q, jnp.ones(16, bool))
    q = np.exp(np.asarray(log_q, np.float64))
    kl_row = (q * np.log(q * 5)).sum(1).mean()
    mean = q.mean(0)
    kl_mean = (mean * np.log(mean * 5)).sum()
    information = (q * np.log(q / mean)).sum(1).mean()
    assert kl_row == pytest.approx(kl_mean + information, rel=1e-12)
    for name, value in {"kl_row": kl_row, "kl_mean": kl_mean, "information": information}.items():
        np.testing.assert_allclose(terms[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_without_variety_there_is_no_information(made):
    log_q = gmvq.log_posterior(made[0], jnp.tile(X[:1], (7, 1)), CONFIG)
    assert gmvq.mixture_terms(log_q, jnp.ones(7, bool))["information"] == pytest.approx(0, abs=1e-5)
    sure = jnp.log(jnp.tile(jnp.eye(5), (3, 1)) + 1e-30)
    terms = gmvq.mixture_terms(sure, jnp.ones(15, bool))
    assert terms["kl_mean"] == pytest.approx(0, abs=1e-5) and terms["kl_row"] == pytest.approx(
        np.log(5), rel=1e-5
    )


@pytest.mark.slow
def test_the_mean_posterior_survives_the_smallest_probabilities_and_several_devices():
    log_q = jax.nn.log_softmax(200 * jax.random.normal(jax.random.key(2), (8, 6)))
    usable = jnp.arange(8) != 3
    exact = np.log(np.exp(np.asarray(log_q, np.float64))[np.asarray(usable)].mean(0))
    one = mean_posterior(log_q, usable)
    reachable = exact > -80
    np.testing.assert_allclose(one[reachable], exact[reachable], rtol=1e-5)
    four = jax.vmap(lambda a, u: mean_posterior(a, u, "data"), axis_name="data")(
        log_q.reshape(4, 2, 6), usable.reshape(4, 2)
    )
    np.testing.assert_allclose(four, jnp.broadcast_to(one, (4, 6)), rtol=1e-5)


@pytest.mark.slow
def test_the_expected_log_prior_is_the_soft_commitment():
    """E_{q(z|x,c)} log N(z; mu, sigma^2) = -L/2 log(2 pi sigma^2) - |e - mu|^2 / (4 sigma^4), by
    Monte Carlo.
    """
    config = GMVQConfig(1, 3, sigma=1.3)
    e, mu = jnp.array([0.5, -1.0, 2.0]), jnp.array([0.1, 0.2, 0.3])
    distance = squared_distances(e[None], mu[None])
    spread = gmvq.deviations({}, distance, config)[0, 0]
    z = mu[None] + spread * jax.random.normal(jax.random.key(3), (200_000, 3))
    drawn = -0.5 * (3 * np.log(2 * np.pi * 1.3**2) + ((z - mu[None]) ** 2).sum(1) / 1.3**2)
    exact = -1.5 * np.log(2 * np.pi * 1.3**2) - distance[0, 0] / (4 * 1.3**4)
    assert abs(drawn.mean() - exact) < 5 * drawn.std() / np.sqrt(200_000)


def test_the_literal_term_is_that_of_samples():
    """2 sigma^2 sum_c mean_c E|z - mu_c|^2 with z from the mixture of the row."""
    config = GMVQConfig(5, 3, objective="literal", sigma=0.8)
    params, _ = gmvq.init(jax.random.key(0), config)
    log_q = gmvq.log_posterior(params, X, config)
    log_mean = mean_posterior(log_q, jnp.ones(16, bool))
    spread = gmvq.deviations(params, squared_distances(X, params["codes"]), config)
    ours = gmvq.latent_term(
        params["codes"], squared_distances(X, params["codes"]), spread, log_q, log_mean, config
    )[0]
    rng = np.random.default_rng(0)
    codes, q, s = (
        np.asarray(a, np.float64) for a in (params["codes"], jnp.exp(log_q[0]), spread[0])
    )
    c = rng.choice(5, 100_000, p=q / q.sum())
    z = codes[c] + s[c, None] * rng.standard_normal((100_000, 3))
    drawn = (
        2
        * 0.8**2
        * (((z[:, None] - codes[None]) ** 2).sum(-1) @ np.exp(np.asarray(log_mean, np.float64)))
    )
    assert abs(drawn.mean() - float(ours)) < 5 * drawn.std() / np.sqrt(100_000)


@pytest.mark.slow
def test_cold_hard_and_without_noise_it_is_a_vector_quantizer(made):
    config = dataclasses.replace(CONFIG, hard=True, noise=False, learn_weights=False)
    params = {"codes": made[0]["codes"]}
    far = jnp.tile(params["codes"], (3, 1)) * 1.0 + 0.01
    cold = {"codes": params["codes"] * 100}
    out, _ = gmvq.quantize(cold, {}, far * 100, config, key=jax.random.key(0), temperature=1e-3)
    np.testing.assert_array_equal(out.indices, jnp.tile(jnp.arange(5), 3))
    np.testing.assert_allclose(out.quantized, jnp.tile(cold["codes"], (3, 1)), rtol=1e-5)


def test_one_code_without_terms_is_a_plain_autoencoder():
    config = GMVQConfig(1, 3, gamma=0, beta=0, noise=False)
    params, _ = gmvq.init(jax.random.key(0), config)
    out, _ = gmvq.quantize(params, {}, X, config, key=jax.random.key(0))
    np.testing.assert_allclose(out.quantized, jnp.broadcast_to(params["codes"], X.shape), rtol=1e-6)
    assert out.loss == 0


@pytest.mark.parametrize("objective", ["albo", "literal", "elbo"])
@pytest.mark.parametrize("where", ["on a code", "far away"])
def test_gradients_are_finite(made, objective, where):
    config = dataclasses.replace(CONFIG, objective=objective)
    x = made[0]["codes"] if where == "on a code" else 1e4 * X

    def loss(params, x):
        out, _ = gmvq.quantize(params, {}, x, config, key=jax.random.key(0))
        return out.loss + out.quantized.sum()

    assert all(
        jnp.isfinite(g).all() for g in jax.tree.leaves(jax.grad(loss, argnums=(0, 1))(made[0], x))
    )


def test_the_kl_of_the_mean_pushes_rare_codes_up(made):
    def kl(logits):
        return gmvq.mixture_terms(jax.nn.log_softmax(logits), jnp.ones(4, bool))["kl_mean"]

    logits = jnp.zeros((4, 5)).at[:, 0].set(3.0).at[:, 4].set(-3.0)
    push = -jax.grad(kl)(logits)
    assert (push[:, 0] < 0).all() and (push[:, 4] > 0).all()


def test_entropy_regularization_evens_out_the_codes():
    """More weight on the KL, more codes in use, on rows that lie near one code."""
    config = GMVQConfig(8, 2, gamma=0.1, learn_weights=False, noise=False)
    start, _ = gmvq.init(jax.random.key(0), config)
    x = 0.3 * jax.random.normal(jax.random.key(1), (64, 2)) + 1.5
    reached = {}
    for beta in (0.0, 5.0):
        own = dataclasses.replace(config, beta=beta)
        step = jax.jit(
            lambda p, c=own: jax.tree.map(
                lambda a, g: a - 0.1 * g,
                p,
                jax.grad(lambda p: gmvq.quantize(p, {}, x, c, key=jax.random.key(2))[0].loss)(p),
            )
        )
        params = start
        for _ in range(200):
            params = step(params)
        log_q = gmvq.log_posterior(params, x, own)
        reached[beta] = float(gmvq.mixture_terms(log_q, jnp.ones(64, bool))["entropy_mean"])
    assert reached[5.0] > reached[0.0] + 0.1


def test_albo_is_no_lower_bound_and_the_elbo_is():
    x, mean, variance = jnp.zeros(1), jnp.zeros(1), 0.01
    truth = elbo.log_evidence(x, variance)
    assert float(truth) == pytest.approx(-0.924, abs=1e-3)
    assert float(elbo.albo(x, mean, 1e-9, variance)) == pytest.approx(0.465, abs=1e-3)
    for spread in (1e-9, 1e-4, 0.01, 1 / (2 * np.pi * np.e), 0.5):
        assert elbo.elbo(x, mean, spread, variance) <= truth + 1e-5
        if spread >= 1 / (2 * np.pi * np.e):
            assert elbo.albo(x, mean, spread, variance) <= truth
    posterior = variance / (1 + variance)
    x = jnp.array([0.7, -1.2])
    tight = elbo.elbo(x, x / (1 + variance), posterior, variance)
    np.testing.assert_allclose(tight, elbo.log_evidence(x, variance), rtol=1e-5)


def test_codes_begin_decided_on_a_sample_however_close_together_it_lies():
    config = GMVQConfig(20, 3, init="kmeans", softness=1.0)
    for scale in (1.0, 1e-2):
        sample = scale * jax.random.normal(jax.random.key(0), (400, 3))
        params, _ = gmvq.init(jax.random.key(1), config, sample)
        assert 0.1 < entropy(gmvq.log_posterior(params, sample, config)).mean() < 0.6 * np.log(20)
    flat = params | {"log_weight": jnp.zeros(3)}
    assert entropy(gmvq.log_posterior(flat, sample, config)).mean() > 0.999 * np.log(20)


def test_choices_begin_ten_times_softer_than_the_mixture_by_default():
    """Softer than decided, and far from even; the weights say so exactly."""
    sample = jax.random.normal(jax.random.key(0), (400, 3))
    params, spread = {}, {}
    for softness in (None, 1.0):
        config = GMVQConfig(
            20, 3, init="kmeans", **({} if softness is None else {"softness": softness})
        )
        params[softness] = gmvq.init(jax.random.key(1), config, sample)[0]
        log_q = gmvq.log_posterior(params[softness], sample, config)
        spread[softness] = float(entropy(log_q).mean())
    np.testing.assert_allclose(
        params[1.0]["log_weight"] - params[None]["log_weight"], np.log(10), rtol=1e-5
    )
    assert spread[1.0] + 0.3 < spread[None] < 0.9 * np.log(20)
