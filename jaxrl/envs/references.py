"""Published scores on Atari 100k, read from references.json next to this file, where every
figure has its source.
"""

import functools
import json
from dataclasses import dataclass
from importlib import resources

from jaxrl.envs.atari100k import GAMES


@dataclass(frozen=True)
class Reference:
    """One published method. Nothing of it was run by us."""

    name: str
    kind: str
    """Either "world model" (learns in imagination only), "look-ahead search" or "model-free": quote
    the latter two apart.
    """
    scores: dict[str, float] | None
    """Mean raw score by game, all 26; None where only aggregates are known."""
    aggregates: dict[str, float]
    """Aggregates of human-normalized scores, over single runs where they are published; names as in
    `jaxrl.rl.aggregates`, some may be missing.
    """
    source: str
    """Source of scores and aggregates: paper and table, or file."""


@functools.cache
def _data() -> dict:
    return json.loads(
        resources.files("jaxrl.envs").joinpath("references.json").read_text(encoding="utf-8")
    )


def references() -> dict[str, Reference]:
    """All of them by name, in the order of their means."""
    found = {}
    for name, entry in _data()["methods"].items():
        aggregates = dict(entry["aggregates"])
        from_aggregates = aggregates.pop("source")
        sources = [entry["source"], from_aggregates] if "source" in entry else [from_aggregates]
        found[name] = Reference(
            name, entry["kind"], entry.get("scores"), aggregates, "; ".join(sources)
        )
    return dict(sorted(found.items(), key=lambda item: item[1].aggregates["mean"]))


def agent_optimal() -> frozenset[str]:
    """The 13 games of the 26 on which agents do well against humans; the others are
    "human-optimal".

    Our choice: the split of arXiv 2605.13013 reconstructed from published scores; references.json
      says how.
    """
    return frozenset(_data()["agent_optimal"]["games"])


def agent_optimal_mask(games=GAMES) -> list[bool]:
    """For every game of a list, whether it is agent-optimal."""
    return [game in agent_optimal() for game in games]
