"""bfloat16 arithmetic: parameters, statistics and losses stay float32, and a short run's losses
stay near those of float32.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.jedi.agent import init
from jaxrl.jedi.cli.plan import made_up_replay
from jaxrl.jedi.learn.loops import PHASES, run_phase
from jaxrl.train.optim import OptimConfig
from jaxrl.train.parallel import compute_dtype
from tests.jaxrl.jedi import small_agent, small_run

UPDATES = 25
FAST = OptimConfig(3e-3, 1e-2, 1.0, warmup=0)
CONFIG = replace(
    small_agent.CONFIG,
    world_model=replace(small_agent.CONFIG.world_model, optim=FAST),
    reward_end_learning=replace(small_agent.CONFIG.reward_end_learning, optim=FAST),
    behavior=replace(small_agent.CONFIG.behavior, optim=FAST),
)
PARTS = [
    ("world_model", "denoising"),
    ("reward_end", "reward_loss"),
    ("reward_end", "end_loss"),
    ("behavior", "entropy"),
]


@pytest.fixture(scope="module")
def losses():
    """Mean losses of a few updates of each part, by precision, and the agents after them."""
    replay = made_up_replay(small_run.CONFIG, small_agent.ACTIONS, small_agent.FRAME)
    run, found, agents = jax.jit(run_phase, static_argnums=0), {}, {}
    for precision in ("float32", "bfloat16"):
        agent = init(
            replace(CONFIG, precision=precision),
            small_agent.ACTIONS,
            small_agent.FRAME,
            jax.random.key(0),
        )
        for name in ("world_model", "reward_end", "behavior"):
            agent, tally = run(
                PHASES[name], agent, replay, jax.random.key(1), jnp.int32(0), jnp.int32(UPDATES)
            )
            found[precision, name] = {
                metric: float(value) / UPDATES for metric, value in tally.sums.items()
            }
        agents[precision] = agent
    return found, agents


@pytest.mark.slow
@pytest.mark.parametrize("name, metric", PARTS)
def test_losses_stay_near_those_of_float32(losses, name, metric):
    found, _ = losses
    single, half = found["float32", name][metric], found["bfloat16", name][metric]
    assert half == pytest.approx(single, rel=0.05)


@pytest.mark.slow
def test_the_precision_does_something(losses):
    found, _ = losses
    assert (
        found["float32", "world_model"]["denoising"]
        != found["bfloat16", "world_model"]["denoising"]
    )
    assert found["float32", "world_model"]["denoising"] < 0.99  # and the run learns something


@pytest.mark.slow
def test_everything_that_is_kept_is_float32(losses):
    _, agents = losses
    dtypes = {
        leaf.dtype
        for leaf in jax.tree.leaves(agents["bfloat16"])
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    }
    assert dtypes == {np.dtype("float32")}


def test_auto_is_float32_on_a_cpu(monkeypatch):
    assert compute_dtype("auto") == jnp.float32 and compute_dtype("bfloat16") == jnp.bfloat16
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert compute_dtype("auto") == jnp.bfloat16 and compute_dtype("float32") == jnp.float32
