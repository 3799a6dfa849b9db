"""Our updates of pixel diffusion and of JEDI next to PyTorch's, on one CPU core: `python -m
benchmarks.pixel_updates [--batch 4]`.

DIAMOND's networks at the sizes of `atari100k` (`benchmarks.diamond_peer`), `updates` per call of
each kind: denoiser, reward and end model, actor-critic in imagination; and `horizon` imagined steps
without a policy. Ours run as they do in training, in a compiled loop of updates. The ways take
turns, and the smallest processor time of a call counts. The peer does a little less in imagination:
its policy reads no context first, and its model of rewards begins anew at every step. Needs PyTorch
(`pip install torch`).
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import command
from benchmarks.recording import Claim, record

PARTS = ("world_model", "reward_end", "behavior", "imagination")
PARAMETERS = (4_405_955, 5_900_864, 3_229_637)
"""Of DIAMOND's denoiser, reward and end model, and actor-critic, with 4 actions."""


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    batch: int = 4
    """Segments and trajectories per update."""
    horizon: int = 5
    """Imagined steps of an update of the policy."""
    length: int = 8
    """Frames per segment of the reward and end model."""
    updates: int = 4
    """Updates of a kind in a call; training has dozens to thousands in one."""
    repeats: int = 3
    """Measurements of each, after a first call."""


def ours(settings: Settings, mode: str) -> dict[str, Callable[[], None]]:
    """Our updates as calls; each begins at the same agent.

    Args:
      settings: batch, horizon and length, and updates in a call.
      mode: "pixel" or "jedi".
    """
    import jax
    import jax.numpy as jnp

    from benchmarks.programs import agent_config, made_up_batch, programs
    from jaxrl.jedi.agent import init
    from jaxrl.jedi.learn.loops import run_updates
    from jaxrl.jedi.presets import PRESETS

    config = PRESETS["atari100k"]("Breakout", mode).agent
    config = agent_config(config, settings.batch, settings.horizon, "float32")
    learning = replace(config.reward_end_learning, length=settings.length)
    shape, key = (64, 64, 3), jax.random.key(0)
    agent = init(replace(config, reward_end_learning=learning), 4, shape, key)
    calls = {}
    for name, (function, shapes, updates) in programs(agent, shape).items():
        if name == "imagination":  # with a policy
            continue
        batch = made_up_batch(shapes, 4)

        def loop(agent, batch, n, function=function, updates=updates):
            if not updates:
                return function(agent, batch, key)
            return run_updates(
                lambda agent, number: function(agent, batch, jax.random.fold_in(key, number)),
                agent,
                jnp.int32(0),
                n,
            )

        compiled = jax.jit(loop)
        calls[name if updates else "imagination"] = lambda compiled=compiled, batch=batch: (
            jax.block_until_ready(compiled(agent, batch, jnp.int32(settings.updates)))
        )
    return calls


def theirs(settings: Settings) -> dict[str, Callable[[], None]]:
    """PyTorch's updates as calls."""
    import torch

    from benchmarks import diamond_peer as peer

    torch.set_num_threads(1)
    denoiser, reward_end = peer.Denoiser(256, 4, 4), peer.RewardEnd(128, 512, 4)
    policy = peer.ActorCritic((32, 32, 64, 64), 512, 4)
    sizes = tuple(
        sum(p.numel() for p in model.parameters()) for model in (denoiser, reward_end, policy)
    )
    if sizes != PARAMETERS:
        raise ValueError(f"the peer has {sizes} parameters, not {PARAMETERS}")
    world, batch = peer.Sampled(denoiser, reward_end), settings.batch

    def frames(length):
        return torch.rand(batch, length, 3, 64, 64) * 2 - 1, torch.randint(4, (batch, length))

    def update(model, loss):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)

        def call():
            for _ in range(settings.updates):
                optimizer.zero_grad()
                loss().backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()

        return call

    segment, longer, start = frames(6), frames(settings.length), frames(4)
    classes = torch.zeros(2, batch, settings.length - 1, dtype=torch.long)

    def imagined():
        for _ in range(settings.horizon):
            world(*start)

    return {
        "world_model": update(denoiser, lambda: peer.denoiser_loss(denoiser, *segment, 4)),
        "reward_end": update(
            reward_end, lambda: peer.reward_end_loss(reward_end, *longer, classes)
        ),
        "behavior": update(
            policy, lambda: peer.actor_critic_loss(policy, world, *start, settings.horizon)
        ),
        "imagination": imagined,
    }


def processor_seconds(
    ways: dict[str, dict[str, Callable[[], None]]], repeats: int
) -> dict[str, dict[str, float]]:
    """Smallest processor time of every way and part, seconds; the ways take turns.

    Args:
      ways: by name, the parts as calls.
      repeats: measurements of each, after a first call.
    """
    found: dict[str, dict[str, float]] = {way: {} for way in ways}
    for part in PARTS:
        for number in range(repeats + 1):
            for way, calls in ways.items():
                began = time.process_time()
                calls[part]()
                seconds = time.process_time() - began
                if number > 0:
                    found[way][part] = min(seconds, found[way].get(part, seconds))
    return found


def claims_of(seconds: dict[str, dict[str, float]]) -> list[Claim]:
    """PyTorch's processor time over ours, for our pixel mode and for JEDI.

    Args:
      seconds: as from `processor_seconds`, of the ways "pytorch", "pixel" and "jedi".
    """
    return [
        Claim(
            f"DIAMOND's sizes, one core, {part}: PyTorch's processor time over that of {mode}",
            1.0,
            ">=",
            round(seconds["pytorch"][part] / seconds[mode][part], 2),
        )
        for mode in ("pixel", "jedi")
        for part in PARTS
    ]


def measure(settings: Settings) -> Path:
    """Measure on one core, and write the result; returns its path."""
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    os.environ["XLA_FLAGS"] = (
        "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1 "
        + os.environ.get("XLA_FLAGS", "")
    )
    ways = {
        "pytorch": theirs(settings),
        "pixel": ours(settings, "pixel"),
        "jedi": ours(settings, "jedi"),
    }
    seconds = processor_seconds(ways, settings.repeats)
    claims = claims_of(seconds)
    for claim in claims:
        print(f"{claim.claim}: {claim.measured} (goal {claim.direction} {claim.goal:g})")
    import torch

    figures = {"settings": vars(settings), "seconds": seconds, "torch": torch.__version__}
    return record("pixel_updates", figures, claims)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the record; 2 if refused."""
    return command.run("pixel_updates", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
