"""Many runs as processes of their own, some at a time. What is finished is passed over, what was
stopped continues, what fails is noted.
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxrl.app.errors import UserError, writing
from jaxrl.app.progress import log
from jaxrl.jedi.atari100k.progress_board import Board, failures
from jaxrl.jedi.atari100k.run_log import commit, last_sentence, note, noted
from jaxrl.jedi.atari100k.runs import Run, State, games_named, on_this_machine, runs_of
from jaxrl.train.signals import StopRequest, stop_on_signals

POLL = 0.2
"""Seconds between two checks of the processes."""
PATIENCE = 20.0
"""Seconds that processes get to leave after a second Ctrl-C or SIGTERM, before they are killed."""
OURS = {
    "--env": "choose games with --games",
    "--seed": "choose seeds with --seeds and --first-seed",
    "--preset": "give it before any --",
    "--mode": "give it before any --",
    "--run-dir": "choose the suite's folder with --out",
}
"""Options of `train` that `launch` sets itself, and what to do instead."""


@dataclass(frozen=True)
class Launch:
    """Train on the 26 games with several seeds, or continue. Further options are handed to
    `train`.
    """

    out: Path = Path("runs/atari100k")
    """Folder of the suite; the runs are OUT/<game>/seed<k>."""
    games: tuple[str, ...] = ()
    """Some of the 26 games (capitals do not matter); without it all."""
    seeds: int = 5
    """Seeds per game (the field's custom: 5)."""
    first_seed: int = 0
    """The smallest seed: other machines may take other seeds."""
    preset: Literal["tiny", "small", "atari100k"] = "atari100k"
    """Sizes and schedule of every run; only atari100k is the benchmark."""
    mode: str | None = None
    """The `--mode` of `train`, if given."""
    jobs: int = 1
    """Runs at a time. They share the accelerators' memory in equal parts."""
    gpus: tuple[str, ...] = ()
    """CUDA device numbers that jobs take in turn, one each, e.g. 0 1 2 3. Without it every run sees
    all devices.
    """
    dry_run: bool = False
    """Only print the commands."""


def command(settings: Launch, run: Run, options: list[str]) -> list[str]:
    """The training of one run as a command."""
    mode = [] if settings.mode is None else ["--mode", settings.mode]
    return [
        sys.executable,
        "-m",
        "jaxrl.jedi",
        "train",
        "--preset",
        settings.preset,
        *mode,
        "--env",
        run.game,
        "--seed",
        str(run.seed),
        "--run-dir",
        str(run.folder(settings.out)),
        *options,
    ]


def planned(settings: Launch, options: list[str]) -> list[Run]:
    """The runs to be made.

    Raises:
      UserError: an unknown game, too few seeds or jobs, or an option for `train` that `launch` sets
        itself.
    """
    runs = runs_of(games_named(settings.games, "--games"), settings.seeds, settings.first_seed)
    if settings.jobs < 1:
        raise UserError(f"--jobs is {settings.jobs}: at least 1 run must be under way at a time")
    for word in options:
        name = word.split("=")[0].replace("_", "-")
        if name in OURS:
            raise UserError(f"{name} is set by launch for every run: {OURS[name]}")
    return runs


def environment(settings: Launch, slot: int) -> dict[str, str]:
    """Environment variables of the `slot`-th job at a time: its GPU, and its share of the GPU's
    memory, unless the user has set one.

    Our choice: nine tenths of the memory in equal parts; JAX alone would take three quarters for
      the first job.
    """
    found = dict(os.environ)
    sharing = settings.jobs
    if settings.gpus:
        found["CUDA_VISIBLE_DEVICES"] = settings.gpus[slot % len(settings.gpus)]
        sharing = -(-settings.jobs // len(settings.gpus))
    if sharing > 1:
        found.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / sharing:.3f}")
    return found


def launch(settings: Launch, options: list[str], say=log) -> int:
    """The command `suite launch`; the exit status: 0 all done, 1 something failed, 128 + signal if
    one stopped it.

    Args:
      settings: what to run.
      options: further options of `train`, the same for every run.
      say: takes the commands of a dry run.

    Raises:
      UserError: see `planned`; or the folder cannot be written.
    """
    runs = planned(settings, options)
    on_this_machine(settings.out)
    if settings.dry_run:
        for run in runs:
            say(shlex.join(command(settings, run, options)))
        return 0
    with writing(settings.out):
        settings.out.mkdir(parents=True, exist_ok=True)
    before = noted(settings.out)
    for run in runs:
        if str(run) not in before:
            note(settings.out, run, "waiting")
    with stop_on_signals() as stop, Board(runs, settings.out) as board:
        elsewhere = work(settings, options, runs, board, stop)
        return ended(settings, board, stop, elsewhere)


def ended(settings: Launch, board: Board, stop: StopRequest, elsewhere: list[Run]) -> int:
    """The last words, and the exit status.

    Args:
      settings: what was to run.
      board: states of all runs; takes the lines.
      stop: true if a signal stopped the launch.
      elsewhere: runs that another launch has under way.

    Returns:
      0 if no run failed, 1 if one did, 128 + the number of the signal after one.
    """
    if stop:
        board.say(f"stopped by {stop.signal.name}, saved; the same command continues")
        return 128 + stop.signal
    for line in failures(board.known, settings.out):
        board.say(line)
    failed = sum(now.kind == "failed" for now in board.known.values())
    done = sum(now.kind == "done" for now in board.known.values())
    also = f", {len(elsewhere)} are run by another launch" if elsewhere else ""
    again = f", {failed} failed (the same command tries them again)" if failed else ""
    board.say(
        f"{done} of {len(board.known)} runs done{also}{again}; scores: suite collect --out "
        f"{shlex.quote(str(settings.out))}"
    )
    return 1 if failed else 0


# ---- processes
# ------------------------------------------------------------


@dataclass(frozen=True)
class Child:
    """A run that is under way."""

    run: Run
    process: subprocess.Popen
    slot: int
    """Number of its place among the jobs that run at a time, from 0."""
    log_from: int
    """Bytes that its log had before."""


def work(
    settings: Launch, options: list[str], runs: list[Run], board: Board, stop: StopRequest
) -> list[Run]:
    """Keep `jobs` processes going until all is done or `stop` comes; the runs that another launch
    is busy with.

    Args:
      settings: what to run.
      options: further options of `train`, the same for every run.
      runs: all runs, in the order in which they are started.
      board: states of all runs; shows and takes lines.
      stop: becomes true at SIGTERM or Ctrl-C; children then save, and nothing new is started.

    Returns:
      The runs that another launch has under way.
    """
    waiting = deque(run for run in runs if not complete(run, board.known[run], settings.out))
    children: list[Child] = []
    elsewhere: list[Run] = []
    try:
        while children or (waiting and not stop):
            while waiting and not stop and len(children) < settings.jobs:
                begin(settings, options, waiting.popleft(), children, elsewhere, board)
            time.sleep(POLL)
            if stop and children:
                pass_on(children, stop.signal)
                wait_for(children, board, stop)
            children = [
                child for child in children if not has_ended(child, settings.out, board, stop)
            ]
            board.show([child.run for child in children])
    finally:  # only after an error here, or a second signal, is anything left
        end_now(children)
    return elsewhere


def complete(run: Run, now: State, out: Path) -> bool:
    """The schedule is done and the report, which `train` writes last, is there."""
    return now.kind == "done" and (run.folder(out) / "report" / "index.html").is_file()


def begin(
    settings: Launch,
    options: list[str],
    run: Run,
    children: list[Child],
    elsewhere: list[Run],
    board: Board,
) -> None:
    """Start a run, unless another launch is busy with it. Its log is its lock: the process holds it
    for as long as it lives.

    Args:
      settings: what to run.
      options: further options of `train`.
      run: the run to start.
      children: processes under way; the new one is added.
      elsewhere: runs that another launch has under way; this one is added if it is among them.
      board: states of all runs; takes the line that says so.
    """
    path = run.log(settings.out)
    slot = min(set(range(settings.jobs)) - {child.slot for child in children})
    with contextlib.ExitStack() as stack:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            log = stack.enter_context(open(path, "ab"))
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            elsewhere.append(run)
            board.say(f"{run} is passed over: another launch is busy with it")
            return
        words = command(settings, run, options)
        note(settings.out, run, "started", commit=commit(), command=shlex.join(words[1:]))
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(settings, slot),
            start_new_session=True,
        )
        children.append(Child(run, process, slot, log.tell()))
    now = board.known[run]
    board.say(
        f"{run} " + (f"continues after epoch {now.epoch}" if now.epoch else "starts") + f" ({path})"
    )


