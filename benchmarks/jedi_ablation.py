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
import time
from collections.abc import Callable
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
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.diagnostics.horizon import count, draw_starts, figures
from jaxrl.jedi.learn.loops import PHASES, draw_for, run_phase
from jaxrl.jedi.learn.world_model import step_world_model
from jaxrl.jedi.presets import cpu, tiny
from jaxrl.replay import buffer
from jaxrl.replay.buffer import Replay
from jaxrl.train.compiled import QUICKLY, JitOnCpu


class Variant(NamedTuple):
    """One change of the base."""

    config: Callable[[AgentConfig], AgentConfig]
    objective: Objective = objectives.plain
    updates: int = 1
    """Factor of the world model's updates."""


def base(agent: AgentConfig) -> AgentConfig:
    """The preset as it is."""
    return agent


def noise(agent: AgentConfig) -> AgentConfig:
    """Higher noise levels: redundant latents are readable through little noise."""
    return replace(agent, edm=replace(agent.edm, log_sigma_mean=1.0))


def only_start_noise(agent: AgentConfig) -> AgentConfig:
    """Noise levels close to the sampler's start only: with one pass, imagination uses no other."""
    level = float(np.log(agent.sampler.sigma_max))
    return replace(agent, edm=replace(agent.edm, log_sigma_mean=level, log_sigma_std=0.1))


def low_start(agent: AgentConfig) -> AgentConfig:
    """Sampling starts at noise level 1 instead of 5, the level of its first noise N(0, 1)."""
    return replace(agent, sampler=replace(agent.sampler, sigma_max=1.0))


def three_passes(agent: AgentConfig) -> AgentConfig:
    """Three denoising passes per imagined step instead of one."""
    return replace(agent, sampler=replace(agent.sampler, steps=3))


def no_hinge(agent: AgentConfig) -> AgentConfig:
    """No variance hinge."""
    return replace(agent, world_model=replace(agent.world_model, hinge_weight=0.0))


def strong_hinge(agent: AgentConfig) -> AgentConfig:
    """The variance hinge ten times as strong."""
    return replace(agent, world_model=replace(agent.world_model, hinge_weight=1.0))


def four_steps(agent: AgentConfig) -> AgentConfig:
    """Four autoregressive steps per segment instead of two."""
    return replace(agent, world_model=replace(agent.world_model, autoregressive_steps=4))


def context4(agent: AgentConfig) -> AgentConfig:
    """Four past latents instead of two."""
    return replace(agent, context=4)


def context8(agent: AgentConfig) -> AgentConfig:
    """Eight past latents."""
    return replace(agent, context=8)


def patches4(agent: AgentConfig) -> AgentConfig:
    """Patches of 4 pixels instead of 8."""
    encoder = replace(agent.encoder, widths=agent.encoder.widths[:2])
    return replace(
        agent, encoder=encoder, probe=replace(agent.probe, widths=agent.probe.widths[:2])
    )


def no_reward_end_gradient(agent: AgentConfig) -> AgentConfig:
    """Latents learn from denoising alone: no gradient of rewards and ends (MuDreamer has it)."""
    return replace(agent, world_model=replace(agent.world_model, reward_end_gradient=0.0))


def strong_reward_end_gradient(agent: AgentConfig) -> AgentConfig:
    """The whole gradient of rewards and ends reaches the encoder."""
    return replace(agent, world_model=replace(agent.world_model, reward_end_gradient=1.0))


def encoded_rewards(agent: AgentConfig) -> AgentConfig:
    """Rewards and ends are learned on encoded latents, some of the next ones sampled, instead of on
    open-loop imagination.
    """
    return replace(
        agent, reward_end_learning=replace(agent.reward_end_learning, open_loop_share=0.0)
    )


def prefer_none(agent: AgentConfig) -> AgentConfig:
    """Segments for rewards and ends are drawn without preference for events."""
    return replace(agent, reward_end_learning=replace(agent.reward_end_learning, candidates=1))


def conv(agent: AgentConfig) -> AgentConfig:
    """The convolutional networks of preset `tiny`, learning as the base does."""
    nets = tiny("Breakout").agent
    return replace(
        agent,
        encoder=nets.encoder,
        denoiser=nets.denoiser,
        reward_end=replace(
            nets.reward_end,
            reward_prior=agent.reward_end.reward_prior,
            end_prior=agent.reward_end.end_prior,
        ),
        probe=nets.probe,
    )


def noise_steps(agent: AgentConfig) -> AgentConfig:
    """Higher noise levels and four autoregressive steps."""
    return noise(four_steps(agent))


def noise_steps_passes(agent: AgentConfig) -> AgentConfig:
    """The same, and three denoising passes."""
    return three_passes(noise_steps(agent))


def context4_noise(agent: AgentConfig) -> AgentConfig:
    """Four past latents, and higher noise levels, among them those that several passes need."""
    return context4(noise(agent))


def conv_context4_noise(agent: AgentConfig) -> AgentConfig:
    """Convolutional networks with four past latents and higher noise levels."""
    return conv(context4_noise(agent))


def context4_noise_patches4(agent: AgentConfig) -> AgentConfig:
    """The same, and patches of 4 pixels."""
    return patches4(context4_noise(agent))


def recipe(agent: AgentConfig) -> AgentConfig:
    """The two single changes that kept most balls: four past latents, and noise at the start."""
    return context4(only_start_noise(agent))


def sampled_steps(agent: AgentConfig) -> AgentConfig:
    """Four autoregressive steps and three denoising passes."""
    return three_passes(four_steps(agent))


VARIANTS: dict[str, Variant] = {
    "base": Variant(base),
    "noise": Variant(noise),
    "only_start_noise": Variant(only_start_noise),
    "low_start": Variant(low_start),
    "three_passes": Variant(three_passes),
    "no_hinge": Variant(no_hinge),
    "strong_hinge": Variant(strong_hinge),
    "vicreg": Variant(base, objectives.vicreg),
    "sigreg": Variant(base, objectives.sigreg),
    "barlow": Variant(base, objectives.barlow),
    "change_weighted": Variant(base, objectives.change_weighted),
    "change_normalized": Variant(base, objectives.change_normalized),
    "four_steps": Variant(four_steps),
    "sampled_context": Variant(sampled_steps, objectives.sampled_context),
    "context4": Variant(context4),
    "context8": Variant(context8),
    "patches4": Variant(patches4),
    "no_reward_end_gradient": Variant(no_reward_end_gradient),
    "strong_reward_end_gradient": Variant(strong_reward_end_gradient),
    "encoded_rewards": Variant(encoded_rewards),
    "prefer_none": Variant(prefer_none),
    "conv": Variant(conv),
    "longer": Variant(base, updates=2),
    "noise_steps_weighted": Variant(noise_steps, objectives.change_weighted),
    "noise_steps_weighted_passes": Variant(noise_steps_passes, objectives.change_weighted),
    "context4_noise": Variant(context4_noise),
    "conv_context4_noise": Variant(conv_context4_noise),
    "context4_noise_patches4": Variant(context4_noise_patches4),
    "context4_noise_longer": Variant(context4_noise, updates=2),
    "recipe": Variant(recipe),
    "recipe_weighted": Variant(recipe, objectives.change_weighted),
    "recipe_sigreg": Variant(recipe, objectives.sigreg),
    "recipe_longer": Variant(recipe, updates=2),
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
    config = variant.config(cpu("Breakout").agent)
    return init(config, made.num_actions, made.record.frame.shape[2:], jax.random.key(seed))


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
            claims.append(Claim(what, 0.0, ">", round(more, 4), len(both)))
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
