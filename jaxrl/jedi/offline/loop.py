"""Learn from recorded episodes: the training loop without play, examined on episodes that
were held out.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.progress import log
from jaxrl.envs.make import make
from jaxrl.envs.protocol import GameError, JaxEnv, MakeEnv
from jaxrl.jedi.offline import dataset as datasets
from jaxrl.jedi.offline.config import (
    MAY_CHANGE,
    Found,
    OfflineConfig,
    completed,
    data_name,
    read_offline,
    shared,
    stored,
    with_absolute_path,
)
from jaxrl.jedi.offline.held_out import HeldOut, measured, set_aside
from jaxrl.jedi.training.checkpoints import only_here, save
from jaxrl.jedi.training.epoch_end import (
    LATENTS,
    accounted,
    chosen_values,
    collected,
    means,
    next_epoch,
    time_taken,
    total_epochs,
)
from jaxrl.jedi.training.loop import Result, already_finished, run_until_stopped
from jaxrl.jedi.training.replay_store import make_store
from jaxrl.jedi.training.run import Counters, EpochSoFar, Session
from jaxrl.jedi.training.setup import StoredConfig, begin_agent, resume
from jaxrl.jedi.training.stages import STAGES, run_stage
from jaxrl.jedi.training.validate import COUNTS
from jaxrl.train.checkpoint import Checkpoints
from jaxrl.train.config import flatten, to_dict
from jaxrl.train.metrics import CompileCounter


class NoGame(NamedTuple):
    """Sizes of a game that only its recordings are known of."""

    name: str
    num_actions: int
    frame_shape: tuple[int, int, int]


def no_game(config: OfflineConfig, found: Found) -> NoGame:
    """The game behind the data."""
    return NoGame(
        data_name(config.data), found.num_actions, (found.frame_size, found.frame_size, 3)
    )


def game_for(run_dir: str | Path, env: str | None) -> MakeEnv:
    """Makes the game called `env` for the policy of a run that learned from data.

    Raises:
      UserError: none was named, no policy was learned, or the game has another number of actions
        than the data.
    """
    if env is None:
        raise UserError(
            f"{run_dir} holds a run that learned from data, so there is no game to play: name one "
            "with --env"
        )
    config, found = read_offline(run_dir)
    if config.updates.behavior == 0:
        raise UserError(f"{run_dir} learned no policy: start a run with --updates.behavior above 0")

    def make_env():
        return make(env, found.frame_size)

    game = make_env()
    actions = game.num_actions
    if not isinstance(game, JaxEnv):
        game.close()
    if actions != found.num_actions:
        raise UserError(
            f"{env} has {actions} actions and the data of {run_dir} {found.num_actions}: name the "
            "game that was recorded"
        )
    return make_env


class NoPlayers:
    """In the place of games in the middle of play."""

    def count_restart(self, error: GameError) -> None:
        """Raise the error of an evaluation's game: recorded play restarts nothing."""
        raise error

    def close(self) -> None:
        """Nothing."""


def learn(config: OfflineConfig, run_dir: str | Path, say: Callable[[str], None] = log) -> Result:
    """Learn a world model (and, if updates of behavior are asked for, a policy inside it) from
    recorded episodes.

    Begins, or continues from where the folder stands, until all epochs are done or SIGTERM or
    Ctrl-C asks to stop.

    Args:
      config: everything that can be set.
      run_dir: the run's folder; one that holds a run of the same configuration and data is resumed.
      say: takes lines to print.

    Raises:
      UserError: something is wrong that the user can correct; what was learned up to the last
        checkpoint is kept.
    """
    config = with_absolute_path(config)
    check(config)
    dataset = datasets.open_dataset(config)
    contents = datasets.read_all(dataset, config)
    seen = set_aside(contents.held_out, shared(config, contents.found))
    names = dataset.truth_names
    if seen.exam is not None and seen.exam.truth.shape[1] != len(names):
        raise UserError(
            f"{config.data}: truth has {seen.exam.truth.shape[1]} columns and truth_names "
            f"{len(names)}: name every column"
        )

    def one_stage(session, stop, say):
        if STAGES[session.counters.stage] == "end_epoch":
            end_epoch(session, seen, names, say)
        else:
            run_stage(session, stop, say)

    with only_here(run_dir):
        return run_until_stopped(
            lambda: open_offline(config, contents, run_dir),
            partial(announce, contents.found),
            one_stage,
            say,
        )


