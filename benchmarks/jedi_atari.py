"""Does JEDI learn on the emulator? `python -m benchmarks.jedi_atari --folder RUNS [--envs Freeway]
[--modes jedi pixel] [--seeds 0 1] [--preset cpu]`.

Trains every game and mode with every seed, one after the other, in `RUNS/GAME-MODE-SEED`; a folder
that was begun is resumed, so that the work can be cut into several calls or spread over cores. Each
finished run's curve goes into the record at once. Claims per game: the lower end of a 95 % interval
over the final games lies above random play's mean, for how many seeds; the mean over seeds as a
multiple of random play; and, where both ran, JEDI minus pixel after equal processor time (a run
without an evaluation by then counts as random play; `--minutes` ends runs at a processor time and
records how far they came). What has not run is recorded as such. Random play is measured twice, and
the better one counts: the run's own first steps (which may repeat actions, see the preset), and
`GAMES` games of uniformly random actions at the preset's frame skip. Those of the usual protocol, 4
frames an action, are recorded too. So is the best single action held through whole games: in some
games a policy need be no more than that, and then a return far above random play proves little.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.jedi_modes import return_at
from benchmarks.recording import Claim, record
from benchmarks.run_by_run import Runs, curves_of, train_chosen
from jaxrl.app.stats import t_interval_of
from jaxrl.envs.atari100k import PROTOCOL
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.presets import PRESETS

ENVS = ("Freeway", "RoadRunner", "UpNDown", "Assault", "Boxing")
MODES, SEEDS = ("jedi", "pixel"), (0, 1)
AXES = (("env_steps", "environment steps"), ("minutes", "minutes of processor time"))
GAMES = 30
"""Whole games of the final evaluation."""


def config_for(preset: str, env: str, mode: str, steps: int | None):
    """A preset whose last evaluation has `GAMES` games and keeps their returns apart.

    Args:
      preset: name in PRESETS.
      env: name of the game.
      mode: "jedi", or a baseline.
      steps: environment steps of the run; the preset's, if None.
    """
    config = PRESETS[preset](env, mode)
    if steps is not None:
        config = replace(config, schedule=replace(config.schedule, env_steps=steps))
    return replace(config, evaluation=replace(config.evaluation, final_episodes=GAMES))


def lower_end(mean: float, std: float, games: int) -> float:
    """Lower end of the 95 % t interval of a mean, from the population standard deviation."""
    return t_interval_of(mean, std, games).low


def mean_return(config: JediConfig, games: int, choose: Callable) -> float:
    """Mean return of whole games at the configuration's frame skip.

    Args:
      config: of the game.
      games: number of games, each with a seed of its own.
      choose: `(generator, number of actions) -> action`, called at every step.
    """
    env, returns = make_game(config), np.zeros(games)
    for game in range(games):
        generator = np.random.default_rng(game)
        env.reset(10**6 + game)
        for _ in range(config.evaluation.max_steps):
            after = env.step(choose(generator, env.num_actions))
            returns[game] += after.reward
            if after.game_over:
                break
    return float(returns.mean())


def uniform_play(config: JediConfig, games: int = GAMES) -> float:
    """Mean return of uniformly random actions."""
    return mean_return(config, games, lambda generator, actions: int(generator.integers(actions)))


def constant_play(config: JediConfig, games: int = 4) -> float:
    """Mean return of the single action that is best when held through whole games."""
    actions = range(make_game(config).num_actions)
    return max(mean_return(config, games, lambda *_, action=action: action) for action in actions)


def note_simple_play(runs: Runs, configs: dict[str, JediConfig]) -> None:
    """Add simple play to runs that lack it: uniformly random actions, "uniform_return" at the run's
    own frame skip and "usual_return" at 4; the best single action, "constant_return".
    """
    for variant, by_seed in runs.items():
        config = configs[variant]
        for run in by_seed.values():
            if "uniform_return" not in run:
                game = replace(config.game, frame_skip=PROTOCOL.frame_skip)
                longer = config.game.frame_skip // PROTOCOL.frame_skip
                evaluation = replace(
                    config.evaluation, max_steps=longer * config.evaluation.max_steps
                )
                usual = replace(config, game=game, evaluation=evaluation)
                run["uniform_return"] = uniform_play(config)
                run["usual_return"] = uniform_play(usual)
            if "constant_return" not in run:
                others = [r["constant_return"] for r in by_seed.values() if "constant_return" in r]
                run["constant_return"] = others[0] if others else constant_play(config)


def random_of(run: dict) -> float:
    """Mean return of random play that a run must beat."""
    return max(run.get("random_return", -np.inf), run.get("uniform_return", -np.inf))


def minutes_of(run: dict) -> float:
    """Minutes of processor time that a run was given."""
    return run["stopped_minutes"] if "stopped_minutes" in run else run["curve"][-1]["minutes"]


def final(folder: Path) -> dict[str, float] | None:
    """Mean, standard deviation and number of the last evaluation's games of a run."""
    from jaxrl.jedi.report.rows import read_rows

    rows = read_rows(folder) if (folder / "metrics.jsonl").exists() else []
    rows = [row for row in rows if row.get("evaluate/return") is not None]
    if not rows:
        return None
    names = ("return", "std", "episodes")
    return {name: float(rows[-1][f"evaluate/{name}"]) for name in names}


