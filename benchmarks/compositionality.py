"""Cost of many networks in one program: `python -m benchmarks.compositionality` writes
`results/compositionality.json`.

Updates per second of all cells together, against a Python loop of jitted single runs and against
PyTorch (if it is installed) at the same width, batch and depth; seconds of compiling all programs
of a sweep; what scores cost; what the depth predictor takes; and, with `--heatmap`, the wall time
of the preset `paper`.
"""

import concurrent.futures
import dataclasses
import itertools
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import optax

from benchmarks import command
from benchmarks.recording import Claim, record
from jaxrl.app.errors import UserError
from reasoning.compositionality import network
from reasoning.compositionality.depth import predict_depth
from reasoning.compositionality.prune import score as scoring
from reasoning.compositionality.study.config import SweepConfig, paper, tiny
from reasoning.compositionality.study.masks import renew
from reasoning.compositionality.study.pruners import Setting, setting_of
from reasoning.compositionality.study.sweep import sweep
from reasoning.compositionality.study.train import Cells, batch_of_all, begin, sum_of_losses
from reasoning.compositionality.targets import target_by_name


@dataclass(frozen=True)
class Settings:
    """Settings of the measurement."""

    cells: int = 64
    """Networks together."""
    seeds: int = 16
    """Seeds of the networks, as in a sweep: networks of one seed see the same data."""
    steps: int = 200
    """Updates per call."""
    repeats: int = 12
    """Calls after a first one; the fastest counts."""
    alone: int = 4
    """Networks of the loop and of PyTorch that are timed, one after the other."""
    target: str = "tanh_tree:3"
    """Function that the networks learn."""
    depth: int = 4
    """Hidden layers of every network; also the most, so that nothing is computed in vain on either
    side.
    """
    heatmap: bool = False
    """Also run the preset `paper` from the beginning."""


def cells_of(settings: Settings, count: int) -> tuple[Setting, Cells]:
    """`count` networks of `settings.seeds` seeds in turn."""
    seeds = min(count, settings.seeds)
    config = SweepConfig(depths=(settings.depth,), seeds=seeds)
    here = setting_of(config, target_by_name(settings.target), None)
    depth = jnp.full(count, settings.depth, jnp.int32)
    return here, begin(here.keys, jnp.arange(count) % seeds, depth, config.shape(here.target))


def seconds(work, repeats: int, clock: Callable[[], float] = time.perf_counter):
    """Seconds of the first call, and the least of later ones: `(float, float)`.

    Ratios are taken of processor time (`time.process_time`), and of the least, so that what else
    runs on the machine (it takes the processor and its caches) does not decide them.
    """
    found = []
    for _ in range(repeats + 1):
        began = clock()
        jax.block_until_ready(work())
        found.append(clock() - began)
    return found[0], min(found[1:])


def training(settings: Settings, count: int) -> float:
    """Updates per second, all `count` networks in one call."""
    here, cells = cells_of(settings, count)

    def work():
        return here.train(jax.tree.map(jnp.copy, cells.params), cells, settings.steps).params

    return count * settings.steps / seconds(work, settings.repeats, time.process_time)[1]


def looped(settings: Settings) -> float:
    """Updates per second of a Python loop over jitted runs of one network; each has been compiled
    before.
    """
    here, cells = cells_of(settings, 1)

    def run():
        return here.train(jax.tree.map(jnp.copy, cells.params), cells, settings.steps).params

    def work():
        return [jax.block_until_ready(run()) for _ in range(settings.alone)]

    return settings.alone * settings.steps / seconds(work, settings.repeats, time.process_time)[1]


def torch_updates(settings: Settings) -> float | None:
    """Updates per second of PyTorch in eager mode, one network after the other; None if it is not
    installed.
    """
    try:
        import torch
    except ImportError:
        return None
    config, target = SweepConfig(), target_by_name(settings.target)
    widths = [target.inputs, *[config.width] * settings.depth, 1]
    layers = [
        m for a, b in itertools.pairwise(widths) for m in (torch.nn.Linear(a, b), torch.nn.Tanh())
    ][:-1]
    net = torch.nn.Sequential(*layers)
    adam = torch.optim.Adam(net.parameters(), config.learning_rate)

    def tree(x):
        while x.shape[1] > 1:
            x = torch.tanh(2.2 * x[:, ::2] - 1.8 * x[:, 1::2] + 0.3)
        return x

    def run():
        for _ in range(settings.steps):
            x = torch.rand(config.batch, target.inputs) * 2 - 1
            error = ((net(x) - tree(x)) ** 2).mean()
            adam.zero_grad()
            error.backward()
            adam.step()

    found = []
    for _ in range(settings.repeats):
        began = time.process_time()
        run()
        found.append(time.process_time() - began)
    return settings.steps / min(found)


