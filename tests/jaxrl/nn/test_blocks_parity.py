"""Every block against the reference program (goldens/diamond/blocks.npz)."""

import jax
import numpy as np
import pytest

from jaxrl.nn.attention import SelfAttention2d
from jaxrl.nn.conv import Downsample, Upsample
from jaxrl.nn.embed import FourierFeatures
from jaxrl.nn.from_torch import from_torch
from jaxrl.nn.modulate import AdaGroupNorm, GroupNorm
from jaxrl.nn.residual import ResBlock, SmallResBlock
from tests.golden import Golden, relative_error

GOLDEN = Golden("diamond/blocks")

# case: (module, names of its inputs, output is a map)
CASES = {
    "group_norm64": (GroupNorm(), ["x64"]),
    "group_norm48": (GroupNorm(), ["x48"]),
    "ada_group_norm64": (AdaGroupNorm(), ["x64", "cond"]),
    "attn32": (SelfAttention2d(), ["x32"]),
    "attn48": (SelfAttention2d(), ["x48"]),
    "down32": (Downsample(), ["x32"]),
    "up32": (Upsample(), ["x32"]),
    "small32to48": (SmallResBlock(48), ["x32"]),
    "small32": (SmallResBlock(32), ["x32"]),
    "res32to48": (ResBlock(48), ["x32", "cond"]),
    "res32attn": (ResBlock(32, attention=True), ["x32", "cond"]),
}


def load(name):
    array = GOLDEN["in/" + name]
    return np.moveaxis(array, 1, -1) if array.ndim == 4 else array


def parameters(case, module, inputs):
    template = jax.eval_shape(module.init, jax.random.key(0), *inputs)["params"]
    weights = GOLDEN.params(case + ".")
    if "group_norm" in case and "ada" not in case:
        weights = {name.removeprefix("norm."): value for name, value in weights.items()}
    return from_torch(weights, template)


@pytest.mark.parametrize("case", CASES)
def test_block_equals_reference(case):
    module, names = CASES[case]
    inputs = [load(name) for name in names]
    y = module.apply({"params": parameters(case, module, inputs)}, *inputs)
    assert relative_error(y, GOLDEN.maps("out/" + case)) < 1e-5


def test_downsample_of_an_odd_map_pads_as_torch_does():
    module, x = Downsample(), load("x32_odd")
    y = module.apply({"params": parameters("down32", module, [x])}, x)
    assert relative_error(y, GOLDEN.maps("out/down32_odd")) < 1e-5


def test_fourier_features_are_cosines_then_sines():
    module, c_noise = FourierFeatures(2 * GOLDEN["param/fourier.weight"].size), GOLDEN["in/c_noise"]
    y = module.apply({"params": parameters("fourier", module, [c_noise])}, c_noise)
    np.testing.assert_allclose(y, GOLDEN["out/fourier"], atol=1e-5)


def test_loader_names_what_does_not_fit():
    module, x = Downsample(), load("x32")
    template = jax.eval_shape(module.init, jax.random.key(0), x)["params"]
    weights = GOLDEN.params("down32.")
    with pytest.raises(ValueError, match="nothing for conv/bias"):
        from_torch({"conv.weight": weights["conv.weight"]}, template)
    with pytest.raises(ValueError, match=r"no place for extra\.weight"):
        from_torch({**weights, "extra.weight": np.zeros(3)}, template)
    with pytest.raises(ValueError, match=r"conv.bias has shape \(3,\)"):
        from_torch({**weights, "conv.bias": np.zeros(3)}, template)
