"""`python -m jaxrl.jedi train | evaluate | imagine | plan | report`."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.envs.make import TOYS, canonical
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.presets import PRESETS
from jaxrl.train import hosts
from jaxrl.train.compiled import keep_programs
from jaxrl.train.config import from_dict
from jaxrl.train.errors import Refusal
from jaxrl.train.parallel import device_name, platform
from jaxrl.train.rundir import read_config

PresetName = Literal["tiny", "small", "atari100k"]


@dataclass(frozen=True)
class Start:
    """What the other defaults depend on."""

    preset: PresetName | None = None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    env: str = "Breakout"
    """A toy (catch, catch-drift, bricks), an Atari game (Breakout, MsPacman, ...) or any Gymnasium id."""
    distributed: hosts.When = "auto"
    """Other processes are met before the first device is touched."""


@dataclass(frozen=True)
class Train:
    """Train JEDI on a game, or go on with a run that was stopped. Ends with a report."""

    preset: PresetName | None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder; resumed if it holds one. Default: runs/jedi/<env>-<preset>-seed<seed>."""
    distributed: hosts.When = "auto"
    """Train with other processes, one per machine (docs/tpu.md). auto: if the environment names a coordinator, Slurm or Open MPI."""


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
    out: Path | None = None
    """Also write every return and the summary to this JSON file."""


@dataclass(frozen=True)
class Imagine:
    """Roll the policy, or given actions, in the real game and inside the world model, side by side."""

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""
    out: Path = Path("imagined.gif")
    """A .gif, a .png (film strip) or a .npz (frames and actions)."""
    actions: tuple[int, ...] = ()
    """Actions to take, by number; without them the policy plays."""
    steps: int = 40
    """Steps, if the policy plays."""
    warm_up: int | None = None
    """Steps that the policy plays in the real game before. Absent: the most eventful stretch of a game is shown."""
    seed: int = 0
    """Of game, policy and imagination."""


@dataclass(frozen=True)
class Plan:
    """Print what a run would take: epochs, updates, FLOPs, memory, and time, from timing three updates of each part here."""

    preset: PresetName | None
    """tiny, small or atari100k. By device if absent."""
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    timing: bool = True
    """Compile and time the updates."""


@dataclass(frozen=True)
class Report:
    """Write the report of a run again."""

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""


def preset_by_device(command: str, env: str) -> PresetName:
    """`tiny` for toys and where there are only CPUs; else the benchmark."""
    name = "tiny" if env in TOYS or platform() == "cpu" else "atari100k"
    print(f"preset {name} (this machine has {device_name()}; choose another with {command} --preset)")
    return name


def parse(arguments: list[str]):
    """The command: first the preset and the game, then everything else with the defaults that these give."""
    wants_help = {"-h", "--help"} & set(arguments)
    start, name = Start(), "tiny"
    if arguments and arguments[0] in ("train", "plan"):
        rest = [a for a in arguments[1:] if a not in ("-h", "--help")]
        start, _ = tyro.cli(
            Start, args=rest, return_unknown_args=True, add_help=False, prog=f"python -m jaxrl.jedi {arguments[0]}"
        )
        if arguments[0] == "train" and not wants_help:
            hosts.join(start.distributed)
            if not hosts.is_first():
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        name = start.preset or ("tiny" if wants_help else preset_by_device(arguments[0], start.env))
    config = PRESETS[name](canonical(start.env))
    described = lambda kind, **values: Annotated[
        kind, tyro.conf.subcommand(kind.__name__.lower(), **({"default": kind(**values)} if values else {}))
    ]
    commands = (
        described(Train, preset=name, config=config) | described(Evaluate) | described(Imagine)
        | described(Plan, preset=name, config=config) | described(Report)
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
        case Evaluate():
            return run_evaluate(command)
        case Imagine():
            from jaxrl.jedi.pictures import compare_run

            print(compare_run(command.run_dir, command.out, command.actions, command.steps, command.warm_up, command.seed))
        case Plan():
            from jaxrl.jedi.plan import plan

            print(plan(settled(command.config), command.timing))
        case Report():
            from jaxrl.jedi.report import write_report

            print(f"report: {write_report(command.run_dir)}")
    return 0


def run_train(command: Train) -> int:
    """Train, then write the report."""
    from jaxrl.jedi.report import write_report
    from jaxrl.jedi.train import train

    config = settled(command.config)
    name = config.env.replace("/", "-").lower()
    folder = command.run_dir or str(Path("runs") / "jedi" / f"{name}-{command.preset}-seed{config.seed}")
    result = train(config, folder)
    if not result.finished:
        print(f"stopped by {result.signal.name}, saved; the same command goes on")
        return 128 + result.signal
    if hosts.is_first():
        print(f"report: {write_report(folder)}")
    return 0


def run_evaluate(command: Evaluate) -> int:
    """Play, print, and write if asked."""
    from jaxrl.jedi.evaluate import evaluate_run

    config = from_dict(JediConfig, read_config(command.run_dir))
    summary = evaluate_run(command.run_dir, config, command.episodes, command.seed, command.checkpoint, command.out)
    score = summary.get("human_normalized")
    normalised = "" if score is None else f", human-normalised score {score:.3f}"
    cut = f"; {summary['cut']} games were cut after {config.evaluation.max_steps} steps" if summary["cut"] else ""
    print(
        f"{config.env}: mean return {summary['return']:.2f} (standard deviation {summary['std']:.2f}, from {summary['min']:.2f} to "
        f"{summary['max']:.2f}) over {summary['episodes']} games, {summary['env_steps']} environment steps of training{normalised}{cut}"
    )
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
