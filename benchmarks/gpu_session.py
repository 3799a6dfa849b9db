"""Everything that a short loan of an accelerator should answer, as one command with a time limit.

`scripts/gpu_session.sh` (or `python -m benchmarks.gpu_session`) runs these parts one after the
other, each in a process of its own, and writes `gpu_session.json` into `--out` after every part, so
that an interruption loses one part at most:

  search       nearest codes by XLA, by tiles and by the fused kernel agree, and how long each takes
  world_model  the three modes side by side, float32 and bfloat16 (benchmarks.world_model)
  seeds        five agents in one program against one (benchmarks.seeds)
  toy          whole trainings on catch, play included, as one program for many seeds
  train        JEDI on an Atari game at the benchmark's sizes until the time is up

A part that cannot run (no emulator, say) is recorded with its reason. `--rehearse` does the same at
toy sizes on any machine; its figures are marked as a rehearsal. Nothing needs a network.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recording import commit, hardware, versions
from jaxrl.train.rundir import write_atomically

SAVING = 45.0
"""Seconds kept back for the training to save after it is asked to stop."""


@dataclass(frozen=True)
class Part:
    """One question, and how it is asked."""

    name: str
    command: list[str]
    seconds: float
    """Share of the session, in (0, 1], after which it is ended."""


def parts(rehearse: bool, out: Path, game: str, left: float) -> list[Part]:
    """The parts in order, with limits that leave most of the time to the training.

    Args:
      rehearse: make all parts small, as a test on a CPU.
      out: folder of the results.
      game: game of the training.
      left: seconds of the session; at 0 or less no part is made.
    """
    python = [sys.executable, "-m"]
    own = [*python, "benchmarks.gpu_session", "--part"]
    run = [*python, "jaxrl.jedi", "train", "--run-dir", str(out / "run"), "--env", game]
    if rehearse:
        small = ["--preset", "tiny", "--batch", "2", "--horizon", "2", "--repeats", "1"]
        modes = [("float32", ["--modes", "pixel", "jedi"])]
        seeds = ["--preset", "tiny", "--seeds", "1", "2", "--updates", "1", "--repeats", "1"]
        run += ["--preset", "tiny"]
        share = {"search": 0.1, "world_model": 0.4, "seeds": 0.3, "toy": 0.3}
    else:
        small = ["--preset", "atari100k", "--repeats", "3"]
        modes = [("float32", []), ("bfloat16", [])]
        seeds = ["--preset", "small", "--env", "catch", "--seeds", "1", "5", "--updates", "10"]
        run += ["--preset", "atari100k"]
        share = {"search": 0.05, "world_model": 0.13, "seeds": 0.12, "toy": 0.15}
    return (
        [
            Part(
                "search", [*own, "search", *(["--rehearse"] if rehearse else [])], share["search"]
            ),
            *(
                Part(
                    f"world_model_{precision}",
                    [*python, "benchmarks.world_model", *small, "--precision", precision, *options],
                    share["world_model"],
                )
                for precision, options in modes
            ),
            Part("seeds", [*python, "benchmarks.seeds", *seeds], share["seeds"]),
            Part("toy", [*own, "toy", *(["--rehearse"] if rehearse else [])], share["toy"]),
            Part("train", run, 1.0),
        ]
        if left > 0
        else []
    )


def run_part(part: Part, limit: float, log: Path) -> dict:
    """Run a part for at most `limit` seconds; how it ended. SIGTERM first, so that it can save."""
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(part.command, stdout=file, stderr=subprocess.STDOUT)
        try:
            code, stopped = process.wait(max(limit, 1.0)), False
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGTERM)
            stopped = True
            try:
                code = process.wait(SAVING)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
    tail = log.read_text("utf-8", "replace").strip().splitlines()[-5:]
    return {
        "command": " ".join(part.command[1:]),
        "seconds": round(time.monotonic() - began, 1),
        "exit": code,
        "stopped_by_the_clock": stopped,
        "last_lines": tail,
    }


def printed_json(lines: list[str]) -> dict | None:
    """The object that one of our own parts prints last."""
    for line in reversed(lines):
        if line.startswith("{"):
            return json.loads(line)
    return None


def new_results(folder: Path, since: float) -> dict[str, dict]:
    """Figures and claims of the records that a part has written into `folder`."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        if path.stat().st_mtime >= since:
            result = json.loads(path.read_text())
            found[path.stem] = {"figures": result["figures"], "claims": result["claims"]}
    return found


def curve(run: Path) -> list[dict]:
    """Progress of the training: steps, seconds, return, and updates made."""
    from jaxrl.jedi.report.rows import read_rows

    rows = read_rows(run) if (run / "metrics.jsonl").exists() else []
    kept = ("epoch", "env_steps", "time/total", "collect/return", "evaluate/return")
    return [{name: row.get(name) for name in kept} for row in rows]


