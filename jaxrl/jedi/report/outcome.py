"""A run's result in one sentence: its last evaluation against random play."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxrl.app.stats import t_interval_of


def outcome(rows: Sequence[Mapping[str, Any]]) -> str | None:
    """The sentence; None while there is no evaluation of at least two games, or no random play.

    The interval is that of Student's t over the games of the last evaluation. Random play is that
    of the run's own first steps, explored as the configuration says.

    Args:
      rows: lines of metrics.jsonl.
    """
    evaluated = [row for row in rows if row.get("evaluate/return") is not None]
    first = rows[0] if rows and rows[0].get("epoch") == 0 else {}
    random, games = first.get("collect/return"), first.get("collect/games", 0)
    if random is None or not evaluated or evaluated[-1].get("evaluate/episodes", 0) < 2:
        return None
    last = evaluated[-1]
    mean, count = last["evaluate/return"], int(last["evaluate/episodes"])
    _, low, high = t_interval_of(mean, last["evaluate/std"], count)
    if low > random:
        found = "better than random play"
    elif high < random:
        found = "worse than random play"
    else:
        found = "not clearly different from random play"
    return (
        f"After {last['env_steps']} steps the policy is {found}: mean return {mean:.2f} over "
        f"{count} games (95 % interval {low:.2f} to {high:.2f}), random play {random:.2f} over the "
        f"{games} games that the run began with."
    )
