"""What the benchmark on MinAtar claims from finished runs, and from missing ones."""

import pytest

from benchmarks import jedi_minatar
from jaxrl.jedi.training.validate import check


def run(mean, std, random_return=0.4):
    final = {"return": mean, "std": std, "episodes": 64.0}
    return {"final": final, "random_return": random_return}


def test_a_seed_counts_if_its_interval_lies_above_random_play():
    """The half width of the interval is 1.998 * std / sqrt(63): .25 for 1."""
    runs = [run(3.2, 1.4), run(0.6, 1.0), run(0.7, 1.0), run(0.3, 0.0)]
    assert [jedi_minatar.above_random([one]) for one in runs] == [1, 0, 1, 0]
    assert jedi_minatar.above_random(runs) == 2


def test_a_game_without_all_its_seeds_claims_nothing():
    whole = {str(seed): run(3.2, 1.4) for seed in jedi_minatar.SEEDS}
    breakout, asterix = jedi_minatar.ENVS
    claims = jedi_minatar.claims_of({breakout: whole, asterix: {"0": run(3.2, 1.4)}})
    assert [claim.measured for claim in claims] == [3, None]
    assert claims[0].holds and "Breakout" in claims[0].claim
    assert not jedi_minatar.claims_of({breakout: whole | {"2": run(0.4, 1.0)}})[0].holds


@pytest.mark.parametrize("env", jedi_minatar.ENVS)
def test_its_settings_fit_together(env):
    config = jedi_minatar.config_for(env)
    check(config)
    assert config.env == f"gymnax:{env}"
    assert config.evaluation.final_episodes >= 256
