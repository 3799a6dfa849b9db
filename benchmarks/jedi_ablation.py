"""Which choices keep the ball in imagination, and its rewards? `python -m benchmarks.jedi_ablation
--folder RUNS [--env bricks] [--variants base noise ...] [--seeds 0 ...]`.

World model and reward and end model learn from recorded play (`jedi_recordings`), without a policy:
the networks and the learning of preset `cpu`, frames of 32 pixels (bricks) or 48, patches of 8.
Each variant changes one thing, a configuration value or the objective (`jedi_objectives`). Measured
in games that were held out, open loop along their recorded actions, over 15 steps: the retention
(`jedi_retention`), the share of balls that a position probe finds within one cell of the truth, and
the log-likelihood gain of rewards and ends over the marginal. Bands: 95 % of a bootstrap over
games. They show the spread of games, not of training, for which there are seeds.

The play is recorded once per folder. A finished variant is in the record at once; the next call
does what is missing. Seconds are of processor time.
"""

import argparse
import functools
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import jedi_objectives as objectives
from benchmarks.jedi_objectives import Objective
from benchmarks.jedi_recordings import Play, recorded, replay_of, split
from benchmarks.jedi_retention import (
    Band,
    band,
    mean_share,
    probe_of,
    retention,
    shares,
    starts_with_ball,
)
from benchmarks.recording import RESULTS, Claim, commit, path_of, record
from jaxrl.jedi.agent import AgentState, init
from jaxrl.jedi.diagnostics.horizon import count, draw_starts, figures
from jaxrl.jedi.learn.loops import PHASES, draw_for, run_phase
from jaxrl.jedi.learn.world_model import step_world_model
from jaxrl.jedi.presets import cpu, tiny
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.train.compiled import QUICKLY, JitOnCpu
from jaxrl.train.config import changed

NETS = tiny("Breakout").agent
PRESET = cpu("Breakout").agent
PRESET = replace(PRESET, world_model=replace(PRESET.world_model, reward_end_gradient=0.3))


class Variant(NamedTuple):
    """One change of the base, preset `cpu` with a gradient of rewards and ends."""

    values: Mapping[str, Any] = {}
    """Values of the configuration, by dotted name."""
    objective: Objective = objectives.plain
    """Loss of the world model."""
    updates: int = 1
    """Factor of the world model's updates."""


NOISE = {"edm.log_sigma_mean": 1.0}
"""Higher noise levels: redundant latents are readable through little noise."""
START_NOISE = {"edm.log_sigma_mean": math.log(PRESET.sampler.sigma_max), "edm.log_sigma_std": 0.1}
"""Noise levels close to the sampler's start only: with one pass, imagination uses no other."""
CONTEXT4 = {"context": 4}
PASSES3 = {"sampler.steps": 3}
STEPS4 = {"world_model.autoregressive_steps": 4}
PATCHES4 = {"encoder.widths": PRESET.encoder.widths[:2], "probe.widths": PRESET.probe.widths[:2]}
CONV = {
    "encoder": NETS.encoder,
    "denoiser": NETS.denoiser,
    "reward_end": replace(
        NETS.reward_end,
        reward_prior=PRESET.reward_end.reward_prior,
        end_prior=PRESET.reward_end.end_prior,
    ),
    "probe": NETS.probe,
}
"""The convolutional networks of preset `tiny`."""
LOCAL = {"encoder.kind": "local"}
"""Strided convolutions, the kind of preset `tiny`, in place of folded squares."""
GROUP_NORM = {"encoder.kind": "conv", "encoder.widths": (32, 64, 64)}
"""Convolutions at full resolution, with statistics over the map (GroupNorm)."""
WHOLE_MAP = {"encoder.norm": "rms"}
"""Latents scaled as a map, not each position for itself."""
ENCODED = {"reward_end_learning.open_loop_share": 0.0}
"""Rewards and ends are learned on encoded latents, some of the next ones sampled, instead of on
open-loop imagination.
"""
PREFER_NONE = {"reward_end_learning.candidates": 1}
"""Segments for rewards and ends are drawn without preference for events."""
NO_PRIORS = {"reward_end.reward_prior": (), "reward_end.end_prior": ()}
"""The reward and end model begins at equal shares."""
CHANGES = {"reward_end.change_width": 32}
"""What changes on the map is read for itself, too (convolutional networks only)."""
BEST = CONTEXT4 | NOISE
"""The two changes that keep most balls, and leave several passes possible."""