def roofline(settings: Settings) -> dict[str, float]:
    """Work of one update of one network, by XLA's count, and what one processor core can do of
    such work in a second: a large product, products of this size and number in float32 and in
    bfloat16, and a copy.
    """
    here, cells = cells_of(settings, settings.cells)
    width, batch, count = here.config.width, here.config.batch, settings.cells
    mine = batch_of_all(here.task, here.keys, cells.which, jnp.int32(0))
    slope = jax.jit(jax.grad(sum_of_losses))
    cost = slope.lower(cells.params, cells.masks, cells.depth, mine).compile().cost_analysis()

    def rate(work, done, *arguments):
        run = jax.jit(work)
        return done / seconds(lambda: run(*arguments), settings.repeats, time.process_time)[1]

    large, long = jnp.ones((1024, 1024)), jnp.ones(2**24)
    weights, maps = jnp.ones((count, width, width)), jnp.ones((count, width, batch))

    def small(weights, maps):
        def step(_, h):
            return (0.1 * network.products(h, weights)).astype(h.dtype)

        return jax.lax.fori_loop(0, settings.steps, step, maps)

    done, half = settings.steps * 2 * count * width * width * batch, jnp.bfloat16
    return {
        "flops_per_update": cost["flops"] / count,
        "tanh_and_the_like_per_update": cost.get("transcendentals", 0.0) / count,
        "bytes_per_update": cost["bytes accessed"] / count,
        "core_flops_large_product": rate(lambda a: a @ a, 2 * 1024**3, large),
        "core_flops_small_products": rate(small, done, weights, maps),
        "core_flops_small_products_bfloat16": rate(
            small, done, weights.astype(half), maps.astype(half)
        ),
        "core_bytes_copy": rate(lambda a: a + 1, 2 * long.nbytes, long),
    }


def parts(settings: Settings) -> dict[str, float]:
    """Processor seconds of what an update needs apart from its products, each part alone in a loop
    of its own, per update and network: tanh of all layers, drawing the examples, and Adam.
    """
    here, cells = cells_of(settings, settings.cells)
    width, batch, count = here.config.width, here.config.batch, settings.cells
    adam = optax.scale_by_adam()

    def tanh(step, h):
        return jnp.tanh(h) + 0.5

    def draw(step, total):
        return jax.tree.map(jnp.add, total, batch_of_all(here.task, here.keys, cells.which, step))

    def renewed(step, state):
        params, moments = state
        direction, moments = adam.update(params, moments)
        return jax.tree.map(lambda p, d: p - 0.001 * d, params, direction), moments

    def each(body, start, times):
        run = jax.jit(lambda start: jax.lax.fori_loop(0, settings.steps, body, start))
        least = seconds(lambda: run(start), settings.repeats, time.process_time)[1]
        return times * least / settings.steps / count

    none_yet = jax.tree.map(
        jnp.zeros_like, batch_of_all(here.task, here.keys, cells.which, jnp.int32(0))
    )
    return {
        "tanh_seconds": each(tanh, jnp.ones((count, width, batch)), settings.depth),
        "examples_seconds": each(draw, none_yet, 1),
        "adam_seconds": each(renewed, (cells.params, adam.init(cells.params)), 1),
    }


def two_processes(settings: Settings) -> float | None:
    """Updates per second of the clock of all networks, half of them in each of two processes at
    once, a core each; None where there are not two cores or Python cannot choose them.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None
    cores = range(os.cpu_count() or 1)
    if len(cores) < 2:
        return None
    half = dataclasses.replace(
        settings, cells=max(1, settings.cells // 2), seeds=max(1, settings.seeds // 2)
    )
    context = multiprocessing.get_context("spawn")
    meeting = context.Barrier(2)
    with concurrent.futures.ProcessPoolExecutor(2, context, _join, (meeting,)) as pool:
        found = [pool.submit(_one_of_two, half, core) for core in cores[:2]]
        return sum(one.result() for one in found)


def _join(meeting) -> None:
    global _meeting
    _meeting = meeting


def _one_of_two(settings: Settings, core: int) -> float:
    """Updates per second of the clock of this process, after both have compiled."""
    os.sched_setaffinity(0, {core})
    here, cells = cells_of(settings, settings.cells)

    def work():
        return here.train(jax.tree.map(jnp.copy, cells.params), cells, settings.steps).params

    jax.block_until_ready(work())
    _meeting.wait()
    return settings.cells * settings.steps / seconds(work, settings.repeats)[1]


def score_share(settings: Settings) -> float:
    """Seconds of renewing the masks of all cells, over those of a hundred of their updates."""
    here, cells = cells_of(settings, settings.cells)
    density, key = jnp.full(settings.cells, 0.25), jax.random.key(0)
    grads = here.gradients(cells, 0)

    def work():
        return renew(cells, grads, here.probe, key, density, here.how(scoring.share))

    updates = seconds(
        lambda: here.train(jax.tree.map(jnp.copy, cells.params), cells, 100).params,
        settings.repeats,
        time.process_time,
    )[1]
    return (
        seconds(work, 10 * settings.repeats, time.process_time)[1] / updates
    )  # a renewal takes milliseconds


def compiling() -> float:
    """Processor seconds of compiling all programs of one target of the preset `tiny`: of a sweep
    with hardly any updates, less those of the same sweep again; nothing is read from a cache.
    """
    config = dataclasses.replace(
        tiny(), targets=("tanh_tree:3",), steps=1, finetune=1, depths=(3, 6), densities=(1.0, 0.25)
    )

    def run():
        with tempfile.TemporaryDirectory() as folder:
            sweep(config, Path(folder))

    before = jax.config.jax_enable_compilation_cache
    jax.config.update("jax_enable_compilation_cache", False)
    try:
        first, again = seconds(run, 1, time.process_time)
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
    return first - again


def predicting() -> float:
    """Seconds of the predictor on eight inputs after compilation."""
    target = target_by_name("tanh_tree:3")
    return seconds(lambda: predict_depth(target, 8).depth, 3)[1]


def heatmap() -> float:
    """Seconds of all networks of the preset `paper`, compiling included."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sweep(paper(), Path(folder))
    return time.perf_counter() - began


