"""Does JEDI learn the toy games? `python -m benchmarks.jedi_learning [--envs catch catch-drift]
[--seeds 3]`.

Runs the trainer with the tiny preset, one seed after the other, and records every evaluation (100
games) with the minute it was made.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

from benchmarks.recording import RESULTS, Claim, record

GOALS = {"catch": (0.6, 2), "catch-drift": (0.4, 2)}
"""Mean return, and how many of three seeds must reach it."""
MINUTES = 10.0


def learn(env: str, seed: int, folder: Path) -> list[dict[str, float]]:
    """Evaluations of one run: steps, minutes of wall time, mean return over 100 games, and the
    monitors next to it.
    """
    from jaxrl.jedi.presets import tiny
    from jaxrl.jedi.report.rows import read_rows
    from jaxrl.jedi.training.loop import train

    if not train(dataclasses.replace(tiny(env), seed=seed), folder).finished:
        raise SystemExit("stopped; nothing is recorded")
    kept = {
        "env_steps": "env_steps",
        "return": "evaluate/return",
        "latent_std": "monitor/latent_std",
        "participation_ratio": "monitor/participation_ratio",
        "context_gain": "monitor/context_gain",
        "end_recall": "gate/end_recall",
        "entropy": "behavior/entropy",
    }
    rows = [row for row in read_rows(folder) if row.get("evaluate/return") is not None]
    curve = [
        {short: row.get(name) for short, name in kept.items()} | {"minutes": row["time/total"] / 60}
        for row in rows
    ]
    return [
        {"random_return": read_rows(folder)[0].get("collect/return"), **point} for point in curve
    ]


def last_in_time(curve: list[dict[str, float]]) -> float:
    """The last evaluation made within `MINUTES`; -inf if there is none."""
    return max(
        ((p["minutes"], p["return"]) for p in curve if p["minutes"] <= MINUTES),
        default=(0, float("-inf")),
    )[1]


def draw(path: Path) -> None:
    """The recorded curves of all games as one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    for axis, (env, (goal, _)) in zip(
        figure.subplots(1, len(GOALS), sharey=True), GOALS.items(), strict=True
    ):
        result = json.loads((RESULTS / f"{_name(env)}.json").read_text())
        for seed, curve in result["figures"]["curves"].items():
            axis.plot(
                [p["env_steps"] for p in curve],
                [p["return"] for p in curve],
                marker=".",
                label=f"seed {seed}",
            )
        random = [curve[0]["random_return"] for curve in result["figures"]["curves"].values()]
        axis.axhline(sum(random) / len(random), color="gray", linestyle=":", label="random play")
        axis.axhline(goal, color="gray", linestyle="--", label=f"goal {goal}")
        axis.set(
            title=f"{env}: mean return of 100 games", xlabel="environment steps", ylim=(-1, 1.05)
        )
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8, loc="lower right")
    figure.savefig(path, dpi=110)


def _name(env: str) -> str:
    return f"jedi_learning_{env.replace('-', '_')}"


def main() -> None:
    """Run, record, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", nargs="+", default=list(GOALS), choices=list(GOALS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--draw", type=Path, help="only draw the recorded curves into this PNG file"
    )
    options = parser.parse_args()
    if options.draw:
        draw(options.draw)
        return
    for env in options.envs:
        curves = {}
        for seed in range(options.seeds):
            with tempfile.TemporaryDirectory() as folder:
                curves[seed] = learn(env, seed, Path(folder))
        goal, needed = GOALS[env]
        scores = {seed: last_in_time(curve) for seed, curve in curves.items()}
        print(env, scores)
        claim = Claim(
            f"{env}: seeds whose last evaluation (100 games) within {MINUTES:.0f} minutes is at "
            f"least {goal}",
            needed,
            ">=",
            sum(score >= goal for score in scores.values()),
            options.seeds,
        )
        record(_name(env), {"last_return": scores, "curves": curves}, [claim])


if __name__ == "__main__":
    main()
