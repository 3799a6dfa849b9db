"""A run folder with a checkpoint of an agent that has learned nothing, made in no time."""

from pathlib import Path

import jax.numpy as jnp

from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.training.checkpoints import save, settle
from jaxrl.jedi.training.run import close
from jaxrl.jedi.training.setup import open_session


def write(folder: Path, config: JediConfig, probe_updates: int = 1) -> Path:
    """Write it; `probe_updates` is what the checkpoint says about its decoder for pictures."""
    session = open_session(config, folder)
    probe = session.agent.probe.replace(updates=jnp.int32(probe_updates))
    session.agent = session.agent.replace(probe=probe)
    save(session)
    settle(session)
    close(session)
    return folder