def measure(settings: Settings) -> Path:
    """Measure, print, and write the result; returns its path.

    Raises:
      UserError: numbers below 1.
    """
    if (
        min(
            settings.cells,
            settings.seeds,
            settings.steps,
            settings.repeats,
            settings.alone,
            settings.depth,
        )
        < 1
    ):
        raise UserError(
            "--cells, --seeds, --steps, --repeats, --alone and --depth must be at least 1"
        )
    if hasattr(os, "sched_setaffinity"):  # threads of a second core count as processor time
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    compile_seconds = compiling()
    together, loop, peer = (
        training(settings, settings.cells),
        looped(settings),
        torch_updates(settings),
    )
    figures = asdict(settings) | roofline(settings) | parts(settings)
    products = figures["flops_per_update"] / figures["core_flops_small_products"]
    least = products + sum(figures[f"{part}_seconds"] for part in ("tanh", "examples", "adam"))
    figures |= {
        "products_seconds": products,
        "bound_times_loop": 1 / least / loop,
        "bound_times_loop_products_alone": 1 / products / loop,
        "updates_per_second_two_processes": two_processes(settings),
        "compile_seconds": compile_seconds,
        "updates_per_second_together": together,
        "updates_per_second_loop": loop,
        "updates_per_second_torch": peer,
        "score_share_of_100_updates": score_share(settings),
        "predictor_seconds": predicting(),
        "heatmap_seconds": heatmap() if settings.heatmap else None,
    }
    for name, value in figures.items():
        print(f"{name}: {value}")
    return record("compositionality", figures, claims(figures))


def claims(figures: dict) -> list[Claim]:
    """Claims from the figures."""
    together, peer, count = (
        figures["updates_per_second_together"],
        figures["updates_per_second_torch"],
        figures["cells"],
    )
    both = figures["updates_per_second_two_processes"]
    ratio = round(together / figures["updates_per_second_loop"], 3)
    compiled, renewed, asked = (
        round(figures[name], 4)
        for name in ("compile_seconds", "score_share_of_100_updates", "predictor_seconds")
    )
    found = [
        Claim(
            f"compositionality: updates per processor second of {count} networks in one program, "
            "times a loop of jitted runs",
            5.0,
            ">=",
            ratio,
        ),
        Claim(
            "compositionality: the same as a bound, if products of this size, tanh, examples and "
            "Adam took what each takes alone, and memory nothing",
            5.0,
            ">=",
            round(figures["bound_times_loop"], 3),
        ),
        Claim(
            f"compositionality: updates per second of the clock of {count} networks, half in each "
            "of two processes, times a loop of jitted runs on one core",
            5.0,
            ">=",
            None if both is None else round(both / figures["updates_per_second_loop"], 3),
        ),
        Claim(
            "compositionality: compiling all programs of a sweep of one target, processor s",
            20.0,
            "<=",
            compiled,
        ),
        Claim(
            "compositionality: renewing masks by share, share of 100 updates' processor time",
            0.02,
            "<=",
            renewed,
        ),
        Claim(
            "compositionality: depth predictor, 8 inputs, after compilation, s", 1.0, "<=", asked
        ),
        Claim(
            "compositionality: heat-map of 6 x 6 x 4 x 8 networks, 3000 updates, s",
            600.0,
            "<=",
            None if figures["heatmap_seconds"] is None else round(figures["heatmap_seconds"], 1),
        ),
    ]
    against = None if peer is None else round(together / peer, 2)
    return [
        *found,
        Claim(
            f"compositionality: updates per processor second of {count} networks in one program, "
            "times PyTorch's eager loop",
            5.0,
            ">=",
            against,
        ),
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure and print the path of the result; 2 if refused."""
    return command.run("compositionality", Settings, measure, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
