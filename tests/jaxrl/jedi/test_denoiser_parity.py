"""Denoiser, conditioners, training loss with gradients and samplers against DIAMOND
(goldens/diamond/denoiser_*.npz).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.diffusion.loss import autoregressive_loss
from jaxrl.diffusion.noise import Draws, karras_sigmas
from jaxrl.diffusion.precondition import EDM, combine, conditioners, over_space
from jaxrl.diffusion.sample import Churn, sample
from jaxrl.jedi.nets.denoiser import Denoiser
from jaxrl.nn.from_torch import from_torch
from jaxrl.replay.segment import quantize_frame
from tests.golden import Golden, relative_error
from tests.jaxrl.jedi.diamond_sizes import denoiser_config

FILES = ("diamond/denoiser_d111", "diamond/denoiser_d22")
LOSSES = [(FILES[0], "loss_T1"), (FILES[0], "loss_T3"), (FILES[1], "loss_T2")]
SAMPLERS = [(file, name) for file in FILES for name in ("euler3", "heun3", "euler1", "churn3")]


@functools.cache
def load(file):
    """The golden file, its network with parameters, and its diffusion constants."""
    golden = Golden(file)
    inner = golden.config["inner_model"]
    config = denoiser_config(inner)
    model = Denoiser(config, inner["num_actions"])
    context = frames(golden, "in/inner/obs")
    inputs = (
        golden.maps("in/inner/noisy_next_obs"),
        golden["in/inner/c_noise"],
        context,
        golden["in/inner/act"],
    )
    template = jax.eval_shape(model.init, jax.random.key(0), *inputs)["params"]
    params = from_torch(golden.params("inner_model."), template)
    law = golden.config["sigma_distribution"]
    edm = EDM(
        golden.config["sigma_data"],
        golden.config["sigma_offset_noise"],
        law["loc"],
        law["scale"],
        law["sigma_min"],
        law["sigma_max"],
    )
    return golden, model, params, edm, inputs


def frames(golden, key):
    """`[B, n*C, H, W]` with stacked frames as `[B, n, H, W, C]`."""
    stacked = golden[key]
    batch, channels, height, width = stacked.shape
    split = stacked.reshape(batch, channels // 3, 3, height, width)
    return np.moveaxis(split, 2, -1)


@pytest.mark.parametrize("file", FILES)
def test_network_equals_reference(file):
    golden, model, params, _, inputs = load(file)
    output = jax.jit(model.apply)({"params": params}, *inputs)
    assert relative_error(output, golden.maps("out/inner")) < 1e-4


@pytest.mark.parametrize("file", FILES)
def test_conditioners_equal_reference(file):
    golden, _, _, edm, _ = load(file)
    c = conditioners(golden["in/cond/sigma"], edm)
    for name in c._fields:
        assert relative_error(getattr(c, name), golden["out/cond/" + name]) < 1e-6


def inputs_of(golden, case):
    """Frames and actions time first, mask, stored noise and the actions of every step's window."""
    obs = jnp.moveaxis(jnp.asarray(golden.maps(f"in/{case}/obs")), 1, 0)
    action = jnp.asarray(golden[f"in/{case}/act"]).T
    mask = jnp.asarray(golden[f"in/{case}/mask_padding"]).T
    n = golden.config["inner_model"]["num_steps_conditioning"]
    draws = Draws(
        golden[f"in/{case}/eps_sigma"],
        golden.maps(f"in/{case}/eps_offset"),
        golden.maps(f"in/{case}/eps"),
    )
    windows = jnp.stack([action[i : i + n] for i in range(len(obs) - n)])
    return obs, mask, draws, windows, n


def network_of(params, model):
    def network(noisy, c_noise, context, action):
        context, action = jnp.moveaxis(context, 0, 1), jnp.moveaxis(action, 0, 1)
        return model.apply({"params": params}, noisy, c_noise, context, action)

    return network


def mean_loss(steps, mask, n):
    valid = mask[n:].astype(jnp.float32)
    return ((steps.loss * valid).sum(1) / valid.sum(1)).mean()


