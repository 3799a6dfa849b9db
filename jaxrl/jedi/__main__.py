"""`python -m jaxrl.jedi train | learn | evaluate | imagine | horizon | plan | report | suite`."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.envs.atari import emulator
from jaxrl.envs.make import TOYS, canonical, file_name
from jaxrl.jedi.config import JediConfig, Mode
from jaxrl.jedi.horizon_report import HorizonConfig
from jaxrl.jedi.offline_config import OFFLINE_PRESETS, OfflineConfig, any_config, data_name, learned_from_data
from jaxrl.jedi.presets import PRESETS
from jaxrl.jedi.sampling import AS_TRAINED, SamplerChoice
from jaxrl.jedi.session import check
from jaxrl.jedi.suite.launch import Launch, command, launch, planned
from jaxrl.jedi.suite.scores import Collect, collect
from jaxrl.jedi.suite.table import Table, show
from jaxrl.train import hosts
from jaxrl.train.compiled import keep_programs
from jaxrl.train.errors import Refusal
from jaxrl.train.parallel import device_name, platform

PresetName = Literal["tiny", "small", "atari100k"]


@dataclass(frozen=True)
class Start:
    """What the other defaults depend on."""

    preset: PresetName | None = None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    env: str = "Breakout"
    """A toy (catch, catch-drift, bricks), an Atari game (Breakout, MsPacman, ...), any Gymnasium id, or my_package.my_game:make."""
    mode: Mode = "jedi"
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents trained apart)."""
    distributed: hosts.When = "auto"
    """Other processes are met before the first device is touched."""


@dataclass(frozen=True)
class Train:
    """Train JEDI (or a baseline) on a game, or go on with a run that was stopped. Ends with a report."""

    preset: PresetName | None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents trained apart)."""
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder; resumed if it holds one. Default: runs/<mode>/<env>-<preset>-seed<seed>, or
    -seeds<first>-<last>."""
    seeds: int = 1
    """Independent agents, trained by one program: --seed and the numbers after it, each in a folder of its own in the run's."""
    distributed: hosts.When = "auto"
    """Train with other processes, one per machine (docs/tpu.md). auto: if the environment names a coordinator, Slurm or Open MPI."""


@dataclass(frozen=True)
class Learn:
    """Learn a world model from recorded episodes (docs/your_data.md), or go on with a run that was stopped. Ends with a report."""

    preset: PresetName | None
    """Sizes and numbers of updates: tiny (two CPU cores, minutes), small (one modest GPU), atari100k. By device if absent."""
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents trained apart)."""
    config: Annotated[OfflineConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder; resumed if it holds one. Default: runs/<mode>/<data>-<preset>-seed<seed>."""


@dataclass(frozen=True)
class Evaluate:
    """Play whole games with the policy of a run."""

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""
    episodes: int = 100
    """Games."""
    seed: int = 0
    """Of the games and the policy's choices."""
    checkpoint: Literal["last", "best"] = "last"
    """The last one, or the best evaluated one. The best of many small evaluations is a lucky one: report the last."""
    env: str | None = None
    """A game to play instead of the run's own; a run that learned from recorded episodes has none."""
    out: Path | None = None
    """Also write every return and the summary to this JSON file."""


@dataclass(frozen=True)
class Imagine:
    """Roll the policy, or given actions, in the real game and inside the world models of runs, side by side."""

    run_dir: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Folder of a run, also gs://bucket/folder. Give the option again for more runs of the same game: each imagines the same real
    stretch. The policy of the first plays."""
    sampler: Annotated[SamplerChoice, tyro.conf.arg(name="")] = AS_TRAINED
    out: Path = Path("imagined.gif")
    """A .gif, a .png (film strip) or a .npz (frames and actions)."""
    actions: tuple[str, ...] = ()
    """Actions to take, by number or name, with how often: 2, left, left*4. Without them the policy plays."""
    steps: int = 40
    """Steps, if the policy plays."""
    horizon: int | None = None
    """Imagined steps after which imagination begins again at the real frame. Absent: never."""
    warm_up: int | None = None
    """Steps that the policy plays in the real game before. Absent: the most eventful stretch of a game is shown."""
    seed: int = 0
    """Of game, policy and imagination."""


@dataclass(frozen=True)
class Horizon:
    """Measure the error of imagination over the horizon, from many starts in freshly played real games."""

    run_dir: tyro.conf.UseAppendAction[tuple[str, ...]]
    """Folder of a run. Give the option again for more runs of the same game; all imagine the same. The policy of the first plays."""
    config: Annotated[HorizonConfig, tyro.conf.arg(name="")] = HorizonConfig()
    sampler: Annotated[SamplerChoice, tyro.conf.arg(name="")] = AS_TRAINED
    out: Path | None = None
    """A .png; the figures come as .json beside it. Default: report/horizon.png in the first run, where its report shows it."""


@dataclass(frozen=True)
class Plan:
    """Print what a run would take: epochs, updates, FLOPs, memory, and time, from timing three updates of each part here."""

    preset: PresetName | None
    """tiny, small or atari100k. By device if absent."""
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents trained apart)."""
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    timing: bool = True
    """Compile and time the updates."""


