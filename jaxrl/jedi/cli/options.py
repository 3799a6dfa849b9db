"""The commands of `python -m jaxrl.jedi` and their options, made from dataclasses by tyro."""

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxrl.app.cli import program
from jaxrl.app.errors import UserError
from jaxrl.envs.make import TOYS, canonical, names_atari
from jaxrl.jedi.atari100k.launch import Launch, command, planned
from jaxrl.jedi.atari100k.scores import Collect
from jaxrl.jedi.atari100k.table import Table
from jaxrl.jedi.cli.evaluate import EvaluateConfig
from jaxrl.jedi.config import JediConfig, Mode
from jaxrl.jedi.diagnostics.horizon import HorizonConfig
from jaxrl.jedi.diagnostics.open_loop import Stretch
from jaxrl.jedi.diagnostics.sampler import AS_TRAINED, SamplerChoice
from jaxrl.jedi.offline.config import OFFLINE_PRESETS, OfflineConfig
from jaxrl.jedi.offline.import_recordings import ImportConfig
from jaxrl.jedi.presets import PRESETS
from jaxrl.jedi.pretrained import pretrained_folder
from jaxrl.jedi.training.validate import check
from jaxrl.train import hosts
from jaxrl.train.parallel import device_name, platform

MODULE = "jaxrl.jedi"
DESCRIPTION = (
    "train | train-offline | evaluate | imagine | play | horizon | plan | report | export | "
    "import-episodes | suite: "
    "world models of games, and policies learned inside them."
)

PresetName = Literal["tiny", "cpu", "small", "atari100k"]


@dataclass(frozen=True)
class Start:
    """Options that the other defaults depend on."""

    preset: PresetName | None = None
    """Sizes and schedule: tiny (toys, minutes; MinAtar), cpu (an Atari game in a quarter of
    an hour on two cores), small (one modest GPU), atari100k (the benchmark). By device if absent.
    """
    env: str = "Freeway"
    """A toy (catch, catch-drift, bricks), an Atari game (Breakout, MsPacman, ...), any Gymnasium
    id, or my_package.my_game:make.
    """
    mode: Mode = "jedi"
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents
    trained apart).
    """
    distributed: hosts.When = "auto"
    """Other processes are met before the first device is touched."""


@dataclass(frozen=True)
class Train:
    """Train JEDI (or a baseline) on a game, or continue a run that was stopped. Ends with a
    report.
    """

    preset: PresetName | None
    """Sizes and schedule: tiny (toys, minutes; MinAtar), cpu (an Atari game in a quarter of
    an hour on two cores), small (one modest GPU), atari100k (the benchmark). By device if absent.
    """
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents
    trained apart).
    """
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder; resumed if it holds one. Default:
    runs/<mode>/<env>-<preset>-seed<seed>, or -seeds<first>-<last>.
    """
    seeds: int = 1
    """Independent agents, trained by one program: --seed and the numbers after it, each in a folder
    of its own in the run's.
    """
    profile: int | None = None
    """Trace the epoch of this number with jax.profiler, into profile/ in the run's folder. From the
    third on nothing compiles.
    """
    distributed: hosts.When = "auto"
    """Train with other processes, one per machine (docs/tpu.md). auto: if the environment names a
    coordinator, Slurm or Open MPI.
    """


@dataclass(frozen=True)
class Learn:
    """Learn a world model from recorded episodes (docs/your_data.md), or continue a run that was
    stopped. Ends with a report.
    """

    preset: PresetName | None
    """Sizes and numbers of updates: tiny (two CPU cores, minutes), cpu (dense networks),
    small (one modest GPU), atari100k. By device if absent.
    """
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents
    trained apart).
    """
    config: Annotated[OfflineConfig, tyro.conf.arg(name="")]
    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder; resumed if it holds one. Default:
    runs/<mode>/<data>-<preset>-seed<seed>.
    """


@dataclass(frozen=True)
class Evaluate:
    """Play whole games with the policy of a run."""

    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder."""
    pretrained: str | None = None
    """An agent that comes with the package, instead of a run: docs/jedi.md names them."""
    games: Annotated[EvaluateConfig, tyro.conf.arg(name="")] = EvaluateConfig()
    env: str | None = None
    """A game to play instead of the run's own; a run that learned from recorded episodes has none.
    """


