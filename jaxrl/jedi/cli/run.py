"""Doing what each command of `python -m jaxrl.jedi` asks, once its options are read."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from jaxrl.app.errors import UserError, writing
from jaxrl.app.files import resolve_path
from jaxrl.envs.atari import emulator
from jaxrl.envs.make import canonical, file_name
from jaxrl.jedi.atari100k.launch import Launch, launch
from jaxrl.jedi.atari100k.scores import Collect, collect
from jaxrl.jedi.atari100k.table import Table, show
from jaxrl.jedi.cli.options import (
    Evaluate,
    Export,
    Horizon,
    Imagine,
    ImportEpisodes,
    Learn,
    Plan,
    Play,
    Report,
    Suite,
    Train,
)
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.diagnostics.sampler import AS_TRAINED
from jaxrl.jedi.offline.config import any_config, data_name, learned_from_data
from jaxrl.jedi.report.rows import read_rows
from jaxrl.train import hosts


def settled(config: JediConfig) -> JediConfig:
    """With the game's proper name: "breakout" and "Breakout" are one run."""
    return replace(config, env=canonical(config.env))


def run(command) -> int:
    """Do it; the exit status."""
    match command:
        case Train():
            return run_train(command)
        case Learn():
            return run_learn(command)
        case Evaluate():
            return run_evaluate(command)
        case Imagine():
            print(run_imagine(command))
        case Play():
            run_play(command)
        case Horizon():
            from jaxrl.jedi.report.horizon import measure_runs

            print(measure_runs(command.run_dir, command.config, command.out, command.sampler))
        case Plan():
            from jaxrl.jedi.cli.plan import plan

            print(plan(settled(command.config), command.timing))
        case Report():
            from jaxrl.jedi.report.offline import write_offline_report
            from jaxrl.jedi.report.run import write_report
            from jaxrl.jedi.report.seeds import write_seeds_report
            from jaxrl.jedi.training.many_runs import seed_folders

            write = write_seeds_report if seed_folders(command.run_dir) else write_report
            write = write_offline_report if learned_from_data(command.run_dir) else write
            print(f"report: {write(command.run_dir)}")
        case Export():
            from jaxrl.jedi.cli.export import export

            export(Path(command.run_dir), command.out, command.games, command.seed)
        case ImportEpisodes():
            from jaxrl.jedi.offline.import_recordings import import_recordings

            print(import_recordings(command.config))
        case Suite():
            return run_suite(command)
    return 0


def run_train(command: Train) -> int:
    """Train, then write the report."""
    from jaxrl.jedi.report.outcome import outcome
    from jaxrl.jedi.report.run import write_report
    from jaxrl.jedi.report.seeds import write_seeds_report
    from jaxrl.jedi.training.loop import train
    from jaxrl.jedi.training.many_runs import train_seeds

    config, last = settled(command.config), command.config.seed + command.seeds - 1
    ending = f"seed{config.seed}" if command.seeds == 1 else f"seeds{config.seed}-{last}"
    name = f"{file_name(config.env)}-{command.preset}-{ending}"
    folder = command.run_dir or str(Path("runs") / config.agent.mode / name)
    refuse_other_kind(folder, command.seeds)
    if command.seeds == 1:
        result = train(config, folder, profile=command.profile)
        if result.finished and hosts.is_first():
            print(
                outcome(read_rows(resolve_path(folder)))
                or "no evaluation was compared with random play"
            )
        return ended([result], lambda: write_report(folder))
    if command.profile is not None:
        raise UserError("--profile traces one agent: leave out --seeds")
    return ended(train_seeds(config, folder, command.seeds), lambda: write_seeds_report(folder))


def refuse_other_kind(run_dir: str | Path, seeds: int) -> None:
    """Keep one run out of a folder of several seeds, and several seeds out of a run's: each would
    write its report over the other's.

    Raises:
      UserError: the folder holds the other kind.
    """
    from jaxrl.jedi.training.many_runs import seed_folders

    folder = resolve_path(run_dir)
    with writing(folder / "config.json"):
        several, one = seed_folders(folder), (folder / "config.json").is_file()
    if seeds == 1 and several:
        raise UserError(
            f"{folder} holds the runs of several seeds: name one of them, such as {several[0]}, "
            "give --seeds, or choose another --run-dir"
        )
    if seeds > 1 and one:
        raise UserError(
            f"{folder} holds one run, not those of several seeds: leave out --seeds, or choose "
            "another --run-dir"
        )