def search(rehearse: bool) -> dict:
    """Do all ways of the nearest-code search agree, and how long does each take?"""
    import jax

    from quant.codebooks.nearest import nearest

    rows, codes, width = (64, 32, 8) if rehearse else (16_384, 8_192, 64)
    kx, kc = jax.random.split(jax.random.key(0))
    x, codebook = jax.random.normal(kx, (rows, width)), jax.random.normal(kc, (codes, width))
    found, first = {"rows": rows, "codes": codes, "width": width}, None
    for way in ("xla", "scan", "pallas"):

        def run(x, codebook, way=way):
            return nearest(x, codebook, way=way)

        run = jax.jit(run)
        index, distance = jax.block_until_ready(run(x, codebook))
        began = time.perf_counter()
        for _ in range(3):
            jax.block_until_ready(run(x, codebook))
        seconds = (time.perf_counter() - began) / 3
        first = (index, distance) if first is None else first
        found[way] = {
            "seconds": seconds,
            "same_index": float((index == first[0]).mean()),
            "largest_difference": float(abs(distance - first[1]).max()),
        }
    return found


def toy(rehearse: bool) -> dict:
    """Train catch with many seeds at once, play included, in one program."""
    from dataclasses import replace
    from functools import partial

    import jax
    import jax.numpy as jnp

    from jaxrl.envs.make import make
    from jaxrl.jedi.agent import init
    from jaxrl.jedi.algorithm import Counts, EpochPlan, Run, run_epochs_of_seeds
    from jaxrl.jedi.play.collect import new_players, play
    from jaxrl.jedi.play.evaluate import play_games
    from jaxrl.jedi.presets import tiny
    from jaxrl.replay import buffer
    from jaxrl.train.compiled import jit_once

    config = tiny("catch")
    seeds, epochs = (1, 1) if rehearse else (64, 10)
    lanes = config.game.num_envs
    if rehearse:
        config = replace(config, schedule=replace(config.schedule, initial_steps=128))
    env = make("catch", config.game.frame_size)
    first = config.schedule.initial_steps // lanes
    steps = config.schedule.steps_per_epoch // lanes

    def begin(key):
        agent = init(config.agent, env.num_actions, env.frame_shape, key)
        players = new_players(env, agent, lanes, key)
        replay = buffer.init(config.replay, lanes, env.frame_shape)
        players, chunk, _ = play(env, agent, players, key, first, jnp.float32(1.0))
        replay = buffer.append(replay, chunk)
        played = jnp.int32(config.schedule.initial_steps)
        return Run(agent, replay, jnp.int32(0), jnp.bool_(False), players, played)

    keys = jax.random.split(jax.random.key(0), seeds)
    states = jit_once(jax.vmap(begin))(keys)
    counts = (1, 1, 1, 0, 1) if rehearse else (400, 150, 80, 0, 80)
    counts = Counts(*map(jnp.int32, counts))
    train = jax.jit(run_epochs_of_seeds, static_argnums=(0, 1, 2))
    evaluate = jax.jit(jax.vmap(partial(play_games, env, episodes=32, max_steps=50)))

    began = time.perf_counter()
    plan = EpochPlan(config.gate, steps)
    runs, _ = jax.block_until_ready(train(env, plan, epochs, states, keys, counts))
    seconds = time.perf_counter() - began
    returns, _ = evaluate(runs.agent, key=keys)
    means = returns.mean(1)
    return {
        "seeds": seeds,
        "epochs": epochs,
        "env_steps_per_seed": config.schedule.initial_steps + epochs * steps * lanes,
        "seconds_with_compilation": seconds,
        "mean_return": float(means.mean()),
        "seeds_above_0.6": int((means > 0.6).sum()),
    }


def session(options: argparse.Namespace) -> Path:
    """Run all parts within the time; the path of the result."""
    ends = time.monotonic() + 60 * options.minutes
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "gpu_session.json"
    result = {
        "rehearsal": options.rehearse,
        "commit": commit(),
        "versions": versions(),
        "minutes": options.minutes,
        "hardware": None,
        "parts": {},
    }
    total = 60 * options.minutes
    for part in parts(options.rehearse, options.out, options.env, total):
        left = ends - time.monotonic() - SAVING
        if left < 5:
            result["parts"][part.name] = {"not_run": "the time was up"}
            continue
        print(f"{part.name}, {min(left, part.seconds * total):.0f} s at most", flush=True)
        since = time.time()
        log = options.out / f"{part.name}.log"
        found = run_part(part, min(left, part.seconds * total), log)
        found["results"] = (
            curve(options.out / "run")
            if part.name == "train"
            else printed_json(log.read_text("utf-8", "replace").splitlines())
            or new_results(options.out / "results", since)
        )
        result["parts"][part.name] = found
        write_atomically(path, json.dumps(result, indent=2) + "\n")
    result["hardware"] = hardware()  # last: it takes the device, which the parts need
    write_atomically(path, json.dumps(result, indent=2) + "\n")
    return path


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("gpu_session"), help="folder for results")
    parser.add_argument("--minutes", type=float, default=10.0, help="for everything together")
    parser.add_argument("--env", default="UpNDown", help="the game that is trained at the end")
    parser.add_argument("--rehearse", action="store_true", help="toy sizes, on any machine")
    parser.add_argument("--part", choices=("search", "toy"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part:
        print(json.dumps({"search": search, "toy": toy}[options.part](options.rehearse)))
        return
    if options.minutes <= 1.5:
        parser.error(f"--minutes is {options.minutes}: at least 1.5 are needed, to save at the end")
    # The parts' own records stay in this session's folder: a rehearsal must not replace a result.
    os.environ["LATENTAX_RESULTS"] = str((options.out / "results").absolute())
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    print(session(options))


if __name__ == "__main__":
    main()