@dataclass(frozen=True)
class Imagine:
    """Roll the policy, or given actions, in the real game and inside the world models of runs, side
    by side.
    """

    run_dir: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Folder of a run, also gs://bucket/folder. Give the option again for more runs of the same
    game: each imagines the same real stretch. The policy of the first plays.
    """
    pretrained: str | None = None
    """An agent that comes with the package, before the runs: docs/jedi.md names them."""
    sampler: Annotated[SamplerChoice, tyro.conf.arg(name="")] = AS_TRAINED
    out: Path = Path("imagined.gif")
    """A .gif, a .png (film strip) or a .npz (frames and actions)."""
    actions: tuple[str, ...] = ()
    """Actions to take, by number or name, with how often: 2, left, left*4. Without them the policy
    plays.
    """
    stretch: Annotated[Stretch, tyro.conf.arg(name="")] = Stretch()


@dataclass(frozen=True)
class Play:
    """Steer by keyboard inside the world model of a run, on a local web page."""

    run_dir: str | None = None
    """Folder of the run, also gs://bucket/folder."""
    pretrained: str | None = None
    """An agent that comes with the package, instead of a run: docs/jedi.md names them."""
    sampler: Annotated[SamplerChoice, tyro.conf.arg(name="")] = AS_TRAINED
    port: int = 8770
    """Port of 127.0.0.1 for the page."""
    fps: int = 15
    """Imagined steps per second, if the machine keeps up."""
    seed: int = 0
    """Seed of the choice of situations that imagination begins from."""


@dataclass(frozen=True)
class Horizon:
    """Measure the error of imagination over the horizon, from many starts in freshly played real
    games.
    """

    run_dir: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Folder of a run. Give the option again for more runs of the same game; all imagine the same.
    The policy of the first plays.
    """
    pretrained: str | None = None
    """An agent that comes with the package, before the runs; it needs --out."""
    config: Annotated[HorizonConfig, tyro.conf.arg(name="")] = HorizonConfig()
    sampler: Annotated[SamplerChoice, tyro.conf.arg(name="")] = AS_TRAINED
    out: Path | None = None
    """A .png; the figures come as .json next to it. Default: report/horizon.png in the first run,
    where its report shows it.
    """


@dataclass(frozen=True)
class Plan:
    """Print what a run would take: epochs, updates, FLOPs, memory, and time, from timing three
    updates of each part here.
    """

    preset: PresetName | None
    """tiny, cpu, small or atari100k. By device if absent."""
    mode: Mode
    """The world model: jedi, or a baseline: pixel (diffusion of frames) or separate (latents
    trained apart).
    """
    config: Annotated[JediConfig, tyro.conf.arg(name="")]
    timing: bool = True
    """Compile and time the updates."""


@dataclass(frozen=True)
class Report:
    """Write the report of a run again."""

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""


@dataclass(frozen=True)
class Export:
    """Write the parameters of a run and its configuration as a folder with agent.safetensors and
    config.json, which evaluate, imagine, horizon and play take as --run-dir.
    """

    run_dir: str
    """Folder of the run, also gs://bucket/folder."""
    out: Path
    """The new folder."""
    games: int = 0
    """Games to play with what was written, for its score.json."""
    seed: int = 1000
    """Seed of the games."""


@dataclass(frozen=True)
class ImportEpisodes:
    """Turn recordings of Minari, or .hdf5 files like DIAMOND's, into episode files for
    train-offline.
    """

    config: Annotated[ImportConfig, tyro.conf.arg(name="")]


SUITE = (
    Annotated[Launch, tyro.conf.subcommand("launch")]
    | Annotated[Collect, tyro.conf.subcommand("collect")]
    | Annotated[Table, tyro.conf.subcommand("table")]
)


@dataclass(frozen=True)
class Suite:
    """Atari 100k as a benchmark: launch all games and seeds, collect the scores, compare them with
    published ones.
    """

    command: Annotated[SUITE, tyro.conf.arg(name="")]
    options: tuple[str, ...] = ()
    """Options that `launch` hands to `train`."""


def parse_suite(arguments: list[str]) -> Suite:
    """The command after `suite`. What `launch` does not know must be options of `train`, whose
    parser refuses the rest.
    """
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff)
    described = {
        "prog": f"{program(MODULE)} suite",
        "description": Suite.__doc__,
        "config": settings,
    }
    if arguments[:1] != ["launch"]:
        return Suite(tyro.cli(SUITE, args=arguments, **described))
    settings, options = tyro.cli(SUITE, args=arguments, return_unknown_args=True, **described)
    first = planned(settings, options)[0]
    check(parse(command(settings, first, options)[3:]).config)
    return Suite(settings, tuple(options))