@dataclass(frozen=True)
class Report:
    """Write the report of a run again."""

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""


SUITE = (
    Annotated[Launch, tyro.conf.subcommand("launch")]
    | Annotated[Collect, tyro.conf.subcommand("collect")]
    | Annotated[Table, tyro.conf.subcommand("table")]
)


@dataclass(frozen=True)
class Suite:
    """Atari 100k as a benchmark: launch all games and seeds, collect the scores, compare them with published ones."""

    command: Annotated[SUITE, tyro.conf.arg(name="")]
    options: tuple[str, ...] = ()
    """What `launch` hands to `train`."""


def parse_suite(arguments: list[str]) -> Suite:
    """The command after `suite`. What `launch` does not know must be options of `train`, whose parser refuses the rest."""
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    described = {"prog": "python -m jaxrl.jedi suite", "description": Suite.__doc__, "config": settings}
    if arguments[:1] != ["launch"]:
        return Suite(tyro.cli(SUITE, args=arguments, **described))
    settings, options = tyro.cli(SUITE, args=arguments, return_unknown_args=True, **described)
    first = planned(settings, options)[0]
    check(parse(command(settings, first, options)[3:]).config)
    return Suite(settings, tuple(options))


def preset_by_device(command: str, env: str) -> PresetName:
    """`tiny` for toys and where there are only CPUs; else the benchmark."""
    name = "tiny" if env in TOYS or platform() == "cpu" else "atari100k"
    print(f"preset {name} (this machine has {device_name()}; choose another with {command} --preset)")
    return name


def parse(arguments: list[str]):
    """The command: first the preset and the game, then everything else with the defaults that these give."""
    if arguments[:1] == ["suite"]:
        return parse_suite(arguments[1:])
    wants_help = {"-h", "--help"} & set(arguments)
    start, name = Start(), "tiny"
    if arguments and arguments[0] in ("train", "plan", "learn"):
        rest = [a for a in arguments[1:] if a not in ("-h", "--help")]
        start, _ = tyro.cli(
            Start, args=rest, return_unknown_args=True, add_help=False, prog=f"python -m jaxrl.jedi {arguments[0]}"
        )
        if arguments[0] == "train" and not wants_help:
            hosts.join(start.distributed)
            if not hosts.is_first():
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        name = start.preset or ("tiny" if wants_help else preset_by_device(arguments[0], start.env))
    config, offline = PRESETS[name](canonical(start.env), start.mode), OFFLINE_PRESETS[name](start.mode)
    described = lambda kind, **values: Annotated[
        kind, tyro.conf.subcommand(kind.__name__.lower(), **({"default": kind(**values)} if values else {}))
    ]
    commands = (
        described(Train, preset=name, mode=start.mode, config=config)
        | described(Learn, preset=name, mode=start.mode, config=offline) | described(Evaluate) | described(Imagine)
        | described(Horizon) | described(Plan, preset=name, mode=start.mode, config=config) | described(Report) | described(Suite)
    )  # fmt: skip
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagConversionOff)
    return tyro.cli(commands, args=arguments, prog="python -m jaxrl.jedi", description=__doc__, config=settings)


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
        case Horizon():
            from jaxrl.jedi.horizon_report import measure_runs

            print(measure_runs(command.run_dir, command.config, command.out, command.sampler))
        case Plan():
            from jaxrl.jedi.plan import plan

            print(plan(settled(command.config), command.timing))
        case Report():
            from jaxrl.jedi.offline_report import write_offline_report
            from jaxrl.jedi.report import write_report
            from jaxrl.jedi.report_seeds import write_seeds_report
            from jaxrl.jedi.seeds import seed_folders

            write = write_seeds_report if seed_folders(command.run_dir) else write_report
            write = write_offline_report if learned_from_data(command.run_dir) else write
            print(f"report: {write(command.run_dir)}")
        case Suite():
            return run_suite(command)
    return 0