def loss_of(params, golden, model, edm, case):
    """DIAMOND's training loss for the stored noise, and the steps it is made of. Each step sees the
    reference's own denoised frames in its context: no gradient flows through them, and one 8-bit
    level that rounds the other way does not reach the later steps.
    """
    obs, mask, draws, windows, n = inputs_of(golden, case)
    seen = jnp.concatenate([obs[:n], jnp.asarray(golden.maps(f"mid/{case}/denoised"))])
    count, batch = len(windows), obs.shape[1]

    def as_one_batch(a, kept=0):
        """`[S, (n,) B, ...]` as `[(n,) S * B, ...]`: given its context, a step needs no other."""
        a = jnp.moveaxis(a, 0, kept)
        return a.reshape(*a.shape[:kept], count * batch, *a.shape[kept + 2 :])

    steps = autoregressive_loss(
        network_of(params, model),
        as_one_batch(jnp.stack([seen[i : i + n] for i in range(count)]), 1),
        as_one_batch(obs[n:])[None],
        as_one_batch(windows, 1)[None],
        jax.tree.map(lambda d: as_one_batch(jnp.asarray(d))[None], draws),
        edm,
        quantize_frame,
    )
    steps = jax.tree.map(lambda a: a[0].reshape(count, batch, *a.shape[2:]), steps)
    return mean_loss(steps, mask, n), steps


@pytest.mark.parametrize(("file", "case"), LOSSES)
def test_steps_on_their_own_frames_follow_the_reference(file, case):
    """The same, each step on what ours denoised: all as in the reference up to flipped levels, and
    without any before the first frame that flips.
    """
    golden, model, params, edm, _ = load(file)
    obs, mask, draws, windows, n = inputs_of(golden, case)
    steps = jax.jit(
        lambda p: autoregressive_loss(
            network_of(p, model), obs[:n], obs[n:], windows, draws, edm, quantize_frame
        )
    )(params)
    expected = golden.maps(f"mid/{case}/denoised")
    flipped = np.abs(np.asarray(steps.denoised) - expected).max((2, 3, 4)) > 1e-4
    output = golden.maps(f"mid/{case}/model_output")
    for step in range(len(expected)):
        tolerance = 1e-2 if flipped[:step].any() else 1e-4
        assert relative_error(steps.output[step], output[step]) < tolerance
        difference = np.abs(np.asarray(steps.denoised[step]) - expected[step])
        levels = 1 if not flipped[:step].any() else 3
        assert difference.max() < levels * 2 / 255 + 1e-4
        assert (difference > 1e-4).mean() <= (1e-3 if levels == 1 else 2e-2)
    rough = 1e-2 if flipped[:-1].any() else 1e-5
    np.testing.assert_allclose(mean_loss(steps, mask, n), golden[f"out/{case}/loss"], rtol=rough)


@pytest.mark.parametrize(
    ("file", "case"),
    [LOSSES[1], *(pytest.param(*LOSSES[n], marks=pytest.mark.slow) for n in (0, 2))],
)
def test_training_loss_and_gradients_equal_reference(file, case):
    golden, model, params, edm, _ = load(file)
    compute = jax.jit(
        jax.value_and_grad(lambda p: loss_of(p, golden, model, edm, case), has_aux=True)
    )
    (loss, steps), grads = compute(params)

    assert relative_error(steps.sigma, golden[f"mid/{case}/sigma"]) < 1e-5
    assert relative_error(steps.noisy, golden.maps(f"mid/{case}/noisy_next_obs")) < 1e-5
    assert relative_error(steps.output, golden.maps(f"mid/{case}/model_output")) < 1e-4
    assert levels_that_differ(steps.denoised, golden.maps(f"mid/{case}/denoised")) <= 1e-3
    np.testing.assert_allclose(loss, golden[f"out/{case}/loss"], atol=1e-5)

    squares = sum(jnp.square(g).sum() for g in jax.tree.leaves(grads))
    assert relative_error(jnp.sqrt(squares), golden[f"out/{case}/grad_norm_total"]) < 1e-4
    by_name = torch_layout(golden, grads)
    norms = from_torch_norms(golden, case, by_name)
    assert max(norms.values()) < 1e-4, max(norms, key=norms.get)
    for name, expected in golden.under(f"out/{case}/grad/").items():
        actual = gradient_named(name, expected, by_name)
        assert relative_error(actual, expected) < 1e-4, name


def torch_layout(golden, tree):
    """The leaves of a Flax tree by reference name, found by loading a state dict of
    unique values.
    """
    names = list(golden.params("inner_model."))
    tags = {
        name: np.full(golden["param/inner_model." + name].shape, i) for i, name in enumerate(names)
    }
    tagged = from_torch(tags, tree)
    leaves = zip(jax.tree.leaves(tagged), jax.tree.leaves(tree), strict=True)
    return {names[int(tag.reshape(-1)[0])]: np.asarray(leaf) for tag, leaf in leaves}