def preset_by_device(command: str, env: str) -> PresetName:
    """`tiny` for toys, the benchmark on accelerators; on CPUs `cpu` for playing Atari, else
    `tiny`.
    """
    name = "tiny" if env in TOYS or platform() == "cpu" else "atari100k"
    if name == "tiny" and command in ("train", "plan") and names_atari(env):
        name = "cpu"
    print(
        f"preset {name} (this machine has {device_name()}; choose another with {command} --preset)"
    )
    return name


RENAMED_OPTIONS = {
    "--schedule.first.": "--schedule.first-epoch.",
    "--schedule.steady.": "--schedule.per-epoch.",
    "--agent.behaviour.spare-starts": "--agent.behavior.num-reset-starts",  # old name
    "--agent.behaviour.": "--agent.behavior.",  # old name
    "--agent.heads.": "--agent.reward-end-learning.",
    "--agent.world-model.heads-gradient": "--agent.world-model.reward-end-gradient",
    "--schedule.first-epoch.heads": "--schedule.first-epoch.reward-end",
    "--schedule.first-epoch.behaviour": "--schedule.first-epoch.behavior",  # old name
    "--schedule.per-epoch.heads": "--schedule.per-epoch.reward-end",
    "--schedule.per-epoch.behaviour": "--schedule.per-epoch.behavior",  # old name
    "--updates.heads": "--updates.reward-end",
    "--updates.behaviour": "--updates.behavior",  # old name
}
"""Options of 0.1, and the present ones; they work until 0.3."""


def with_present_options(arguments: list[str]) -> list[str]:
    """Replace options of version 0.1, with a warning for each."""
    present = []
    for argument in arguments:
        for old, new in RENAMED_OPTIONS.items():
            if argument.replace("_", "-").startswith(old):
                print(f"warning: {old} is called {new} now", file=sys.stderr)
                argument = new + argument[len(old) :]
        present.append(argument)
    return present


def with_folders(command):
    """Put the folder of a pretrained agent into `run_dir`.

    Raises:
      UserError: a command needs a run and has none, or one where it takes only one; no such agent.
    """
    if not isinstance(command, Evaluate | Imagine | Play | Horizon):
        return command
    given, several = command.run_dir, isinstance(command.run_dir, tuple)
    if not given and command.pretrained is None:
        raise UserError("name a run with --run-dir, or an agent with --pretrained")
    if command.pretrained is None:
        return command
    if given and not several:
        raise UserError("--run-dir and --pretrained name one agent each: leave one out")
    if isinstance(command, Horizon) and command.out is None:
        raise UserError("--pretrained has no report to write to: name a .png file with --out")
    folder = str(pretrained_folder(command.pretrained))
    return replace(command, run_dir=(folder, *given) if several else folder)


def parse(arguments: list[str]):
    """The command: first the preset and the game, then everything else with the defaults that these
    give.
    """
    if arguments[:1] == ["suite"]:
        return parse_suite(arguments[1:])
    if arguments[:1] == ["learn"]:  # its name in 0.1
        arguments = ["train-offline", *arguments[1:]]
    arguments = with_present_options(arguments)
    wants_help = {"-h", "--help"} & set(arguments)
    start, name = Start(), "tiny"
    if arguments and arguments[0] in ("train", "plan", "train-offline"):
        rest = [a for a in arguments[1:] if a not in ("-h", "--help")]
        start, _ = tyro.cli(
            Start,
            args=rest,
            return_unknown_args=True,
            add_help=False,
            prog=f"{program(MODULE)} {arguments[0]}",
        )
        if arguments[0] == "train" and not wants_help:
            hosts.join(start.distributed)
            if not hosts.is_first():
                sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        name = start.preset or ("tiny" if wants_help else preset_by_device(arguments[0], start.env))
    config, offline = (
        PRESETS[name](canonical(start.env), start.mode),
        OFFLINE_PRESETS[name](start.mode),
    )

    def described(kind, **values):
        command = "train-offline" if kind is Learn else kind.__name__.lower()
        default = {"default": kind(**values)} if values else {}
        return Annotated[kind, tyro.conf.subcommand(command, **default)]

    commands = (
        described(Train, preset=name, mode=start.mode, config=config)
        | described(Learn, preset=name, mode=start.mode, config=offline)
        | described(Evaluate)
        | described(Imagine)
        | described(Play)
        | described(Horizon)
        | described(Plan, preset=name, mode=start.mode, config=config)
        | described(Report)
        | described(Export)
        | Annotated[ImportEpisodes, tyro.conf.subcommand("import-episodes")]
        | described(Suite)
    )
    settings = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagConversionOff)
    return with_folders(
        tyro.cli(
            commands, args=arguments, prog=program(MODULE), description=DESCRIPTION, config=settings
        )
    )
