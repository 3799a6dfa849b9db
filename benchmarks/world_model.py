"""JEDI compared with pixel diffusion and separately trained latents: memory, imagination, training,
in one run.

`python -m benchmarks.world_model` measures each mode in a process of its own, with the same batch,
horizon, denoising passes and precision, prints one table with ratios to "pixel", and writes
`results/world_model-PRESET.json`.

`--target cuda` compiles for an H100 that need not be there and reports memory and kernels of the
GPU programs; nothing is timed. On a CPU, `--batch` and `--horizon` are small by default, so that a
pixel rollout ends; the ratios are what matters. `--external FILE` adds a column measured elsewhere
(say, by a PyTorch program on the same machine), a JSON object with any of the figures
"memory_bytes", "imagination_frames_per_s" and "seconds_per_triple", and the texts "name" and
"hardware", which head the column. Its batch, horizon and precision are for you to keep equal.
"""

import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.app.errors import UserError

MODES = ("pixel", "separate", "jedi", "jedi-patch")
"""Modes that are compared; "jedi-patch" is jedi with the encoder that folds squares into channels.
"""
UPDATES = ("world_model", "reward_end", "behavior")


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    preset: Literal["tiny", "small", "atari100k"] = "atari100k"
    """Sizes."""
    modes: tuple[str, ...] = MODES
    """Any of pixel, separate, jedi, jedi-patch."""
    target: Literal["here", "cuda"] = "here"
    """Measure on this machine, or compile for an H100."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic, the same for all."""
    batch: int | None = None
    """Segments and trajectories per update. Default: the preset's, but 4 on a CPU."""
    horizon: int | None = None
    """Imagined steps. Default: the preset's, but 3 on a CPU."""
    repeats: int = 5
    """Calls timed after a first one; the median counts."""
    actions: int = 4
    """Actions of the game."""
    external: Path | None = None
    """JSON of a measurement made elsewhere."""


def measured_mode(settings: Settings, mode: str) -> dict[str, Any]:
    """Everything about one mode; in the process of its own."""
    import jax

    from benchmarks.programs import agent_config, agent_shapes, compile_for, programs
    from jaxrl.jedi.presets import PRESETS
    from jaxrl.replay.buffer import frame_bytes
    from jaxrl.train.flops import peak_flops
    from jaxrl.train.state import count_params

    jax.config.update("jax_enable_compilation_cache", False)
    config = PRESETS[settings.preset]("Breakout", mode.removesuffix("-patch"))
    side = config.game.frame_size
    own = agent_config(config.agent, settings.batch, settings.horizon, settings.precision)
    if mode.endswith("-patch"):
        own = replace(own, encoder=replace(own.encoder, kind="patch"))
    agent = agent_shapes(own, settings.actions, (side, side, 3))
    found: dict[str, Any] = {
        "parameters": {
            name: count_params(getattr(agent, name).params)
            for name in ("world", "reward_end", "policy")
        },
        "state_bytes": sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(agent)),
        "replay_bytes": frame_bytes(config.replay, (side, side, 3)),
        "updates_per_epoch": {name: getattr(config.schedule.per_epoch, name) for name in UPDATES},
        "programs": {},
    }
    for name, (function, batch, donate) in programs(agent, (side, side, 3)).items():
        compiled = compile_for(settings.target, function, agent, batch, donate)
        figures = {
            f.name: getattr(compiled, f.name)
            for f in dataclasses.fields(compiled)
            if f.name != "run"
        }
        if settings.target == "here":
            figures["seconds"] = timed(compiled.run, own, batch, settings, donate, side)
        found["programs"][name] = figures
        print(f"{mode}: {name} {json.dumps(figures)}", file=sys.stderr, flush=True)
    found["memory_bytes"] = max(found["programs"][name]["memory_bytes"] for name in UPDATES)
    device = jax.devices()[0]
    most = peak_flops(device.device_kind, settings.precision) if settings.target == "here" else None
    return found | {
        "peak_bytes": (device.memory_stats() or {}).get("peak_bytes_in_use"),
        "peak_flops": most,
    }


def timed(program, config, batch, settings: Settings, donate: bool, side: int) -> float:
    """Median seconds of a call, after a first one.

    Args:
      program: `program(agent, batch, key)`, compiled.
      config: configuration of the agent.
      batch: shapes of a batch.
      settings: number of actions and of repeats.
      donate: True if the program donates the agent's buffers and returns the new agent first.
      side: pixels of a frame's side.
    """
    import jax

    from benchmarks.programs import made_up_batch
    from jaxrl.jedi.agent import init

    agent = init(config, settings.actions, (side, side, 3), jax.random.key(0))
    real, key, seconds = made_up_batch(batch, settings.actions), jax.random.key(3), []
    for _ in range(settings.repeats + 1):
        began = time.perf_counter()
        out = jax.block_until_ready(program(agent, real, key))
        seconds.append(time.perf_counter() - began)
        agent = out[0] if donate else agent
    return statistics.median(seconds[1:])


