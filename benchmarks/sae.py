"""Sparse transcoders: one model next to SAELens, sparsify and dictionary-learning; ensembles next
to loops; catalogue; attribution.

`python -m benchmarks.sae` times ours alone, and next to it every peer that is installed
(benchmarks/sae_peers.py). Ways take turns in an order drawn anew each time, with the same number of
threads; medians count. Quality stands next to speed: the fraction of variance that is left
unexplained (FVU) after as many updates on the same rows, at the better of two step sizes. The last
parts build a catalogue from 204 800 latents of 100 members, and explain one case at a time.
"""

import multiprocessing
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.recording import Claim, record
from benchmarks.sae_peers import Peer, available
from jaxrl.app import cli
from sae.classifier.head import Head
from sae.patterns import attribution, catalogue
from sae.patterns.matching import MatchConfig
from sae.transcoders import ensemble, train_step
from sae.transcoders import model as transcoder
from sae.transcoders.ensemble import EnsembleConfig
from sae.transcoders.losses import LossConfig
from sae.transcoders.model import TranscoderConfig
from sae.transcoders.train_step import LearnConfig, Setting

S = TypeVar("S")

RATES = (1e-3, 4e-3)
"""Step sizes that each library's single model is trained with."""


@dataclass(frozen=True)
class Settings:
    """Sizes and repeats of the measurements."""

    features: int = 256
    """Width of inputs and outputs of the single model."""
    latents: int = 2048
    """Its latents."""
    k: int = 32
    """Active latents of an example."""
    batch: int = 1024
    """Rows per update."""
    repeats: int = 5
    """Timed calls of each way, after a first one."""
    quality: tuple[int, ...] = (150, 600)
    """Updates after which the FVU is measured, each from the start with a schedule of its own."""
    members: tuple[int, ...] = (1, 8, 32, 100)
    """Sizes of ensembles of small transcoders (32 -> 48 -> 16, k = 4, batch 256)."""
    catalogue: int = 204_800
    """Latents of 100 members that a catalogue is built from; 0: none."""
    peers: bool = True
    """Also the peers that are installed."""
    write: bool = True
    """Record the figures; false only prints them."""


