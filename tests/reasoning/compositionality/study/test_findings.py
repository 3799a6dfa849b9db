"""What must come out of training, as far as theory or our prototype commits us to it. Slow: real
trainings, 16 seeds.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from reasoning.compositionality import network
from reasoning.compositionality.depth import predict_depth
from reasoning.compositionality.depth.predict import TRAINED
from reasoning.compositionality.study.config import Cell, SweepConfig
from reasoning.compositionality.study.predictions import net
from reasoning.compositionality.study.pruners import setting_of
from reasoning.compositionality.study.sweep import run_chunk
from reasoning.compositionality.study.train import begin
from reasoning.compositionality.targets import target_by_name
from reasoning.compositionality.targets.samples import examples

pytestmark = pytest.mark.slow
DEEP = SweepConfig(
    targets=("tanh_tree:3",),
    depths=(4,),
    densities=(1.0, 0.25, 0.17),
    pruners=("share", "magnitude", "random"),
    chunk=16,
    withhold=False,
)


def errors(config, pruner, density):
    """MSE of 16 seeds."""
    chunk = [Cell(config.targets[0], pruner, density, config.depths[0], seed) for seed in range(16)]
    return np.array([m.mse for m in run_chunk(config, config.targets[0], chunk)[0]])


def test_share_and_magnitude_fit_better_than_chance_at_equal_density():
    found = {pruner: errors(DEEP, pruner, 0.25) for pruner in ("share", "magnitude", "random")}
    print({name: np.round(np.quantile(e, [0.25, 0.5, 0.75]), 4) for name, e in found.items()})
    assert np.median(found["share"]) < np.median(found["random"])
    assert np.median(found["magnitude"]) < np.median(found["random"])
    assert np.median(found["share"]) <= 0.05


def test_below_the_arity_of_the_inputs_nothing_fits():
    """Density 0.17 is one input per unit of the first layer and two per unit above."""
    found = errors(DEEP, "share", 0.17)
    print(np.round(np.quantile(found, [0, 0.5, 1]), 3))
    assert np.median(found) >= 0.3


def test_one_layer_with_one_input_per_unit_is_no_better_than_the_best_additive_function():
    """Exact: such a network is a sum of functions of single inputs."""
    target = target_by_name("tanh_tree:2")
    x, y = (np.asarray(a, np.float64) for a in examples(target, jax.random.key(0), 20_000))
    basis = np.concatenate([np.ones((len(x), 1)), *(x**power for power in range(1, 10))], 1)
    left = y[:, 0] - basis @ np.linalg.lstsq(basis, y[:, 0], rcond=None)[0]
    config = dataclasses.replace(DEEP, targets=("tanh_tree:2",), depths=(1,), densities=(1.0, 0.25))
    found = errors(config, "share", 0.25)
    assert found.min() >= 0.95 * left.var() and left.var() > 0.15


def test_trained_networks_tell_the_depth_of_their_target():
    """On dense networks with R^2 >= 0.99, in at least 80 % of the seeds."""
    target = target_by_name("tanh_tree:3")
    config = dataclasses.replace(DEEP, steps=6000)
    here = setting_of(config, target, None)
    cells = begin(here.keys, jnp.arange(16), jnp.full(16, 4), config.shape(target))
    trained = here.train(jax.tree.map(jnp.copy, cells.params), cells, config.steps).params
    x, y = examples(target, jax.random.key(1), 4096)
    stated = []
    for seed in range(16):
        mine = jax.tree.map(lambda a, s=seed: a[s], trained)
        fit = 1 - float(((network.outputs(mine, x, 4) - y) ** 2).mean() / y.var())
        by_tolerance = [
            predict_depth(net, 8, data=(mine, jnp.int32(4)), tolerance=t).depth
            for t in (0.02, TRAINED, 0.1)
        ]
        print(seed, round(fit, 4), by_tolerance)
        if fit >= 0.99:
            stated.append(by_tolerance[1] == 3)
    assert len(stated) >= 8 and np.mean(stated) >= 0.8