def in_own_process(settings: Settings, mode: str) -> dict[str, Any]:
    """`measured_mode` in a fresh process, so that no mode finds the memory or programs of
    another.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answer = Path(folder) / "asked.json", Path(folder) / "answer.json"
        plain = {
            k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(settings).items()
        }
        asked.write_text(json.dumps(plain | {"mode": mode}))
        command = [
            sys.executable,
            "-m",
            "benchmarks.world_model",
            "--child",
            str(asked),
            str(answer),
        ]
        here = (
            {"JAX_PLATFORMS": "cpu"} if settings.target == "cuda" else {}
        )  # the plugin compiles, but finds no GPU to start
        done = subprocess.run(command, check=False, env=os.environ | here)
        if done.returncode:
            raise UserError(
                f"measuring mode {mode} failed (exit status {done.returncode}); its message stands "
                "above"
            )
        return json.loads(answer.read_text())


def child(asked: str, answer: str) -> int:
    """The process of one mode."""
    values = json.loads(Path(asked).read_text())
    mode = values.pop("mode")
    settings = Settings(**values | {"modes": tuple(values["modes"])})
    try:
        Path(answer).write_text(json.dumps(measured_mode(settings, mode)))
    except RuntimeError as error:
        print(f"benchmarks.world_model: {error}", file=sys.stderr)
        return 2
    return 0


def summary(found: dict[str, Any], settings: Settings) -> dict[str, float | None]:
    """The figures that are compared."""
    programs = found["programs"]

    def sum_of(key):
        return sum(programs[name][key] for name in UPDATES)

    frames = settings.batch * settings.horizon
    timing = settings.target == "here"

    def per_s(name):
        return frames / programs[name]["seconds"] if timing else None

    epoch, most = found["updates_per_epoch"], found["peak_flops"]

    def used(flops, seconds):
        return flops / seconds / most if timing and most else None

    imagination = programs["imagination"]
    return {
        "parameters": sum(found["parameters"].values()),
        "memory_bytes": found["memory_bytes"],
        "memory_with_replay_bytes": found["memory_bytes"] + found["replay_bytes"],
        "peak_bytes": found["peak_bytes"],
        "imagination_frames_per_s": per_s("imagination"),
        "imagination_without_policy_frames_per_s": per_s("imagination without policy"),
        "seconds_per_triple": sum_of("seconds") if timing else None,
        "seconds_per_epoch": sum(epoch[name] * programs[name]["seconds"] for name in UPDATES)
        if timing
        else None,
        "flops_per_triple": sum_of("flops"),
        "flops_of_imagination": imagination["flops"],
        "flops_utilisation_of_triple": used(sum_of("flops"), sum_of("seconds") if timing else None),
        "flops_utilisation_of_imagination": used(imagination["flops"], imagination.get("seconds")),
        "kernels_per_triple": None if timing else sum_of("kernels"),
        "kernels_of_imagination": imagination["kernels"],
        "compile_seconds": sum(part["compile_seconds"] for part in programs.values()),
    }


HIGHER_IS_BETTER = ("imagination_frames_per_s", "imagination_without_policy_frames_per_s")


def ratios(rows: dict[str, dict], to: str = "pixel") -> dict[str, dict[str, float]]:
    """Every figure relative to the pixel mode's: how many times less it takes, or more it does."""
    if to not in rows:
        return {}
    return {
        mode: {
            name: value / rows[to][name] if name in HIGHER_IS_BETTER else rows[to][name] / value
            for name, value in row.items()
            if value and rows[to].get(name) and not name.startswith("flops_utilisation")
        }
        for mode, row in rows.items()
        if mode != to
    }


SPEED_GOALS = {"cpu": (15, 10), "float32": (8, 5), "bfloat16": (4, 5)}
"""Times pixel diffusion, in imagination and in one update of each part, of one seed: on a CPU,
which computes all the time; and on an accelerator by precision, where the small programs of latents
wait for their launches.
"""