def from_torch_norms(golden, case, by_name):
    """Relative error of every parameter's gradient norm."""
    expected = golden.under(f"out/{case}/grad_norm/inner_model.")
    scale = float(golden[f"out/{case}/grad_norm_total"])
    assert set(expected) == set(by_name) - {"noise_emb.weight"}
    assert np.all(by_name["noise_emb.weight"] == 0), "Fourier frequencies are not trained"
    return {
        name: abs(np.linalg.norm(by_name[name]) - value) / max(value, 1e-3 * scale)
        for name, value in expected.items()
    }


def gradient_named(name, expected, by_name):
    gradient = by_name[name.removeprefix("inner_model.")]
    if gradient.ndim == 4:
        return gradient.transpose(3, 2, 0, 1)
    return gradient.T if gradient.ndim == 2 and "emb" not in name else gradient


def levels_that_differ(actual, expected):
    """Share of pixels further apart than rounding; none may be further than one 8-bit level."""
    difference = np.abs(np.asarray(actual) - expected)
    assert difference.max() < 2 / 255 + 1e-4
    return (difference > 1e-4).mean()


@pytest.mark.parametrize(("file", "name"), SAMPLERS)
def test_sampler_equals_reference_step_by_step(file, name):
    """Each step starts from the stored point, so that one flipped 8-bit level cannot grow along the
    trajectory.
    """
    golden, model, params, edm, _ = load(file)
    setting = golden.config["sampler"][name]
    sigmas = karras_sigmas(
        setting["num_steps_denoising"], setting["sigma_min"], setting["sigma_max"], setting["rho"]
    )
    assert relative_error(sigmas, golden[f"out/sampler/{name}/sigmas"]) < 2e-6
    churn = Churn(
        setting.get("s_churn", 0.0),
        setting.get("s_tmin", 0.0),
        setting.get("s_tmax", np.inf),
        setting.get("s_noise", 1.0),
    )
    noise = golden.maps(f"in/sampler/{name}/eps") if churn.s_churn > 0 else None
    denoise = jax.jit(denoiser_of(golden, model, params, edm))
    stored = golden.maps(f"out/sampler/{name}/trajectory")
    calls = iter(golden.maps(f"out/sampler/{name}/denoised_calls"))

    # The stored denoiser outputs, in the order of the calls, stand in for the network ...
    recorded = []

    def replayed(x, sigma):
        recorded.append((x, sigma))
        return jnp.asarray(next(calls))

    noises = iter(noise) if noise is not None else None
    with jax.disable_jit():
        padded = pad_noise(noises, sigmas, churn, stored)
        result = sample(replayed, stored[0], sigmas, setting["order"], churn, padded)
    assert relative_error(result.trajectory, stored) < 1e-5
    # ... and the network gives those outputs at those points.
    for (x, sigma), expected in zip(
        recorded, golden.maps(f"out/sampler/{name}/denoised_calls"), strict=True
    ):
        assert levels_that_differ(denoise(x, sigma), expected) <= 1e-3


def pad_noise(noises, sigmas, churn, stored):
    """One noise array per step; zeros where the level is outside the churned range (the reference
    draws none there).
    """
    if noises is None:
        return None
    inside = [churn.s_min <= sigma <= churn.s_max for sigma in sigmas[:-1]]
    return np.stack([next(noises) if churned else np.zeros_like(stored[0]) for churned in inside])


def denoiser_of(golden, model, params, edm):
    context = golden.arrays["in/sampler/prev_obs"]
    context = np.moveaxis(context, 2, -1)

    def denoise(x, sigma):
        c = conditioners(jnp.full(x.shape[:1], sigma), edm)
        output = model.apply(
            {"params": params},
            over_space(c.c_in) * x,
            c.c_noise,
            context / edm.sigma_data,
            golden["in/sampler/prev_act"],
        )
        return quantize_frame(combine(output, x, c))

    return denoise


@pytest.mark.parametrize("file", FILES)
def test_whole_euler_trajectory_equals_reference(file):
    golden, model, params, edm, _ = load(file)
    setting = golden.config["sampler"]["euler3"]
    sigmas = karras_sigmas(
        setting["num_steps_denoising"], setting["sigma_min"], setting["sigma_max"], setting["rho"]
    )
    result = jax.jit(lambda x0: sample(denoiser_of(golden, model, params, edm), x0, sigmas))(
        golden.maps("in/sampler/x0")
    )
    assert levels_that_differ(result.x, golden.maps("out/sampler/euler3/trajectory")[-1]) <= 1e-3


def test_noise_schedules_equal_reference():
    golden = Golden("diamond/build_sigmas")
    for i, case in enumerate(golden.config["cases"]):
        sigmas = karras_sigmas(case["num_steps"], case["sigma_min"], case["sigma_max"], case["rho"])
        assert relative_error(sigmas, golden[f"out/sigmas/{i}"]) < 2e-6