def claims_of(runs: Runs, finals: dict[str, dict[str, dict]], env: str) -> list[Claim]:
    """Known figures of one game.

    Args:
      runs: by "GAME-MODE" and seed, as `train_missing` returns them.
      finals: the last evaluations, likewise.
      env: the game.
    """
    mine, other = runs.get(f"{env}-jedi", {}), runs.get(f"{env}-pixel", {})
    last = finals.get(f"{env}-jedi", {})
    whole = len(mine) == len(SEEDS) == len(last)
    above = multiple = ahead = simple = None
    if whole:
        random = float(np.mean([random_of(run) for run in mine.values()]))
        lows = [lower_end(f["return"], f["std"], int(f["episodes"])) for f in last.values()]
        above = sum(bool(low > random) for low in lows)
        mean = float(np.mean([f["return"] for f in last.values()]))
        multiple = round(mean / random, 3) if random > 0 else None
        constant = max((run.get("constant_return", 0.0) for run in mine.values()), default=0.0)
        simple = round(mean / constant, 3) if constant > 0 else None
    if whole and other:
        minutes = min(minutes_of(run) for run in (*mine.values(), *other.values()))
        scores = [
            np.mean([return_at(r["curve"], "minutes", minutes, random_of(r)) for r in group])
            for group in (mine.values(), other.values())
        ]
        ahead = round(float(scores[0] - scores[1]), 3)
    seeds = len(SEEDS)
    return [
        Claim(
            f"{env}: seeds whose final return has a 95 % interval above random play's mean",
            seeds,
            ">=",
            above,
            seeds,
        ),
        Claim(f"{env}: final return over random play's", 2.0, ">=", multiple, seeds),
        Claim(f"{env}: final return over the best single action's", 1.0, ">=", simple, seeds),
        Claim(
            f"{env}: return of jedi minus that of pixel after equal processor time",
            0.0,
            ">",
            ahead,
            seeds,
        ),
    ]


def write(runs: Runs, settings: str, folder: Path, preset: str) -> None:
    """Write the record of the runs so far; random play is measured and the last evaluations are
    read from the runs' folders once.

    Args:
      runs: runs by variant and seed; this function adds to them.
      settings: settings of the runs, in words.
      folder: folder of the runs.
      preset: name in PRESETS.
    """
    note_simple_play(
        runs,
        {f"{env}-{mode}": config_for(preset, env, mode, None) for env in ENVS for mode in MODES},
    )
    finals: dict[str, dict[str, dict]] = {}
    for variant, by_seed in runs.items():
        for seed, run in by_seed.items():
            found = run.get("final") or final(folder / f"{variant}-{seed}")
            if found is not None and "stopped_minutes" not in run:
                run["final"] = found
                finals.setdefault(variant, {})[seed] = found
    claims = [claim for env in ENVS for claim in claims_of(runs, finals, env)]
    print(record(name_of(preset), {"settings": settings, "runs": runs}, claims))


def name_of(preset: str) -> str:
    """Name of the record."""
    return f"jedi_atari_{preset}"


def draw(runs: Runs, path: Path) -> None:
    """Return over steps and over processor time, one row per game, a line for each run, which
    begins at random play: the first policy is uniform.
    """
    from matplotlib.figure import Figure

    games = [env for env in ENVS if any(variant.startswith(env) for variant in runs)]
    figure = Figure(figsize=(9, 3 * max(len(games), 1)), layout="constrained")
    grid = figure.subplots(max(len(games), 1), 2, squeeze=False)
    curves = curves_of(runs)
    for row, env in zip(grid, games, strict=False):
        for axes, (axis, label) in zip(row, AXES, strict=True):
            for color, mode in enumerate(MODES):
                for seed, curve in curves.get(f"{env}-{mode}", {}).items():
                    if not curve:  # stopped before its first evaluation
                        continue
                    start = random_of(runs[f"{env}-{mode}"][str(seed)])
                    axes.plot(
                        [0.0, *(point[axis] for point in curve)],
                        [start, *(point["return"] for point in curve)],
                        color=f"C{color}",
                        marker=".",
                        label=mode if seed == SEEDS[0] else None,
                    )
            own = [random_of(run) for run in runs.get(f"{env}-jedi", {}).values()]
            if own:
                axes.axhline(np.mean(own), color="gray", linestyle=":", label="random play")
            constant = [
                run["constant_return"]
                for run in runs.get(f"{env}-jedi", {}).values()
                if "constant_return" in run
            ]
            if constant:
                axes.axhline(
                    np.mean(constant), color="gray", linestyle="--", label="best single action"
                )
            axes.set(xlabel=label, title=f"{env}: mean return")
            axes.grid(alpha=0.3)
            axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Train what is missing, record what is there, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the runs")
    parser.add_argument("--preset", default="cpu", choices=list(PRESETS))
    parser.add_argument("--envs", nargs="+", default=ENVS, choices=ENVS)
    parser.add_argument("--modes", nargs="+", default=("jedi",), choices=MODES)
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, choices=SEEDS)
    parser.add_argument("--steps", type=int, help="environment steps of a run, if not the preset's")
    parser.add_argument(
        "--minutes", type=float, help="processor time after which a run ends, to compare modes"
    )
    parser.add_argument("--draw", type=Path, help="draw the curves into this PNG file")
    options = parser.parse_args()
    configs = {
        f"{env}-{mode}": config_for(options.preset, env, mode, options.steps)
        for env in ENVS
        for mode in MODES
    }
    chosen = [f"{env}-{mode}" for env in options.envs for mode in options.modes]

    def write_here(runs, settings):
        write(runs, settings, options.folder, options.preset)

    name = name_of(options.preset)
    runs = train_chosen(name, configs, chosen, options, write_here, SEEDS)
    if options.draw:
        draw(runs, options.draw)
    ends = {k: {s: r["curve"][-1:] for s, r in v.items()} for k, v in runs.items()}
    print(json.dumps(ends))


if __name__ == "__main__":
    main()
