"""A held-out episode next to what the world model imagines along its actions."""

from pathlib import Path

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.jedi.agent import AgentState
from jaxrl.jedi.diagnostics.open_loop import Comparison, Game, Stretch, compare, eventful_stretch
from jaxrl.jedi.offline.config import OfflineConfig, read_offline, shared
from jaxrl.jedi.offline.dataset import open_dataset
from jaxrl.jedi.offline.loop import no_game
from jaxrl.jedi.report.imagine import check_out, write_comparisons
from jaxrl.jedi.training.checkpoints import restore_agent
from jaxrl.replay.episodes import Episode


def as_game(episode: Episode) -> Game:
    """An episode as the pictures know it."""
    return Game(episode.obs, episode.act, episode.rew, episode.end)


def held_out_episode(config: OfflineConfig, number: int) -> Episode:
    """One of the held-out episodes (round and round)."""
    dataset = open_dataset(config)
    return dataset[dataset.held_out[number % len(dataset.held_out)]]


def compare_recorded(agent: AgentState, episode: Episode, stretch: Stretch) -> Comparison:
    """Imagine a stretch of an episode: from its `warm_up` on, or (None) where most happens.

    Raises:
      UserError: the episode is over before.
    """
    game, start, length = as_game(episode), stretch.warm_up, stretch.steps
    if start is None:
        start, length = eventful_stretch(game, length)
    if start >= len(game.action):
        raise UserError(
            f"the episode has {len(game.action)} steps, not more than the warm-up of {start}: "
            "choose a shorter one"
        )
    return compare(agent, game, start, length, jax.random.key(stretch.seed))


def restore(run_dir: Path) -> AgentState:
    """The agent of a run that learned from data."""
    config, found = read_offline(run_dir)
    return restore_agent(run_dir, shared(config, found), no_game(config, found))[0]


def imagine_recorded(run_dir: str | Path, out: Path, stretch: Stretch) -> str:
    """The command `imagine` for such a run: held-out episode number `stretch.seed`, and one
    sentence on what was written.
    """
    check_out(out)
    stretch.check()
    config, _ = read_offline(run_dir)
    comparison = compare_recorded(restore(run_dir), held_out_episode(config, stretch.seed), stretch)
    write_comparisons({"recorded": comparison}, out)
    right = (np.sign(comparison.reward) == comparison.imagined_reward).mean()
    ends = "right" if (comparison.end == comparison.imagined_end).all() else "wrong"
    return (
        f"{out}: {len(comparison.action)} steps of a held-out episode, rewards right at "
        f"{right:.0%} of them, ends {ends}"
    )
