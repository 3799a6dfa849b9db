"""One device, four devices by jit, four devices by pmap: the same step."""

import jax
import numpy as np
import pytest

from jaxrl.jedi import update_behaviour, update_heads, update_world_model
from jaxrl.train import parallel
from tests.jaxrl.jedi import small_agent

STEPS = {
    "world_model": (update_world_model, (4,), 4),
    "heads": (update_heads, (4,), 5),
    "behaviour": (update_behaviour, (4, 2), 2),
}


@pytest.mark.parametrize("name", ["world_model", pytest.param("heads", marks=pytest.mark.slow), "behaviour"])
def test_four_devices_equal_one(name, key):
    step, leading, size = STEPS[name]
    batch = small_agent.segments(key, leading, size)
    state = small_agent.agent()
    copy = lambda: jax.tree.map(lambda a: a.copy(), state)
    one = jax.jit(lambda s, b, k: step(s, b, k))
    mesh = parallel.data_mesh(4)
    programs = [one, parallel.data_parallel(step, mesh, "jit"), parallel.data_parallel(step, mesh, "pmap")]
    results = []
    for program in programs:  # two steps: the first has learning rate 0
        now, _ = program(copy(), batch, key)
        results.append(program(now, batch, jax.random.fold_in(key, 1)))
    moved = jax.tree.map(lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), state, results[0][0])
    assert max(jax.tree.leaves(moved)) > 0
    for state_n, metrics_n in results[1:]:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6), results[0][0], state_n)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), results[0][1], metrics_n)


def test_too_many_devices_are_refused():
    with pytest.raises(ValueError, match="only 4"):
        parallel.data_mesh(5)


def test_a_mesh_of_cpus_has_one_device_unless_asked():
    assert parallel.data_mesh().size == 1