VARIANTS: dict[str, Variant] = {
    "base": Variant(),
    "noise": Variant(NOISE),
    "only_start_noise": Variant(START_NOISE),
    "low_start": Variant({"sampler.sigma_max": 1.0}),
    "three_passes": Variant(PASSES3),
    "no_hinge": Variant({"world_model.hinge_weight": 0.0}),
    "strong_hinge": Variant({"world_model.hinge_weight": 1.0}),
    "vicreg": Variant(objective=objectives.vicreg),
    "sigreg": Variant(objective=objectives.sigreg),
    "barlow": Variant(objective=objectives.barlow),
    "change_weighted": Variant(objective=objectives.change_weighted),
    "change_normalized": Variant(objective=objectives.change_normalized),
    "four_steps": Variant(STEPS4),
    "sampled_context": Variant(STEPS4 | PASSES3, objectives.sampled_context),
    "context4": Variant(CONTEXT4),
    "context8": Variant({"context": 8}),
    "patches4": Variant(PATCHES4),
    "no_reward_end_gradient": Variant({"world_model.reward_end_gradient": 0.0}),
    "strong_reward_end_gradient": Variant({"world_model.reward_end_gradient": 1.0}),
    "encoded_rewards": Variant(ENCODED),
    "prefer_none": Variant(PREFER_NONE),
    "no_priors": Variant(NO_PRIORS),
    "conv_changes": Variant(CONV | CHANGES),
    "conv": Variant(CONV),
    "local": Variant(LOCAL),
    "group_norm": Variant(GROUP_NORM),
    "whole_map_norm": Variant(WHOLE_MAP),
    "longer": Variant(updates=2),
    "noise_steps_weighted": Variant(NOISE | STEPS4, objectives.change_weighted),
    "noise_steps_weighted_passes": Variant(NOISE | STEPS4 | PASSES3, objectives.change_weighted),
    "context4_noise": Variant(BEST),
    "context4_noise_patches4": Variant(BEST | PATCHES4),
    "context4_noise_longer": Variant(BEST, updates=2),
    "context4_noise_encoded_rewards": Variant(BEST | ENCODED),
    "context4_noise_prefer_none": Variant(BEST | PREFER_NONE),
    "context4_noise_no_priors": Variant(BEST | NO_PRIORS),
    "conv_context4_noise": Variant(BEST | CONV),
    "conv_context4_noise_changes": Variant(BEST | CONV | CHANGES),
    "local_context4_noise": Variant(BEST | LOCAL),
    "group_norm_context4_noise": Variant(BEST | GROUP_NORM),
    "whole_map_norm_context4_noise": Variant(BEST | WHOLE_MAP),
    "recipe": Variant(CONTEXT4 | START_NOISE),
    "recipe_weighted": Variant(CONTEXT4 | START_NOISE, objectives.change_weighted),
    "recipe_sigreg": Variant(CONTEXT4 | START_NOISE, objectives.sigreg),
    "recipe_longer": Variant(CONTEXT4 | START_NOISE, updates=2),
}
"""By name."""


class Settings(NamedTuple):
    """Amounts of play, learning and measuring; they belong to the record."""

    lanes: int = 24
    """Recorded games side by side."""
    steps: int = 1024
    """Steps in each."""
    held_out: int = 8
    """Games of them that nothing learns from."""
    rounds: int = 5
    """Rounds of updates: the encoder can only receive gradient of rewards and ends from a reward
    and end model that learns in between.
    """
    world_model: int = 300
    """Updates of the world model in each round."""
    reward_end: int = 60
    """Updates of the reward and end model in each round."""
    probe_frames: int = 8192
    """Real frames for the position probe."""
    probe: int = 600
    """Updates of the position probe."""
    starts: int = 512
    """Starts of imagination."""
    horizon: int = 15
    """Imagined steps from each."""


class Learned(NamedTuple):
    """The agent, and the running variance of change of its latents `[h, w, C]`."""

    agent: AgentState
    change: jax.Array


def _learn_world(
    objective: Objective, updates: int, learned: Learned, replay: Replay, key: jax.Array
) -> tuple[Learned, dict[str, jax.Array]]:
    """Updates of the world model in one scan.

    Args:
      objective: see `jedi_objectives` (static).
      updates: their number (static).
      learned: before them.
      replay: to learn from.
      key: PRNG key.

    Returns:
      What was learned, and the metrics' means over the updates.
    """
    phase = PHASES["world_model"]

    def one(learned: Learned, key):
        agent = learned.agent
        key_draw, key_update = jax.random.split(key)
        draw = draw_for(phase, agent.spec, replay.index, key_draw, replay.age_weights)
        batch = buffer.gather(replay, draw)
        grads, (metrics, change) = jax.grad(objective, has_aux=True)(
            agent.world.params, agent, batch, key_update, learned.change
        )
        agent, norm = step_world_model(agent, grads)
        return Learned(agent, change), metrics | {"gradient_norm": norm}

    learned, metrics = jax.lax.scan(one, learned, jax.random.split(key, updates))
    return learned, jax.tree.map(jnp.mean, metrics)


