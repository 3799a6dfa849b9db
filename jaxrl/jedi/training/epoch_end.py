"""The end of an epoch: monitors, evaluation, one line of metrics, a checkpoint."""

import math
import resource
import sys
import time
from typing import Any

import jax
import numpy as np

from jaxrl.app.progress import Progress, duration
from jaxrl.envs.checks import checked
from jaxrl.envs.protocol import GameError, JaxEnv
from jaxrl.jedi.diagnostics.collapse import context_gain, latent_statistics, linear_probe
from jaxrl.jedi.learn.loops import purpose_key
from jaxrl.jedi.play.evaluate import (
    EVALUATION_LANES,
    play_games_at_once,
    play_host_games,
    summarize,
)
from jaxrl.jedi.training.checkpoints import save
from jaxrl.jedi.training.replay_store import draw_for_monitor
from jaxrl.jedi.training.run import EpochSoFar, Session, close_games
from jaxrl.train.signals import StopRequest


def total_epochs(session: Session) -> int:
    """Epochs of the whole run; before the initial steps are known to be enough, the smallest
    number.
    """
    schedule, counters = session.config.schedule, session.counters
    begun = counters.epoch + (counters.stage > 0)
    left = max(schedule.env_steps - counters.env_steps, 0)
    if begun == 0:
        left, begun = max(schedule.env_steps - schedule.initial_steps, 0), 1
    return (
        begun
        + math.ceil(left / schedule.steps_per_epoch)
        + schedule.final_epochs
        - counters.idle_epochs
    )


def note_time(session: Session, stage: str, seconds: float) -> None:
    """Add to the time that a stage of this epoch has taken."""
    spent = session.so_far.seconds
    spent[stage] = spent.get(stage, 0.0) + seconds


@jax.jit
def _monitor(agent, segments, key):
    return {**latent_statistics(agent, segments), **context_gain(agent, segments, key)}


_linear_probe = jax.jit(linear_probe)


def end_epoch(session: Session, began: float, stop: StopRequest, say) -> None:
    """Monitors, evaluation if it is due, one line of metrics, and a checkpoint if it is time; then
    the next epoch.

    If `stop` comes during the evaluation, all of this is left to the next session.

    Args:
      session: the run, at the last stage of an epoch.
      began: time.monotonic() at the beginning of this stage, seconds.
      stop: true once a signal asks to stop.
      say: takes a line to print.
    """
    config, counters = session.config, session.counters
    line = {"epoch": counters.epoch, "env_steps": counters.env_steps, "updates": counters.updates}
    line |= means(session.so_far) | collected(session) | monitored(session)
    looked = time.monotonic()
    last = session.schedule_done
    evaluation = evaluated(session, last, stop)
    if evaluation is None:
        return
    line |= {f"evaluate/{name}": value for name, value in evaluation.items()}
    evaluated_at = time.monotonic()
    seconds = session.so_far.seconds | {
        "monitor": looked - began,
        "evaluate": evaluated_at - looked,
    }
    line |= accounted(session, seconds)
    session.log.write(counters.env_steps, line)
    say(summary_line(line, total_epochs(session)))

    score = evaluation.get("return")
    best = score is not None and (counters.best is None or score > counters.best)
    counters.best = score if best else counters.best
    next_epoch(session, line)
    if best or last or time.monotonic() - session.saved_at >= 60 * config.checkpoint.minutes:
        save(session, score)


def write_unseen_epoch(session: Session, seconds: float) -> None:
    """Write the line of an epoch in the middle of a program, without monitors and evaluation; then
    the next epoch.
    """
    counters = session.counters
    line = {"epoch": counters.epoch, "env_steps": counters.env_steps, "updates": counters.updates}
    line |= means(session.so_far) | collected(session)
    line |= {"time/learn": seconds, "time/epoch": seconds}
    line |= {"time/total": counters.epoch_began + seconds, "compile/count": 0}
    session.log.write(counters.env_steps, line)
    next_epoch(session, line)


def next_epoch(session: Session, line: dict[str, Any]) -> None:
    """Continue with the next epoch; `line` is what the log says of this one."""
    counters = session.counters
    counters.epoch, counters.stage, counters.done, counters.stages = (
        counters.epoch + 1,
        0,
        0,
        counters.stages + 1,
    )
    counters.epoch_began += line["time/epoch"]
    session.so_far = EpochSoFar(last_line=line)


def means(so_far: EpochSoFar) -> dict[str, float]:
    """Means of all metrics over the updates of the epoch so far, and how many there were."""
    line = {}
    for phase, sums in so_far.sums.items():
        count = so_far.counts[phase]
        if count:
            line |= {f"{phase}/{name}": value / count for name, value in sums.items()}
        line[f"{phase}/updates"] = count
    if so_far.gate:
        line |= {f"gate/{name}": value for name, value in so_far.gate.items()}
    return line


def collected(session: Session) -> dict[str, Any]:
    """Metrics of play in this epoch and of the replay."""
    returns, index, counters = session.so_far.returns, session.store.index, session.counters
    line = {
        "collect/games": len(returns),
        "gate/open": int(counters.opened >= 0),
        "gate/forced": int(counters.forced),
    }
    if returns:
        line["collect/return"] = float(np.mean(returns))
    first, episodes = jax.device_get((index.first, index.count))
    return line | {
        "replay/episodes": int(episodes - first),
        "replay/bytes": int(session.store.frames.nbytes),
    }


