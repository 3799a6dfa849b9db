"""The GM-VQ study: what it measures is right, seeds and batches are what they are alone, files are
found again, bad input is refused.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from quant.codebooks.soft_assignment import squared_distances
from quant.data.loaders import from_arrays
from quant.models.autoencoder import VectorAutoencoder, autoencoder_for
from quant.quantizers import gmvq, gumbel_vq
from quant.studies.gmvq.__main__ import main
from quant.studies.gmvq.bias import biases, correlations
from quant.studies.gmvq.bounds import bounds_over_spread
from quant.studies.gmvq.config import METHODS, PRESETS, Cell, Learning, fsq_levels, tiny
from quant.studies.gmvq.figures import error_scale
from quant.studies.gmvq.measure import measure, mixture_entropy
from quant.studies.gmvq.run import run, run_cell
from quant.studies.gmvq.training import Learner, pieces, start, temperature, train

LEARN = Learning(steps=120, every=30)
SHORT = dataclasses.replace(tiny(), codes=16, learn=LEARN, draws=8, variants=("gm-vq",))
X = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), np.uint8)
MODULE = VectorAutoencoder((8, 8, 1), 4, 16, 16)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A folder, on digits."""
    folder = tmp_path_factory.mktemp("gmvq")
    run(SHORT, folder)
    return folder


def numbers(folder, method):
    return json.loads(
        next(iter(sorted((folder / "results").glob(f"{method}-b*.json")))).read_text()
    )


def test_it_learns_and_uses_its_codes(study):
    plain = float(np.var(np.load(study / "results" / "vq-batch128.npz")["x"]))
    for method in ("vq", "gm-vq"):
        found = numbers(study, method)
        assert np.mean(found["mse"]) < 0.7 * plain and np.mean(found["perplexity"]) > 3
        assert (
            found["curves"]["mse"][0][-1] < found["curves"]["mse"][0][0]
            and len(found["curves"]["mse"][0]) == 4
        )
    assert all(entropy == 0 for entropy in numbers(study, "vq")["entropy_row"])
    for value, perplexity in zip(
        numbers(study, "vq")["information"], numbers(study, "vq")["perplexity"], strict=True
    ):
        assert value == pytest.approx(
            np.log(perplexity), rel=1e-4
        )  # a code that is sure tells all its entropy


def test_an_error_far_from_the_others_does_not_hide_them():
    assert error_scale([0.006, 0.007, 0.35]) == "log"
    assert error_scale([0.006, 0.007, 0.05]) == "linear"
    assert error_scale([0.0, 0.007]) == "linear"


def test_the_report_has_its_figures_and_a_second_start_trains_nothing(study, monkeypatch):
    text = (study / "report" / "index.md").read_text()
    figures = ("G1_methods", "G2_sweeps", "G3_curves", "G4_pictures", "G5_bounds", "G6_bias")
    assert {f.name for f in (study / "report").iterdir()} == {
        "index.html",
        "index.md",
        *(f"{name}.png" for name in figures),
    }
    assert (
        "Differences to gm-vq" in text
        and "random networks" in text
        and "lies above log p(x)" in text
    )
    monkeypatch.setattr("quant.studies.gmvq.run.run_cell", None)
    run(SHORT, study)


def test_a_seed_among_several_is_the_seed_alone(study):
    from quant.data.data_by_name import load

    cell = Cell("gm-vq", *(getattr(SHORT, n)[0] for n in ("betas", "gammas", "batches")))
    together = json.loads((study / "results" / f"{cell.name}.json").read_text())
    alone, _ = run_cell(dataclasses.replace(SHORT, seeds=1), cell, load("digits"))
    assert alone["curves"]["mse"][0][0] == pytest.approx(together["curves"]["mse"][0][0], rel=0.05)


def test_the_aggregated_bound_exceeds_the_evidence_and_the_true_one_does_not():
    found = bounds_over_spread()
    assert found.evidence == pytest.approx(-0.924, abs=1e-3)
    assert found.albo.max() == pytest.approx(0.465, abs=2e-3)  # the limit of a vanishing spread
    assert (
        found.elbo.max() == pytest.approx(found.evidence, abs=1e-5)
        and (found.elbo <= found.evidence + 1e-5).all()
    )
    wide = found.spread * 2 * np.pi * np.e >= 1
    assert (found.albo[wide] <= found.evidence).all()


