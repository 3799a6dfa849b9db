"""A suite's scores compared with published ones: every game, and the aggregates with their
intervals, as rows of text.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from jaxrl.envs.atari100k import GAMES, SCORES, human_normalized
from jaxrl.envs.references import Reference, agent_optimal, agent_optimal_mask, references
from jaxrl.jedi.atari100k.intervals import intervals
from jaxrl.jedi.atari100k.scores import Scores
from jaxrl.rl.aggregates import aggregates

COLUMNS = {
    "mean": "mean",
    "median": "median",
    "iqm": "IQM",
    "optimality_gap": "optimality gap",
    "games_at_human": "games >= human",
    "ao_mean": "AO mean",
    "ho_mean": "HO mean",
    "sym_hns": "sym_hns",
    "ao_sym_hns": "AO sym_hns",
    "ho_sym_hns": "HO sym_hns",
}
"""Aggregates by their names in `jaxrl.rl.aggregates`, and their headings."""
NOTES = (
    "HNS is the human-normalized score, (score - random) / (human - random). Aggregates are over "
    "it; IQM and optimality gap over all "
    "single runs. Brackets: 95 % stratified bootstrap over the runs of each game, games fixed.",
    "AO and HO: agent-optimal (marked *) and human-optimal games, a split that we reconstructed. "
    "sym_hns is our proposal: h up to the "
    "human score, 2 - 1/h beyond, of each game's mean.",
    "Other methods' figures are published ones, none of them run by us; sources in "
    "jaxrl/envs/references.json.",
)


@dataclass(frozen=True)
class Rows:
    """Format a table."""

    heads: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]

    def markdown(self) -> str:
        """As Markdown."""

        def line(cells):
            return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

        rule = "|---" + "|---:" * (len(self.heads) - 1) + "|"
        return "\n".join([line(self.heads), rule, *map(line, self.body)]) + "\n"


def with_scores() -> dict[str, Reference]:
    """The references that publish every game."""
    return {
        name: reference for name, reference in references().items() if reference.scores is not None
    }


def seeds_of(scores: Scores) -> str:
    """Number of runs per game, in words: "5 seeds"."""
    return f"{scores.seeds} seed" + "s" * (scores.seeds != 1)


def normalized(reference: Reference, games: Iterable[str] = GAMES) -> np.ndarray:
    """A reference's mean human-normalized score, float64 `[games]`."""
    return np.array([human_normalized(game, reference.scores[game]) for game in games])


# ---- games
# ------------------------------------------------------------


def per_game(scores: Scores, name: str) -> Rows:
    """Raw mean, spread over the seeds and HNS of every game, next to the HNS of every reference
    that publishes games.
    """
    others = with_scores()
    hns, optimal, body = scores.human_normalized().mean(axis=0), agent_optimal(), []
    for game, value in zip(scores.games, hns, strict=True):
        raw = np.array(scores.by_game[game])
        spread = f"{raw.std(ddof=1):,.1f}" if len(raw) > 1 else "-"
        normalized = [
            f"{human_normalized(game, other.scores[game]):.3f}" for other in others.values()
        ]
        random, human = SCORES[game]
        body.append(
            (
                game + "*" * (game in optimal),
                f"{random:,.1f}",
                f"{human:,.1f}",
                f"{raw.mean():,.1f}",
                spread,
                f"{value:.3f}",
                *normalized,
            )
        )
    return Rows(("game", "random", "human", name, "sd", f"{name} HNS", *others), tuple(body))


# ---- aggregates
# ------------------------------------------------------------


def aggregate_table(scores: Scores, name: str, repetitions: int) -> Rows:
    """Aggregates with intervals in the first row, and those of the references below, the best mean
    first.

    Args:
      scores: of all games or some; with some, references count where they publish games, over the
        same games.
      name: what to call them.
      repetitions: of the bootstrap; 0 for no intervals.

    Raises:
      UserError: rliable is not installed, and intervals are wanted.
    """
    mask = np.array(agent_optimal_mask(scores.games))
    hns = scores.human_normalized()
    found = aggregates(hns, mask)
    ends = (
        aggregate_intervals(hns, mask, repetitions) if repetitions > 0 and scores.seeds > 1 else {}
    )
    body = [(name, *(_cell(key, found, ends) for key in COLUMNS), seeds_of(scores))]
    others = [
        (other, theirs)
        for other in references().values()
        if (theirs := reference_aggregates(other, scores.games))
    ]
    for other, theirs in sorted(others, key=lambda pair: -pair[1]["mean"]):
        body.append((other.name, *(_cell(key, theirs, {}) for key in COLUMNS), other.kind))
    return Rows(("method", *COLUMNS.values(), ""), tuple(body))


def aggregate_intervals(
    hns: np.ndarray, mask: np.ndarray, repetitions: int
) -> dict[str, tuple[float, float]]:
    """Ends of the 95 % interval of every aggregate."""
    names = list(aggregates(hns, mask))

    def statistic(resampled):
        return np.array(list(aggregates(resampled, mask).values()))

    low, high = intervals(hns, statistic, repetitions)
    return {name: (float(low[i]), float(high[i])) for i, name in enumerate(names)}


def reference_aggregates(reference: Reference, games: tuple[str, ...] = GAMES) -> dict[str, float]:
    """Aggregates of a reference on these games: of all 26 what is published and what follows
    from the means of the games.

    From means alone follow mean, median, games at human level, and everything of the two groups;
    not IQM and optimality gap.
    """
    from_means = {}
    if reference.scores is not None:
        from_means = aggregates(
            normalized(reference, games)[None], np.array(agent_optimal_mask(games))
        )
        from_means = {
            key: value for key, value in from_means.items() if key not in ("iqm", "optimality_gap")
        }
    return {**from_means, **reference.aggregates} if set(games) == set(GAMES) else from_means


def _cell(key: str, values: dict[str, float], ends: dict[str, tuple[float, float]]) -> str:
    if key not in values:
        return "-"
    digits = 0 if key == "games_at_human" else 3
    shown = f"{values[key]:.{digits}f}"
    return shown + (
        f" [{ends[key][0]:.{digits}f}, {ends[key][1]:.{digits}f}]" if key in ends else ""
    )
