"""One step of every kind on the accelerator of this machine and on its CPU, at the highest
precision of products.

Skipped where there is no accelerator. To run it there: `JAX_PLATFORMS=cuda,cpu` (or `tpu,cpu`) and
`pytest -m "slow or not slow"` on this file.
"""

from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxrl.jedi.agent import init
from jaxrl.train.parallel import platform
from tests.jaxrl.jedi import small_agent
from tests.jaxrl.train.test_parallel import STEPS


def cpu() -> jax.Device:
    try:
        return jax.devices("cpu")[0]
    except RuntimeError:
        pytest.skip("JAX_PLATFORMS leaves out the CPU")


def after(name: str, device: jax.Device, seed: int = 1):
    """State and metrics after two steps (the first has learning rate 0), computed on a device, as
    host arrays.
    """
    step, leading, size, config = STEPS[name]
    with jax.default_device(cpu()):  # the same numbers to begin with
        state = init(
            replace(config, precision="float32"),
            small_agent.ACTIONS,
            small_agent.FRAME,
            jax.random.key(0),
        )
        batch = small_agent.segments(jax.random.key(seed), leading, size)
        keys = jax.random.split(jax.random.key(2))
    state, batch, keys = jax.device_put((state, batch, keys), device)
    program = jax.jit(lambda s, b, k: step(s, b, k))
    with jax.default_matmul_precision("highest"):
        for key in keys:
            state, metrics = program(state, batch, key)
    assert all(device in leaf.devices() for leaf in jax.tree.leaves(state))
    return jax.device_get((state, metrics))


def assert_agree(ours, theirs):
    """Within 0.2 % of each number and 0.1 % of the largest in its array.

    A step moves parameters by 1e-5 here, so it is the optimizers' moments and the metrics that tell
    how gradients and losses agree.
    """

    def close(a, b):
        return np.testing.assert_allclose(
            a, b, rtol=2e-3, atol=max(1e-3 * float(np.abs(b).max(initial=0)), 1e-7)
        )

    jax.tree.map(close, ours, theirs)


@pytest.mark.slow
@pytest.mark.skipif(platform() == "cpu", reason="there is no accelerator")
@pytest.mark.parametrize("name", STEPS)
def test_accelerator_and_cpu_agree_at_highest_precision(name):
    assert_agree(after(name, jax.devices()[0]), after(name, cpu()))


def test_the_comparison_sees_agreement_and_difference():
    """On two CPU devices, so that what the test above does is known to run."""
    if len(jax.devices("cpu")) < 2:
        pytest.skip("there is one CPU device")
    first, second = jax.devices("cpu")[:2]
    one = after("probe", first)
    assert_agree(one, after("probe", second))
    state, metrics = one
    moments = jax.tree.map(
        lambda a: a * 1.01 if a.dtype == np.float32 else a, state.probe.opt_state
    )
    for other in (
        after("probe", second, seed=4),
        (state.replace(probe=state.probe.replace(opt_state=moments)), metrics),
    ):
        with pytest.raises(AssertionError):
            assert_agree(one, other)
