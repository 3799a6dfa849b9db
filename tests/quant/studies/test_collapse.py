"""The collapse study: the cure cures, seeds are what they are alone, files are found again, and bad
input is refused.
"""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quant.data.loaders import gaussian_mixture
from quant.models.autoencoder import ImageAutoencoder, VectorAutoencoder, autoencoder_for
from quant.quantizers.deferred import Schedule, pretrain, train
from quant.quantizers.vq import VQConfig
from quant.studies.collapse.__main__ import main
from quant.studies.collapse.config import Cell, CollapseConfig, settings_of, tiny
from quant.studies.collapse.run import run, run_cell

SHORT = dataclasses.replace(tiny(), steps=150, pretrain=300, codes=(32,))


def mean(found, name):
    return float(np.mean(found[name]))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The three recipes on a small mixture: folder and numbers by recipe."""
    folder = tmp_path_factory.mktemp("collapse")
    run(SHORT, folder)

    def read(recipe):
        return json.loads((folder / "results" / f"dim8-codes32-width64-{recipe}.json").read_text())

    return folder, {recipe: read(recipe) for recipe in SHORT.recipes}


def test_codes_put_on_an_untrained_encoder_collapse_and_deferred_ones_do_not(study):
    _, found = study
    for collapsed in ("untrained", "control"):
        assert mean(found["deferred"], "perplexity") > 3 * mean(found[collapsed], "perplexity")
        assert mean(found["deferred"], "mse") < 0.5 * mean(found[collapsed], "mse")
    assert mean(found["deferred"], "mode_entropy") > 0.8 * np.log(10)
    assert mean(found["deferred"], "std_at_start") > 3 * mean(found["untrained"], "std_at_start")


def test_the_report_has_its_figures_and_a_second_start_trains_nothing(study, monkeypatch):
    folder, found = study
    assert {f.name for f in (folder / "report").iterdir()} == {
        "index.html",
        "index.md",
        "F1_scatter.png",
        "F3_embeddings.png",
        "F5_usage.png",
    }  # one size and one width: nothing to draw over them
    text = (folder / "report" / "index.md").read_text()
    assert "deferred over control: perplexity" in text and "tokens collapse" in text
    assert "fewer than three seeds" in text and "±" not in text
    page = (folder / "report" / "index.html").read_text()
    assert page.count("<figure") == 3 and "deferred over control: perplexity" in page
    assert len(found["control"]["curves"]["mse"][0]) == (150 + 300) // 50
    monkeypatch.setattr("quant.studies.collapse.run.run_cell", None)
    run(SHORT, folder)


def test_a_seed_among_several_is_the_seed_alone(study):
    _, found = study
    alone, _ = run_cell(
        dataclasses.replace(SHORT, seeds=1, seed=1),
        Cell(8, 32, 64, "untrained"),
        gaussian_mixture(8),
    )
    assert alone["mse"][0] == pytest.approx(found["untrained"]["mse"][1], rel=0.05)


def test_the_width_of_the_encoder_caps_the_rank_of_embeddings():
    config = dataclasses.replace(SHORT, widths=(2,))
    found, _ = run_cell(config, Cell(8, 32, 2, "untrained"), gaussian_mixture(8))
    assert max(found["effective_rank"]) <= 2.001


def test_pretraining_learns_and_the_quantizer_keeps_learning():
    x = jnp.asarray(gaussian_mixture(4, per_mode=50).train.x)
    module, schedule = VectorAutoencoder((4,), 2, 16, 16), Schedule(200, 100, batch=64, every=10)
    params = module.init(jax.random.key(0), x[:1])["params"]

    def error(p):
        return float(((module.apply({"params": p}, x) - x) ** 2).mean())

    learned = jax.jit(lambda k, p: pretrain(k, p, x, module, schedule))(jax.random.key(1), params)
    assert error(learned) < 0.5 * error(params)
    trained = jax.jit(lambda k: train(k, x, module, VQConfig(16, 2, init="kmeans"), schedule))(
        jax.random.key(2)
    )
    assert (
        trained.curves["mse"].shape == (10,)
        and trained.curves["mse"][-1] < trained.curves["mse"][0]
    )
    assert trained.at_start.shape == (400, 2)


def test_perceptrons_give_any_shape_its_tokens():
    module = autoencoder_for((28, 28, 1), 8, 32, dense_tokens=16)
    x = jax.random.uniform(jax.random.key(0), (3, 28, 28, 1))
    params = module.init(jax.random.key(1), x)
    z = module.apply(params, x, method="encode")
    assert z.shape == (3, 16, 8) and module.tokens == 16
    assert module.apply(params, z, method="decode").shape == x.shape
    moved = module.apply(params, z.at[0, 5].add(1.0), method="decode")
    assert (moved[0] != module.apply(params, z, method="decode")[0]).any()


def test_images_become_maps_of_tokens():
    module = ImageAutoencoder((16, 16, 3), 4, width=8)
    x = jnp.zeros((2, 16, 16, 3))
    params = module.init(jax.random.key(0), x)["params"]
    assert module.apply({"params": params}, x, method="encode").shape == (2, 4, 4, 4)
    assert module.apply({"params": params}, x).shape == x.shape


def test_a_cell_changes_only_what_its_recipe_says():
    config = CollapseConfig()
    quantizer, schedule = settings_of(config, Cell(8, 64, 64, "control"), 4)
    assert (quantizer.num_codes, quantizer.dim, quantizer.init) == (64, 4, "kmeans")
    assert (schedule.pretrain, schedule.steps) == (0, 4500)
    assert settings_of(config, Cell(8, 64, 64, "deferred"), 4)[1].pretrain == 3000


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--config.seeds", "0"], "seeds is 0"),
        (["--config.codes", "0"], "at least 1, not 0"),
        (["--config.steps", "3"], "fewer than train.every"),
        (["--config.data", "nothing"], "no data set 'nothing'"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments, sentence, tmp_path, capsys):
    plain = [a.replace("--config.", "--") for a in arguments]
    assert main([*plain, "--run-dir", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
