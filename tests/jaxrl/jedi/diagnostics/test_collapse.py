"""Monitors against NumPy, and on latents whose answer is known."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.catch import catch
from jaxrl.jedi.agent import encode
from jaxrl.jedi.diagnostics import collapse
from jaxrl.jedi.diagnostics.collapse import (
    Exam,
    context_gain,
    latent_statistics,
    linear_probe,
    make_exam,
)
from tests.jaxrl.jedi import small_agent


def test_statistics_equal_numpy_on_the_real_frames_only(key):
    agent = small_agent.agent()
    batch = small_agent.segments(key, (6,), 3)
    batch = batch.replace(frame_mask=batch.frame_mask.at[0, 0].set(False))
    found = jax.jit(latent_statistics)(agent, batch)
    z = np.asarray(encode(agent, batch.frame), np.float64).reshape(18, -1)[1:]
    eigenvalues = np.linalg.eigvalsh(np.cov(z.T, bias=True))
    np.testing.assert_allclose(found["latent_std"], z.std(0).mean(), rtol=1e-4)
    np.testing.assert_allclose(
        found["participation_ratio"], eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rtol=1e-3
    )


def test_equal_frames_have_no_spread(key):
    agent = small_agent.agent()
    batch = small_agent.segments(key, (4,), 3)
    batch = batch.replace(frame=jnp.zeros_like(batch.frame))
    assert float(latent_statistics(agent, batch)["latent_std"]) < 1e-5


def test_a_denoiser_that_ignores_its_past_has_no_context_gain(key):
    """The output layer of a fresh denoiser is zero, so its loss does not depend on the past."""
    batch = small_agent.segments(key, (4,), 3)
    found = jax.jit(context_gain)(small_agent.agent(), batch, key)
    assert abs(float(found["context_gain"])) < 1e-6 and float(found["denoising_at_5"]) > 0


def test_the_probe_finds_what_is_linear_in_the_latents_and_nothing_else(key):
    agent = small_agent.agent()
    frame = jax.random.randint(key, (200, *small_agent.FRAME), 0, 256).astype(jnp.uint8)
    z = encode(agent, frame).reshape(200, -1)
    truth = jnp.stack([z @ jnp.linspace(-1, 1, z.shape[1]), jax.random.normal(key, (200,))], axis=1)
    known, noise = linear_probe(agent, Exam(frame, truth))
    assert known > 0.9 and noise < 0.3


def test_the_exam_shows_the_states_it_asks_for(key):
    env = catch(16)
    exam = make_exam(env, 32, key)
    assert exam.frame.shape == (32, 16, 16, 3) and exam.truth.shape == (32, 3)
    yellow = (np.asarray(exam.frame) == [255, 220, 60]).all(-1)
    assert yellow.any((1, 2)).all()
    for frame, (x, y, _) in zip(yellow, np.asarray(exam.truth).astype(int), strict=True):
        assert frame[y, x]
    assert len(np.unique(exam.truth[:, 1])) > 3
    assert collapse.GAIN_SIGMA >= 1
