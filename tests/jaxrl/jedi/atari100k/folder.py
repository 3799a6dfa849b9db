"""Folders of suites made by hand: what `train` would have left."""

import json

SCHEDULE = {"env_steps": 600, "initial_steps": 200, "steps_per_epoch": 100, "final_epochs": 2}
"""Epochs 0 to 4 play (200 random steps, then 100 each), 5 and 6 do not."""


def lines(epochs, score=100.0, schedule=SCHEDULE, first=None):
    """The first `epochs` lines of metrics.jsonl as the training loop's rule makes them; the last
    epoch is evaluated.
    """
    steps, idle, rows = first or schedule["initial_steps"], 0, []
    for epoch in range(epochs):
        if epoch > 0 and steps < schedule["env_steps"]:
            steps += schedule["steps_per_epoch"]
        elif epoch > 0:
            idle += 1
        row = {"step": steps, "epoch": epoch, "env_steps": steps, "time/total": 36.0 * (epoch + 1)}
        if steps >= schedule["env_steps"] and idle >= schedule["final_epochs"]:
            row |= {
                "evaluate/return": score,
                "evaluate/std": 1.0,
                "evaluate/episodes": 100,
                "evaluate/cut": 0,
            }
        rows.append(row)
    return rows


def write_run(out, game, seed, rows, schedule=SCHEDULE, **config):
    """A run folder with these lines."""
    folder = out / game / f"seed{seed}"
    (folder / "report").mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"env": game, "seed": seed, "schedule": schedule, **config})
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder
