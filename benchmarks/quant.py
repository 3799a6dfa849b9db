"""Vector quantization compared with vector-quantize-pytorch, in one run: search, training step,
residual levels, FSQ, k-means, memory.

`python -m benchmarks.quant` times ours alone, and next to it the peer's eager and compiled form
where it is installed (`pip install -e ".[bench]"`). All ways take turns, in an order drawn anew
each time, with the same number of threads; medians count. A training step is forward, backward to
the input, and the codebook's moving average. Also the share of rows that get the same code.
"""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from benchmarks.recording import Claim, record
from quant.codebooks.init import kmeans
from quant.quantizers import fsq as scalar
from quant.quantizers import rvq, vq


@dataclass(frozen=True)
class Settings:
    """Sizes that are measured, and repetitions."""

    rows: tuple[int, ...] = (4096, 65536)
    """N."""
    codes: tuple[int, ...] = (256, 1024, 8192)
    """K."""
    features: tuple[int, ...] = (8, 64)
    """D."""
    repeats: int = 15
    """Calls of each way after a first one."""
    seconds: float = 20.0
    """A way whose first call takes longer than this is called only twice more."""
    peer: bool = True
    """Also the peer, if it is installed."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the rows; codes are float32, and both search in float32."""
    label: str = ""
    """Ends the result's name, so that other sizes stand next to the default ones."""


Way = Callable[[], Any]
"""One call, ended when its result is there."""


def config_of(codes: int, features: int) -> vq.VQConfig:
    """The peer's defaults, but for the rotation."""
    return vq.VQConfig(codes, features, decay=0.8, commitment=1.0)


def training(config: vq.VQConfig, params: dict) -> Callable:
    """A training step, `(x, state) -> (gradient to x, state)`, which is what is timed and whose
    memory is measured.
    """

    def loss(x, state):
        out, after = vq.quantize(params, state, x, config)
        return out.quantized.sum() + out.loss, after

    return jax.grad(loss, has_aux=True)


def ours(x: np.ndarray, codes: int, dtype: str) -> dict[str, Way]:
    """Ways by name."""
    config = config_of(codes, x.shape[1])
    params, state = vq.init(jax.random.key(0), config)
    held = {"state": state, "x": jnp.asarray(x, dtype)}
    train = jax.jit(training(config, params), donate_argnums=1)
    encode = jax.jit(
        lambda x, state: vq.quantize(params, state, x, config, train=False)[0].quantized
    )

    def step():
        grads, held["state"] = train(held["x"], held["state"])
        jax.block_until_ready(grads)

    return {"forward": lambda: encode(held["x"], held["state"]).block_until_ready(), "train": step}


def theirs(x: np.ndarray, codes: int, compiled: bool, dtype: str) -> dict[str, Way]:
    """The peer with the same settings: straight-through, EMA 0.8, commitment 1.

    Args:
      x: rows, float32 `[N, D]`.
      codes: number of codes.
      compiled: use `torch.compile`.
      dtype: type of the rows, "float32" or "bfloat16".

    Returns:
      Calls by name.
    """
    import torch
    from vector_quantize_pytorch import VectorQuantize

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    module = VectorQuantize(
        dim=x.shape[1], codebook_size=codes, decay=0.8, commitment_weight=1.0, rotation_trick=False
    )
    if compiled:
        torch.compiler.reset()  # after eight sizes it would go on uncompiled
    called = torch.compile(module) if compiled else module
    data = torch.from_numpy(x)[None].to(getattr(torch, dtype))
    inputs = data.clone().requires_grad_(True)

    def forward():
        module.eval()
        with torch.no_grad():
            called(data)

    def step():
        module.train()
        inputs.grad = None
        quantized, _, loss = called(inputs)
        (quantized.sum() + loss.sum()).backward()

    return {"forward": forward, "train": step}


