"""The update steps can be lowered for TPU and CUDA from a CPU."""

import jax
import pytest

from jaxrl.jedi import update_actor_critic, update_reward_end, update_world_model
from tests.jaxrl.jedi import small_agent
from tests.jaxrl.jedi.test_modes import agent

STEPS = {
    "world_model": (update_world_model, (4,), 4),
    "reward_end": (update_reward_end, (4,), 5),
    "behavior": (update_actor_critic, (4, 2), 2),
}


@pytest.mark.parametrize(
    "name, mode",
    [
        *((name, "jedi") for name in STEPS),
        ("world_model", "separate"),
        pytest.param("world_model", "pixel", marks=pytest.mark.slow),
        pytest.param("behavior", "pixel", marks=pytest.mark.slow),
    ],
)
def test_steps_export_for_tpu_and_cuda(name, mode, key):
    step, leading, size = STEPS[name]
    state, batch = agent(mode), small_agent.segments(key, leading, size)
    structure = jax.tree.structure((state, batch, key))

    def flat(*leaves):
        return jax.tree.leaves(step(*structure.unflatten(leaves)))

    exported = jax.export.export(jax.jit(flat), platforms=["tpu", "cuda"])(
        *jax.tree.leaves((state, batch, key))
    )
    assert set(exported.platforms) == {"tpu", "cuda"}
    # On these platforms convolutions are the compiler's own, not patches times matrix.
    assert "stablehlo.convolution" in exported.mlir_module()
