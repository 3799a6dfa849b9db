"""train, measure, prune and predict, from one file to the next as a user would; and what they
refuse.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.compositionality.__main__ import main
from reasoning.compositionality.files import Stored, read_network, stacked, write_network
from reasoning.compositionality.network import outputs
from reasoning.compositionality.planting import layerize
from reasoning.compositionality.prune.compact import Layer
from reasoning.compositionality.targets import target_by_name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    command = f"train --target tanh_tree:1 --depth 2 --width 6 --steps 400 --out {folder}/net.npz"
    assert main(command.split()) == 0
    return folder


def test_a_trained_network_is_measured(folder, capsys):
    assert main(["measure", "--network", str(folder / "net.npz"), "--target", "tanh_tree:1"]) == 0
    text = capsys.readouterr().out
    found = json.loads(text[: text.index("}") + 1])
    assert (
        found["fits"] and found["fit"] > 0.95 and found["gap"] is None and 0 < found["score"] <= 1
    )
    assert "fits (R^2" in text


def test_a_network_is_pruned_and_made_smaller(folder, capsys):
    out = folder / "small.npz"
    options = f"--target tanh_tree:1 --density 0.34 --compact True --network {folder}/net.npz"
    assert main(["prune", *options.split(), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "| layers_1/kernel | 36 | 12 |" in text and "layers: 2 - " in text
    assert main(["measure", "--network", str(out), "--target", "tanh_tree:1"]) == 0


def test_pruning_by_data_keeps_the_zeros_in_the_file(folder, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(-1, 1, (64, 2)))
    arguments = [
        "prune",
        "--network",
        str(folder / "net.npz"),
        "--data",
        str(tmp_path / "x.npy"),
        "--out",
        str(tmp_path / "o.npz"),
    ]
    for mode, zeros in (("magnitude", 18), ("node", None)):
        assert main([*arguments, "--mode", mode, "--density", "0.5"]) == 0
        kernel = read_network(tmp_path / "o.npz").layers[1].kernel
        assert zeros is None or (kernel == 0).sum() == zeros


def test_depths_are_predicted_of_targets_functions_and_networks(
    folder, capsys, tmp_path, monkeypatch
):
    assert main(["predict", "--target", "tanh_tree:2"]) == 0
    assert "depth 2\noutput 0: ((0 1) (2 3))" in capsys.readouterr().out
    (tmp_path / "mine_for_depth.py").write_text(
        "import jax.numpy as jnp\ndef f(x):\n    return jnp.sin(x[0] * x[1]) * x[2] + x[2] ** 2\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["predict", "--function", "mine_for_depth:f", "--inputs", "3"]) == 0
    assert "output 0: ((0 1) 2)" in capsys.readouterr().out
    assert main(["predict", "--network", str(folder / "net.npz")]) == 0
    assert "depth 1" in capsys.readouterr().out


def test_a_flax_model_is_pruned_by_its_path(capsys, tmp_path, monkeypatch):
    (tmp_path / "model_for_pruning.py").write_text(
        "import flax.linen as nn, jax, jax.numpy as jnp\n"
        "def make():\n    module, x = nn.Dense(4), jax.random.normal(jax.random.key(0), (32, 8))\n"
        "    return module.apply, module.init(jax.random.key(1), x)['params'], x\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["prune", "--model", "model_for_pruning:make", "--out", "masks.npz"]) == 0
    with np.load("masks.npz") as masks:
        assert masks["kernel"].sum(0).tolist() == [2, 2, 2, 2]


def test_a_file_is_the_network(tmp_path):
    target = target_by_name("tanh_tree:2")
    planted = layerize(target, 2, 3)
    layers = [
        Layer(np.asarray(planted.params["win"]), np.asarray(planted.params["b"][0])),
        Layer(np.asarray(planted.params["wh"][0])[:, :1], np.asarray(planted.params["b"][1])[:1]),
        Layer(np.asarray(planted.params["wo"])[:1], np.asarray(planted.params["bo"])),
    ]
    write_network(tmp_path / "n.npz", Stored(layers))
    back = read_network(tmp_path / "n.npz")
    params, masks = stacked(back)
    x = jax.random.uniform(jax.random.key(0), (16, 4))
    h = np.asarray(x)
    for i, layer in enumerate(back.layers):
        h = (h if i == 0 else np.tanh(h)) @ layer.kernel + layer.bias
    assert np.asarray(outputs(params, x, back.depth)) == pytest.approx(h, abs=1e-5) and masks[
        "wh"
    ].shape == (1, 3, 3)
    assert jnp.array_equal(params["wh"][0][:, 1:], jnp.zeros((3, 2)))


def damaged(folder, **arrays):
    np.savez(folder / "bad.npz", **arrays)
    return str(folder / "bad.npz")


def test_dead_networks_are_unfit_also_without_any_unit(tmp_path, capsys):
    """Never called compositional: neither with weights of which none leads on, nor after those have
    been removed.
    """
    alone = np.ones((2, 1), np.float32), np.zeros((1, 1), np.float32)
    gone = np.zeros((2, 0), np.float32), np.zeros((0, 1), np.float32)
    for kernels in (alone, gone):
        path = damaged(tmp_path, kernel_0=kernels[0], kernel_1=kernels[1])
        assert (
            main(["measure", "--network", path, "--target", "tanh_tree:1", "--examples", "64"]) == 0
        )
        text = capsys.readouterr().out
        assert (
            "unfit (no unit lies on a path" in text
            and json.loads(text[: text.index("}") + 1])["score"] == 0
        )


ONE, TWO = np.ones((2, 3), np.float32), np.ones((3, 1), np.float32)


@pytest.mark.parametrize(
    ("arrays", "sentence"),
    [
        ({"kernel_0": ONE}, "at least two layers"),
        ({"kernel_0": ONE, "kernel_2": TWO}, "has no kernel_1"),
        ({"kernel_0": ONE, "kernel_1": ONE}, "does not fit"),
        ({"kernel_0": np.array([["a"]]), "kernel_1": TWO}, "must be of real numbers"),
        ({"kernel_0": np.float32(1), "kernel_1": TWO}, "does not fit"),
        ({"kernel_0": ONE * np.nan, "kernel_1": TWO}, "holds a NaN"),
        ({"kernel_0": ONE, "kernel_1": TWO, "activation": np.array("swish")}, "'swish'"),
    ],
)
def test_files_that_are_no_network_are_refused(arrays, sentence, tmp_path, capsys):
    assert (
        main(["measure", "--network", damaged(tmp_path, **arrays), "--target", "tanh_tree:1"]) == 2
    )
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("predict", "name one of"),
        ("predict --function no_such_module_here:f --inputs 2", "there is no module"),
        ("predict --function math:sqrt", "needs --inputs"),
        ("predict --target cmsp:40", "takes 1 to 24"),
        ("measure --network /no/such.npz --target tanh_tree:1", "cannot be read"),
        ("measure --network NET --target tanh_tree:2", "name the target that it was trained on"),
        ("prune --out o --network NET", "needs probe inputs"),
        ("prune --out o", "name one of --network and --model"),
        ("prune --out o --network NET --target tanh_tree:1 --density 2", "at most 1"),
        ("prune --out o --network NET --target tanh_tree:1 --density 0.01", "would empty"),
        ("train --target tanh_tree:1 --out o --depth 0", "at least 1"),
        ("predict --function math:pi --inputs 1", "has no function 'pi'"),
        ("predict --target tanh_tree:1 --tolerance 0", "tolerance is 0.0"),
        ("prune --out o --network NET --data ALIKE", "constant on these inputs"),
        ("prune --out o --network NET --data WORDS", "must be real numbers"),
        ("measure --network ALIKE --target tanh_tree:1", "holds a single array"),
    ],
)
def test_bad_commands_are_one_sentence_and_status_2(arguments, sentence, folder, capsys):
    np.save(folder / "alike.npy", np.ones((4, 2)))
    np.save(folder / "words.npy", np.array([["a", "b"]] * 4))
    files = {"NET": "net.npz", "ALIKE": "alike.npy", "WORDS": "words.npy"}
    assert main([str(folder / files[a]) if a in files else a for a in arguments.split()]) == 2
    err = capsys.readouterr().err
    assert sentence in err and err.startswith("error: ")