def run_learn(command: Learn) -> int:
    """Learn, then write the report."""
    from jaxrl.jedi.offline.loop import learn
    from jaxrl.jedi.report.offline import write_offline_report

    config = command.config
    name = file_name(data_name(config.data))
    folder = command.run_dir or str(
        Path("runs") / config.agent.mode / f"{name}-{command.preset}-seed{config.seed}"
    )
    return ended([learn(config, folder)], lambda: write_offline_report(folder))


def ended(results: list, write: Callable[[], object]) -> int:
    """Say how a training ended, with its report if it is finished; the exit status."""
    if not all(result.finished for result in results):
        signal = next(result.signal for result in results if not result.finished)
        print(f"stopped by {signal.name}, saved; the same command continues")
        return 128 + signal
    if hosts.is_first():
        print(f"report: {write()}")
    return 0


def run_evaluate(command: Evaluate) -> int:
    """Play, print, and write if asked; every seed of a folder of seeds, and their mean."""
    from jaxrl.jedi.report.seeds import sentence
    from jaxrl.jedi.training.many_runs import seed_folders

    seeds = seed_folders(command.run_dir)
    if not seeds:
        evaluate_one(command, command.run_dir)
        return 0
    means = [
        evaluate_one(of_seed(command, folder.name), folder, f"{folder.name}, ") for folder in seeds
    ]
    print(f"mean return {sentence(means)}")
    return 0


def of_seed(command: Evaluate, name: str) -> Evaluate:
    """The command for one of several seeds, which writes files of its own."""
    out, video = (
        path and path.with_stem(f"{path.stem}-{name}")
        for path in (command.games.out, command.games.video)
    )
    games = replace(command.games, out=out, video=video)
    return replace(command, games=games)


def evaluate_one(command: Evaluate, run_dir: str | Path, label: str = "") -> float:
    """Evaluate one run and print a sentence; returns the mean return."""
    from jaxrl.jedi.cli.evaluate import evaluate_run

    config, make_env = any_config(run_dir), None
    if learned_from_data(run_dir):
        from jaxrl.jedi.offline.loop import game_for

        make_env = game_for(run_dir, command.env and canonical(command.env))
    config = replace(config, env=canonical(command.env)) if command.env else config
    summary = evaluate_run(run_dir, config, command.games, make_env)
    score = summary.get("human_normalized")
    normalized = "" if score is None else f", human-normalized score {score:.3f}"
    cut = (
        f"; {summary['cut']} games were cut after {config.evaluation.max_steps} steps"
        if summary["cut"]
        else ""
    )
    print(
        f"{label}{config.env}: mean return {summary['return']:.2f} (standard deviation "
        f"{summary['std']:.2f}, from {summary['min']:.2f} to "
        f"{summary['max']:.2f}) over {summary['episodes']} games, {summary['env_steps']} "
        f"environment steps of training{normalized}{cut}"
    )
    return summary["return"]


def run_imagine(command: Imagine) -> str:
    """Draw imagination next to what was played, or recorded; a sentence on it."""
    from jaxrl.jedi.report.imagine import imagine_runs
    from jaxrl.jedi.report.recorded import imagine_recorded

    if not any(map(learned_from_data, command.run_dir)):
        return imagine_runs(
            command.run_dir, command.out, command.stretch, command.actions, command.sampler
        )
    if (
        command.actions
        or len(command.run_dir) > 1
        or command.sampler != AS_TRAINED
        or command.stretch.horizon is not None
    ):
        raise UserError(
            "a run that learned from data is shown alone, along the recorded actions: leave out "
            "--actions, --horizon, the sampler's "
            "options and other runs"
        )
    return imagine_recorded(command.run_dir[0], command.out, command.stretch)


def run_play(command: Play) -> None:
    """Serve the page on which a person plays inside the world model."""
    from jaxrl.jedi.dream.server import serve
    from jaxrl.jedi.dream.session import open_dream

    if not 1 <= command.fps <= 60 or not 1 <= command.port <= 65535:
        raise UserError(
            f"--fps is {command.fps} and --port {command.port}: frames per second go from 1 to 60, "
            "ports from 1 to 65535"
        )
    session, title = open_dream(command.run_dir, command.sampler, command.seed)
    serve(session, title, command.port, command.fps)


def run_suite(suite: Suite) -> int:
    """Launch, collect or compare."""
    match suite.command:
        case Launch():
            if not suite.command.dry_run:
                emulator()  # refuses here, not once per run
            return launch(suite.command, list(suite.options))
        case Collect():
            print(f"scores: {collect(suite.command)}")
        case Table():
            show(suite.command)
    return 0