def pass_on(children: list[Child], number: signal.Signals) -> None:
    """A signal to all children; they lead process groups of their own, so that Ctrl-C reaches them
    once, from here.
    """
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(number)


def wait_for(children: list[Child], board: Board, stop: StopRequest) -> None:
    """Until all have saved and left."""
    board.say(
        f"{stop.signal.name}: waiting for {len(children)} run(s) to save; once more stops them at "
        "once"
    )
    for child in children:
        child.process.wait()


def end_now(children: list[Child]) -> None:
    """Have them leave at once; kill what does not."""
    pass_on(children, signal.SIGINT)
    deadline = time.monotonic() + PATIENCE
    for child in children:
        try:
            child.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def has_ended(child: Child, out: Path, board: Board, stop: StopRequest) -> bool:
    """Return True if the process is over, and note it.

    Args:
      child: the process.
      out: folder of the suite, for launches.jsonl and the logs.
      board: states of all runs; takes the line that says so.
      stop: true if a signal stopped the launch; then the run counts as stopped, not as failed.
    """
    status = child.process.poll()
    if status is None:
        return False
    if status == 0:
        note(out, child.run, "finished")
        score = board.update(child.run).score
        board.say(f"{child.run} is done" + ("" if score is None else f": score {score:,.2f}"))
    elif stop:
        note(out, child.run, "stopped", status=status)
        board.update(child.run)
    else:
        sentence = last_sentence(child.run.log(out), child.log_from, status)
        note(out, child.run, "failed", status=status, sentence=sentence)
        board.update(child.run)
        board.say(f"{child.run} failed: {sentence}")
    return True
