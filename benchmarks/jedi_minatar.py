"""Learn MinAtar's games with JEDI: `python -m benchmarks.jedi_minatar --folder RUNS
[--envs Breakout-MinAtar] [--seeds 0 1 2]`.

Trains the games of gymnax (extra `gymnax`) with preset `tiny`, one after the other, in
`RUNS/GAME-SEED`; a folder that was begun is resumed. Each finished run is recorded at once. Claim
per game: for how many seeds the 95 % interval over the games at the end lies above random play's
mean, which is that of the games of the run's first steps (random actions, each repeated with
probability 0.3).
"""

import json
from collections.abc import Iterable
from pathlib import Path

from benchmarks.jedi_atari import final, lower_end
from benchmarks.recording import Claim, record
from benchmarks.run_by_run import Runs, parser_of_runs, train_chosen
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.presets import tiny

NAME = "jedi_minatar"
ENVS, SEEDS = ("Breakout-MinAtar", "Asterix-MinAtar"), (0, 1, 2)


def config_for(env: str) -> JediConfig:
    """The preset, for a game as gymnax names it."""
    return tiny(f"gymnax:{env}")


def above_random(runs: Iterable[dict]) -> int:
    """Count the runs whose final games have a 95 % t interval above their random play's mean."""
    return sum(
        lower_end(run["final"]["return"], run["final"]["std"], int(run["final"]["episodes"]))
        > run["random_return"]
        for run in runs
    )


def claims_of(runs: Runs) -> list[Claim]:
    """One claim per game; a game without all seeds claims nothing yet."""
    return [
        Claim(
            f"{env}: seeds whose final return has a 95 % interval above random play's mean",
            len(SEEDS),
            ">=",
            above_random(runs[env].values()) if len(runs.get(env, {})) == len(SEEDS) else None,
            len(SEEDS),
        )
        for env in ENVS
    ]


def write(runs: Runs, settings: str, folder: Path) -> None:
    """Write the record of the runs so far, with the final evaluations that their folders hold.

    Args:
      runs: by game and seed; this function adds to them.
      settings: fingerprint of the settings of all runs.
      folder: folder of the runs.
    """
    for env, by_seed in runs.items():
        for seed, run in by_seed.items():
            run.setdefault("final", final(folder / f"{env}-{seed}"))
    print(record(NAME, {"settings": settings, "runs": runs}, claims_of(runs)))


def main() -> None:
    """Train what is missing and record it."""
    options = parser_of_runs(__doc__, "--envs", ENVS, SEEDS).parse_args()
    configs = {env: config_for(env) for env in ENVS}

    def write_here(runs, settings):
        write(runs, settings, options.folder)

    runs = train_chosen(NAME, configs, options.envs, options, write_here, SEEDS)
    print(json.dumps({env: {s: r["final"] for s, r in by.items()} for env, by in runs.items()}))


if __name__ == "__main__":
    main()
