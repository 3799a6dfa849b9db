"""The stages of an epoch: play, learn the world, learn rewards and ends, test imagination, learn to
behave in it, evaluate and save.

The counters say which stage is due and how much of it is done, so that a run can stop and continue
anywhere between two calls to the device.
"""

import dataclasses
import json
import time

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.files import write_atomic, write_npz
from jaxrl.app.progress import Progress
from jaxrl.envs.protocol import GameError
from jaxrl.jedi.algorithm import Counts, EpochRecord
from jaxrl.jedi.config import Updates
from jaxrl.jedi.learn.gate import draw_endings, passes, run_gate
from jaxrl.jedi.learn.loops import (
    NEVER,
    PHASES,
    Phase,
    UpdateStats,
    draw_for,
    phases_of,
    purpose_key,
    update_key,
)
from jaxrl.jedi.play.collect import Exploration
from jaxrl.jedi.training.epoch_end import end_epoch, means, note_time
from jaxrl.jedi.training.replay_store import DeviceStore
from jaxrl.jedi.training.run import Session
from jaxrl.replay.buffer import Transitions
from jaxrl.train import hosts
from jaxrl.train.parallel import platform
from jaxrl.train.signals import StopRequest

STAGES = ("collect", "world_model", "reward_end", "gate", "behavior", "probe", "end_epoch")
CALL_SECONDS = {"cpu": 1.5}
"""Length of one call to the device, by platform; 15 s elsewhere."""


def run_stage(session: Session, stop: StopRequest, say) -> None:
    """The stage that is due, or as much of it as was done when `stop` came."""
    stage = STAGES[session.counters.stage]
    began = time.monotonic()
    if stage == "collect":
        complete = collect(session, stop, say)
    elif stage == "world_model" and whole_epoch_at_once(session):
        learn_epoch(session)
        stage, complete = "learn", True
    elif stage in PHASES:
        complete = learn(session, PHASES[stage], stop)
    elif stage == "gate":
        complete = open_gate(session)
    else:
        end_epoch(session, began, stop, say)
        return
    note_time(session, stage, time.monotonic() - began)
    if complete:
        next_stage(
            session, STAGES.index("end_epoch") if stage == "learn" else session.counters.stage + 1
        )


def next_stage(session: Session, stage: int) -> None:
    """Continue with a stage of the same epoch."""
    counters = session.counters
    counters.stage, counters.done, counters.stages = stage, 0, counters.stages + 1


# ---- play
# ------------------------------------------------------------


def collect(session: Session, stop: StopRequest, say) -> bool:
    """Play until this epoch has its steps. Returns False if stopped before."""
    counters, schedule = session.counters, session.config.schedule
    if counters.epoch > 0:
        if counters.env_steps < schedule.env_steps:
            play_chunk(session, schedule.steps_per_epoch, session.config.game.epsilon)
        else:
            counters.idle_epochs += 1
        return True
    with Progress("random play", schedule.initial_steps, counters.env_steps) as bar:
        while (steps := initial_steps_due(session)) > 0:
            if stop:
                return False
            play_chunk(session, steps, 1.0, bar.advance)
    below, zero, above = counters.rewards_seen
    say(
        f"random play: {counters.env_steps} steps, rewards below/at/above zero "
        f"{below}/{zero}/{above}"
    )
    return True


def initial_steps_due(session: Session) -> int:
    """Number of random steps that come next in the first epoch; 0 if there are enough (DIAMOND's
    rule on rare rewards).
    """
    counters, schedule = session.counters, session.config.schedule
    missing = schedule.initial_steps - counters.env_steps
    if missing > 0:
        return min(missing, schedule.steps_per_epoch)
    rare = sum(sorted(counters.rewards_seen)[:2])
    return (
        schedule.initial_extra if rare < 10 and counters.env_steps < schedule.initial_limit else 0
    )


