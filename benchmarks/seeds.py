"""Cost of several seeds in one program: seconds of an update for S = 1, 2, 4, 8 agents together,
over one alone.

`python -m benchmarks.seeds` writes `results/seeds-PRESET.json`. On an accelerator, where one small
agent leaves the device idle, five seeds should cost at most 1.5 times one; on a CPU nothing idles,
and S seeds cost about S.
"""

import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.app.errors import UserError
from jaxrl.envs.make import make
from jaxrl.jedi.agent import init
from jaxrl.jedi.cli.plan import made_up_replay
from jaxrl.jedi.learn.batched_loops import run_phase_of_seeds, stack
from jaxrl.jedi.learn.loops import PHASES
from jaxrl.jedi.presets import PRESETS

UPDATES = ("world_model", "reward_end", "behavior")


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    preset: Literal["tiny", "small", "atari100k"] = "tiny"
    """Sizes."""
    env: str = "catch"
    """The game."""
    seeds: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of agents."""
    updates: int = 20
    """Updates per call."""
    repeats: int = 5
    """Calls timed after a first one; the median counts."""


def seconds_per_update(settings: Settings, count: int) -> dict[str, float]:
    """Seconds of one update of all `count` agents, by phase."""
    config = PRESETS[settings.preset](settings.env)
    env = make(config.env, config.game.frame_size)
    agents = stack(
        [
            init(config.agent, env.num_actions, env.frame_shape, jax.random.key(seed))
            for seed in range(count)
        ]
    )
    replays = (made_up_replay(config, env.num_actions, env.frame_shape),) * count
    keys = jax.random.split(jax.random.key(0), count)
    starts, stops = jnp.zeros(count, jnp.int32), jnp.full(count, settings.updates, jnp.int32)
    run, found = jax.jit(run_phase_of_seeds, static_argnums=0, donate_argnums=1), {}
    for name in UPDATES:
        seconds = []
        for _ in range(settings.repeats + 1):
            began = time.perf_counter()
            agents, tally = run(PHASES[name], agents, replays, keys, starts, stops)
            jax.block_until_ready(tally)
            seconds.append((time.perf_counter() - began) / settings.updates)
        found[name] = statistics.median(seconds[1:])
    return found


def measure(settings: Settings) -> Path:
    """Measure, print, and write the result; returns its path.

    Raises:
      UserError: numbers below 1, or no measurement of one agent to compare with.
    """
    if min(*settings.seeds, settings.updates, settings.repeats) < 1 or 1 not in settings.seeds:
        raise UserError(
            "--seeds must be positive and contain 1, --updates and --repeats at least 1"
        )
    seconds = {count: seconds_per_update(settings, count) for count in settings.seeds}
    total = {count: sum(parts.values()) for count, parts in seconds.items()}
    relative = {count: total[count] / total[1] for count in settings.seeds}
    for count in settings.seeds:
        parts = ", ".join(f"{name} {1e3 * value:.1f}" for name, value in seconds[count].items())
        print(
            f"{count} seeds: {1e3 * total[count]:.1f} ms for one update of each part ({parts}), "
            f"{relative[count]:.2f} x one"
        )
    cpu, most = jax.default_backend() == "cpu", max(settings.seeds)
    goal = 1.1 * most if cpu else 1.5 if most <= 5 else 0.3 * most
    claim = Claim(
        f"{settings.preset} on {settings.env}: one update of each part for {most} seeds together, "
        "times the seconds for one",
        goal,
        "<=",
        round(relative[most], 3),
    )
    figures = asdict(settings) | {
        "seconds": {str(k): v for k, v in seconds.items()},
        "relative": {str(k): v for k, v in relative.items()},
    }
    return record(f"seeds-{settings.preset}", figures, [claim])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("seeds", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
