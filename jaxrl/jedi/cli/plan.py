"""Estimate of a run before it is begun: epochs, updates, arithmetic, memory, and time measured
on three updates of each part.
"""

import dataclasses
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxrl.app.errors import UserError
from jaxrl.app.progress import duration
from jaxrl.envs.single import as_host
from jaxrl.jedi.agent import AgentState, init
from jaxrl.jedi.config import JediConfig, Updates
from jaxrl.jedi.learn import loops
from jaxrl.jedi.learn.loops import Phase, phases_of
from jaxrl.jedi.play.game import make_game
from jaxrl.jedi.training.validate import check
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay, Transitions
from jaxrl.train.flops import count_flops, peak_flops
from jaxrl.train.parallel import compute_dtype, device_name, platform
from jaxrl.train.state import count_params

TIMED = 3
"""Updates timed of each part."""


@dataclasses.dataclass(frozen=True)
class PartCost:
    """Cost of the updates of one part on this machine."""

    flops: int
    """Floating-point operations of one update: matrix products and convolutions."""
    temporary_bytes: int | None
    """Memory of one update, without state and replay."""
    seconds: float
    """Wall time of one update."""
    compile_seconds: float


def total_updates(config: JediConfig) -> tuple[int, Updates]:
    """Epochs and updates of a whole run, if no extra random steps are needed and the gate opens in
    the first epoch.
    """
    schedule = config.schedule
    playing = -(-max(schedule.env_steps - schedule.initial_steps, 0) // schedule.steps_per_epoch)
    later = playing + schedule.final_epochs
    sums = {
        name: getattr(schedule.first_epoch, name) + later * getattr(schedule.per_epoch, name)
        for name in (f.name for f in dataclasses.fields(Updates))
    }
    return 1 + later, Updates(**sums)


def made_up_replay(
    config: JediConfig, num_actions: int, frame_shape: tuple[int, int, int]
) -> Replay:
    """A small replay full of noise: the updates take as long on it as on the real one."""
    lanes, steps = config.game.num_envs, 64
    rng = np.random.default_rng(0)
    small = dataclasses.replace(config.replay, capacity=4 * steps * lanes, episodes=64)
    frames = rng.integers(0, 256, (steps + 1, lanes, *frame_shape), np.uint8)
    end = rng.random((steps, lanes)) < 0.05
    chunk = Transitions(
        frames[:-1],
        rng.integers(0, num_actions, (steps, lanes), np.int32),
        rng.integers(-1, 2, (steps, lanes)).astype(np.float32),
        end,
        np.zeros_like(end),
        frames[1:],
    )
    return jax.jit(buffer.append)(buffer.init(small, lanes, frame_shape), chunk)


def cost_of(phase: Phase, agent: AgentState, replay: Replay) -> PartCost:
    """Compile and time `TIMED` updates of a part."""
    key, zero = jax.random.key(0), jnp.int32(0)
    began = time.perf_counter()
    program = (
        jax.jit(loops.run_phase, static_argnums=0)
        .lower(phase, agent, replay, key, zero, zero)
        .compile()
    )
    compile_seconds = time.perf_counter() - began
    jax.block_until_ready(program(agent, replay, key, zero, jnp.int32(1)))
    began = time.perf_counter()
    jax.block_until_ready(program(agent, replay, key, zero, jnp.int32(TIMED)))
    seconds = (time.perf_counter() - began) / TIMED
    memory = program.memory_analysis()
    flops = count_flops(partial(loops.run_phase, phase), agent, replay, key, zero, jnp.int32(1))
    return PartCost(flops, getattr(memory, "temp_size_in_bytes", None), seconds, compile_seconds)


def seconds_per_step(config: JediConfig, env) -> float:
    """Seconds of one step of the game itself."""
    game = as_host(env)
    game.reset(0)
    game.step(0)
    began = time.perf_counter()
    for _ in range(50):
        if game.step(0).game_over:
            game.reset(1)
    return (time.perf_counter() - began) / 50


def plan(config: JediConfig, timing: bool = True) -> str:
    """The command `plan`: a table.

    Raises:
      UserError: the settings do not fit together, or there is no such game.
    """
    check(config)
    parts = phases_of(config.agent)
    env = make_game(config)
    try:
        shapes = jax.eval_shape(
            lambda: init(config.agent, env.num_actions, env.frame_shape, jax.random.key(0))
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    epochs, updates = total_updates(config)
    schedule = config.schedule
    sizes = {
        "encoder": shapes.world.params["encoder"],
        "denoiser": shapes.world.params["denoiser"],
        "reward and end": shapes.reward_end.params,
        "policy and value": shapes.policy.params,
        "decoder": shapes.world.params.get("decoder", shapes.probe.params),
    }
    frames = buffer.frame_bytes(config.replay, env.frame_shape)
    lines = [
        f"game        {config.env}: {env.num_actions} actions, frames "
        f"{env.frame_shape[0]}x{env.frame_shape[1]}, latents "
        f"{'x'.join(map(str, shapes.spec.latent_shape))}",
        f"device      {platform()} ({device_name()})",
        "parameters  "
        + ", ".join(f"{name} {count_params(params):,}" for name, params in sizes.items() if params),
        f"schedule    {epochs:,} epochs: {schedule.initial_steps:,} random steps, then "
        f"{schedule.steps_per_epoch} steps per epoch up to "
        f"{schedule.env_steps:,}, then {schedule.final_epochs} epochs without play",
        f"replay      {config.replay.capacity:,} frames, {frames / 2**20:,.0f} MiB",
        "",
    ]
    head = f"{'part':<12}{'first epoch':>12}{'per epoch':>11}{'whole run':>12}"
    if not timing:
        return "\n".join([*lines, head, *(_row(name, config, updates) for name in parts)])

    agent = init(config.agent, env.num_actions, env.frame_shape, jax.random.key(0))
    replay = made_up_replay(config, env.num_actions, env.frame_shape)
    costs = {name: cost_of(phase, agent, replay) for name, phase in parts.items()}
    lines.append(head + f"{'ms/update':>11}{'GFLOP/update':>14}{'MiB/update':>12}{'compile s':>11}")
    for name, cost in costs.items():
        memory = "?" if cost.temporary_bytes is None else f"{cost.temporary_bytes / 2**20:,.0f}"
        lines.append(
            _row(name, config, updates)
            + f"{cost.seconds * 1e3:>11,.1f}{cost.flops / 1e9:>14,.2f}{memory:>12}"
            + f"{cost.compile_seconds:>11.1f}"
        )
    peak = peak_flops(device_name(), str(compute_dtype(config.agent.precision)))
    step = seconds_per_step(config, env)

    def spent(counts):
        return sum(getattr(counts, name) * cost.seconds for name, cost in costs.items())

    compiling = sum(cost.compile_seconds for cost in costs.values())
    arithmetic = sum(getattr(updates, name) * cost.flops for name, cost in costs.items())
    used = (
        ""
        if peak is None
        else f", {arithmetic / spent(updates) / peak:.1%} of this device's peak while learning"
    )
    lines += [
        "",
        f"arithmetic  {arithmetic:.2e} floating-point operations in the whole run, without the "
        f"game{used}",
        f"one step of the game takes {step * 1e3:.1f} ms; compiling {duration(compiling)} in all",
        f"first epoch {duration(spent(schedule.first_epoch) + schedule.initial_steps * step)}, "
        f"every other {duration(spent(schedule.per_epoch) + schedule.steps_per_epoch * step)}",
        f"whole run   {duration(spent(updates) + schedule.env_steps * step + compiling)}, besides "
        "evaluation",
    ]
    return "\n".join(lines)


def _row(name: str, config: JediConfig, updates: Updates) -> str:
    schedule = config.schedule
    first, steady, total = (
        getattr(schedule.first_epoch, name),
        getattr(schedule.per_epoch, name),
        getattr(updates, name),
    )
    return f"{name.replace('_', ' '):<12}{first:>12,}{steady:>11,}{total:>12,}"
