"""Samplers other than the trained one: what they change, what they leave bit for bit, and that
noise is drawn per latent.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.diffusion.sample import Churn
from jaxrl.jedi.config import JediConfig, SamplerConfig
from jaxrl.jedi.diagnostics.sampler import (
    AS_TRAINED,
    SamplerChoice,
    chosen_sampler,
    describe_sampler,
    with_sampler,
)
from jaxrl.jedi.imagination import advance, begin, draw_noise, imagine
from jaxrl.jedi.learn.gate import run_gate
from jaxrl.jedi.learn.reward_end import training_pairs
from jaxrl.train.config import from_dict, to_dict
from tests.jaxrl.jedi import small_agent

CHURN = SamplerChoice(churn=1.0)


@functools.cache
def awake():
    """An agent whose denoiser's last layer is not zero, so that its input matters."""
    agent = small_agent.agent()
    leaves, tree = jax.tree.flatten(agent.world.params["denoiser"])
    keys = jax.random.split(jax.random.key(7), len(leaves))
    moved = [
        leaf + 0.3 * jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)
    ]
    params = {**agent.world.params, "denoiser": tree.unflatten(moved)}
    return agent.replace(world=agent.world.replace(params=params))


@jax.jit
def one_step(agent, batch, key):
    noise = draw_noise(agent.spec, key, batch.action.shape[:1])
    return advance(agent, begin(agent, batch), batch.action[:, -1], *noise)[1].z


def test_choices_change_what_they_name_and_nothing_else():
    sampler = SamplerConfig(steps=5)
    assert chosen_sampler(sampler, AS_TRAINED) == sampler
    assert chosen_sampler(sampler, SamplerChoice(2, 2)) == SamplerConfig(steps=2, order=2)
    churned = chosen_sampler(
        sampler, SamplerChoice(churn=0.5, churn_noise=1.1, churn_min=0.1, churn_max=2.0)
    )
    assert churned == dataclasses.replace(sampler, churn=Churn(0.5, 0.1, 2.0, 1.1))
    assert describe_sampler(churned) == "5 Euler steps from 5 to 0.002, churn 0.5"
    assert describe_sampler(SamplerConfig(steps=1, order=2)) == "1 Heun step from 5 to 5"


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (SamplerChoice(denoising_steps=0), "--denoising-steps is 0: it must be at least 1"),
        (SamplerChoice(order=3), r"--order is 3: it must be 1 \(Euler\) or 2 \(Heun\)"),
        (SamplerChoice(churn=-1.0), "--churn is -1.0: it must be at least 0"),
        (SamplerChoice(churn=float("nan")), "--churn is nan"),
        (SamplerChoice(churn_noise=-1.0), "--churn-noise is -1.0"),
        (SamplerChoice(churn_min=-1.0), "--churn-min is -1.0"),
    ],
)
def test_what_no_sampler_can_be_is_refused(choice, sentence):
    with pytest.raises(UserError, match=sentence):
        chosen_sampler(SamplerConfig(), choice)


def test_the_default_draws_what_it_always_drew():
    """The start of sampling is the key's own normal draw, with and without churn; without, nothing
    else is drawn.
    """
    agent, key = small_agent.agent(), jax.random.key(3)
    plain, churned = (draw_noise(a.spec, key, (2,)) for a in (agent, with_sampler(agent, CHURN)))
    expected = jax.random.normal(key, (2, *agent.spec.latent_shape))
    np.testing.assert_array_equal(plain.x0, expected)
    np.testing.assert_array_equal(churned.x0, expected)
    assert plain.churn is None and churned.churn.shape == (2, 3, *agent.spec.latent_shape)
    correlations = np.corrcoef(np.asarray(churned.churn).transpose(1, 0, 2, 3, 4).reshape(3, -1))
    assert np.abs(correlations - np.eye(3)).max() < 0.3


def test_settings_reach_the_world_model():
    agent, batch = awake(), small_agent.segments(jax.random.key(1), (2,), 2)
    choices = (AS_TRAINED, SamplerChoice(denoising_steps=6), SamplerChoice(order=2), CHURN)
    found = [
        np.asarray(one_step(with_sampler(agent, choice), batch, jax.random.key(2)))
        for choice in choices
    ]
    for i, a in enumerate(found):
        assert np.isfinite(a).all()
        assert all(np.abs(a - b).max() > 1e-3 for b in found[:i])
    again = one_step(with_sampler(agent, SamplerChoice(churn=0.0)), batch, jax.random.key(2))
    np.testing.assert_array_equal(again, found[0])


def test_churn_without_its_noise_is_refused():
    agent, batch = (
        with_sampler(small_agent.agent(), CHURN),
        small_agent.segments(jax.random.key(1), (2,), 2),
    )
    with pytest.raises(ValueError, match="churn needs churn_noise"):
        advance(
            agent,
            begin(agent, batch),
            batch.action[:, -1],
            draw_noise(agent.spec, jax.random.key(0), (2,)).x0,
        )


def test_a_batch_is_sampled_as_its_examples_are():
    """The noise of step s must reach step s of its own example, whatever axes stand before."""
    agent, batch = with_sampler(awake(), CHURN), small_agent.segments(jax.random.key(1), (3,), 2)
    noise = draw_noise(agent.spec, jax.random.key(2), (3,))
    step = jax.jit(lambda world, action, noise: advance(agent, world, action, *noise)[1].z)
    inputs = (begin(agent, batch), batch.action[:, -1], noise)
    together = step(*inputs)
    for i in range(3):
        np.testing.assert_allclose(
            step(*jax.tree.map(lambda a, i=i: a[i], inputs)), together[i], atol=1e-5
        )


@pytest.mark.slow
def test_all_that_imagines_can_churn():
    agent = with_sampler(small_agent.agent(), CHURN)
    batch = small_agent.segments(jax.random.key(1), (4,), 5)
    _, z_next = jax.jit(training_pairs)(agent, batch, jax.random.key(0))
    rollout, _ = jax.jit(imagine)(
        agent, small_agent.segments(jax.random.key(1), (4, 2), 2), jax.random.key(0)
    )
    assert np.isfinite(z_next).all() and np.isfinite(rollout.z).all()
    assert jax.jit(run_gate)(agent, batch, jnp.ones(4, bool), jax.random.key(0)).tried == 4


def test_the_configuration_stays_plain_json():
    stored = to_dict(JediConfig())
    assert stored["agent"]["sampler"]["churn"] == {
        "s_churn": 0.0,
        "s_min": 0.0,
        "s_max": 1e9,
        "s_noise": 1.0,
    }
    assert from_dict(JediConfig, stored) == JediConfig()
