"""`train --program run`: play and learning of many epochs, of one seed or several, as one compiled
program, for games in JAX.

A call goes from one evaluation to the next (with `--evaluation.every 0` to the end of play), from
the second epoch on: how long the first one plays depends on the rewards it sees. Random numbers are
those of the stepwise loop, so the results are the same but for rounding. Within a call nothing is
evaluated, monitored or saved, and a request to stop waits for its end.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.jedi.algorithm import EpochPlan, EpochRecord, Run, run_epochs_of_seeds
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.learn.batched_loops import stack, unstack
from jaxrl.jedi.learn.loops import NEVER
from jaxrl.jedi.play.collect import Exploration
from jaxrl.jedi.training.epoch_end import note_time, write_unseen_epoch
from jaxrl.jedi.training.run import Session
from jaxrl.jedi.training.stages import STAGES, epoch_counts, next_stage, note_learning

_run = jax.jit(run_epochs_of_seeds, static_argnums=(0, 1, 2), donate_argnums=3)


def is_due(session: Session) -> bool:
    """Return True if the next stage belongs to such a program."""
    counters = session.counters
    return (
        session.config.program == "run"
        and STAGES[counters.stage] == "collect"
        and counters.epoch > 0
        and counters.env_steps < session.config.schedule.env_steps
    )


def epochs_ahead(session: Session) -> int:
    """Epochs up to the next evaluation, itself included; all that play if there is none before."""
    config, counters = session.config, session.counters
    left = -(-(config.schedule.env_steps - counters.env_steps) // config.schedule.steps_per_epoch)
    every = config.evaluation.every
    return min(left, -counters.epoch % every + 1) if every else left


def run_ahead(sessions: list[Session]) -> None:
    """Make the epochs ahead of sessions that stand at the same one; the last epoch's end is left to
    `run_stage`.

    Raises:
      UserError: numbers became infinite or NaN.
    """
    began, first = time.monotonic(), sessions[0]
    epochs = min(epochs_ahead(session) for session in sessions)
    runs = stack([run_of(session) for session in sessions])
    keys = stack([jax.random.key(session.config.seed) for session in sessions])
    counts = epoch_counts(first)
    runs, records = _run(first.env, plan_of(first.config), epochs, runs, keys, counts)
    records = unstack(jax.device_get(records), len(sessions))
    seconds = (time.monotonic() - began) / epochs
    for session, run, record in zip(sessions, unstack(runs, len(sessions)), records, strict=True):
        take_over(session, run)
        for number in range(epochs):
            own = jax.tree.map(lambda a, n=number: a[n], record)
            note_epoch(session, own)
            note_time(session, "learn", seconds)
            if number + 1 < epochs:
                write_unseen_epoch(session, seconds)
        next_stage(session, STAGES.index("end_epoch"))


def plan_of(config: JediConfig) -> EpochPlan:
    """Settings of the epochs, as a program is compiled for them."""
    game = config.game
    explore = Exploration(game.epsilon, game.temperature, game.action_repeat_epsilon)
    return EpochPlan(config.gate, config.schedule.steps_per_epoch // game.num_envs, explore)


def run_of(session: Session) -> Run:
    """The session's arrays as the algorithm knows them."""
    counters = session.counters
    return Run(
        session.agent,
        session.store.replay,
        jnp.int32(counters.epoch),
        jnp.bool_(counters.opened >= 0),
        session.players.players,
        jnp.int32(counters.env_steps),
    )


def take_over(session: Session, run: Run) -> None:
    """The arrays after the program."""
    session.agent, session.store.replay = run.agent, run.replay
    session.players.players = run.players


def note_epoch(session: Session, record: EpochRecord) -> None:
    """Count one epoch of the program in the session's record."""
    bad = [name for name, tally in record.tallies.items() if int(tally.first_bad) != NEVER]
    if bad or not bool(record.play_sound):
        what = (
            f"training of {bad[0]} gave a number that is not finite"
            if bad
            else f"{session.env.name} gave a reward that is not finite, or game_over with neither "
            "end nor trunc,"
        )
        raise UserError(
            f"{what} in epoch {session.counters.epoch + 1}, in the middle of --program run: the "
            "last checkpoint is still good, and the same command with --program auto stops at the "
            "very step"
        )
    games = record.games
    session.so_far.returns += [float(r) for r in games.game_return[games.finished]]
    session.counters.env_steps += int(np.prod(games.finished.shape))
    note_learning(session, record)
