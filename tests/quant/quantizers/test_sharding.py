"""Every quantizer on several devices, in the three forms that JAX has: jit on a sharded batch, with
automatic and with explicit axes, and shard_map with its check of types. All equal one device, and
no device is sent the rows of the others.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from quant.quantizers import rvq, simvq, vq
from quant.types import Quantized
from tests.quant.table import ALL as QUANTIZERS
from tests.quant.table import floats, made

FEW = ("vq heads projected restart", "residual", "gm-vq")
each = pytest.mark.parametrize(
    "name", [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in QUANTIZERS]
)
ROWS = 16
X = jax.random.normal(jax.random.key(4), (ROWS, 3, 6))
MASK = np.arange(ROWS * 3).reshape(ROWS, 3) % 5 > 0
KEY = jax.random.key(3)


def mesh_of(kind):
    return Mesh(np.array(jax.devices()), ("data",), axis_types=(kind,))


def step_of(name, axis_name=None):
    module, config, params, state = made(name)

    def step(params, state, x, mask):
        return module.quantize(params, state, x, config, key=KEY, mask=mask, axis_name=axis_name)

    return step, params, state


def check(name, several):
    step, params, state = step_of(name)
    one = jax.jit(step)(params, state, X, MASK)
    np.testing.assert_array_equal(several[0].indices, one[0].indices)
    for ours, theirs in zip(floats(several), floats(one), strict=True):
        np.testing.assert_allclose(
            np.asarray(ours, np.float32), np.asarray(theirs, np.float32), rtol=1e-4, atol=1e-5
        )


def rows_sent(program, elements):
    """All-gathers of a compiled program that give at least so many numbers."""
    shapes = re.findall(r"= \(?\w+\[([\d,]*)\][^=]* all-gather", program.as_text())
    return [s for s in shapes if np.prod([int(n) for n in s.split(",") if n] or [1]) >= elements]


@each
def test_jit_on_a_sharded_batch_sends_no_rows_and_equals_one_device(name):
    step, params, state = step_of(name)
    x = jax.device_put(X, NamedSharding(mesh_of(AxisType.Auto), PartitionSpec("data")))
    program = jax.jit(step).lower(params, state, x, MASK).compile()
    assert rows_sent(program, X.size // 2) == []
    check(name, program(params, state, x, MASK))


@each
def test_a_mesh_with_explicit_axes_equals_one_device(name):
    step, params, state = step_of(name)
    place = NamedSharding(mesh_of(AxisType.Explicit), PartitionSpec("data"))
    several = jax.jit(step)(params, state, jax.device_put(X, place), jax.device_put(MASK, place))
    assert jax.typeof(several[0].quantized).sharding.spec[0] == "data"
    check(name, several)


@each
def test_shard_map_with_its_check_equals_one_device(name):
    step, params, state = step_of(name, "data")
    rows, all_alike = PartitionSpec("data"), PartitionSpec()
    several = jax.jit(
        jax.shard_map(
            step,
            mesh=mesh_of(AxisType.Auto),
            in_specs=(all_alike, all_alike, rows, rows),
            out_specs=(Quantized(rows, rows, all_alike, all_alike), all_alike),
        )
    )(params, state, X, jnp.asarray(MASK))
    check(name, several)


@pytest.mark.parametrize(
    ("module", "config"),
    [
        (vq, vq.VQConfig(1024, 8)),
        (rvq, rvq.ResidualConfig(vq.VQConfig(1024, 8), 2)),
        (simvq, simvq.SimVQConfig(1024, 8)),
    ],
    ids=("vq", "residual", "simvq"),
)
def test_a_search_in_tiles_stays_with_its_own_rows(module, config):
    """More scores than are built at once: every device does its share of the work, no more."""
    devices, rows = jax.device_count(), 2048
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), config))
    place = NamedSharding(mesh_of(AxisType.Auto), PartitionSpec("data"))

    def program(sharding):
        x = jax.ShapeDtypeStruct((rows, 8), jnp.float32, sharding=sharding)
        return jax.jit(lambda p, s, x: module.quantize(p, s, x, config)).lower(*shapes, x).compile()

    several, one = program(place), program(None)
    assert rows_sent(several, rows * 8 // 2) == []
    share = several.cost_analysis()["flops"] / one.cost_analysis()["flops"]
    assert share < 2 / devices


def test_one_step_of_training_equals_one_device():
    """The codebook after ten updates of data-parallel training."""
    config = vq.VQConfig(7, 6, decay=0.8, restart=vq.Restart(threshold=0.5))
    params, state = vq.init(jax.random.key(0), config)
    x = jax.random.normal(jax.random.key(5), (10, ROWS, 6))

    def train(state, x):
        def step(state, inputs):
            rows, key = inputs
            out, state = vq.quantize(params, state, rows, config, key=key)
            return state, out.indices

        return jax.lax.scan(step, state, (x, jax.random.split(KEY, 10)))

    place = NamedSharding(mesh_of(AxisType.Auto), PartitionSpec(None, "data"))
    one, several = jax.jit(train)(state, x), jax.jit(train)(state, jax.device_put(x, place))
    np.testing.assert_array_equal(one[1], several[1])
    for a, b in zip(jax.tree.leaves(one[0]), jax.tree.leaves(several[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