def claims(
    relative: dict[str, dict[str, float]], settings: Settings, platform: str = "cpu"
) -> list[Claim]:
    """The goals for the benchmark's sizes on a platform ("cpu", "gpu", "tpu"); what was not
    measured is not claimed.
    """
    what = f"{settings.precision}, batch {settings.batch}, horizon {settings.horizon}, 1 seed"
    target = "GPU programs compiled for an H100" if settings.target == "cuda" else "this machine"
    found = []
    jedi, patch = relative.get("jedi", {}), relative.get("jedi-patch", {})

    def claim(row, key, sentence, goal, direction, figure):
        if key in row:
            sentence = f"{sentence} ({target}; {what})"
            found.append(Claim(sentence, goal, direction, figure(row[key])))

    def share(row, key, text, goal):
        text = f"{text}, share of pixel diffusion's"
        claim(row, key, text, goal, "<=", lambda times: round(1 / times, 4))

    def times(row, key, text, goal):
        text = f"{text}, times pixel diffusion"
        claim(row, key, text, goal, ">=", lambda times: round(times, 3))

    if settings.target == "cuda" or platform != "cpu":
        share(jedi, "memory_bytes", "JEDI, memory of the worst update and the state", 0.30)
        share(
            jedi, "memory_with_replay_bytes", "JEDI, the same with the replay on the device", 0.45
        )
        share(
            patch,
            "memory_bytes",
            "JEDI with the patch encoder, memory of the worst update and the state",
            0.15,
        )
    imagination, triple = SPEED_GOALS["cpu" if platform == "cpu" else settings.precision]
    times(
        jedi,
        "imagination_frames_per_s",
        "JEDI, imagined frames per second with policy",
        imagination,
    )
    times(jedi, "seconds_per_triple", "JEDI, speed of one update of each part", triple)
    return found


def show(rows: dict[str, dict], relative: dict[str, dict[str, float]]) -> None:
    """One table in Markdown."""
    names = list(rows)
    print(f"{'':<42}" + "".join(f"{name:>22}" for name in names))
    for figure in next(iter(rows.values())):
        cells = []
        for mode in names:
            value, ratio = rows[mode].get(figure), relative.get(mode, {}).get(figure)
            text = "-" if value is None else f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
            cells.append(text + (f" ({ratio:.3g}x)" if ratio else ""))
        print(f"{figure.replace('_', ' '):<42}" + "".join(f"{cell:>22}" for cell in cells))


def settled(settings: Settings) -> Settings:
    """With batch and horizon filled in.

    Raises:
      UserError: an unknown mode, or sizes below 1.
    """
    import jax

    from jaxrl.jedi.presets import PRESETS

    unknown = [mode for mode in settings.modes if mode not in MODES]
    if unknown or not settings.modes:
        raise UserError(
            f"--modes {' '.join(unknown) or 'is empty'}: choose among {', '.join(MODES)}"
        )
    learning = PRESETS[settings.preset]("Breakout").agent.behavior
    slow = (
        settings.target == "here" and jax.default_backend() == "cpu" and settings.preset != "tiny"
    )
    chosen = replace(
        settings,
        batch=settings.batch if settings.batch is not None else 4 if slow else learning.batch,
        horizon=settings.horizon
        if settings.horizon is not None
        else 3
        if slow
        else learning.horizon,
    )
    if min(chosen.batch, chosen.horizon, chosen.repeats, chosen.actions) < 1:
        raise UserError("--batch, --horizon, --repeats and --actions must be at least 1")
    return chosen


EXTERNAL = ("memory_bytes", "imagination_frames_per_s", "seconds_per_triple")
"""Figures that a measurement made elsewhere may hold."""


def external_column(path: Path) -> tuple[str, dict[str, float]]:
    """Header of a measurement made elsewhere, and its figures.

    Raises:
      UserError: the file is not such a JSON object.
    """
    try:
        given = json.loads(path.read_text())
        known = {key: float(given[key]) for key in EXTERNAL if key in given}
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"--external {path} cannot be read ({error}): give a JSON object of numbers"
        ) from None
    if not known:
        raise UserError(f"--external {path} has none of {', '.join(EXTERNAL)}")
    wrong = [key for key, value in known.items() if not (value > 0 and math.isfinite(value))]
    if wrong:
        raise UserError(
            f"--external {path}: {wrong[0]} is {given[wrong[0]]}: it must be a positive number"
        )
    name = str(given.get("name", path.stem))
    return (f"{name}, {given['hardware']}" if "hardware" in given else name), known


def measure(settings: Settings) -> Path:
    """Measure all modes, print, and write the result; returns its path."""
    from jaxrl.train.parallel import platform

    settings = settled(settings)
    extra = {} if settings.external is None else dict([external_column(settings.external)])
    found = {mode: in_own_process(settings, mode) for mode in settings.modes}
    rows = {mode: summary(figures, settings) for mode, figures in found.items()} | extra
    relative = ratios(rows)
    made = claims(relative, settings, platform())
    show(rows, relative)
    for claim in made:
        print(f"{claim.claim}: {claim.measured:.3g} (goal {claim.direction} {claim.goal:g})")
    asked = {
        k: str(v) if isinstance(v, Path) else v for k, v in dataclasses.asdict(settings).items()
    }
    target = "" if settings.target == "here" else f"-{settings.target}"
    name = f"world_model-{settings.preset}-{settings.precision}{target}"
    return record(
        name, {"settings": asked, "summary": rows, "ratios": relative, "modes": found}, made
    )


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--child"] and len(arguments) == 3:
        return child(*arguments[1:])
    os.environ.setdefault(
        "XLA_PYTHON_CLIENT_PREALLOCATE", "false"
    )  # this process must not take the memory of those that measure
    return command.run("world_model", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