def agreement(x: np.ndarray, codes: int, dtype: str) -> float:
    """Share of rows that the peer's search and ours give the same of the same codes."""
    import torch
    from vector_quantize_pytorch import VectorQuantize

    config = config_of(codes, x.shape[1])
    params, state = vq.init(jax.random.key(0), config)
    module = VectorQuantize(dim=x.shape[1], codebook_size=codes).eval()
    module._codebook.embed.data.copy_(torch.from_numpy(np.array(state.book.codes)))
    with torch.no_grad():
        theirs = module(torch.from_numpy(x)[None].to(getattr(torch, dtype)))[1][0].numpy()
    return float(
        (np.asarray(vq.encode(params, state, jnp.asarray(x, dtype), config)) == theirs).mean()
    )


def their_others(x: np.ndarray) -> dict[str, Way]:
    """The peer's eight residual levels, FSQ and ten steps of k-means, eager, in evaluation."""
    import torch
    from vector_quantize_pytorch import FSQ, ResidualVQ
    from vector_quantize_pytorch.vector_quantize_pytorch import kmeans as their_kmeans

    data = torch.from_numpy(x)[None]
    levels, fsq = (
        ResidualVQ(dim=x.shape[1], num_quantizers=8, codebook_size=1024).eval(),
        FSQ(list(LEVELS)).eval(),
    )

    def quiet(way):
        def call():
            with torch.no_grad():
                way()

        return call

    return {
        "eager residual": quiet(lambda: levels(data)),
        "eager fsq": quiet(lambda: fsq(data[..., : len(LEVELS)])),
        "eager kmeans": quiet(lambda: their_kmeans(data, 1024, 10)),
    }


LEVELS = (8, 5, 5, 5)


def others(x: np.ndarray) -> dict[str, Way]:
    """Ours: eight residual levels in evaluation, FSQ, ten steps of k-means, all at K = 1024."""
    data = jnp.asarray(x)
    config = rvq.ResidualConfig(vq.VQConfig(1024, x.shape[1]), 8)
    params, state = rvq.init(jax.random.key(0), config)
    levels = jax.jit(lambda x: rvq.quantize(params, state, x, config, train=False)[0].quantized)
    fsq = scalar.FSQConfig(LEVELS)
    rounded = jax.jit(lambda x: scalar.quantize({}, {}, x[:, : len(LEVELS)], fsq)[0].quantized)
    centers = jax.jit(lambda x: kmeans(jax.random.key(0), x, 1024)[0])
    return {
        f"ours {name}": lambda f=f: f(data).block_until_ready()
        for name, f in (("residual", levels), ("fsq", rounded), ("kmeans", centers))
    }


def time_in_turns(ways: dict[str, Way], settings: Settings) -> dict[str, dict[str, float]]:
    """Median and least milliseconds of each way, and those of its first call, which compiles."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(settings.repeats + 1):
        for name, way in random.Random(turn).sample(list(ways.items()), len(ways)):
            if len(times[name]) >= 3 and times[name][0] > settings.seconds:
                continue
            began = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - began)

    def ms(values):
        return round(1e3 * values, 4)

    return {
        name: {
            "ms": ms(statistics.median(own[1:])),
            "least_ms": ms(min(own[1:])),
            "first_ms": ms(own[0]),
        }
        for name, own in times.items()
    }


def memory(rows: int, codes: int, features: int, dtype: str) -> dict[str, int]:
    """Bytes that our training step needs besides its arguments and results, and what one tile would
    be.

    Args:
      rows: number of rows.
      codes: number of codes.
      features: features of a row.
      dtype: type of the rows.
    """
    config = config_of(codes, features)
    params, state = vq.init(jax.random.key(0), config)
    step = jax.jit(training(config, params), donate_argnums=1)
    found = (
        step.lower(jax.ShapeDtypeStruct((rows, features), dtype), state).compile().memory_analysis()
    )
    return {
        "temporary_bytes": found.temp_size_in_bytes,
        "inputs_and_codes_bytes": 4 * (rows + codes) * features,
    }


def peers(settings: Settings) -> list[str]:
    """The peer's forms that can be run here."""
    if not settings.peer:
        return []
    try:
        import vector_quantize_pytorch  # noqa: F401
    except ImportError:
        print("vector-quantize-pytorch is not installed: ours alone (pip install -e '.[bench]')")
        return []
    return ["eager", "compiled"]