learn_world = JitOnCpu(_learn_world, QUICKLY, static_argnums=(0, 1), donate_argnums=2)
learn_rewards = JitOnCpu(run_phase, QUICKLY, static_argnums=0, donate_argnums=1)


def agent_of(variant: Variant, made: Play, seed: int) -> AgentState:
    """A fresh agent of a variant, for the game that was recorded."""
    return init(
        changed(PRESET, variant.values),
        made.num_actions,
        made.record.frame.shape[2:],
        jax.random.key(seed),
    )


def train(
    variant: Variant, made: Play, settings: Settings, seed: int
) -> tuple[AgentState, dict[str, Any]]:
    """Learn from recorded play; returns the agent, and the last round's metrics.

    Args:
      variant: the change of the base.
      made: play to learn from.
      settings: amounts.
      seed: of parameters and updates.
    """
    replay, agent = replay_of(made), agent_of(variant, made, seed)
    learned = Learned(agent, jnp.zeros(agent.spec.latent_shape))
    metrics: dict[str, Any] = {}
    for number in range(settings.rounds):
        key = jax.random.fold_in(jax.random.key(seed), number)
        updates = variant.updates * settings.world_model
        learned, world = learn_world(variant.objective, updates, learned, replay, key)
        bounds = (jnp.int32(0), jnp.int32(settings.reward_end))
        agent, stats = learn_rewards(PHASES["reward_end"], learned.agent, replay, key, *bounds)
        learned = Learned(agent, learned.change)
        rewards = {k: v / settings.reward_end for k, v in stats.sums.items()}
        metrics = {f"world_model/{k}": float(v) for k, v in world.items()}
        metrics |= {f"reward_end/{k}": float(v) for k, v in rewards.items()}
    return learned.agent, {k: round(v, 5) for k, v in metrics.items()}


def plain(values: np.ndarray) -> list[float | None]:
    """For JSON; None where nothing was counted."""
    return [None if np.isnan(v) else round(float(v), 4) for v in values]


def as_json(found: Band) -> dict[str, float | None]:
    """A band for JSON; None where nothing was counted."""
    return dict(zip(found._fields, plain(np.asarray(found)), strict=True))


def measure(agent: AgentState, made: Play, held_out: Play, settings: Settings) -> dict[str, Any]:
    """Figures of an agent in held-out play.

    Args:
      agent: the trained agent.
      made: play that it learned from; the probe learns from it too.
      held_out: play that nothing learned from.
      settings: amounts.

    Returns:
      JSON-ready; "retention" only where positions are known.
    """
    found: dict[str, Any] = {}
    if made.side:
        starts = starts_with_ball(held_out, settings.horizon, settings.starts)
        key = jax.random.key(1)
        probe = probe_of(agent, made, settings.probe_frames, settings.probe, key)
        sums = retention(agent, held_out, probe, starts, key, settings.horizon)
        pooled = {name: value.sum(0) for name, value in sums.items()}
        found["counts"] = [int(n) for n in pooled["count"]]
        for name, source in (("retention", "imagined"), ("ceiling", "real"), ("still", "still")):
            found[name] = as_json(band(sums, mean_share(source)))
            found[f"{name}_by_step"] = plain(shares(pooled, source))
    starts = draw_starts(held_out.record, settings.starts, seed=0)
    sums = count(
        agent,
        jax.tree.map(jnp.asarray, held_out.record),
        starts,
        jax.random.key(0),
        settings.horizon,
        False,
    )
    sums = {name: np.asarray(value, np.float64) for name, value in sums.items()}
    every = figures({name: value.sum(0) for name, value in sums.items()})
    for name in ("reward_nats_gain", "end_nats_gain"):
        mean_of = functools.partial(mean_figure, name)
        found[name] = as_json(band(sums, mean_of)) | {"by_step": plain(every[name])}
    relative = every["latent_error"] / every["latent_still_error"]
    return found | {"latent_error_of_still": plain(relative)}


def mean_figure(name: str, sums: dict[str, np.ndarray]) -> np.ndarray:
    """Mean over the imagined steps of one of `horizon.figures`."""
    return np.nanmean(figures(sums)[name], axis=-1)


def claims_of(variants: dict[str, dict[str, dict]], env: str) -> list[Claim]:
    """Do imagined rewards of the base beat the marginal, and does imagination of each variant keep
    more balls than the base's? Means over the steps and the seeds; a variant is compared with the
    base of the same seeds.
    """

    def mean(variant, name, seeds):
        values = [variants[variant][seed][name]["mean"] for seed in seeds]
        return round(float(np.mean(values)), 4) if values else None

    first = variants.get("base", {})
    what = f"{env}, base: reward log-likelihood gain over the marginal, nats, mean over the steps"
    gain = mean("base", "reward_nats_gain", first)
    claims = [Claim(what, 0.0, ">", gain, max(1, len(first)))]
    for variant, runs in variants.items():
        both = [seed for seed in runs if "retention" in runs[seed] and seed in first]
        if variant != "base" and both:
            more = mean(variant, "retention", both) - mean("base", "retention", both)
            what = f"{env}, {variant}: share of balls kept, mean over the steps, above that of base"
            claims.append(Claim(what, SPREAD, ">=", round(more, 4), len(both)))
    return claims