def run_train(command: Train) -> int:
    """Train, then write the report."""
    from jaxrl.jedi.report import write_report
    from jaxrl.jedi.report_seeds import write_seeds_report
    from jaxrl.jedi.seeds import train_seeds
    from jaxrl.jedi.train import train

    config, last = settled(command.config), command.config.seed + command.seeds - 1
    name = f"{file_name(config.env)}-{command.preset}"
    ending = f"seed{config.seed}" if command.seeds == 1 else f"seeds{config.seed}-{last}"
    folder = command.run_dir or str(Path("runs") / config.agent.mode / f"{name}-{ending}")
    results = [train(config, folder)] if command.seeds == 1 else train_seeds(config, folder, command.seeds)
    return ended(results, lambda: write_report(folder) if command.seeds == 1 else write_seeds_report(folder))


def run_learn(command: Learn) -> int:
    """Learn, then write the report."""
    from jaxrl.jedi.offline import learn
    from jaxrl.jedi.offline_report import write_offline_report

    config = command.config
    name = file_name(data_name(config.data))
    folder = command.run_dir or str(Path("runs") / config.agent.mode / f"{name}-{command.preset}-seed{config.seed}")
    return ended([learn(config, folder)], lambda: write_offline_report(folder))


def ended(results: list, write: Callable[[], Path]) -> int:
    """Say how a training ended, with its report if it is finished; the exit status."""
    if not all(result.finished for result in results):
        signal = next(result.signal for result in results if not result.finished)
        print(f"stopped by {signal.name}, saved; the same command goes on")
        return 128 + signal
    if hosts.is_first():
        print(f"report: {write()}")
    return 0


def run_evaluate(command: Evaluate) -> int:
    """Play, print, and write if asked; every seed of a folder of seeds, and their mean."""
    from jaxrl.jedi.report_seeds import sentence
    from jaxrl.jedi.seeds import seed_folders

    seeds = seed_folders(command.run_dir)
    if not seeds:
        evaluate_one(command, command.run_dir, command.out)
        return 0
    outs = [command.out and command.out.with_stem(f"{command.out.stem}-{folder.name}") for folder in seeds]
    means = [evaluate_one(command, folder, out, f"{folder.name}, ") for folder, out in zip(seeds, outs, strict=True)]
    print(f"mean return {sentence(means)}")
    return 0


def evaluate_one(command: Evaluate, run_dir: Path, out: Path | None, label: str = "") -> float:
    """Evaluate one run and print a sentence; returns the mean return."""
    from jaxrl.jedi.evaluate import evaluate_run

    config, make_env = any_config(run_dir), None
    if learned_from_data(run_dir):
        from jaxrl.jedi.offline import game_for

        make_env = game_for(run_dir, command.env and canonical(command.env))
    config = replace(config, env=canonical(command.env)) if command.env else config
    summary = evaluate_run(
        run_dir, config, command.episodes, command.seed, command.checkpoint, out, make_env
    )  # fmt: skip
    score = summary.get("human_normalized")
    normalised = "" if score is None else f", human-normalised score {score:.3f}"
    cut = f"; {summary['cut']} games were cut after {config.evaluation.max_steps} steps" if summary["cut"] else ""
    print(
        f"{label}{config.env}: mean return {summary['return']:.2f} (standard deviation {summary['std']:.2f}, from {summary['min']:.2f} to "
        f"{summary['max']:.2f}) over {summary['episodes']} games, {summary['env_steps']} environment steps of training{normalised}{cut}"
    )
    return summary["return"]


def run_imagine(command: Imagine) -> str:
    """Draw imagination beside what was played, or recorded; a sentence on it."""
    from jaxrl.jedi.beside import imagine_runs
    from jaxrl.jedi.recorded import imagine_recorded

    if not any(map(learned_from_data, command.run_dir)):
        scene = (command.actions, command.steps, command.horizon, command.warm_up, command.seed)
        return imagine_runs(command.run_dir, command.out, *scene, command.sampler)
    if command.actions or len(command.run_dir) > 1 or command.sampler != AS_TRAINED or command.horizon is not None:
        raise Refusal(
            "a run that learned from data is shown alone, along the recorded actions: leave out --actions, --horizon, the sampler's "
            "options and other runs"
        )
    return imagine_recorded(command.run_dir[0], command.out, command.steps, command.warm_up, command.seed)


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


def main(arguments: list[str] | None = None) -> int:
    """Entry point. Refusals become one sentence and exit status 2."""
    try:
        keep_programs()
        return run(parse(sys.argv[1:] if arguments is None else arguments))
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