def measure(settings: Settings) -> list[dict[str, Any]]:
    """A row for every size."""
    rows, forms = [], peers(settings)
    for n in settings.rows:
        for k in settings.codes:
            for d in settings.features:
                x = np.random.default_rng(0).standard_normal((n, d)).astype(np.float32)
                ways = {f"ours {name}": way for name, way in ours(x, k, settings.dtype).items()}
                for form in forms:
                    ways |= {
                        f"{form} {name}": way
                        for name, way in theirs(x, k, form == "compiled", settings.dtype).items()
                    }
                rows.append(
                    {
                        "rows": n,
                        "codes": k,
                        "features": d,
                        "ms": time_in_turns(ways, settings),
                        "memory": memory(n, k, d, settings.dtype),
                    }
                    | ({"same_code": agreement(x, k, settings.dtype)} if forms else {})
                )
                print(
                    f"N {n} K {k} D {d}: "
                    + ", ".join(f"{name} {t['ms']:.2f} ms" for name, t in rows[-1]["ms"].items()),
                    flush=True,
                )
    return rows


def claims(
    rows: list[dict[str, Any]], others: dict[str, dict[str, float]], where: str
) -> list[Claim]:
    """Claims on the figures; without the peer the comparisons were not run."""

    def ratio(row, form, what):
        return row["ms"][f"{form} {what}"]["ms"] / row["ms"][f"ours {what}"]["ms"]

    compared = [row for row in rows if "eager train" in row["ms"]]
    large = [ratio(row, "eager", "train") for row in compared if row["codes"] >= 1024]
    every = [
        ratio(row, form, what)
        for row in compared
        for form in ("eager", "compiled")
        for what in ("forward", "train")
    ]
    each = [
        others[f"eager {n}"]["ms"] / others[f"ours {n}"]["ms"]
        for n in ("residual", "fsq", "kmeans")
        if f"eager {n}" in others
    ]
    slowest = min(each, default=None)
    same = min((row["same_code"] for row in rows if "same_code" in row), default=None)
    spare = max(
        (row["memory"]["temporary_bytes"] - 3 * row["memory"]["inputs_and_codes_bytes"]) / 2**20
        for row in rows
    )
    return [
        Claim(
            f"time of the eager peer's training step over ours, K >= 1024, {where}",
            3.0,
            ">=",
            min(large, default=None),
        ),
        Claim(
            f"time of the peer, eager or compiled, over ours, {where} (least ratio)",
            1.0,
            ">=",
            min(every, default=None),
        ),
        Claim(
            f"time of the eager peer's residual levels, FSQ and k-means over ours, {where} (least "
            "ratio)",
            1.0,
            ">=",
            slowest,
        ),
        Claim(
            f"share of rows that get the peer's code of the same codebook, {where} (least)",
            0.9999,
            ">=",
            same,
        ),
        Claim(
            "MiB of our training step beyond three times inputs and codes (one tile of scores is "
            f"32), {where}",
            32.0,
            "<=",
            spare,
        ),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Entry point."""
    settings = tyro.cli(
        Settings, args=arguments, prog="python -m benchmarks.quant", description=__doc__
    )
    rows = measure(settings)
    data = (
        np.random.default_rng(0)
        .standard_normal((max(settings.rows), max(settings.features)))
        .astype(np.float32)
    )
    ways = (
        others(data) | (their_others(data) if peers(settings) else {})
        if settings.dtype == "float32"
        else {}
    )
    # Kind by kind: next to k-means, which takes seconds, FSQ would find cold caches.
    more = {}
    for kind in sorted({name.split()[1] for name in ways}):
        own = {name: way for name, way in ways.items() if name.split()[1] == kind}
        more |= time_in_turns(own, settings)
    print(", ".join(f"{name} {t['ms']:.1f} ms" for name, t in more.items()))
    where = ", ".join(filter(None, (jax.default_backend(), settings.label)))
    found = claims(rows, more, where)
    for claim in found:
        print(
            f"{claim.claim}: {'not run' if claim.measured is None else f'{claim.measured:.2f}'} "
            f"(goal {claim.direction} {claim.goal})"
        )
    print(
        record(
            "-".join(filter(None, ("quant", settings.label))),
            {"dtype": settings.dtype, "sizes": rows, "others": more},
            found,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
