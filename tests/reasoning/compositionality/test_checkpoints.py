"""Networks in the checkpoints of others: the same network, whatever the format."""

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from jaxrl.app.errors import UserError
from reasoning.compositionality.__main__ import main
from reasoning.compositionality.files import read_network, write_network

RANDOM = np.random.default_rng(0)
SIZES = [(2, 5), (5, 4), (4, 1)]
KERNELS = [RANDOM.normal(0, 1, size).astype(np.float32) for size in SIZES]
BIASES = [RANDOM.normal(0, 1, size[1]).astype(np.float32) for size in SIZES]


def torch_names():
    """As `torch.nn.Sequential(Linear, ReLU, ...)` has them, with more than ten modules."""
    places = ("net.0", "net.2", "net.10")
    arrays = {
        f"{p}.weight": np.ascontiguousarray(k.T) for p, k in zip(places, KERNELS, strict=True)
    }
    return arrays | {f"{p}.bias": b for p, b in zip(places, BIASES, strict=True)}


def save(path, arrays):
    safetensors = pytest.importorskip("safetensors.numpy")
    safetensors.save_file(arrays, path)
    return path


def in_orbax(path):
    layers = zip(KERNELS, BIASES, strict=True)
    tree = {
        f"Dense_{i}": {"kernel": jnp.asarray(k), "bias": jnp.asarray(b)}
        for i, (k, b) in enumerate(layers)
    }
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(path, tree)
    return path


@pytest.mark.parametrize("kind", ["torch", "orbax"])
def test_layers_are_read_in_their_order(kind, tmp_path):
    path = tmp_path / ("m.safetensors" if kind == "torch" else "m")
    path = save(path, torch_names()) if kind == "torch" else in_orbax(path)
    found = read_network(path, "relu")
    assert found.activation == "relu"
    for layer, kernel, bias in zip(found.layers, KERNELS, BIASES, strict=True):
        assert (layer.kernel == kernel).all() and (layer.bias == bias).all()


def test_a_pruned_checkpoint_keeps_its_names(tmp_path, capsys):
    path, out = save(tmp_path / "m.safetensors", torch_names()), tmp_path / "pruned.safetensors"
    np.save(tmp_path / "x.npy", RANDOM.normal(0, 1, (64, 2)))
    command = f"prune --network {path} --data {tmp_path}/x.npy --density 0.5 --out {out}"
    assert main(command.split()) == 2
    assert "does not say the activation" in capsys.readouterr().err
    assert main([*command.split(), "--activation", "relu"]) == 0
    pruned = read_network(out, "relu")
    before = read_network(path, "relu")
    assert pruned.origins == before.origins
    for new, old in zip(pruned.layers, before.layers, strict=True):
        kept = new.kernel != 0
        assert (new.kernel[kept] == old.kernel[kept]).all()
    assert [(layer.kernel != 0).sum() for layer in pruned.layers] == [5, 12, 2]


def test_networks_without_biases_and_written_ones_come_back(tmp_path):
    bare = {name: a for name, a in torch_names().items() if "weight" in name}
    found = read_network(save(tmp_path / "bare.safetensors", bare), "tanh")
    assert all((layer.bias == 0).all() for layer in found.layers)
    write_network(tmp_path / "again.safetensors", found._replace(origins=()))
    again = read_network(tmp_path / "again.safetensors", "tanh")
    assert all(
        (one.kernel == other.kernel).all()
        for one, other in zip(found.layers, again.layers, strict=True)
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"norm.weight": np.ones(5, np.float32)}, "1 other arrays, such as norm.weight"),
        ({"net.3.weight": np.ones((7, 9), np.float32)}, "does not fit the layer below"),
        ({"net.2.weight": np.full((4, 5), np.nan, np.float32)}, "holds a NaN"),
    ],
)
def test_what_is_no_chain_is_refused(change, sentence, tmp_path):
    path = save(tmp_path / "m.safetensors", torch_names() | change)
    with pytest.raises(UserError, match=sentence):
        read_network(path, "relu")


@pytest.mark.parametrize(
    ("names", "sizes", "order"),
    [
        (("output", "hidden", "input"), [(5, 1), (5, 5), (2, 5)], [2, 1, 0]),
        (("fc1", "fc2", "a_head"), [(2, 5), (5, 5), (5, 3)], [0, 1, 2]),
        (("decoder", "encoder"), [(3, 7), (7, 3)], None),
        (("up", "down"), [(5, 5), (5, 5)], None),
        (("a", "b"), [(2, 5), (4, 1)], None),
    ],
)
def test_the_order_of_layers_is_that_of_numbers_or_shapes_or_refused(names, sizes, order, tmp_path):
    arrays = {
        f"{name}.weight": RANDOM.normal(0, 1, size[::-1]).astype(np.float32)
        for name, size in zip(names, sizes, strict=True)
    }
    path = save(tmp_path / "m.safetensors", arrays)
    if order is None:
        with pytest.raises(UserError, match="order of its layers fits"):
            read_network(path, "relu")
    else:
        found = read_network(path, "relu")
        assert [layer.kernel.shape for layer in found.layers] == [sizes[i] for i in order]


def test_whole_numbers_without_their_scale_are_refused(tmp_path):
    arrays = {name: (10 * a).astype(np.int8) for name, a in torch_names().items()}
    with pytest.raises(UserError, match="whose scale is not in it"):
        read_network(save(tmp_path / "m.safetensors", arrays), "relu")


def test_a_state_of_nnx_is_read(tmp_path):
    class Net(nnx.Module):
        def __init__(self):
            self.first = nnx.Linear(3, 4, rngs=nnx.Rngs(0))
            self.last = nnx.Linear(4, 2, rngs=nnx.Rngs(1))

    net = Net()
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "net", nnx.state(net))
    found = read_network(tmp_path / "net", "relu")
    assert (found.layers[0].kernel == np.asarray(net.first.kernel[...])).all()
    assert (found.layers[1].kernel == np.asarray(net.last.kernel[...])).all()


def test_damaged_and_missing_checkpoints_are_refused(tmp_path):
    pytest.importorskip("safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nothing!")
    (tmp_path / "folder").mkdir()
    for name, sentence in (
        ("bad.safetensors", "cannot be read as safetensors"),
        ("none.safetensors", "cannot be read"),
        ("folder", "no Orbax checkpoint"),
    ):
        with pytest.raises(UserError, match=sentence):
            read_network(tmp_path / name, "relu")
