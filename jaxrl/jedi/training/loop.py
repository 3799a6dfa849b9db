"""The training loop: from stage to stage (stages.py) until the schedule is done or somebody asks to
stop.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxrl.app.files import resolve_path
from jaxrl.app.progress import log
from jaxrl.envs.protocol import GameError, MakeEnv
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.training.checkpoints import only_here, save, settle
from jaxrl.jedi.training.epoch_end import total_epochs
from jaxrl.jedi.training.precompile import Compiling, prepare_programs
from jaxrl.jedi.training.run import Session, close
from jaxrl.jedi.training.setup import open_session
from jaxrl.jedi.training.stages import run_stage
from jaxrl.jedi.training.whole_runs import is_due, run_ahead
from jaxrl.train import hosts
from jaxrl.train.parallel import device_name, platform
from jaxrl.train.profile import EpochTrace
from jaxrl.train.signals import StopRequest, stop_on_signals


@dataclasses.dataclass
class Result:
    """End of a call of `train`."""

    folder: Path
    finished: bool
    """The schedule is done; else a signal stopped it, and the same call continues."""
    signal: int | None
    metrics: dict[str, Any]
    """The last line of metrics.jsonl."""


def train(
    config: JediConfig,
    run_dir: str | Path,
    make_env: MakeEnv | None = None,
    say: Callable[[str], None] = log,
    profile: int | None = None,
) -> Result:
    """Train from the beginning or from where the folder stands, until the schedule is done or
    SIGTERM or Ctrl-C asks to stop.

    Args:
      config: everything that can be set.
      run_dir: the run's folder; one that holds a run of the same configuration is resumed.
      make_env: makes the game, if it is not one that `config.env` can name.
      say: takes lines to print.
      profile: number of an epoch (from 1) to trace, see `EpochTrace`; the trace lies in profile/ in
        the run's folder.

    Raises:
      UserError: something is wrong that the user can correct; what was learned up to the last
        checkpoint is kept.
    """

    def open_run():
        return open_session(config, run_dir, make_env)

    if profile is None:
        with only_here(run_dir):
            return run_until_stopped(open_run, announce, one_stage, say)
    folder = resolve_path(run_dir)
    with only_here(run_dir), contextlib.closing(EpochTrace(profile, folder / "profile")) as trace:
        result = run_until_stopped(
            open_run, announce, functools.partial(traced, trace, one_stage), say
        )
    if result.finished and not trace.made:
        say(f"epoch {profile} was not traced: this call did not come by it")
    return result


def one_stage(session: Session, stop: StopRequest, say) -> None:
    """The stage that is due, or all epochs of a whole program up to its last end."""
    if is_due(session):
        run_ahead([session])
    else:
        run_stage(session, stop, say)


def run_until_stopped(
    open_run: Callable[[], Session],
    announce: Callable,
    one_stage: Callable,
    say: Callable[[str], None],
) -> Result:
    """Open a session and go from stage to stage until the schedule is done or somebody asks to
    stop; then save.

    Args:
      open_run: opens the session.
      announce: `(session, say)`, says what is about to happen.
      one_stage: `(session, stop, say)`, does the stage that is due, or as much of it as was done
        when `stop` came.
      say: takes lines to print.
    """
    with stop_on_signals() as own, contextlib.closing(Compiling()) as compiling:
        stop = hosts.SharedStop(own) if hosts.several() else own
        session = open_run()
        try:
            announce(session, say)
            if not session.finished:
                prepare_programs(session, compiling)
            with saving_after_failure([session]):
                while not session.finished and not stop:
                    one_stage(session, stop, say)
            save(session)
            settle(session)
        finally:
            close(session)
    last = session.so_far.last_line
    return Result(session.folder, session.finished, stop.signal, last)


@contextlib.contextmanager
def saving_after_failure(sessions: list[Session], prepare: Callable[[], None] = lambda: None):
    """Save what was played when a game fails within the block, and say so.

    Args:
      sessions: all that are to be saved.
      prepare: is called before.
    """
    try:
        yield
    except GameError as error:
        prepare()
        for session in sessions:
            save(session)
            settle(session)
        where = " and ".join(str(session.folder) for session in sessions)
        raise GameError(
            f"{error}; everything played before is saved in {where}: correct the game, and the "
            "same command continues with a new one (--game.restart-on-error N retries N times)"
        ) from error


def traced(
    trace: EpochTrace, one_stage: Callable, session: Session, stop: StopRequest, say
) -> None:
    """One stage, recorded if it belongs to the epoch that is to be traced.

    Args:
      trace: records the epoch that was asked for.
      one_stage: `(session, stop, say)`, does the stage that is due.
      session: the run.
      stop: true once a signal asks to stop.
      say: takes a line to print.
    """
    trace.before(session.counters.epoch + 1)
    one_stage(session, stop, say)
    if trace.after(session.counters.epoch + 1):
        say(f"trace of epoch {session.counters.epoch}: {trace.folder}")


def announce(session: Session, say) -> None:
    """One line on what is about to happen."""
    config, counters, spec = session.config, session.counters, session.agent.spec
    if session.finished:
        steps = f"{counters.env_steps} steps"
        say(already_finished(session, steps, f"--schedule.env-steps above {counters.env_steps}"))
        return
    what = (
        f"resuming at epoch {counters.epoch + 1}, {counters.env_steps} steps"
        if counters.updates or counters.env_steps
        else "starting"
    )
    say(
        f"{what}: {config.env}, {spec.num_actions} actions, frames "
        f"{spec.frame_shape[0]}x{spec.frame_shape[1]}, "
        f"latents {'x'.join(map(str, spec.latent_shape))}, {total_epochs(session)} epochs, "
        f"{config.schedule.env_steps} steps, on {platform()} ({device_name()}); run folder "
        f"{session.folder}"
    )


def already_finished(session: Session, done: str, more: str) -> str:
    """A sentence on a run with nothing left to do.

    Args:
      session: the run.
      done: its length, such as "112 steps".
      more: options that continue it.
    """
    names = session.without_effect
    verb = "has" if len(names) == 1 else "have"
    unused = f"; {', '.join(names)} {verb} no effect, and config.json stays" if names else ""
    return f"{session.folder} is already finished at {done}{unused}: {more} continues it"
