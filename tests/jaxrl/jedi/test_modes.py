"""The three world models: sizes, what trains what, and pixel mode against DIAMOND."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import AgentSpec, decode, encode, init
from jaxrl.jedi.config import AgentConfig, SamplerConfig
from jaxrl.jedi.imagination import Noise, predict
from jaxrl.jedi.learn.loops import PHASES, phases_of
from jaxrl.jedi.learn.world_model import OBJECTIVES, separate_loss
from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.reward_end import RewardEndConfig
from jaxrl.jedi.presets import FRAMES, OFFSET, PRESETS, as_pixel, as_separate, options_for
from jaxrl.replay.segment import frame_to_float
from jaxrl.train.state import count_params
from tests.jaxrl.jedi import small_agent
from tests.jaxrl.jedi.test_denoiser_parity import FILES, load

MODES = ("jedi", "separate", "pixel")


@functools.cache
def agent(mode):
    config = small_agent.CONFIG
    if mode == "separate":
        config = as_separate(config)
    if mode == "pixel":
        config = as_pixel(
            config,
            DenoiserConfig((1, 1), (8, 8), cond_width=8),
            RewardEndConfig((1, 1), (8, 8), (), 8, 8),
            config.actor_critic,
        )
    return init(config, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))


def sizes(preset, mode, actions=4, env="Breakout"):
    config = PRESETS[preset](env, mode)
    frame = (config.game.frame_size, config.game.frame_size, 3)
    return jax.eval_shape(lambda: init(config.agent, actions, frame, jax.random.key(0)))


def test_pixel_mode_has_the_parameters_of_diamond():
    """Counts from DIAMOND's code: 4 actions, and per further action +64, +128, +513."""

    def counts(a):
        return [
            count_params(tree) for tree in (a.world.params, a.reward_end.params, a.policy.params)
        ]

    assert counts(sizes("atari100k", "pixel")) == [4_405_955, 5_900_864, 3_229_637]
    assert counts(sizes("atari100k", "pixel", 5)) == [
        4_405_955 + 64,
        5_900_864 + 128,
        3_229_637 + 513,
    ]


@pytest.mark.parametrize(
    "preset, env", [(name, "Breakout") for name in PRESETS] + [("tiny", "gymnax:Asterix-MinAtar")]
)
def test_modes_of_a_preset_share_all_but_the_networks(preset, env):
    jedi, separate, pixel = (PRESETS[preset](env, mode) for mode in MODES)
    assert replace(separate, agent=replace(separate.agent, mode="jedi")) == jedi
    own = {
        name: getattr(jedi.agent, name)
        for name in (
            "mode",
            "encoder",
            "denoiser",
            "reward_end",
            "actor_critic",
            "edm",
            "reward_end_learning",
            "probe",  # of no use in mode pixel
        )
    }
    assert replace(pixel, agent=replace(pixel.agent, **own)) == jedi
    for mode in MODES:
        agent = sizes(preset, mode, env=env)
        assert agent.spec.latent_shape[2] == (3 if mode == "pixel" else 16)


@pytest.mark.parametrize("preset", ["small", "atari100k"])
def test_presets_of_accelerators_keep_small_objects_in_latents_and_diamond_in_frames(preset):
    jedi, separate, pixel = (PRESETS[preset]("Breakout", mode).agent for mode in MODES)
    for agent in (jedi, separate):
        assert (agent.encoder.kind, agent.encoder.norm) == ("fold", "position")
        assert agent.edm.log_sigma_mean == 1.0 and agent.context == 4
        assert agent.reward_end_learning.open_loop_share == 0.5
    learning = pixel.reward_end_learning
    assert pixel.edm == OFFSET and pixel.edm.log_sigma_mean == -0.4
    assert learning.sampled_share == learning.noise == learning.open_loop_share == 0


@pytest.mark.parametrize("mode", MODES)
def test_options_name_the_mode(mode):
    options = options_for(PRESETS["tiny"]("catch", mode))
    assert ("--mode" in options) == (mode != "jedi")


def gradients(mode):
    state, config = agent(mode), agent(mode).spec.config
    batch = small_agent.segments(
        jax.random.key(1), (4,), config.context + config.world_model.autoregressive_steps
    )
    loss = jax.jit(
        jax.grad(
            lambda params: OBJECTIVES[mode](params, state, batch, jax.random.key(2)), has_aux=True
        )
    )
    grads, metrics = loss(state.world.params)
    return jax.tree.map(lambda g: float(jnp.abs(g).sum()), grads), metrics


def total(tree):
    return sum(jax.tree.leaves(tree))


@pytest.mark.slow
def test_denoising_trains_the_encoder_of_jedi_only():
    for mode in MODES:
        grads, metrics = gradients(mode)
        assert total(grads["denoiser"]) > 0 and float(metrics["denoising"]) > 0
        assert (total(grads["encoder"]) > 0) == (mode != "pixel")
        assert ("decoder" in grads) == (mode == "separate") == ("reconstruction" in metrics)