def monitored(session: Session) -> dict[str, float]:
    """Statistics that show a collapse."""
    key_draw, key = jax.random.split(purpose_key(session.epoch_key, "monitor"))
    count, context = session.config.monitor.segments, session.agent.spec.config.context
    segments = session.store.gather(
        draw_for_monitor(session.store.index, count, context + 1, key_draw)
    )
    found = {
        f"monitor/{name}": float(value)
        for name, value in jax.device_get(_monitor(session.agent, segments, key)).items()
    }
    if session.exam is not None:
        scores = np.asarray(_linear_probe(session.agent, session.exam))
        found |= {
            f"monitor/probe {name}": float(r2)
            for name, r2 in zip(session.env.truth_names, scores, strict=True)
        }
    return found


def evaluated(session: Session, last: bool, stop: StopRequest) -> dict[str, Any] | None:
    """Play whole games, if this is the epoch for it; None if stopped before they were over."""
    settings, epoch = session.config.evaluation, session.counters.epoch
    due = settings.every > 0 and epoch % settings.every == 0 and session.counters.opened >= 0
    episodes = settings.final_episodes if last else settings.episodes if due else 0
    if episodes <= 0:
        return {}
    key, game = purpose_key(session.epoch_key, "evaluate"), session.env.name
    if isinstance(session.env, JaxEnv):
        played = jax.device_get(
            play_games_at_once(session.env, session.agent, key, episodes, settings.max_steps)
        )
    else:
        played = None
        while played is None and not stop:
            try:
                played = played_outside(session, episodes, key, stop)
            except GameError as error:
                session.players.count_restart(error)
                close_games(session)
    return None if played is None else summarize(game, *played, settings.max_steps)


def played_outside(session: Session, episodes: int, key: jax.Array, stop: StopRequest):
    """Returns and lengths of whole games outside JAX; None if stopped before they were over."""
    while len(session.eval_envs) < EVALUATION_LANES:
        session.eval_envs.append(checked(session.make_env()))
    with Progress("evaluation", episodes) as bar:

        def tick(finished: int) -> bool:
            bar.advance(finished)
            return bool(stop)

        steps = session.config.evaluation.max_steps
        return play_host_games(session.eval_envs, session.agent, key, episodes, steps, tick)


def accounted(session: Session, seconds: dict[str, float]) -> dict[str, float]:
    """Time of the epoch by part, compilations in it, and memory of the process."""
    wall = time.monotonic() - session.began - session.counters.epoch_began
    if "learn" in seconds:
        seconds |= shares_of_learning(session, seconds["learn"])
    parts = {f"time/{name}": value for name, value in seconds.items()}
    parts["time/host"] = wall - sum(value for name, value in seconds.items() if name != "learn")
    compiled, session.compiled.count = session.compiled.count, 0
    cached, session.compiled.cached = session.compiled.cached, 0
    compile_seconds, session.compiled.seconds = session.compiled.seconds, 0.0
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    return parts | {
        "time/epoch": wall,
        "time/total": session.counters.epoch_began + wall,
        "time/processor": time.process_time() - session.processor_began,
        "compile/count": compiled,
        "compile/cached": cached,
        "compile/seconds": compile_seconds,
        "memory/process_bytes": memory,
    }


def shares_of_learning(session: Session, seconds: float) -> dict[str, float]:
    """The time of a whole-epoch call split among its parts, by the pace that the first epoch
    measured for each.
    """
    weights = {
        name: count * session.counters.pace.get(name, 1.0)
        for name, count in session.so_far.counts.items()
    }
    total = sum(weights.values()) or 1.0
    return {name: seconds * weight / total for name, weight in weights.items()}


LATENTS = [
    ("std", "monitor/latent_std"),
    ("rank", "monitor/participation_ratio"),
    ("gain", "monitor/context_gain"),
]
"""Numbers that show whether latents collapse, short names and metrics."""


def chosen_values(line: dict[str, Any], shown: list[tuple[str, str]]) -> str:
    """The numbers of an epoch that stand in its line: pairs of a short name and a metric's."""
    return "  ".join(f"{name} {line[key]:.3g}" for name, key in shown if line.get(key) is not None)


def time_taken(line: dict[str, Any], epochs: int) -> str:
    """Time of an epoch, and about how much is left; the first one says nothing of the others."""
    left = (epochs - line["epoch"] - 1) * line["time/epoch"]
    rest = f", about {duration(left)} left" if left > 0 and line["epoch"] > 0 else ""
    return f"{duration(line['time/epoch'])}{rest}"


def summary_line(line: dict[str, Any], epochs: int) -> str:
    """The epoch in one line."""
    shown = [
        ("return", "evaluate/return"),
        ("played", "collect/return"),
        ("loss", "world_model/denoising"),
        *LATENTS,
        ("end recall", "gate/end_recall"),
        ("reward acc", "reward_end/reward_accuracy"),
        ("entropy", "behavior/entropy"),
    ]
    values = chosen_values(line, shown)
    waiting = "" if line["gate/open"] else "  (behavior waits for its gate)"
    if line["gate/forced"] and line.get("gate/end_recall", 1.0) < 0.5:
        waiting = "  (gate opened by time, not by its test)"
    return (
        f"epoch {line['epoch'] + 1}/{epochs}  {line['env_steps']} steps  {values}{waiting}  "
        f"{time_taken(line, epochs)}"
    )
