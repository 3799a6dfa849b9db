"""The programs that make up training a world model, and what can be said of each without running
it: memory, kernels, arithmetic.

A program can be compiled for the machine at hand, or ahead of time for an NVIDIA H100 that is not
there: only the CUDA plugin of JAX
must be installed (`pip install "jax[cuda12]"`). Memory and kernels are then those of the real GPU
program, before autotuning.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, init
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.imagination import advance, begin, imagine
from jaxrl.jedi.learn.loops import Phase, phases_of
from jaxrl.replay.segment import Segment
from jaxrl.train.flops import count_flops

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: 2048
  core_count: 132 fpus_per_core: 128
  shared_memory_per_block: 49152 shared_memory_per_core: 233472
  shared_memory_per_block_optin: 232448
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84942979072
  cuda_compute_capability { major: 9 }
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 8 }
runtime_version { major: 12 minor: 8 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
"""Description of the GPU that XLA compiles for."""


@dataclass(frozen=True)
class Compiled:
    """One program, compiled."""

    run: Any
    """The executable; it runs only if it was compiled for this machine."""
    memory_bytes: int
    """Arguments, results and temporaries together, shared buffers counted once."""
    temporary_bytes: int
    kernels: int | None
    """Kernels of one call (CUDA only)."""
    flops: int
    """Matrix products and convolutions."""
    compile_seconds: float


def agent_config(config: AgentConfig, batch: int, horizon: int, precision: str) -> AgentConfig:
    """The same agent with other batches, horizon and precision.

    Args:
      config: configuration of the agent.
      batch: segments of a batch, in all its parts.
      horizon: imagined steps.
      precision: "float32" or "bfloat16".
    """
    parts = {
        name: replace(getattr(config, name), batch=batch)
        for name in ("world_model", "reward_end_learning", "behavior", "probe")
    }
    parts["behavior"] = replace(parts["behavior"], horizon=horizon)
    return replace(config, precision=precision, **parts)


def agent_shapes(
    config: AgentConfig, num_actions: int, frame_shape: tuple[int, int, int]
) -> AgentState:
    """The agent without numbers."""
    return jax.eval_shape(lambda: init(config, num_actions, frame_shape, jax.random.key(0)))


def segment_shapes(leading: tuple[int, ...], frame_shape: tuple[int, int, int]) -> Segment:
    """A batch of segments without numbers."""

    def of(dtype, *more):
        return jax.ShapeDtypeStruct((*leading, *more), dtype)

    return Segment(
        of(jnp.uint8, *frame_shape),
        of(jnp.int32),
        of(jnp.float32),
        of(jnp.bool_),
        of(jnp.bool_),
        of(jnp.bool_),
        of(jnp.bool_),
    )


def made_up_batch(shapes: Segment, num_actions: int) -> Segment:
    """Random frames and actions, no rewards, no ends, no padding."""
    frames = jax.random.randint(jax.random.key(1), shapes.frame.shape, 0, 256).astype(jnp.uint8)
    actions = jax.random.randint(jax.random.key(2), shapes.action.shape, 0, num_actions)
    zeros, ones = jnp.zeros(shapes.end.shape, bool), jnp.ones(shapes.end.shape, bool)
    return Segment(frames, actions, jnp.zeros(shapes.reward.shape), zeros, zeros, ones, ones)


def roll(agent: AgentState, batch: Segment, key: jax.Array) -> jax.Array:
    """Imagination without a policy: random actions. Returns the last latents."""
    horizon, count = agent.spec.config.behavior.horizon, batch.action.shape[0]
    key_action, key_noise = jax.random.split(key)
    actions = jax.random.randint(key_action, (horizon, count), 0, agent.spec.num_actions)

    def step(world, inputs):
        action, key = inputs
        x0 = jax.random.normal(key, (count, *agent.spec.latent_shape))
        world, outcome = advance(agent, world, action, x0)
        return world, outcome.reward_logits

    start = jax.tree.map(lambda a: a[:, 0], batch)
    world, rewards = jax.lax.scan(
        step, begin(agent, start), (actions, jax.random.split(key_noise, horizon))
    )
    return world.z[:, -1], rewards


def rollout(agent: AgentState, batch: Segment, key: jax.Array):
    """Imagination with the policy."""
    return imagine(agent, batch, key)[0]


def programs(
    agent: AgentState, frame_shape: tuple[int, int, int]
) -> dict[str, tuple[Callable, Segment, bool]]:
    """Name to function, shapes of its batch, and whether it gives the agent back (and may take its
    memory).
    """

    def batch(phase):
        return segment_shapes((*phase.batch(agent.spec), phase.size(agent.spec)), frame_shape)

    phases: dict[str, Phase] = {
        name: phase for name, phase in phases_of(agent.spec.config).items() if name != "probe"
    }
    updates = {name: (phase.update, batch(phase), True) for name, phase in phases.items()}
    starts = batch(phases["behavior"])
    return updates | {
        "imagination": (rollout, starts, False),
        "imagination without policy": (roll, starts, False),
    }


def compile_for(
    target: str, function: Callable, agent: AgentState, batch: Segment, donate: bool
) -> Compiled:
    """Compile `function(agent, batch, key)`, without running it.

    Args:
      target: "here", or "cuda" for an H100.
      function: the program to compile.
      agent: shapes of its first argument.
      batch: shapes of its second argument.
      donate: donate the buffers of the agent.

    Returns:
      The program, with its memory in bytes, kernels, arithmetic and seconds of compilation.

    Raises:
      RuntimeError: for "cuda", if JAX's CUDA plugin is not installed.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    options = {"donate_argnums": 0} if donate else {}
    if target == "cuda":
        place = jax.sharding.SingleDeviceSharding(h100())
        options |= {"in_shardings": place, "out_shardings": place}
    began = time.perf_counter()
    lowered = jax.jit(function, **options).lower(agent, batch, key)
    settings = (
        {"xla_gpu_autotune_level": "0", "xla_gpu_enable_triton_gemm": False}
        if target == "cuda"
        else None
    )
    program = lowered.compile(compiler_options=settings)
    seconds = time.perf_counter() - began
    memory = program.memory_analysis()
    total = (
        memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        + memory.temp_size_in_bytes
        - memory.alias_size_in_bytes
    )
    return Compiled(
        program,
        total,
        memory.temp_size_in_bytes,
        count_kernels(program.as_text()) if target == "cuda" else None,
        count_flops(partial(function), agent, batch, key),
        seconds,
    )