def check(config: OfflineConfig) -> None:
    """Refuse settings that do not fit together, with one sentence."""
    values = flatten(to_dict(config))
    for name in ("epochs", *COUNTS):
        if values.get(name, 1) < 1:
            raise UserError(f"{name} is {values[name]}: it must be at least 1")
    for name in values:
        if name.startswith("updates.") and values[name] < 0:
            raise UserError(f"{name} is {values[name]}: it must be at least 0")
    if config.devices < 0:
        raise UserError(
            f"devices is {config.devices}: name how many share a batch, or 0 for all accelerators"
        )


def open_offline(
    config: OfflineConfig, contents: datasets.Contents, run_dir: str | Path
) -> Session:
    """Begin a run in a folder, or restore the one that it holds; see `open_session`."""
    common, game = shared(config, contents.found), no_game(config, contents.found)
    fresh, mesh = begin_agent(common, game)
    description = stored(config, contents.found)
    settings = StoredConfig(description, MAY_CHANGE, completed, always=("data",))
    folder = settings.begin(run_dir)
    store = make_store(common.replay, 1, fresh.spec, mesh)
    store.load(contents.index, contents.frames.reshape(len(contents.frames), -1))
    session = Session(
        config=common,
        folder=folder,
        env=game,
        make_env=lambda: game,
        agent=fresh,
        store=store,
        players=NoPlayers(),
        exam=None,
        counters=Counters(stage=STAGES.index("collect") + 1),
        so_far=EpochSoFar(),
        checkpoints=Checkpoints(folder / "checkpoints", common.checkpoint.keep),
        log=None,
        compiled=CompileCounter(),
        began=time.monotonic(),
        processor_began=time.process_time(),
        saved_at=time.monotonic(),
        saved_heads=np.full(1, -1),
        files={},
        static=True,
    )
    return resume(session, settings)


def announce(found: Found, session: Session, say) -> None:
    """One line on what is about to happen."""
    counters, spec, device = session.counters, session.agent.spec, jax.devices()[0]
    if session.finished:
        done = f"{counters.epoch} epochs"
        say(already_finished(session, done, f"--epochs above {counters.epoch}"))
        return
    begun = f"resuming at epoch {counters.epoch + 1}" if counters.updates else "starting"
    say(
        f"{begun}: {session.config.env}, {found.episodes} episodes with {found.steps} steps, "
        f"{found.held_out} held out, "
        f"{found.num_actions} actions, frames {found.frame_size}x{found.frame_size}, latents "
        f"{'x'.join(map(str, spec.latent_shape))}, {total_epochs(session)} epochs, on "
        f"{device.platform} ({device.device_kind}); "
        f"run folder {session.folder}"
    )


def end_epoch(session: Session, seen: HeldOut, truth_names: tuple[str, ...], say) -> None:
    """Measures on held-out episodes, one line of metrics, and a checkpoint if it is time; then the
    next epoch.

    Args:
      session: the run, at the end of an epoch.
      seen: what was set aside from the held-out episodes.
      truth_names: names of the true variables of the data; may be empty.
      say: takes a line to print.
    """
    began, counters, last = time.monotonic(), session.counters, session.schedule_done
    line = (
        {"epoch": counters.epoch, "updates": counters.updates}
        | means(session.so_far)
        | collected(session)
    )
    line |= measured(session.agent, seen, session.config.gate, truth_names)
    line |= accounted(session, session.so_far.seconds | {"monitor": time.monotonic() - began})
    session.log.write(counters.updates, line)
    say(summary_line(line, total_epochs(session)))
    next_epoch(session, line)
    if last or time.monotonic() - session.saved_at >= 60 * session.config.checkpoint.minutes:
        save(session)


def summary_line(line: dict[str, Any], epochs: int) -> str:
    """The epoch in one line."""
    shown = [
        ("loss", "world_model/denoising"),
        ("held out", "held_out/denoising"),
        *LATENTS,
        ("reward acc", "held_out/reward_accuracy"),
        ("end acc", "held_out/end_accuracy"),
        ("end recall", "imagined/end_recall"),
        ("imagined", "behavior/imagined_return"),
    ]
    values = chosen_values(line, shown)
    return f"epoch {line['epoch'] + 1}/{epochs}  {values}  {time_taken(line, epochs)}"