@pytest.mark.slow
def test_denoising_does_not_train_a_separate_encoder():
    state = agent("separate")
    blind = jax.tree.map(lambda a: a, state.replace(spec=replace_weight(state.spec, 0.0)))
    batch = small_agent.segments(jax.random.key(1), (4,), 4)
    grads, _ = jax.jit(
        jax.grad(lambda p: separate_loss(p, blind, batch, jax.random.key(2)), has_aux=True)
    )(state.world.params)
    assert (
        total(jax.tree.map(lambda g: float(jnp.abs(g).sum()), (grads["encoder"], grads["decoder"])))
        == 0
    )
    assert total(jax.tree.map(lambda g: float(jnp.abs(g).sum()), grads["denoiser"])) > 0


def replace_weight(spec: AgentSpec, weight):
    return replace(
        spec,
        config=replace(
            spec.config, world_model=replace(spec.config.world_model, reconstruction_weight=weight)
        ),
    )


def test_reconstruction_is_the_error_of_the_decoded_frames():
    state = agent("separate")
    batch = small_agent.segments(jax.random.key(1), (4,), 4)
    batch = replace(batch, frame_mask=batch.frame_mask.at[0, 0].set(False))
    _, metrics = jax.jit(lambda p: separate_loss(p, state, batch, jax.random.key(2)))(
        state.world.params
    )
    picture = decode(
        state, encode(state, batch.frame)
    )  # fresh: the target encoder equals the trained one
    error = np.square(np.asarray(picture) - np.asarray(frame_to_float(batch.frame))).mean((2, 3, 4))
    np.testing.assert_allclose(
        metrics["reconstruction"], error[np.asarray(batch.frame_mask)].mean(), rtol=1e-5
    )


def test_frames_are_their_own_latents():
    state = agent("pixel")
    frame = jax.random.randint(jax.random.key(0), (5, *small_agent.FRAME), 0, 256).astype(jnp.uint8)
    z = encode(state, frame, jnp.arange(5) > 0)
    np.testing.assert_array_equal(z[1:], frame_to_float(frame[1:]))
    assert not np.asarray(z[0]).any()
    np.testing.assert_array_equal(decode(state, z), z)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["jedi", "separate", "pixel"])
def test_every_phase_updates_its_own_part(mode):
    state = agent(mode)
    parts = {
        "world_model": "world",
        "reward_end": "reward_end",
        "behavior": "policy",
        "probe": "probe",
    }
    assert set(phases_of(state.spec.config)) == set(PHASES) - (
        {"probe"} if mode != "jedi" else set()
    )
    for name, phase in phases_of(state.spec.config).items():
        batch = small_agent.segments(
            jax.random.key(3), phase.batch(state.spec), phase.size(state.spec)
        )
        after, metrics = jax.jit(phase.update)(state, batch, jax.random.key(4))
        assert np.isfinite([float(v) for v in metrics.values()]).all()
        for part in parts.values():
            moved = int(getattr(after, part).updates) - int(getattr(state, part).updates)
            assert moved == (part == parts[name])


@pytest.mark.parametrize("file", FILES)
def test_pixel_mode_samples_the_frames_of_diamond(file):
    """`world.predict` whole: conditioners, 8-bit cut after every pass, Euler steps. One level may
    differ at rounding.
    """
    golden, model, params, edm, _ = load(file)
    inner = golden.config["inner_model"]
    before, action = (
        np.moveaxis(golden["in/sampler/prev_obs"], 2, -1),
        golden["in/sampler/prev_act"],
    )
    config = AgentConfig(
        mode="pixel",
        context=before.shape[1],
        encoder=FRAMES,
        denoiser=model.config,
        edm=edm,
        sampler=SamplerConfig(steps=3),
    )
    spec = AgentSpec(config, inner["num_actions"], before.shape[-3:])
    noise, mask = Noise(golden.maps("in/sampler/x0")), jnp.ones(action.shape, bool)
    found = jax.jit(predict, static_argnums=0)(spec, params, before, action, mask, noise)
    wanted = np.moveaxis(golden["out/sampler/euler3/trajectory"][-1], 1, -1)
    levels = np.abs(np.asarray(found) - wanted) * 127.5
    assert levels.max() < 1.01 and (levels > 0.5).mean() < 2e-3


def test_modes_and_encoders_must_fit():
    config = replace(small_agent.CONFIG, mode="pixel")
    with pytest.raises(
        ValueError, match="agent.mode pixel does not go with encoder.kind local.*--mode"
    ):
        init(config, 3, small_agent.FRAME, jax.random.key(0))
    with pytest.raises(ValueError, match="agent.mode jedi does not go with encoder.kind identity"):
        init(
            replace(agent("pixel").spec.config, mode="jedi"),
            3,
            small_agent.FRAME,
            jax.random.key(0),
        )
    with pytest.raises(ValueError, match="encoder.widths must be empty"):
        init(
            replace(agent("pixel").spec.config, encoder=replace(FRAMES, channels=4)),
            3,
            small_agent.FRAME,
            jax.random.key(0),
        )
