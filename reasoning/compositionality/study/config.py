"""Settings of a sweep."""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from jaxrl.app.errors import UserError
from reasoning.compositionality.network import Shape
from reasoning.compositionality.prune.distributions import DISTRIBUTIONS, Distribution
from reasoning.compositionality.targets import Target, target_by_name

PrunerName = Literal[
    "share",
    "edge",
    "node",
    "magnitude",
    "global_magnitude",
    "saliency",
    "random",
    "snip",
    "lottery",
    "rigl",
    "set",
    "static_random",
    "l1",
    "oracle",
]
DENSE = "dense"
"""The pruner of cells with density 1."""


class Cell(NamedTuple):
    """One network."""

    target: str
    pruner: str
    density: float
    depth: int
    """Hidden layers."""
    seed: int


@dataclass(frozen=True)
class SweepConfig:
    """Networks of a sweep, and their training. Sizes are our prototype's; the paper's are not
    known.
    """

    targets: tuple[str, ...] = ("tanh_tree:2", "tanh_tree:3")
    """Names, see `targets.by_name`."""
    depths: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    """Hidden layers."""
    densities: tuple[float, ...] = (1.0, 0.5, 0.25, 0.17, 0.125, 0.08)
    """Share of weights that is kept; 1 is the dense network, trained as long."""
    pruners: tuple[PrunerName, ...] = ("share", "magnitude", "edge", "random")
    """Pruners that choose the weights. "oracle" keeps the planted graph, whatever the density."""
    seeds: int = 16
    """Seeds of initial weights and data."""
    seed: int = 0
    """The first."""
    width: int = 12
    """Units of every hidden layer."""
    batch: int = 96
    """Examples per update, always fresh ones."""
    steps: int = 1500
    """Updates before pruning."""
    finetune: int = 1500
    """Updates after it. Prunings at the beginning train for both."""
    learning_rate: float = 5e-3
    """Learning rate of Adam, falling by a cosine to 5 % in each of the two phases."""
    distribution: Distribution = "fan_in"
    """Spread of the density over layers and units; "global_magnitude" and "snip" always use
    "global".
    """
    output_density: float = 0.25
    """Least density of the output weights."""
    rounds: int = 1
    """Renewals of masks on the cubic schedule, for prunings after training."""
    rewind: bool = False
    """Begin pruned networks again from their initial weights."""
    l1: float = 1e-4
    """Penalty of the pruner "l1"."""
    withhold: bool = True
    """Keep a corner of two sub-functions' values from training, for the compositional gap."""
    probe: int = 512
    """Examples that structure is measured on."""
    scored: int = 256
    """Examples, of every seed's own, that scores are computed from."""
    chunk: int = 96
    """Networks in one call."""

    def cells(self, target: str) -> list[Cell]:
        """All of one target: the dense ones first, seeds fastest, so that chunks hold all seeds of
        a setting.
        """
        seeds = range(self.seed, self.seed + self.seeds)
        dense = (
            [Cell(target, DENSE, 1.0, d, s) for d in self.depths for s in seeds]
            if 1.0 in self.densities
            else []
        )
        sparse = [p for p in self.densities if p < 1]
        once = sparse[:1]
        return dense + [
            Cell(target, pruner, rho, d, s)
            for pruner in self.pruners
            for rho in (once if pruner == "oracle" else sparse)
            for d in self.depths
            for s in seeds
            if pruner != "oracle" or d >= target_by_name(target).layers
        ]

    def shape(self, target: Target) -> Shape:
        """Shape of all its networks."""
        return Shape(target.inputs, len(target.outputs), self.width, max(self.depths))


def check(config: SweepConfig) -> None:
    """Refuse what cannot be run.

    Raises:
      UserError: naming the field.
    """
    if config.seeds < 2:
        raise UserError(
            f"seeds is {config.seeds}: intervals are over seeds, so it must be at least 2"
        )
    if not (0 < config.learning_rate < math.inf and 0 <= config.l1 < math.inf):
        raise UserError(
            f"learning_rate is {config.learning_rate} and l1 {config.l1}: the first must be above "
            "0, the second not below"
        )
    for name in ("width", "batch", "steps", "finetune", "probe", "scored", "chunk", "rounds"):
        if getattr(config, name) < 1:
            raise UserError(f"{name} is {getattr(config, name)}: it must be at least 1")
    for name in ("targets", "depths", "densities"):
        if not getattr(config, name):
            raise UserError(f"{name} is empty: name at least one")
        if len(set(getattr(config, name))) < len(getattr(config, name)):
            raise UserError(f"{name} names something twice: {getattr(config, name)}")
    if min(config.depths) < 1:
        raise UserError(f"depths are {config.depths}: a network has at least 1 hidden layer")
    bad = [rho for rho in (*config.densities, config.output_density) if not 0 < rho <= 1]
    if bad:
        raise UserError(f"density {bad[0]} must be above 0 and at most 1")
    if not config.pruners and min(config.densities) < 1:
        raise UserError(
            "pruners is empty, but there are densities below 1: name a pruner, or --densities 1"
        )
    if config.distribution not in DISTRIBUTIONS:
        raise UserError(
            f"distribution is {config.distribution!r}: choose one of {', '.join(DISTRIBUTIONS)}"
        )
    for name in config.targets:
        _check_target(config, target_by_name(name))


def _check_target(config, target):
    rho = min(config.densities)
    if rho * target.inputs * config.width < 1:
        raise UserError(
            f"density {rho} would empty the first layer of {target.name} ({target.inputs} inputs, "
            f"width {config.width}): raise it"
        )
    if "oracle" in config.pruners:
        from reasoning.compositionality.planting import layerize

        for depth in config.depths:
            if depth >= target.layers:
                layerize(target, depth, config.width)


def tiny() -> SweepConfig:
    """Two depths of target, 2064 networks; short training, so sparse networks of the deeper one
    suffer. Some minutes on two free cores, 19 on a core shared with others.
    """
    return SweepConfig(
        densities=(1.0, 0.5, 0.25, 0.125),
        pruners=("share", "magnitude", "random", "oracle"),
        steps=600,
        finetune=600,
    )


def paper() -> SweepConfig:
    """The heat-map: 6 depths x 6 densities x 4 pruners x 8 seeds, 3000 updates."""
    return SweepConfig(targets=("tanh_tree:3",), seeds=8)


def families() -> SweepConfig:
    """Five families of targets and a control, 2224 networks: 8 seeds, 2000 updates."""
    return SweepConfig(
        targets=(
            "tanh_tree:2",
            "mix_tree:2",
            "chain:3",
            "reuse:3",
            "symbolic:distance",
            "nondecomposable:4",
        ),
        densities=(1.0, 0.5, 0.25),
        pruners=("share", "magnitude", "random", "oracle"),
        seeds=8,
        steps=1000,
        finetune=1000,
        chunk=48,
    )


def moonshot() -> SweepConfig:
    """More than forty thousand networks per target, 10 080 in a call: for an accelerator."""
    return SweepConfig(
        targets=("tanh_tree:2", "tanh_tree:3", "mix_tree:2", "chain:4", "reuse:3"),
        pruners=("share", "magnitude", "edge", "random"),
        seeds=336,
        chunk=10_080,
    )


PRESETS = {"tiny": tiny, "paper": paper, "families": families, "moonshot": moonshot}