def play_chunk(session: Session, steps: int, epsilon: float, tick=lambda n: None) -> None:
    """`steps` steps over all games, into the replay.

    Args:
      session: the run; its replay and counters take in the experience.
      steps: a multiple of the number of games.
      epsilon: share of random actions, 0 to 1.
      tick: is called with numbers of steps made, over all games.

    Raises:
      GameError: a game failed; the whole steps before are in the replay.
    """
    counters = session.counters
    key = jax.random.fold_in(purpose_key(session.epoch_key, "collect"), counters.env_steps)
    game = session.config.game
    explore = Exploration(epsilon, game.temperature, game.action_repeat_epsilon)
    try:
        played = session.players.play(session.agent, key, steps // game.num_envs, explore, tick)
    except GameError as error:
        if error.played is not None:
            take_in(session, *error.played)
        session.store.cut(np.ones(game.num_envs, bool))  # the next games are new ones
        raise
    if session.players.to_cut.any():
        session.store.cut(session.players.to_cut)
        session.players.to_cut = np.zeros(game.num_envs, bool)
    take_in(session, *played)


def take_in(session: Session, chunk: Transitions | None, returns: list[float]) -> None:
    """Store experience `[T, L]` in the replay and count it."""
    counters = session.counters
    session.so_far.returns += returns
    if chunk is None or len(chunk.action) == 0:
        return
    if counters.epoch == 0:
        signs = np.sign(np.asarray(chunk.reward)).astype(int) + 1
        counts = np.bincount(signs.reshape(-1), minlength=3)
        counters.rewards_seen = [
            int(old + new) for old, new in zip(counters.rewards_seen, counts, strict=True)
        ]
    session.store.append(chunk)
    counters.env_steps += chunk.action.size


# ---- learn
# ------------------------------------------------------------


def counts(session: Session) -> Updates:
    """Updates of this epoch. Behavior has those of a first epoch when its gate has just opened,
    and none while it is closed.
    """
    schedule, counters = session.config.schedule, session.counters
    due = schedule.first_epoch if counters.epoch == 0 else schedule.per_epoch
    behavior = (
        schedule.first_epoch.behavior
        if counters.opened == counters.epoch
        else schedule.per_epoch.behavior
    )
    probe = due.probe if "probe" in phases_of(session.config.agent) else 0
    return dataclasses.replace(due, behavior=behavior if counters.opened >= 0 else 0, probe=probe)


def learn(session: Session, phase: Phase, stop: StopRequest) -> bool:
    """The updates of one phase, in calls of a second or two on CPU. Returns False if stopped before
    the last.
    """
    total, counters = getattr(counts(session), phase.name), session.counters
    with Progress(phase.name.replace("_", " "), total, counters.done) as bar:
        while counters.done < total:
            if stop:
                return False
            chunk = hosts.from_first(min(call_size(session, phase), total - counters.done))
            began = time.monotonic()
            session.agent, tally = session.store.run(
                phase, session.agent, session.epoch_key, counters.done, counters.done + chunk
            )
            tally = jax.device_get(tally)
            session.counters.pace[phase.name] = (time.monotonic() - began) / chunk
            count(session, phase, tally, chunk)
            counters.done += chunk
            bar.advance(chunk, loss=float(tally.sums["loss"]) / chunk)
    return True


def call_size(session: Session, phase: Phase) -> int:
    """Updates that take about as long as a call should; few at first, when the pace is
    not known.
    """
    if phase.name not in session.counters.pace:
        return 4
    seconds = CALL_SECONDS.get(platform(), 15.0)
    return max(1, round(seconds / max(session.counters.pace[phase.name], 1e-6)))


def whole_epoch_at_once(session: Session) -> bool:
    """Return True if this epoch's learning is one call."""
    if (
        session.counters.done > 0
        or not isinstance(session.store, DeviceStore)
        or session.counters.epoch == 0
    ):
        return False
    wanted = session.config.program
    return wanted == "epoch" or (wanted == "auto" and platform() != "cpu")


def learn_epoch(session: Session) -> None:
    """All updates of the epoch in one call."""
    epoch = (session.counters.epoch, session.counters.opened >= 0)
    session.agent, record = session.store.run_epoch(
        session.agent, epoch, session.epoch_key, epoch_counts(session), session.config.gate
    )
    note_learning(session, jax.device_get(record))


def epoch_counts(session: Session) -> Counts:
    """Updates of this epoch, as one program decides on them."""
    due, steady = counts(session), session.config.schedule.per_epoch.behavior
    at_opening = session.config.schedule.first_epoch.behavior
    return Counts(due.world_model, due.reward_end, steady, due.probe, at_opening)


def note_learning(session: Session, record: EpochRecord) -> None:
    """Count what the learning of the present epoch amounted to."""
    note_gate(session, record.gate, bool(record.is_open))
    for name, tally in record.tallies.items():
        count(session, PHASES[name], tally, getattr(counts(session), name))


def count(session: Session, phase: Phase, tally: UpdateStats, updates: int) -> None:
    """Add what some updates amounted to; refuse to continue from numbers that are not finite.

    How many updates a call makes depends on the clock (`call_size`), so these sums may differ by
    rounding from run to run; what is learned does not.

    Args:
      session: the run, whose sums and counters take the updates in.
      phase: the kind of update.
      tally: metrics of the updates, summed.
      updates: number of the updates.

    Raises:
      UserError: a metric is not finite; the batch is stored in the run folder.
    """
    if int(tally.first_bad) != NEVER:
        report_failure(session, phase, int(tally.first_bad))
    sums = session.so_far.sums.setdefault(phase.name, {})
    for name, value in tally.sums.items():
        sums[name] = sums.get(name, 0.0) + float(value)
    done = session.so_far.counts
    done[phase.name] = done.get(phase.name, 0) + updates
    session.counters.updates += updates


def report_failure(session: Session, phase: Phase, number: int) -> None:
    """Store what led to a loss that is not finite (the first process does), and refuse."""
    counters, folder = session.counters, session.folder
    key_draw, _ = jax.random.split(update_key(session.epoch_key, phase, number))
    index = session.store.index
    batch = session.store.gather(
        draw_for(phase, session.agent.spec, index, key_draw, session.config.replay.age_weights)
    )
    name = f"failure-epoch{counters.epoch}-{phase.name}-{number}"
    arrays = {k: np.asarray(v) for k, v in vars(batch).items() if v is not None}
    if hosts.is_first():
        write_npz(folder / f"{name}.npz", arrays, compress=True)
    good = session.checkpoints.steps()
    story = {
        "epoch": counters.epoch,
        "phase": phase.name,
        "update": number,
        "env_steps": counters.env_steps,
        "means_so_far": means(session.so_far),
        "last_good_checkpoint": good[-1] if good else None,
    }
    if hosts.is_first():
        write_atomic(folder / f"{name}.json", json.dumps(story, indent=2) + "\n")
    kept = f"checkpoint {good[-1]} is still good" if good else "no checkpoint was written yet"
    raise UserError(
        f"training of {phase.name} gave a number that is not finite at update {number} of epoch "
        f"{counters.epoch + 1} (its batch is in "
        f"{folder / name}.npz; {kept}): start again in a new --run-dir with a lower "
        f"agent.{phase.name}.optim.learning_rate"
    )


# ---- the gate
# ------------------------------------------------------------


_run_gate = jax.jit(run_gate)
_draw_endings = jax.jit(draw_endings, static_argnums=(1, 2))


def open_gate(session: Session) -> bool:
    """Test imagination on real endings, and open the gate of behavior if it does well or the time
    has come.
    """
    gate, context = session.config.gate, session.agent.spec.config.context
    key_draw, key_gate = jax.random.split(purpose_key(session.epoch_key, "gate"))
    draw, usable = _draw_endings(session.store.index, gate, context, key_draw)
    gate_result = jax.device_get(
        _run_gate(session.agent, session.store.gather(draw), usable, key_gate)
    )
    good = bool(passes(gate_result, gate)) or session.counters.epoch >= gate.latest_epoch
    note_gate(session, gate_result, session.counters.opened >= 0 or good)
    return True


def note_gate(session: Session, gate_result, is_open: bool) -> None:
    """Remember what the gate saw, when it opened, and whether only because its latest epoch had
    come.
    """
    session.so_far.gate = {name: float(value) for name, value in gate_result._asdict().items()}
    if is_open and session.counters.opened < 0:
        session.counters.opened = session.counters.epoch
        session.counters.forced = not bool(passes(gate_result, session.config.gate))