def planted(
    rows: int, d_in: int, d_out: int, causes: int, active: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that sparse causes make, with a direction for each at either end; equal ends where the
    widths are equal.

    Args:
      rows: number of rows.
      d_in: features of an input.
      d_out: features of an output.
      causes: number of causes.
      active: causes of a row, on average.
      seed: seed of all draws.

    Returns:
      `(inputs [rows, d_in], outputs [rows, d_out])`, float32.
    """
    generator = np.random.default_rng(seed)

    def unit(a):
        return (a / np.linalg.norm(a, axis=1, keepdims=True)).astype(np.float32)

    here = unit(generator.standard_normal((causes, d_in)))
    there = here if d_in == d_out else unit(generator.standard_normal((causes, d_out)))
    strength = (generator.random((rows, causes), np.float32) < active / causes) * generator.random(
        (rows, causes), np.float32
    )
    return strength @ here, strength @ there


def in_turns(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of every way, in an order drawn anew each round."""
    for call in ways.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats):
        for name in random.Random(number).sample(list(ways), len(ways)):
            began = time.perf_counter()
            ways[name]()
            times[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


class Ours:
    """Our TopK autoencoder with auxiliary latents, one update per call, as the peers are used."""

    def __init__(self, d: int, latents: int, k: int, rate: float, updates: int):
        self.shape = TranscoderConfig(d, d, latents, "topk", k, centered=True)
        self.loss, self.how = LossConfig(aux=1 / 32), LearnConfig(rate, 0)
        params = transcoder.init(jax.random.key(0), self.shape)
        self.learner, self.hparam = (
            train_step.start(params, self.how),
            train_step.hparams(self.shape, self.loss, self.how),
        )

        def step(learner, x):
            return train_step.update(
                learner, self.hparam, x, x, self.shape, self.loss, self.how, updates
            )

        self._step = jax.jit(step, donate_argnums=0)

    def update(self, x: np.ndarray) -> float:
        """One update; its FVU."""
        self.learner, found = self._step(self.learner, x)
        return float(found.fvu)

    def fvu(self, x: np.ndarray) -> float:
        """On rows that were not trained on."""
        estimate = transcoder.reconstruct(self.learner.params, jnp.asarray(x), self.shape)
        return float(jnp.square(estimate - x).sum() / np.square(x - x.mean(0)).sum())


def single(settings: Settings, peers: dict[str, Peer]) -> dict[str, Any]:
    """One model: rows per second, ours and the peers', and the least FVU over the step sizes, which
    mean different things to each.
    """
    s = settings
    x, _ = planted(s.batch * 16, s.features, s.features, 2 * s.features, 8)
    held = x[-2048:]
    batches = [x[i * s.batch : (i + 1) * s.batch] for i in range(14)]
    models, left = {}, {}
    for name, make in ({"ours": Ours} | peers).items():
        for updates in s.quality:
            for rate in RATES:
                models[name] = model = make(s.features, s.latents, s.k, rate, updates)
                for number in range(updates):
                    model.update(batches[number % len(batches)])
                found = left.setdefault(name, {}).setdefault(str(updates), {})
                found[f"{rate:g}"] = model.fvu(held)
    seconds = in_turns(
        {
            name: (lambda m=model: [m.update(b) for b in batches[:4]])
            for name, model in models.items()
        },
        s.repeats,
    )
    return {
        name: {
            "rows_per_second": 4 * s.batch / seconds[name],
            "fvu": {updates: min(by.values()) for updates, by in left[name].items()},
            "fvu_by_step_size": left[name],
        }
        for name in models
    }


SMALL = TranscoderConfig(32, 16, 48, "topk", 4)
HOW = LearnConfig(4e-3, 0, 0.0)


def ensembles(settings: Settings, peers: dict[str, Peer]) -> list[dict[str, Any]]:
    """Seconds per update of all members: one program, a loop over the program of one, and the
    peers' loops (one member, times M).
    """
    x, y = planted(8192, 32, 16, 32, 2)
    found = []
    steps = 20
    alone = {name: peer(32, 48, 4, 4e-3, 1000) for name, peer in peers.items()}
    square = [x[i * 256 : (i + 1) * 256] for i in range(steps)]
    of_peers = (
        in_turns(
            {name: (lambda m=m: [m.update(b) for b in square]) for name, m in alone.items()},
            settings.repeats,
        )
        if alone
        else {}
    )
    for members in settings.members:
        ways = {}
        for sampling in ("shared", "own"):
            config = EnsembleConfig(
                members=members, updates=10**6, batch=256, chunk=steps, sampling=sampling
            )
            ways[f"one program, {sampling} batches"] = _running(config, x, y)
            ways[f"one program, vmapped, {sampling} batches"] = _running(config, x, y, True)
        one = _running(replace(config, members=1), x, y)
        ways["a loop over one member"] = lambda one=one, members=members: [
            one() for _ in range(members)
        ]
        seconds = {name: value / steps for name, value in in_turns(ways, settings.repeats).items()}
        seconds |= {
            f"a loop over {name} (times M)": value / steps * members
            for name, value in of_peers.items()
        }
        found.append({"members": members, "seconds_per_update": seconds})
    return found


def _running(config: EnsembleConfig, x, y, at_once: bool | None = None) -> Callable[[], None]:
    store, _ = ensemble.store_of(x, y, SMALL)
    hparams, keys = ensemble.grid(config, SMALL, LossConfig(), HOW), ensemble.member_keys(config)
    state = {"learners": ensemble.start(config, SMALL, HOW, store.y.mean(0))}
    run = ensemble.program(config, Setting(SMALL, LossConfig(), HOW), at_once=at_once)

    def call():
        state["learners"], trace = run(state["learners"], (hparams, keys), (store, jnp.int32(0)))
        jax.block_until_ready(trace)

    return call


def building(count: int) -> dict[str, Any]:
    """A catalogue of `count` latents of 100 members: half of them noisy copies of shared patterns,
    half of no one's.
    """
    from scipy.sparse import random as random_sparse
    from scipy.sparse import vstack

    members, cases, width = 100, 4096, count // 100
    generator, shared = np.random.default_rng(0), count // 200
    common = random_sparse(shared, cases, 0.015, "csr", np.float32, generator)
    directions = generator.standard_normal((shared, 256), np.float32)
    signals, decoders = [], np.empty((members, width, 256), np.float32)
    for m in range(members):
        noisy = common.copy()
        noisy.data = noisy.data * (
            1 + 0.1 * generator.standard_normal(len(noisy.data), np.float32)
        ).clip(0.5)
        signals += [
            noisy,
            random_sparse(width - shared, cases, 0.015, "csr", np.float32, generator),
        ]
        decoders[m, :shared] = directions + 0.3 * generator.standard_normal(
            (shared, 256), np.float32
        )
        decoders[m, shared:] = generator.standard_normal((width - shared, 256), np.float32)
    stacked, before = vstack(signals).tocsr(), _peak()
    began = time.perf_counter()
    made = catalogue.build(
        stacked,
        decoders,
        np.ones((256, 5), np.float32),
        catalogue.CatalogueConfig(MatchConfig(block=4096)),
    )
    return {
        "latents": count,
        "seconds": time.perf_counter() - began,
        "patterns": len(made.patterns),
        "planted": shared,
        "peak_MiB": _peak(),
        "peak_MiB_before": before,
    }


def apart(function: Callable, *arguments) -> Any:
    """The function's result from a fresh process, whose peak of memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def explaining(settings: Settings) -> dict[str, Any]:
    """Seconds to explain one case with 100 members of the paper's size (512 -> 2048 -> 256), and
    the largest gap of the sum.
    """
    members, shape = (
        100 if settings.catalogue else 4,
        TranscoderConfig(512, 256, 2048, "batchtopk", 32),
    )
    keys = jax.random.split(jax.random.key(0), 4)
    head = Head(
        jax.random.normal(keys[0], (512, 256)) / 16,
        jnp.zeros(256),
        jax.random.normal(keys[1], (256, 5)) / 16,
        jnp.zeros(5),
    )
    params = jax.lax.map(
        lambda key: transcoder.init(key, shape), jax.random.split(keys[2], members)
    )
    params["threshold"] = jnp.full(members, 2.0)
    assignment = np.random.default_rng(0).integers(-1, 5000, (members, 2048))
    x = np.asarray(jax.random.normal(keys[3], (1, 512)))

    def call():
        return attribution.attribute_cases(head, params, assignment, 5000, x, shape)

    seconds = in_turns({"explain": call}, settings.repeats)["explain"]
    return {
        "members": members,
        "latents": 2048,
        "seconds": seconds,
        "largest_gap": float(attribution.gap(call()).max()),
    }


def claims(figures: dict[str, Any]) -> list[Claim]:
    """Claims that follow from the figures."""
    one, many, best = figures["single"], figures["ensembles"][-1], None
    others = {name: of["rows_per_second"] for name, of in one.items() if name != "ours"}
    if others:
        best = one["ours"]["rows_per_second"] / max(others.values())
    seconds, size = many["seconds_per_update"], many["members"]
    loops = [
        value
        for name, value in seconds.items()
        if name.startswith("a loop over") and "times M" in name
    ]
    own_batches = seconds["one program, own batches"]
    found = [
        Claim(
            "sae: rows/s of one TopK model (256 -> 2048, k 32) over the best peer's",
            1.5,
            ">=",
            best,
        ),
        *(
            Claim(
                f"sae: its FVU after {updates} updates at the better of two step sizes, over the "
                "best peer's",
                1.0,
                "<=",
                own / min(of["fvu"][updates] for name, of in one.items() if name != "ours")
                if others
                else None,
            )
            for updates, own in one["ours"]["fvu"].items()
        ),
        Claim(
            f"sae: {size} small members in one program, times a loop of the fastest peer",
            10,
            ">=",
            min(loops) / own_batches if loops else None,
        ),
        Claim(
            f"sae: {size} small members in one program, times a loop over the program of one",
            1,
            ">=",
            seconds["a loop over one member"] / own_batches,
        ),
        Claim(
            "sae: explaining one case with 100 members of 2048 latents, s",
            1,
            "<=",
            figures["explain"]["seconds"],
        ),
        Claim(
            "sae: largest gap between a logit and the sum of its parts (float32)",
            1e-5,
            "<=",
            figures["explain"]["largest_gap"],
        ),
    ]
    if "catalogue" in figures:
        made = figures["catalogue"]
        found.append(
            Claim(
                f"sae: catalogue of {made['latents']} latents, minutes",
                10,
                "<=",
                made["seconds"] / 60,
            )
        )
        missed = abs(made["patterns"] - made["planted"]) / made["planted"]
        found.append(Claim("sae: its patterns, away from those planted, share", 0.01, "<=", missed))
    return found


def read_settings(kind: type[S], name: str, arguments: list[str] | None) -> S:
    """The settings of a benchmark from its command line, with switches as --peers True.

    Args:
      kind: the dataclass of the settings.
      name: of the benchmark's module.
      arguments: of the command line; those of the process if None.
    """
    words = sys.argv[1:] if arguments is None else arguments
    return cli.read_options(kind, words, f"python -m benchmarks.{name}")


def main(arguments: list[str] | None = None) -> int:
    """Measure and record."""
    settings = read_settings(Settings, "sae", arguments)
    peers, missing = available(settings.peers)
    figures: dict[str, Any] = {"settings": settings.__dict__, "peers_that_did_not_run": missing}
    figures["single"] = single(settings, peers)
    print(figures["single"], missing, flush=True)
    figures["ensembles"] = ensembles(settings, peers)
    print(figures["ensembles"], flush=True)
    figures["explain"] = explaining(settings)
    print(figures["explain"], flush=True)
    if settings.catalogue:
        figures["catalogue"] = apart(building, settings.catalogue)
        print(figures["catalogue"], flush=True)
    for claim in claims(figures):
        print(
            f"{claim.claim}: {claim.measured} (goal {claim.direction} {claim.goal}): {claim.holds}"
        )
    if settings.write:
        print(record("sae", figures, claims(figures)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
