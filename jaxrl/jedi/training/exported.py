"""The parameters of an agent as one .safetensors file, without optimizers and replay.

Weights are stored as float16: half the size, and more digits than the sampling of actions shows.
"""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.config import JediConfig
from jaxrl.train.config import to_dict

FILE = "agent.safetensors"


def parts_of(agent: AgentState) -> dict[str, object]:
    """All parameters that are needed to play and to imagine. Of the world model those of the
    encoder are left out: its moving average takes their place.
    """
    world = {name: part for name, part in agent.world.params.items() if name != "encoder"}
    return {
        "world": world,
        "target": agent.target,
        "heads": agent.reward_end.params,  # its name in files, since 0.1
        "policy": agent.policy.params,
        "probe": agent.probe.params,
    }


def paths_of(tree) -> dict[str, object]:
    """Leaves by their path, such as "policy/lstm/kernel_ih"."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def write_agent(folder: Path, agent: AgentState, config: JediConfig, env_steps: int) -> Path:
    """Write the agent and its configuration into a folder.

    Args:
      folder: folder to write; it is made.
      agent: the agent; its parameters are stored as float16.
      config: configuration of its run.
      env_steps: environment steps it was trained on.

    Returns:
      The file of the parameters.
    """
    from safetensors.numpy import save

    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        path: np.asarray(leaf, np.float16) for path, leaf in paths_of(parts_of(agent)).items()
    }
    shown = int(int(agent.probe.updates) > 0)
    metadata = {"env_steps": str(env_steps), "probe_updates": str(shown)}
    write_atomic(folder / "config.json", json.dumps(to_dict(config), indent=2) + "\n")
    write_atomic(folder / FILE, save(arrays, metadata))
    return folder / FILE


def read_agent(folder: Path, fresh: AgentState) -> tuple[AgentState, int]:
    """The agent in a folder, and the environment steps that it has seen; `fresh` has the shapes.

    Its optimizers are those of `fresh`, and the encoder is its moving average.

    Raises:
      UserError: the file is damaged, or of other networks.
    """
    from safetensors.numpy import load

    file = folder / FILE
    try:
        content = file.read_bytes()
        found = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        env_steps = int(metadata["__metadata__"]["env_steps"])
        probe_updates = int(metadata["__metadata__"]["probe_updates"])
    except Exception as error:  # safetensors' own exception, or a cut file
        raise UserError(f"{file} is damaged ({error}): install the package again") from None
    parts = parts_of(fresh)
    expected = {path: leaf.shape for path, leaf in paths_of(parts).items()}
    if {path: array.shape for path, array in found.items()} != expected:
        raise UserError(f"{file} belongs to other networks than its config.json: restore both")
    arrays = [jnp.asarray(found[path], jnp.float32) for path in expected]
    parts = jax.tree.unflatten(jax.tree.structure(parts), arrays)
    world = dict(parts["world"])
    if "encoder" in fresh.world.params:
        world["encoder"] = jax.tree.map(jnp.copy, parts["target"])
    return fresh.replace(
        world=fresh.world.replace(params=world),
        target=parts["target"],
        reward_end=fresh.reward_end.replace(params=parts["heads"]),
        policy=fresh.policy.replace(params=parts["policy"]),
        probe=fresh.probe.replace(params=parts["probe"], updates=jnp.int32(probe_updates)),
    ), env_steps
