"""Pruners of the sweep, from initial weights to pruned, trained networks: one small
function each.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from reasoning.compositionality import network
from reasoning.compositionality.planting import masks_for
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.prune.distributions import Distribution
from reasoning.compositionality.study.config import Cell, SweepConfig
from reasoning.compositionality.study.masks import How, merge, regrow, renew
from reasoning.compositionality.study.train import Cells, Phase, Task, gradients, train
from reasoning.compositionality.targets import Target
from reasoning.compositionality.targets.samples import Corner, draw

SECOND, THIRD = 1_000_000, 2_000_000
"""Numbers of the first batches of the later phases."""
GROWTHS, DROP = 10, 0.3
"""Our choice: RigL and SET renew their masks ten times, moving 30 % at first."""
TICKETS = 3
"""Rounds of the lottery ticket."""


@dataclass(frozen=True)
class Setting:
    """Arrays that all cells of one target share."""

    config: SweepConfig
    target: Target
    corner: Corner | None
    keys: jax.Array
    """PRNG keys of all seeds, `[S]`."""
    probe: jax.Array
    """Inputs for scores, per seed, `[S, N, n]`."""

    def train(self, params, cells: Cells, steps: int, first: int = 0, l1: float = 0.0) -> Cells:
        """Train all cells for one phase.

        Args:
          params: parameters to begin with, `[C, ...]`.
          cells: masks, depths and seeds of the networks.
          steps: updates.
          first: number of the first batch; another phase sees other data.
          l1: coefficient of the L1 penalty, 0 for none.
        """
        rate = jnp.float32(self.config.learning_rate)
        phase = Phase(jnp.int32(first), jnp.int32(steps), rate, jnp.float32(l1))
        return cells._replace(params=train(params, cells, self.keys, phase, self.task))

    def gradients(self, cells: Cells, step: int) -> network.Params:
        """Dense gradients of one batch."""
        return gradients(cells, self.keys, jnp.int32(step), self.task)

    @property
    def task(self) -> Task:
        """The data of its trainings."""
        return Task(self.target, self.config.batch, self.corner)

    def how(self, score: Callable, distribution: Distribution | None = None) -> How:
        """A rule of masks; the configured distribution, unless another is given."""
        config = self.config
        return How(score, distribution or config.distribution, config.output_density)


class Start(NamedTuple):
    """Networks of a chunk before pruning."""

    initial: Cells
    trained: Cells
    """Dense, after `config.steps` updates."""
    density: jax.Array
    """`[C]`."""
    cells: list[Cell]
    key: jax.Array


def setting_of(config: SweepConfig, target: Target, corner: Corner | None) -> Setting:
    """Keys and probes of all seeds."""
    keys = jnp.stack(
        [jax.random.key(seed) for seed in range(config.seed, config.seed + config.seeds)]
    )
    probe = jax.jit(jax.vmap(lambda k: draw(target, jax.random.fold_in(k, 2), config.scored)))(keys)
    return Setting(config, target, corner, keys, probe)


def dense(here: Setting, start: Start) -> Cells:
    """No pruning, the same number of updates."""
    return here.train(start.trained.params, start.trained, here.config.finetune, SECOND)


def by_score(
    score: Callable,
    distribution: Distribution | None,
    here: Setting,
    start: Start,
    trained: Cells | None = None,
) -> Cells:
    """Prune after training: masks by score, in one round or several on the cubic schedule, then
    more training.

    Args:
      score: function of score.py.
      distribution: spread of the density; the configuration's, if None.
      here: arrays that all cells of the target share.
      start: density, initial and trained networks, PRNG key.
      trained: networks to prune, in place of `start.trained`.
    """
    config, cells = here.config, trained or start.trained
    for done in range(1, config.rounds + 1):
        density = 1 - (1 - start.density) * (1 - (1 - done / config.rounds) ** 3)
        grads = here.gradients(cells, SECOND - done)
        key = jax.random.fold_in(start.key, done)
        masks = renew(cells, grads, here.probe, key, density, here.how(score, distribution))
        cells = cells._replace(
            masks=masks, params=start.initial.params if config.rewind else cells.params
        )
        length = config.finetune // config.rounds + (
            config.finetune % config.rounds if done == config.rounds else 0
        )
        cells = here.train(jax.tree.map(jnp.copy, cells.params), cells, length, SECOND * done)
    return cells


def node(here: Setting, start: Start) -> Cells:
    """Similar units are merged, then more training."""
    params, masks = merge(start.trained, here.probe, start.density)
    return here.train(params, start.trained._replace(masks=masks), here.config.finetune, SECOND)


def from_beginning(here: Setting, start: Start, masks: network.Masks) -> Cells:
    """Given masks from the first update on, both phases."""
    cells = start.initial._replace(masks=masks)
    cells = here.train(jax.tree.map(jnp.copy, cells.params), cells, here.config.steps)
    return here.train(cells.params, cells, here.config.finetune, SECOND)


def snip(here: Setting, start: Start) -> Cells:
    """Saliency at the initial weights, all kernels together."""
    grads = here.gradients(start.initial, THIRD)
    how = here.how(scoring.saliency, "global")
    masks = renew(start.initial, grads, here.probe, start.key, start.density, how)
    return from_beginning(here, start, masks)


def static_random(here: Setting, start: Start) -> Cells:
    """Random masks from the beginning."""
    return from_beginning(here, start, _random(here, start, here.config.distribution))


def _random(here, start, distribution) -> network.Masks:
    cells, how = start.initial, here.how(scoring.random, distribution)
    return renew(cells, cells.params, here.probe, start.key, start.density, how)


def oracle(here: Setting, start: Start) -> Cells:
    """The planted graph from the beginning, at random places."""
    shape = here.config.shape(here.target)
    each = [
        masks_for(here.target, cell.depth, shape, jax.random.key(cell.seed)) for cell in start.cells
    ]
    return from_beginning(here, start, jax.tree.map(lambda *a: jnp.stack(a), *each))


def lottery(here: Setting, start: Start) -> Cells:
    """Iterative magnitude pruning with rewinding: the density falls by the same factor in every
    round.
    """
    config, cells = here.config, start.trained
    for done in range(1, TICKETS + 1):
        density, how = start.density ** (done / TICKETS), here.how(scoring.magnitude, "global")
        masks = renew(cells, start.initial.params, here.probe, start.key, density, how)
        cells = start.initial._replace(masks=masks)
        cells = here.train(
            jax.tree.map(jnp.copy, cells.params), cells, config.finetune, SECOND * done
        )
    return cells


def growing(by_gradient: bool, here: Setting, start: Start) -> Cells:
    """RigL or SET: random masks, of which the weakest weights move ten times on the way."""
    _config, total = here.config, here.config.steps + here.config.finetune
    cells = start.initial._replace(masks=_random(here, start, "erk"))
    cells = cells._replace(params=jax.tree.map(jnp.copy, cells.params))
    for turn in range(GROWTHS):
        cells = here.train(cells.params, cells, total // (GROWTHS + 1), turn * total)
        share = DROP / 2 * (1 + jnp.cos(jnp.pi * turn / GROWTHS))
        grads = here.gradients(cells, THIRD + turn)
        cells = cells._replace(
            masks=regrow(
                cells, grads, jax.random.fold_in(start.key, turn), share, by_gradient=by_gradient
            )
        )
    return here.train(
        cells.params, cells, total - GROWTHS * (total // (GROWTHS + 1)), GROWTHS * total
    )


def l1(here: Setting, start: Start) -> Cells:
    """Dense training with a penalty, then masks by magnitude."""
    first = here.train(
        jax.tree.map(jnp.copy, start.initial.params),
        start.initial,
        here.config.steps,
        l1=here.config.l1,
    )
    return by_score(scoring.magnitude, None, here, start, first)


PRUNERS: dict[str, Callable[[Setting, Start], Cells]] = {
    "dense": dense,
    "share": functools.partial(by_score, scoring.share, None),
    "edge": functools.partial(by_score, scoring.edge, None),
    "node": node,
    "magnitude": functools.partial(by_score, scoring.magnitude, None),
    "global_magnitude": functools.partial(by_score, scoring.magnitude, "global"),
    "saliency": functools.partial(by_score, scoring.saliency, None),
    "random": functools.partial(by_score, scoring.random, None),
    "snip": snip,
    "lottery": lottery,
    "rigl": functools.partial(growing, True),
    "set": functools.partial(growing, False),
    "static_random": static_random,
    "l1": l1,
    "oracle": oracle,
}
"""By the names of the command line."""