def test_the_entropy_of_a_mixture_of_one_is_that_of_a_normal():
    config = gmvq.GMVQConfig(1, 3)
    codes, rows = {"codes": jnp.ones((1, 3))}, jax.random.normal(jax.random.key(0), (500, 3))
    spread = gmvq.deviations(codes, squared_distances(rows, codes["codes"]), config)[:, 0]
    drawn = mixture_entropy(jax.random.key(1), codes, rows, jnp.zeros((500, 1)), config)
    exact = 1.5 * jnp.log(2 * jnp.pi * jnp.e * spread**2)
    assert abs((drawn - exact).mean()) < 4 * np.sqrt(
        1.5 / (16 * 500)
    )  # the variance of -log N(z) is L / 2


def test_fsq_has_exactly_as_many_codes_as_the_others():
    levels = {64: (8, 8), 256: (8, 8, 4), 1024: (8, 8, 4, 4), 16: (4, 4), 6: (6,), 2: (2,)}
    assert {codes: fsq_levels(codes) for codes in levels} == levels
    for codes in (1, 11, 22):
        with pytest.raises(UserError, match=f"codes is {codes}: FSQ needs"):
            fsq_levels(codes)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("gumbel-vq", "sq-vae", "fsq")]


@pytest.mark.parametrize("method", ["vq", "gm-vq", *SLOW])
def test_measures_do_not_depend_on_chunks(method, monkeypatch):
    quantizer = METHODS[method].make(Cell(method, 1e-3, 1e-2, 32), 6, 4, 1)
    learner = start(jax.random.key(0), jnp.asarray(X / 255, jnp.float32), MODULE, quantizer, LEARN)
    whole = measure(learner, jnp.asarray(X), MODULE, quantizer)
    monkeypatch.setattr("quant.studies.gmvq.measure.CHUNK", 40)
    parts = measure(learner, jnp.asarray(X), MODULE, quantizer)
    for name in set(whole) - {"entropy_z"}:
        assert float(whole[name]) == pytest.approx(float(parts[name]), rel=1e-4, abs=1e-5), name
    x = jnp.asarray(X / 255, jnp.float32)
    z = MODULE.apply({"params": learner.params}, x, method="encode")
    out, _ = quantizer.functions.quantize(
        learner.codes, learner.state, z, quantizer.config, train=False
    )
    back = MODULE.apply({"params": learner.params}, out.quantized, method="decode")
    assert float(whole["mse"]) == pytest.approx(float(((back - x) ** 2).mean()), rel=1e-5)
    counts = np.bincount(np.asarray(out.indices).reshape(-1), minlength=6)
    share = counts[counts > 0] / counts.sum()
    assert float(whole["perplexity"]) == pytest.approx(
        np.exp(-(share * np.log(share)).sum()), rel=1e-5
    )


def test_sets_too_large_for_the_device_give_the_same_batches():
    kept = dataclasses.replace(LEARN, resident_gib=1.0)
    sent = dataclasses.replace(LEARN, resident_gib=0.0)
    for (x, places), (few, local) in zip(pieces(X, 2, 5, kept), pieces(X, 2, 5, sent), strict=True):
        np.testing.assert_array_equal(x[places], few[local])
        assert len(few) == 2 * 30 * 5


def test_the_temperature_falls_to_its_end_and_stays():
    learn = Learning(steps=100, temperature=2.0, cold=0.5, cooling=0.5)
    assert [float(temperature(jnp.int32(n), learn)) for n in (0, 25, 50, 99)] == pytest.approx(
        [2.0, 1.0, 0.5, 0.5]
    )


def test_one_update_is_that_of_optax_on_the_loss():
    """Adam with its first update: every parameter moves by the rate against the sign of its
    gradient, weight decay aside.
    """
    learn = dataclasses.replace(LEARN, warmup=0.0, weight_decay=0.0)
    quantizer = METHODS["gm-vq"].make(Cell("gm-vq", 1e-3, 1e-2, 32), 6, 4, 1)
    keys = jax.random.split(jax.random.key(0), 1)
    learners, history = train(
        keys, X, MODULE, quantizer, 32, dataclasses.replace(learn, steps=1, every=1), "test"
    )
    few = jnp.asarray(X[np.random.default_rng(0).permutation(90)] / 255, jnp.float32)
    began = start(jax.random.fold_in(keys[0], 0), few, MODULE, quantizer, learn)
    moved = jnp.abs(learners.codes["codes"][0] - began.codes["codes"])
    assert 0.9e-3 < float(jnp.median(moved)) < 1.01e-3 and np.isnan(history.examples_per_second)
    assert int(learners.step[0]) == 1


