"""The gradient of convolutions inside and outside a scan: XLA's own convolution in both places, and
`jaxrl.nn.conv` inside.

`python -m benchmarks.conv_in_scan` measures what the docstring of `jaxrl/nn/conv.py` says. One step
is a step of gradient descent on a stack of 3x3 convolutions, so that no step can be computed before
the one before it.
"""

import functools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.recording import Claim, record
from jaxrl.nn.conv import conv2d


class Size(NamedTuple):
    """A stack of convolutions."""

    batch: int
    height: int
    width: int
    channels: int
    convs: int


SIZES = (
    Size(32, 8, 8, 32, 6),
    Size(32, 4, 4, 64, 6),
    Size(64, 4, 4, 32, 6),
    Size(128, 16, 16, 16, 2),
)
"""Those of `tiny` denoisers and policies, and larger maps with few channels."""


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    steps: int = 20
    """Steps in one scan, and calls in one loop."""
    rounds: int = 7
    """Measurements of each way, in turn; their median counts, so that other work on the machine
    matters little.
    """


Convolution = Callable[[jax.Array, jax.Array], jax.Array]
"""`(x [B, H, W, C], kernel [3, 3, C, D]) -> [B, H, W, D]`."""


def plain(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """XLA's convolution with XLA's derivative."""
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def made_up(size: Size) -> tuple[jax.Array, jax.Array]:
    """Kernels `[convs, 3, 3, C, C]` and an input `[B, H, W, C]`."""
    key_kernels, key_x = jax.random.split(jax.random.key(0))
    shape = (size.convs, 3, 3, size.channels, size.channels)
    kernels = jax.random.normal(key_kernels, shape) * (2 / (9 * size.channels)) ** 0.5
    return kernels, jax.random.normal(key_x, (size.batch, size.height, size.width, size.channels))


def step(convolve: Convolution, kernels: jax.Array, x: jax.Array) -> jax.Array:
    """One step of gradient descent on the mean square of what the stack computes; the new
    kernels.
    """

    def loss(kernels):
        y = x
        for kernel in kernels:
            y = jax.nn.relu(convolve(y, kernel))
        return jnp.square(y).mean()

    return kernels - 1e-3 * jax.grad(loss)(kernels)


@functools.partial(jax.jit, static_argnums=(0, 3))
def in_scan(convolve: Convolution, kernels: jax.Array, x: jax.Array, steps: int) -> jax.Array:
    """Take all steps in one program.

    Args:
      convolve: the convolution; static under jit.
      kernels: kernels to begin with.
      x: input of the first layer.
      steps: number of steps; static under jit.

    Returns:
      The kernels after the steps.
    """
    return lax.scan(lambda kernels, _: (step(convolve, kernels, x), None), kernels, length=steps)[0]


_step = jax.jit(step, static_argnums=0)


def in_python(convolve: Convolution, kernels: jax.Array, x: jax.Array, steps: int) -> jax.Array:
    """Take steps one call each.

    Args:
      convolve: the convolution.
      kernels: kernels to begin with.
      x: input of the first layer.
      steps: number of steps.

    Returns:
      The kernels after the steps.
    """
    for _ in range(steps):
        kernels = _step(convolve, kernels, x)
    return kernels


WAYS = {
    "plain_in_scan": functools.partial(in_scan, plain),
    "plain_outside": functools.partial(in_python, plain),
    "conv2d_in_scan": functools.partial(in_scan, conv2d),
}
"""Ways that are compared; each `(kernels, x, steps) -> kernels`."""


def measure(size: Size, settings: Settings) -> dict[str, Any]:
    """Median milliseconds per step of each way, and their ratios."""
    kernels, x = made_up(size)
    times = {name: [] for name in WAYS}
    for turn in range(settings.rounds + 1):
        for name, way in WAYS.items():
            began = time.perf_counter()
            jax.block_until_ready(way(kernels, x, settings.steps))
            if turn > 0:  # the first turn compiles
                times[name].append((time.perf_counter() - began) / settings.steps * 1e3)
    ms = {name: statistics.median(values) for name, values in times.items()}
    return {
        **size._asdict(),
        "ms_per_step": ms,
        "fastest_ms_per_step": {name: min(values) for name, values in times.items()},
        "plain_in_scan_over_outside": ms["plain_in_scan"] / ms["plain_outside"],
        "plain_in_scan_over_conv2d": ms["plain_in_scan"] / ms["conv2d_in_scan"],
        "conv2d_in_scan_over_outside": ms["conv2d_in_scan"] / ms["plain_outside"],
    }


def claims(rows: list[dict[str, Any]], platform: str) -> list[Claim]:
    """Claims from the figures; speed-ups are claimed on CPU only: elsewhere it is the same
    convolution.
    """
    slower = max(row["conv2d_in_scan_over_outside"] for row in rows)
    found = [
        Claim(
            "time of jaxrl.nn.conv's gradient in a scan over XLA's outside (largest ratio)",
            1.5,
            "<=",
            slower,
        )
    ]
    if platform == "cpu":
        gain = min(row["plain_in_scan_over_conv2d"] for row in rows)
        loss = min(row["plain_in_scan_over_outside"] for row in rows)
        found += [
            Claim(
                "time of XLA's gradient of a convolution in a scan over jaxrl.nn.conv's (least "
                "ratio)",
                5.0,
                ">=",
                gain,
            ),
            Claim(
                "time of XLA's gradient of a convolution in a scan over XLA's outside (least "
                "ratio)",
                10.0,
                ">=",
                loss,
            ),
        ]
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure all sizes and write the result. Without options, nothing but the packages that
    compute is needed.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = Settings()
    if arguments:
        import tyro

        settings = tyro.cli(
            Settings, args=arguments, prog="python -m benchmarks.conv_in_scan", description=__doc__
        )
    rows = []
    for size in SIZES:
        rows.append(measure(size, settings))
        times = ", ".join(f"{name} {ms:.2f}" for name, ms in rows[-1]["ms_per_step"].items())
        print(f"{tuple(size)}: ms per step: {times}", flush=True)
    found = claims(rows, jax.default_backend())
    for claim in found:
        print(f"{claim.claim}: {claim.measured:.2f} (goal {claim.direction} {claim.goal:g})")
    print(
        record(
            "conv_in_scan",
            {"steps": settings.steps, "rounds": settings.rounds, "sizes": rows},
            found,
        )
    )


if __name__ == "__main__":
    main()
