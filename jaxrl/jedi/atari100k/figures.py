"""The comparison in pictures: every game against published methods, and the performance profile
with its interval.
"""

import numpy as np

from jaxrl.app.plots import new_figure, to_png
from jaxrl.envs.references import agent_optimal
from jaxrl.jedi.atari100k.comparison import normalized, seeds_of, with_scores
from jaxrl.jedi.atari100k.intervals import profile
from jaxrl.jedi.atari100k.scores import Scores

OURS, PALE = "#1f4e9c", "#a9c2e8"
STYLES = {
    "DIAMOND": ("D", "#d1495b"),
    "IRIS": ("o", "#66a182"),
    "TWM": ("^", "#8d6cab"),
    "DreamerV3": ("s", "#edae49"),
    "STORM": ("v", "#2e8b9a"),
    "Simulus": ("P", "#a0522d"),
    "EfficientZero": ("x", "#777777"),
}
"""Marker and color of each reference."""
THRESHOLDS = np.linspace(0.0, 4.0, 161)
"""Thresholds of the performance profile, in units of human-normalized score."""


def _style(name: str) -> tuple[str, str]:
    return STYLES.get(name, ("o", "#999999"))


def per_game_bars(scores: Scores, name: str) -> bytes:
    """A PNG: one bar per game (mean HNS; whiskers: standard deviation over the seeds), marks for
    the references, best game first.
    """
    hns = scores.human_normalized()
    order = np.argsort(hns.mean(axis=0))
    games = [scores.games[i] for i in order]
    heights = np.arange(len(games))
    figure, ((axis,),) = new_figure(9.5, 1.6 + 0.3 * len(games))
    spread = hns.std(axis=0, ddof=1)[order] if scores.seeds > 1 else None
    whiskers = {"lw": 1.2, "capsize": 2.5, "ecolor": "#0b2550"}
    axis.barh(
        heights,
        hns.mean(axis=0)[order],
        xerr=spread,
        color=PALE,
        height=0.72,
        label=name,
        error_kw=whiskers,
        zorder=2,
    )
    for other, reference in with_scores().items():
        marker, color = _style(other)
        edge = {} if marker == "x" else {"edgecolors": "white", "linewidths": 0.6}
        axis.scatter(
            normalized(reference, games),
            heights,
            marker=marker,
            s=34,
            color=color,
            label=other,
            zorder=3,
            **edge,
        )
    _human_scale(axis)
    axis.set_yticks(
        heights, [game + " *" * (game in agent_optimal()) for game in games], fontsize=9
    )
    axis.set_ylim(-0.7, len(games) - 0.3)
    axis.set_title(
        f"Atari 100k, {name}: human-normalized score, {seeds_of(scores)} per game", loc="left"
    )
    axis.set_xlabel(
        "human-normalized score (linear up to 1, logarithmic beyond; * agent-optimal game)"
    )
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(
        handles[-1:] + handles[:-1],
        labels[-1:] + labels[:-1],
        loc="outside lower center",
        ncols=8,
        fontsize=8,
        frameon=False,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    return to_png(figure, dpi=140)


def _human_scale(axis) -> None:
    """Linear around random play, logarithmic beyond human play, with lines at both."""
    from matplotlib.ticker import FixedLocator, NullLocator

    axis.set_xscale("symlog", linthresh=1.0, linscale=1.2)
    ticks = (-1, -0.5, 0, 0.25, 0.5, 0.75, 1, 2, 5, 10, 20, 50)
    left, right = axis.get_xlim()
    axis.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if left <= tick <= right]))
    axis.xaxis.set_minor_locator(NullLocator())
    named = {0: "0\nrandom", 1: "1\nhuman"}
    axis.xaxis.set_major_formatter(lambda value, _: named.get(value, f"{value:g}"))
    axis.axvline(0.0, color="#444444", lw=0.8, zorder=1)
    axis.axvline(1.0, color="#444444", lw=1.0, ls="--", zorder=1)
    axis.grid(axis="x", alpha=0.25, zorder=0)


def performance_profile(scores: Scores, name: str, repetitions: int) -> bytes:
    """A PNG: the share of runs above every score, with its 95 % band, and the share of games of the
    references.

    Of the references only the means of games are published: their lines are over 26 means, ours is
      over all runs.

    Args:
      scores, name: what to draw.
      repetitions: of the bootstrap; 0, or a single seed, for no band.

    Raises:
      UserError: rliable is not installed, and a band is wanted.
    """
    hns = scores.human_normalized()
    figure, ((axis,),) = new_figure(8.0, 4.6)
    for other, reference in with_scores().items():
        above = (normalized(reference, scores.games)[:, None] > THRESHOLDS).mean(axis=0)
        axis.step(
            THRESHOLDS,
            above,
            where="post",
            color=_style(other)[1],
            lw=1.0,
            alpha=0.8,
            label=f"{other} (game means)",
        )
    if repetitions > 0 and scores.seeds > 1:
        share, low, high = profile(hns, THRESHOLDS, repetitions)
        axis.fill_between(
            THRESHOLDS, low, high, color=OURS, alpha=0.22, lw=0, label="95 % interval"
        )
    else:
        share = (hns[..., None] > THRESHOLDS).mean(axis=(0, 1))
    axis.plot(THRESHOLDS, share, color=OURS, lw=2.4, label=f"{name} ({seeds_of(scores)}, all runs)")
    axis.axvline(1.0, color="#444444", lw=1.0, ls="--")
    axis.annotate(
        "human",
        (1.0, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(3, -10),
        textcoords="offset points",
        fontsize=8,
    )
    axis.set_xlim(THRESHOLDS[0], THRESHOLDS[-1])
    axis.set_ylim(0.0, 1.02)
    axis.set_xlabel("human-normalized score $\\tau$")
    axis.set_ylabel("share with a score above $\\tau$")
    axis.set_title("Performance profile, Atari 100k", loc="left")
    handles, labels = axis.get_legend_handles_labels()
    axis.legend(handles[::-1], labels[::-1], fontsize=8, frameon=False, loc="upper right")
    return to_png(figure, dpi=140)
