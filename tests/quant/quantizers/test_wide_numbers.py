"""With 64-bit numbers enabled, as scientific programs have them, types are those that are
documented: a training in `jax.lax.scan` needs a state that keeps its types.
"""

import jax
import jax.numpy as jnp
import pytest

from tests.quant.table import ALL

KEY = jax.random.key(0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ALL)
def test_types_are_those_of_narrow_numbers(name, dtype):
    module, config = ALL[name]

    def train(sample, steps):
        params, state = module.init(KEY, config, sample)

        def step(state, x):
            out, state = module.quantize(params, state, x, config, key=KEY)
            decoded = module.decode(params, state, out.indices, config)
            return state, (out.quantized, out.indices, out.loss, out.metrics, decoded)

        return params, *jax.lax.scan(step, state, steps)

    with jax.enable_x64(True):
        found = jax.eval_shape(
            train, jax.ShapeDtypeStruct((9, 6), dtype), jax.ShapeDtypeStruct((2, 3, 5, 6), dtype)
        )
    params, state, (quantized, indices, loss, metrics, decoded) = found
    assert quantized.dtype == dtype and indices.dtype == jnp.int32
    held = jax.tree.leaves((params, state, loss, metrics, decoded))
    assert not {str(a.dtype) for a in held} & {"float64", "int64"}