def h100() -> jax.Device:
    """An H100 to compile for."""
    from jax.experimental import topologies

    try:
        topology = topologies.get_topology_desc(
            "1x1x1", platform="cuda", topology="1x1x1", target_config=H100
        )
    except Exception as error:
        raise RuntimeError(
            f'JAX cannot compile for CUDA here ({error}): pip install "jax[cuda12]" first'
        ) from error
    return topology.devices[0]


QUIET = (
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
    "partition-id",
    "replica-id",
    "copy-done",
    "async-done",
    "async-update",
    "opt-barrier",
    "iota",
)
"""HLO instructions that launch nothing."""


def count_kernels(text: str) -> int:
    """Kernels of one call of a scheduled GPU program, from its HLO text: fusions, library calls and
    copies, loops as often as they run.
    """
    computations, entry, name = {}, None, None
    for line in text.splitlines():
        header = re.match(r"^(ENTRY )?%?([\w.\-]+) .*\{$", line)
        if header and not line.startswith(" "):
            name = header[2]
            computations[name] = []
            entry = name if header[1] else entry
        elif line.startswith("}"):
            name = None
        elif name is not None and re.match(r"\s+(ROOT )?%?[\w.\-]+ = ", line):
            computations[name].append(line)
        elif name is not None and computations[name]:
            computations[name][-1] += " " + line.strip()  # a long tuple continues
    return _kernels_of(entry, computations)


def _kernels_of(name: str, computations: dict[str, list[str]]) -> int:
    return sum(_kernels_in(line, computations) for line in computations[name])


def _kernels_in(line: str, computations) -> int:
    found = re.search(r" = .*?\s([a-z][a-z0-9\-]*)\(", line)
    kind = found[1] if found else "parameter"
    if kind in QUIET:
        return 0
    if kind == "while":
        body = re.search(r"body=%?([\w.\-]+)", line)[1]
        turns = re.search(r'known_trip_count":\{"n":"(\d+)"', line)
        return _kernels_of(body, computations) * (int(turns[1]) if turns else 1)
    if kind == "conditional":
        branches = re.search(r"branch_computations=\{([^}]*)\}", line)
        names = (
            branches[1].split(",")
            if branches
            else re.findall(r"(?:true|false)_computation=%?([\w.\-]+)", line)
        )
        return max(_kernels_of(branch.strip().lstrip("%"), computations) for branch in names)
    if kind in ("call", "async-start"):
        inner = re.search(r"(?:to_apply|calls)=%?([\w.\-]+)", line)
        return _kernels_of(inner[1], computations)
    return 1
