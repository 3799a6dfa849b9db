"""The commands of `python -m reasoning.compositionality` and their options."""

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro

from reasoning.compositionality.study.config import SweepConfig, tiny

PresetName = Literal["tiny", "paper", "families", "moonshot"]


@dataclass(frozen=True)
class Sweep:
    """Train networks of many depths and densities, by several pruners, with many seeds, and answer
    in words where they become compositional. A folder that was begun is continued, chunk by
    chunk.
    """

    preset: PresetName = "tiny"
    """tiny (two targets, minutes), paper (one heat-map of 6 x 6 x 4 x 8 networks), families (six
    targets, 8 seeds), moonshot (more than ten thousand networks in a call, for an accelerator).
    """
    config: Annotated[SweepConfig, tyro.conf.arg(name="")] = tiny()
    run_dir: str | None = None
    """Folder of the run. Default: runs/compositionality/<preset>-seed<seed>."""


@dataclass(frozen=True)
class Predict:
    """Predict the depth of a function: of a named target, of a function of yours, or of a network
    in a file.
    """

    target: str | None = None
    """Name of the target, such as tanh_tree:3."""
    function: str | None = None
    """Python path of a function of an array [n], such as my_package.my_file:f; differentiable by
    JAX.
    """
    network: str | None = None
    """A network file (.npz with kernel_0, bias_0, ...)."""
    inputs: int | None = None
    """Number of inputs of --function."""
    activation: str | None = None
    """Between the layers of a checkpoint that does not say it: tanh, relu, ..."""
    low: float = -1.0
    """End of the box of inputs."""
    high: float = 1.0
    """The other end."""
    tolerance: float | None = None
    """Largest distance of separability below 1. Default: 0.005 for functions, 0.05 for networks."""
    most_arity: int = 3
    """Largest sets of groups that are tried."""


@dataclass(frozen=True)
class Prune:
    """Prune a network in a file, or a Flax model of yours, once."""

    out: str
    """File of the pruned network (.npz or .safetensors); for --model, of its masks by path."""
    network: str | None = None
    """A network file, .safetensors file or Orbax folder (a chain of linear layers)."""
    activation: str | None = None
    """Between the layers of a checkpoint that does not say it: tanh, relu, ..."""
    model: str | None = None
    """Python path of a function that returns (apply, params, inputs) of a Flax model."""
    data: str | None = None
    """Probe inputs [examples, n] for --network (.npy); or --target."""
    target: str | None = None
    """Draw the probe inputs of a target, such as tanh_tree:3."""
    mode: Literal["share", "edge", "node", "magnitude", "random"] = "share"
    """Weights that are kept, by their share of variance, the similarity of maps (edge), merged
    units (node), magnitude, or at random.
    """
    density: float = 0.25
    """Share of the weights that is kept (for node: least share of units)."""
    distribution: Literal["fan_in", "uniform", "erk", "global"] = "fan_in"
    """Spread of the density over layers and units."""
    compact: bool = False
    """Remove units without a path, and write the smaller network."""
    seed: int = 0
    """Seed of random masks and drawn inputs."""


@dataclass(frozen=True)
class Measure:
    """Measure how compositional a network in a file is, for a target with known parts."""

    network: str
    """A network file."""
    target: str
    """Name of the target, such as tanh_tree:3."""
    examples: int = 2048
    """Fresh examples."""
    seed: int = 0
    """Seed of the examples."""
    activation: str | None = None
    """Between the layers of a checkpoint that does not say it: tanh, relu, ..."""
    raw: bool = False
    """The network gives the target's own values, not standardized ones."""


@dataclass(frozen=True)
class Train:
    """Train one dense network on a target and write it to a file, for the other commands."""

    target: str
    """Name of the target, such as tanh_tree:3."""
    out: str
    """File of the network (.npz)."""
    depth: int = 4
    """Hidden layers."""
    width: int = 12
    """Units per layer."""
    steps: int = 3000
    """Updates."""
    seed: int = 0
    """Seed of weights and data."""
