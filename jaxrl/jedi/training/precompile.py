"""Compiling in the background what a run will soon need, while the first steps are played."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import Observation, policy_memory
from jaxrl.jedi.learn.loops import phases_of
from jaxrl.jedi.play.collect import act_on_device
from jaxrl.jedi.play.evaluate import EVALUATION_LANES, play_games_at_once
from jaxrl.jedi.training import replay_store as stores
from jaxrl.jedi.training.run import Session


class Compiling:
    """A thread that compiles, one program after the other; two where there are more than two
    cores. The programs are found again by the calls that need them; an error shows there.

    On few cores a second thread would take time from the first update for programs of later phases:
    on one core it came after 75 processor seconds instead of 44.
    """

    def __init__(self):
        self._pool = ThreadPoolExecutor(2 if (os.cpu_count() or 1) > 2 else 1)

    def submit(self, job: Callable[[], object]) -> None:
        """Do it soon."""
        self._pool.submit(job)

    def close(self) -> None:
        """Forget what has not begun; do not wait for the rest."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def prepare_programs(session: Session, compiling: Compiling) -> None:
    """Begin to compile the phases, in the order of an epoch, then evaluation."""
    store, settings = session.store, session.config.evaluation
    if not isinstance(store, stores.DeviceStore) or store.mesh.size > 1:
        return

    def shapes(tree):
        return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), tree)

    agent, replay, key = shapes(session.agent), shapes(store.replay), shapes(session.epoch_key)
    zero, mesh = jax.ShapeDtypeStruct((), jnp.int32), store.mesh
    first, steady = session.config.schedule.first_epoch, session.config.schedule.per_epoch
    for name, phase in phases_of(session.config.agent).items():
        if not getattr(first, name) and not getattr(steady, name):
            continue
        compiling.submit(
            lambda phase=phase: (
                stores.phase_program(phase)
                .lower(phase, agent, replay, key, zero, zero, mesh)
                .compile()
            )
        )
    if session.static:
        return
    if isinstance(session.env, JaxEnv):
        for episodes in sorted({settings.episodes, settings.final_episodes} - {0}):

            def job(n=episodes):
                return play_games_at_once.lower(
                    session.env, agent, key, n, settings.max_steps
                ).compile()

            compiling.submit(job)
    else:
        lanes = EVALUATION_LANES
        frame = np.zeros((lanes, *session.env.frame_shape), np.uint8)
        seen = Observation(policy_memory(session.agent.spec, (lanes,)), frame, np.ones(lanes, bool))
        compiling.submit(lambda: act_on_device.lower(agent, seen, key).compile())