@pytest.mark.slow
def test_every_method_trains_with_finite_numbers():
    for method in METHODS:
        quantizer = METHODS[method].make(Cell(method, 1e-3, 1e-2, 16), 6, 4, 1)
        assert quantizer.config.num_codes == 6
    quick = dataclasses.replace(LEARN, steps=4, every=2)
    for method in ("gm-vq-literal", "gm-vq-learned-spread", "vq-restart", "sq-vae", "fsq"):
        quantizer = METHODS[method].make(Cell(method, 1e-3, 1e-2, 16), 6, 4, 1)
        learners, history = train(
            jax.random.split(jax.random.key(0), 2), X, MODULE, quantizer, 16, quick, method
        )
        assert isinstance(learners, Learner) and history.curves["mse"].shape == (2, 2)
        assert all(
            np.isfinite(leaf).all() for leaf in jax.tree.leaves((learners.params, learners.codes))
        )


def test_bias_as_measured_grows_with_entropy_where_draws_are_noisy():
    found = jax.jit(biases, static_argnums=1)(jax.random.key(0), 24)
    assert found.entropy.shape == (3, 24)
    assert (found.entropy >= 0).all() and (found.entropy <= np.log(16) + 1e-5).all()
    assert (found.debiased >= 0).all() and (found.debiased <= found.measured + 1e-6).all()
    by_hand = np.corrcoef(found.entropy[0], found.measured[0])[0, 1]
    assert correlations(found)["measured"][0] == pytest.approx(by_hand) and by_hand > 0.3


def test_gumbel_vq_is_a_linear_classifier_with_a_codebook():
    config = gumbel_vq.GumbelVQConfig(5, 3, beta=2.0)
    params, _ = gumbel_vq.init(jax.random.key(0), config)
    x = jax.random.normal(jax.random.key(1), (40, 3))
    logits = np.asarray(x, np.float64) @ np.asarray(params["weight"], np.float64)
    q = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    out, _ = gumbel_vq.quantize(params, {}, x, config, key=jax.random.key(2))
    np.testing.assert_array_equal(out.indices, q.argmax(1))
    assert float(out.losses["kl"]) == pytest.approx(2 * (q * np.log(5 * q)).sum(1).mean(), rel=1e-5)
    cold, _ = gumbel_vq.quantize(params, {}, x, config, key=jax.random.key(2), temperature=1e-4)
    assert float(squared_distances(cold.quantized, params["codes"]).min(1).max()) < 1e-4


def test_presets_have_the_sizes_they_name():
    shapes = {"digits": (8, 8, 1), "patches": (8, 8, 3), "fashion_mnist": (28, 28, 1)}
    tokens = {"cifar10": 64, "celeba128": 256, "generated": 64, "fashion_mnist": 16}
    for name, make in PRESETS.items():
        config = make()
        shape = shapes.get(config.data, (config.size, config.size, 3))
        module = autoencoder_for(
            shape, config.latent, config.width, config.levels, config.dense_tokens
        )
        assert module.tokens == tokens.get(name, 1)
        assert len({cell.name for cell in config.cells()}) == len(config.cells())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--seeds", "0"], "seeds is 0"),
        (["--betas", "-1"], "at least 0"),
        (["--learn.steps", "3"], "fewer than learn.every"),
        (["--learn.cold", "2"], "learn.cold is 2"),
        (["--baselines", "--variants"], "both empty"),
        (["--baselines", "fsq", "--codes", "11"], "codes is 11: FSQ needs"),
        (["--dense-tokens", "-1"], "dense_tokens is -1"),
        (["--data", "nothing"], "no data set 'nothing'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, tmp_path, capsys):
    assert main([*arguments, "--run-dir", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err


def test_images_that_cannot_be_halved_are_refused(tmp_path, capsys):
    np.savez(
        tmp_path / "odd.npz",
        x=from_arrays(np.zeros((10, 18, 18, 3), np.uint8), keep_bytes=True).train.x,
    )
    assert main(["--data", str(tmp_path / "odd.npz"), "--run-dir", str(tmp_path / "run")]) == 2
    assert "cannot be halved 2 times" in capsys.readouterr().err
