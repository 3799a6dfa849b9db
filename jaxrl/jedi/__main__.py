"""`python -m jaxrl.jedi train | evaluate | imagine | horizon | plan | report`."""

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.envs.make import TOYS, canonical
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.horizon_report import HorizonConfig
from jaxrl.jedi.presets import PRESETS
from jaxrl.jedi.sampling import AS_TRAINED, SamplerChoice
from jaxrl.train.config import from_dict
from jaxrl.train.errors import Refusal
from jaxrl.train.rundir import read_config

PresetName = Literal["tiny", "small", "atari100k"]


@dataclass(frozen=True)
class Start:
    """What the other defaults depend on."""

    preset: PresetName | None = None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    env: str = "Breakout"
    """A toy (catch, catch-drift, bricks), an Atari game (Breakout, MsPacman, ...) or any Gymnasium id."""


@dataclass(frozen=True)
class Train:
    """Train JEDI on a game, or go on with a run that was stopped. Ends with a report."""

    preset: PresetName | None
    """Sizes and schedule: tiny (two CPU cores, minutes), small (one modest GPU), atari100k (the benchmark). By device if absent."""
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """Folder of the run; resumed if it holds one. Default: runs/jedi/<env>-<preset>-seed<seed>."""


@dataclass(frozen=True)
class Evaluate:
    """Play whole games with the policy of a run."""

    run_dir: Path
    """Folder of the run."""
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
    """Roll the policy, or given actions, in the real game and inside the world models of runs, side by side."""

    run_dir: tyro.conf.UseAppendAction[tuple[Path, ...]]
    """Folder of a run. Give the option again for more runs of the same game: each imagines the same real stretch. The policy of
    the first plays."""
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

    run_dir: tyro.conf.UseAppendAction[tuple[Path, ...]]
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
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    timing: bool = True
    """Compile and time the updates."""


@dataclass(frozen=True)
class Report:
    """Write the report of a run again."""

    run_dir: Path
    """Folder of the run."""


def preset_by_device(command: str, env: str) -> PresetName:
    """`tiny` for toys and where there are only CPUs; else the benchmark."""
    import jax

    name = "tiny" if env in TOYS or jax.default_backend() == "cpu" else "atari100k"
    print(f"preset {name} (this machine has {jax.devices()[0].device_kind}; choose another with {command} --preset)")
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
        name = start.preset or ("tiny" if wants_help else preset_by_device(arguments[0], start.env))
    config = PRESETS[name](canonical(start.env))
    described = lambda kind, **values: Annotated[
        kind, tyro.conf.subcommand(kind.__name__.lower(), **({"default": kind(**values)} if values else {}))
    ]
    commands = (
        described(Train, preset=name, config=config) | described(Evaluate) | described(Imagine) | described(Horizon)
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
            from jaxrl.jedi.beside import imagine_runs

            scene = (command.actions, command.steps, command.horizon, command.warm_up, command.seed)
            print(imagine_runs(command.run_dir, command.out, *scene, command.sampler))
        case Horizon():
            from jaxrl.jedi.horizon_report import measure_runs

            print(measure_runs(command.run_dir, command.config, command.out, command.sampler))
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
    folder = command.run_dir or Path("runs") / "jedi" / f"{name}-{command.preset}-seed{config.seed}"
    result = train(config, folder)
    if not result.finished:
        print(f"stopped by {result.signal.name}, saved; the same command goes on")
        return 128 + result.signal
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
        return run(parse(sys.argv[1:] if arguments is None else arguments))
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
