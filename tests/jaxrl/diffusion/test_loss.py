"""The denoising loss against a loop in float64; what enters the context; which gradients exist."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.loss import autoregressive_loss
from jaxrl.diffusion.noise import Draws
from jaxrl.diffusion.precondition import EDM

S, N, BATCH, SHAPE = 3, 2, 2, (3, 2, 2)
EDMS = pytest.mark.parametrize(
    "edm", [EDM(), EDM(sigma_data=0.7, sigma_offset=0.3)], ids=["latents", "frames"]
)


def inputs(seed=0):
    rng = np.random.default_rng(seed)
    context, targets = rng.normal(size=(N, BATCH, *SHAPE)), rng.normal(size=(S, BATCH, *SHAPE))
    draws = Draws(
        rng.normal(size=(S, BATCH)),
        rng.normal(size=(S, BATCH, 1, 1, 2)),
        rng.normal(size=(S, BATCH, *SHAPE)),
    )
    conditions = rng.normal(size=(S, BATCH, 1, 1, 1))
    return jax.tree.map(
        lambda a: jnp.asarray(a, jnp.float32), (context, targets, conditions, draws)
    )


def linear(weights):
    """A network that uses everything that it is given."""

    def network(noisy, c_noise, context, condition):
        noise = c_noise[..., None, None, None]
        return (
            weights[0] * noisy
            + weights[1] * noise
            + weights[2] * context[0]
            + weights[3] * context[1]
            + weights[4] * condition
        )

    return network


def clamp(x):
    return x.clip(-1, 1)


def slow_loss(weights, context, targets, conditions, draws, edm):
    """One step after the other, in float64."""
    context, targets, conditions, draws = jax.tree.map(
        lambda a: np.asarray(a, np.float64), (context, targets, conditions, draws)
    )
    window, losses, denoised_maps = list(context), [], []
    for i in range(S):
        sigma = np.clip(
            np.exp(edm.log_sigma_mean + edm.log_sigma_std * draws.level[i]),
            edm.sigma_train_min,
            edm.sigma_train_max,
        )
        s = np.sqrt(sigma**2 + edm.sigma_offset**2)
        c_in, c_skip = (
            1 / np.sqrt(s**2 + edm.sigma_data**2),
            edm.sigma_data**2 / (s**2 + edm.sigma_data**2),
        )
        c_out = s * np.sqrt(c_skip)

        def wide(v):
            return v.reshape(-1, 1, 1, 1)

        noisy = targets[i] + edm.sigma_offset * draws.offset[i] + wide(sigma) * draws.pixel[i]
        past = np.stack(window) / edm.sigma_data
        output = linear(weights)(wide(c_in) * noisy, np.log(s) / 4, past, conditions[i])
        losses.append(
            ((output - (targets[i] - wide(c_skip) * noisy) / wide(c_out)) ** 2).mean((1, 2, 3))
        )
        denoised_maps.append(clamp(wide(c_skip) * noisy + wide(c_out) * output))
        window = [*window[1:], denoised_maps[-1]]
    return np.array(losses), np.array(denoised_maps)


WEIGHTS = jnp.array([0.5, -0.3, 0.2, 0.4, 0.1])


@EDMS
def test_losses_and_denoised_maps_equal_a_slow_loop(edm):
    steps = jax.jit(lambda *args: autoregressive_loss(linear(WEIGHTS), *args, edm, clamp))(
        *inputs()
    )
    losses, denoised = slow_loss(np.asarray(WEIGHTS, np.float64), *inputs(), edm)
    np.testing.assert_allclose(steps.loss, losses, rtol=2e-5)
    np.testing.assert_allclose(steps.denoised, denoised, atol=2e-5)
    assert np.abs(denoised).max() == 1, "the clamp is at work"


def test_a_batch_equals_its_examples_one_by_one():
    context, targets, conditions, draws = inputs()
    batch = autoregressive_loss(linear(WEIGHTS), context, targets, conditions, draws, EDM())
    for i in range(BATCH):
        one = jax.tree.map(lambda a, i=i: a[:, i], (context, targets, conditions, draws))
        alone = autoregressive_loss(linear(WEIGHTS), *one, EDM())
        jax.tree.map(
            lambda many, single, i=i: np.testing.assert_allclose(
                many[:, i], single, rtol=1e-5, atol=1e-6
            ),
            batch,
            alone,
        )


def test_a_perfect_network_has_no_loss_and_gives_back_its_targets():
    context, targets, _, draws = inputs()
    edm = EDM()

    def oracle(noisy, c_noise, past, clean):
        sigma = jnp.exp(4 * c_noise)[..., None, None, None]
        total = jnp.square(sigma) + edm.sigma_data**2
        skip = edm.sigma_data**2 / total
        return (clean - skip * noisy * jnp.sqrt(total)) / (sigma * jnp.sqrt(skip))

    steps = autoregressive_loss(oracle, context, targets, targets, draws, edm)
    np.testing.assert_allclose(steps.loss, 0, atol=1e-7)
    np.testing.assert_allclose(steps.denoised, targets, atol=1e-5)


def test_gradient_equals_finite_differences_with_the_context_frozen():
    """Each step's gradient is that of a step whose context is given: nothing flows through denoised
    maps.
    """
    context, targets, conditions, draws = inputs(1)
    edm = EDM()

    def loss(weights, context):
        return autoregressive_loss(
            linear(weights), context, targets, conditions, draws, edm, clamp
        ).loss.sum()

    grads = jax.jit(jax.grad(loss, argnums=(0, 1)))(WEIGHTS, context)
    _, denoised = slow_loss(np.asarray(WEIGHTS, np.float64), *inputs(1), edm)
    seen = np.concatenate([context, denoised])

    def frozen(weights):
        total = 0.0
        for i in range(S):
            rows = jax.tree.map(lambda a, i=i: a[i : i + 1], (targets, conditions, draws))
            padded = jax.tree.map(lambda a: np.concatenate([a] * S), rows)
            total += slow_loss(weights, seen[i : i + N], *padded, edm)[0][0].sum()
        return total

    for j in range(len(WEIGHTS)):
        up, down = np.asarray(WEIGHTS, np.float64), np.asarray(WEIGHTS, np.float64)
        up[j] += 1e-5
        down[j] -= 1e-5
        np.testing.assert_allclose(grads[0][j], (frozen(up) - frozen(down)) / 2e-5, rtol=2e-4)
    assert np.abs(grads[1]).min() > 0, "the true context does receive gradient"


def test_the_loss_is_in_float32_for_a_network_in_bfloat16():
    def network(noisy, *_):
        return noisy.astype(jnp.bfloat16)

    context, targets, conditions, draws = inputs()
    steps = autoregressive_loss(network, context, targets, conditions, draws, EDM())
    assert (steps.loss.dtype, steps.denoised.dtype) == (jnp.float32, jnp.float32)
