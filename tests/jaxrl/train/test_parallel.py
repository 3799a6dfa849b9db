"""One device, several devices by jit, several devices by pmap: the same step."""

import os
import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi import update_actor_critic, update_reward_end, update_world_model
from jaxrl.jedi.agent import init
from jaxrl.jedi.learn.decoder import update_decoder
from jaxrl.train import parallel
from tests.jaxrl.jedi import small_agent

PLAIN = small_agent.CONFIG
LOOKAHEAD = replace(
    PLAIN,
    behavior=replace(
        PLAIN.behavior,
        lookahead=True,
        gradient_steps=2,
        normalize=True,
        replay_weight=0.5,
        replay_length=3,
    ),
)
STEPS = {
    "world_model": (update_world_model, (8,), 4, PLAIN),
    "reward_end": (update_reward_end, (8,), 5, PLAIN),
    "behavior": (update_actor_critic, (8, 2), 2, PLAIN),
    "lookahead": (update_actor_critic, (8, 2), 5, LOOKAHEAD),
    "probe": (update_decoder, (8,), 1, PLAIN),
}


@pytest.mark.parametrize(
    "name",
    [
        *(
            pytest.param(n, marks=pytest.mark.slow)
            for n in ("world_model", "reward_end", "behavior", "lookahead")
        ),
        "probe",
    ],
)
@pytest.mark.parametrize("devices", [2, pytest.param(4, marks=pytest.mark.slow), 8])
def test_several_devices_equal_one(name, devices, key):
    if devices > jax.device_count():
        pytest.skip("needs JAX_NUM_CPU_DEVICES=8; see test_eight_devices")
    step, leading, size, config = STEPS[name]
    batch = small_agent.segments(key, leading, size)
    weight = jnp.broadcast_to(
        jnp.arange(1.0, 1 + leading[0]).reshape(-1, *(1,) * (len(leading))), (*leading, size)
    )
    batch = batch.replace(weight=weight)  # as if some were preferred
    state = init(config, small_agent.ACTIONS, small_agent.FRAME, jax.random.key(0))

    def copy():
        return jax.tree.map(lambda a: a.copy(), state)

    one = jax.jit(lambda s, b, k: step(s, b, k))
    mesh = parallel.data_mesh(devices)
    programs = [
        one,
        parallel.data_parallel(step, mesh, "jit"),
        parallel.data_parallel(step, mesh, "pmap"),
    ]
    results = []
    for program in programs:  # two steps: the first has learning rate 0
        now, _ = program(copy(), batch, key)
        results.append(program(now, batch, jax.random.fold_in(key, 1)))
    moved = jax.tree.map(
        lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), state, results[0][0]
    )
    assert max(jax.tree.leaves(moved)) > 0
    for state_n, metrics_n in results[1:]:
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6),
            results[0][0],
            state_n,
        )
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            results[0][1],
            metrics_n,
        )


@pytest.mark.slow
def test_eight_devices():
    """The test above once more, in a process that has so many."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-n",
        "0",
        "-m",
        "slow or not slow",
        "-k",
        "equal_one and 8",
        __file__,
    ]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "8"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "5 passed" in done.stdout and "skipped" not in done.stdout, (
        done.stdout + done.stderr
    )


def test_too_many_devices_are_refused():
    with pytest.raises(ValueError, match=f"only {jax.device_count()}"):
        parallel.data_mesh(jax.device_count() + 1)


def test_a_mesh_of_cpus_has_one_device_unless_asked():
    assert parallel.data_mesh().size == 1


def test_batches_that_cannot_be_shared_are_refused_by_name():
    mesh = parallel.data_mesh(4)
    parallel.check_shares({"a.batch": 32, "b.batch": 4}, mesh)
    with pytest.raises(
        ValueError, match=r"^b.batch is 6, which 4 devices cannot share equally: make it a multiple"
    ):
        parallel.check_shares({"a.batch": 32, "b.batch": 6}, mesh)


def average(x, weight, axis_name=None):
    """A function of a batch, in the style of the steps."""
    part = parallel.share(x, axis_name)
    return parallel.mean(part.mean(), axis_name) * weight, parallel.total(part.sum(), axis_name)


def test_every_device_takes_its_share_by_itself():
    x = np.arange(8, dtype=np.float32)
    mesh = parallel.data_mesh(4)
    expected = (7.0, 28.0)  # 2 x 3.5, and 0 + ... + 7
    assert average(x, 2.0) == expected
    shared = parallel.on_each(average, mesh)(x, np.float32(2))
    assert tuple(map(float, shared)) == expected
    assert all(a.sharding.is_fully_replicated and len(a.addressable_shards) == 4 for a in shared)


def test_results_can_be_asked_to_lie_on_every_device():
    mesh = parallel.data_mesh(4)
    double = jax.jit(lambda x: parallel.together(2 * parallel.spread(x, mesh), mesh))
    doubled = double(parallel.replicate(np.arange(8.0, dtype=np.float32), mesh))
    assert doubled.sharding.is_fully_replicated
    np.testing.assert_array_equal(doubled, 2 * np.arange(8))