def known(name: str, settings: dict[str, int]) -> dict[str, dict[str, dict]]:
    """Runs that the record holds already, by variant and seed.

    Raises:
      SystemExit: it is of other settings.
    """
    path = path_of(name, RESULTS)
    if not path.exists():
        return {}
    found = json.loads(path.read_text())["figures"]
    if found["settings"] != settings:
        raise SystemExit(f"{path} is of other settings: move it away to begin a new record")
    return found["variants"]


SPREAD = 0.1
"""Retention by which two seeds of one variant may differ; less is no difference between variants.
"""
SHOWN_STEPS = (1, 4, 8, 15)
"""Imagined steps whose retention the table shows."""
COLUMNS = (
    "variant",
    "retention, mean of all steps",
    "after " + ", ".join(map(str, SHOWN_STEPS)),
    "ceiling",
    "still",
    "gain of rewards, nats",
    "gain of ends, nats",
    "seconds",
)


def table(variants: dict[str, dict[str, dict]]) -> str:
    """The runs of a record as a Markdown table, one row for each variant and seed."""
    rows = [COLUMNS, ("---",) * len(COLUMNS)]
    for variant, runs in variants.items():
        for seed, run in runs.items():
            name = variant if seed == "0" else f"{variant}, seed {seed}"
            kept, steps = (
                ("", "")
                if "retention" not in run
                else (
                    with_interval(run["retention"], 2),
                    " ".join(
                        f"{run['retention_by_step'][step - 1]:.2f}"
                        for step in SHOWN_STEPS
                        if step <= len(run["retention_by_step"])
                    ),
                )
            )
            probed = [f"{run[k]['mean']:.2f}" if k in run else "" for k in ("ceiling", "still")]
            gains = [with_interval(run[f"{k}_nats_gain"], 3) for k in ("reward", "end")]
            rows.append((name, kept, steps, *probed, *gains, f"{sum(run['seconds'].values()):.0f}"))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def with_interval(found: dict[str, float], digits: int) -> str:
    """A mean and its 95 % interval as text."""
    mean, low, high = (f"{found[name]:.{digits}f}" for name in Band._fields)
    return f"{mean} [{low}, {high}]"


def run_missing(options: argparse.Namespace, settings: Settings) -> None:
    """Train, measure and record the variants and seeds that the record does not hold.

    Args:
      options: folder, env, variants and seeds of the command.
      settings: amounts.
    """
    name, amounts = f"jedi_ablation_{options.env.lower()}", settings._asdict()
    wanted = [(variant, str(seed)) for seed in options.seeds for variant in options.variants]
    if all(seed in known(name, amounts).get(variant, {}) for variant, seed in wanted):
        return
    path = options.folder / f"{options.env}-{settings.lanes}-{settings.steps}.npz"
    everything = recorded(path, options.env, settings.lanes, settings.steps, seed=0)
    made, held_out = split(everything, settings.held_out)
    code = commit()  # now: the files may change while this runs
    for variant, seed in wanted:
        if seed in known(name, amounts).get(variant, {}):
            continue
        began = time.process_time()
        agent, metrics = train(VARIANTS[variant], made, settings, int(seed))
        trained = time.process_time()
        run = measure(agent, made, held_out, settings) | {"metrics": metrics, "commit": code}
        seconds = {"training": trained - began, "measuring": time.process_time() - trained}
        run["seconds"] = {k: round(v, 1) for k, v in seconds.items()}
        found = known(name, amounts)  # read anew: another process may have added its own
        found.setdefault(variant, {})[seed] = run
        ordered = {v: found[v] for v in (*VARIANTS, *found) if v in found}
        record(name, {"settings": amounts, "variants": ordered}, claims_of(ordered, options.env))
        print(variant, seed, run.get("retention"), run["reward_nats_gain"]["mean"], run["seconds"])


def main(arguments: list[str] | None = None) -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the recorded play")
    parser.add_argument("--env", default="bricks", help="bricks, Breakout, or an Atari game")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    for field, default in Settings._field_defaults.items():
        parser.add_argument(f"--{field.replace('_', '-')}", type=int, default=default)
    options = parser.parse_args(arguments)
    settings = Settings(**{f: getattr(options, f) for f in Settings._fields})
    run_missing(options, settings)
    print(table(known(f"jedi_ablation_{options.env.lower()}", settings._asdict())))


if __name__ == "__main__":
    main()
