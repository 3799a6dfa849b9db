"""A transcoder of a perceptron of SmolLM2-135M, next to sparsify's on the same activations.

`python -m benchmarks.sae_language --model FOLDER`, where `python -m reasoning.e2c fetch smollm2`
made the folder. Both see equally many batches of equal size; each at the better of two step sizes
by FVU. Nats per token are the language model's when the reconstruction replaces the perceptron.
"""

import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.recording import Claim, record
from benchmarks.sae import read_settings
from benchmarks.sae_peers import available
from sae.language import activations, study
from sae.language.study import LanguageConfig
from sae.transcoders import model as transcoders


@dataclass(frozen=True)
class Settings:
    """Sizes of the comparison."""

    model: str
    """Folder of the checkpoint."""
    layer: int = 8
    """Block."""
    tokens: int = 65_536
    """Tokens of the text."""
    updates: int = 400
    """Updates of each."""
    rates: tuple[float, ...] = (1e-3, 4e-3)
    """Step sizes."""
    write: bool = True
    """Record the figures."""


def ours(config: LanguageConfig, data: study.Data) -> dict[str, Any]:
    """Train ours and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        params = study.train(config, data, Path(folder))
        seconds = time.process_time() - began
    shape = study.shape_of(config, data.x.shape[1])
    return {
        "seconds": seconds,
        "l0_dead": _use(np.asarray(transcoders.encode(params, _held(data), shape)) > 0),
        **study.measure(
            data, config.layer, lambda x: np.asarray(transcoders.reconstruct(params, x, shape))
        ),
    }


def _held(data):
    return activations.rows_of(data.held[1])


def _use(active):
    return {"l0": float(active.sum(1).mean()), "dead_on_held": float(1 - active.any(0).mean())}


def sparsify(config: LanguageConfig, data: study.Data) -> dict[str, Any]:
    """Train sparsify's transcoder with Adam and warm-up, as its trainer does, and measure it."""
    import torch
    from sparsify.config import SparseCoderConfig
    from sparsify.sparse_coder import SparseCoder

    torch.manual_seed(config.seed)
    scale = [float(np.sqrt(np.square(a).sum(1).mean() / a.shape[1])) for a in (data.x, data.y)]
    coder = SparseCoder(
        data.x.shape[1],
        SparseCoderConfig(num_latents=config.latents, k=config.k, transcode=True),
        device="cpu",
        dtype=torch.float32,
    )
    with torch.no_grad():
        coder.b_dec.copy_(torch.from_numpy(data.y.mean(0) / scale[1]))
    optimizer = torch.optim.Adam(coder.parameters(), lr=config.learning_rate)
    warm, end = max(1, config.updates // 20), 0.2 * config.updates
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min((n + 1) / warm, 1.0, (config.updates - n) / end)
    )
    draw, began = np.random.default_rng(config.seed), time.process_time()
    for _ in range(config.updates):
        rows = draw.integers(0, len(data.x), config.batch)
        found = coder(
            torch.from_numpy(data.x[rows] / scale[0]), torch.from_numpy(data.y[rows] / scale[1])
        )
        optimizer.zero_grad()
        found.fvu.backward()
        torch.nn.utils.clip_grad_norm_(coder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    seconds = time.process_time() - began

    @torch.no_grad()
    def forward(x):
        return coder(torch.from_numpy(x / scale[0]))

    found = forward(_held(data))
    active = np.zeros((len(_held(data)), config.latents), bool)
    at, positive = found.latent_indices.numpy(), found.latent_acts.numpy() > 0
    np.put_along_axis(active, at, positive, 1)
    return {
        "seconds": seconds,
        "l0_dead": _use(active),
        **study.measure(
            data, config.layer, lambda x: forward(x).sae_out.numpy() * np.float32(scale[1])
        ),
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and record."""
    s = read_settings(Settings, "sae_language", arguments)
    config = LanguageConfig(s.model, s.layer, tokens=s.tokens, updates=s.updates)
    data = study.collect(config)
    peers, missing = available(True)
    ways = {"ours": ours} | ({"sparsify": sparsify} if "sparsify" in peers else {})
    found: dict[str, Any] = {}
    for name, way in ways.items():
        for rate in s.rates:
            found[f"{name} {rate:g}"] = way(replace(config, learning_rate=rate), data)
            print(name, rate, found[f"{name} {rate:g}"], flush=True)
    best = {
        name: min((v for k, v in found.items() if k.startswith(name)), key=lambda v: v["fvu"])
        for name in ways
    }
    other = best.get("sparsify")
    title = f"sae: transcoder of SmolLM2-135M's block {s.layer}"
    claims = [
        Claim(
            f"{title}: FVU over sparsify's",
            1.0,
            "<=",
            best["ours"]["fvu"] / other["fvu"] if other else None,
        ),
        Claim(
            f"{title}: share of the mean's loss in nats that it recovers",
            0.5,
            ">=",
            best["ours"]["recovered"],
        ),
    ]
    figures = {"settings": s.__dict__ | {"model": Path(s.model).name}, "found": found}
    figures |= {"best": best, "peers_that_did_not_run": missing}
    for claim in claims:
        print(f"{claim.claim}: {claim.measured} (goal {claim.direction} {claim.goal})")
    if s.write:
        print(record("sae_language", figures, claims))
    return 0


if __name__ == "__main__":
    sys.exit(main())
