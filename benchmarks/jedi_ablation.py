"""Which choices let imagination know rewards it was not trained on? `python -m
benchmarks.jedi_ablation --folder RUNS [--env UpNDown] [--variants base noise ...]`.

Records random play, learns a world model and the reward and end model from it without a policy
(preset `tiny`, frames of 48 pixels), one run for each variant, and imagines *fresh* games along
their real actions. What counts is the log-likelihood gain over the marginal at every imagined step:
the loss of the best constant answer minus the model's, of rewards and of ends. Accuracy on the
replay says little here: a model that has memorized its rewards has it as well.

A variant changes the base by configuration values only. A folder that was begun is resumed, a
finished variant is in the record at once, and the next call does what is missing. Bands: 95 % of a
bootstrap over games.
"""

import argparse
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.breakout_rewards import plain
from benchmarks.recording import RESULTS, Claim, path_of, record
from jaxrl.envs.atari import Atari
from jaxrl.jedi.config import AgentConfig, Updates
from jaxrl.jedi.diagnostics.horizon import Record, count, draw_starts, with_bands
from jaxrl.jedi.offline.config import OFFLINE_PRESETS, OfflineConfig
from jaxrl.replay.episode_files import save_episode

SIDE = 48
"""Pixels of a frame's side, as in preset `tiny`."""
SHOWN = (
    "reward_nats_gain",
    "end_nats_gain",
    "reward_recall",
    "reward_precision",
    "latent_error",
    "latent_still_error",
)
"""Figures that are recorded, as far as `figures` has them."""


def base(agent: AgentConfig) -> AgentConfig:
    """The preset as it is."""
    return agent


def noise(agent: AgentConfig) -> AgentConfig:
    """Higher noise levels: redundant latents are readable through little noise."""
    return replace(agent, edm=replace(agent.edm, log_sigma_mean=1.0))


def fine(agent: AgentConfig) -> AgentConfig:
    """Patches of 4 pixels instead of 8: latents of 12 x 12."""
    encoder = replace(agent.encoder, widths=agent.encoder.widths[:2])
    return replace(agent, encoder=encoder, probe=replace(agent.probe, widths=(32, 32)))


def context4(agent: AgentConfig) -> AgentConfig:
    """Four past latents instead of two."""
    return replace(
        agent, context=4, reward_end_learning=replace(agent.reward_end_learning, length=10)
    )


def reward_end_gradient(agent: AgentConfig) -> AgentConfig:
    """The loss of rewards and ends shapes the encoder too (MuDreamer)."""
    return replace(agent, world_model=replace(agent.world_model, reward_end_gradient=0.5))


def no_hinge(agent: AgentConfig) -> AgentConfig:
    """No variance hinge."""
    return replace(agent, world_model=replace(agent.world_model, hinge_weight=0.0))


def four_steps(agent: AgentConfig) -> AgentConfig:
    """Four autoregressive steps per segment instead of two."""
    return replace(agent, world_model=replace(agent.world_model, autoregressive_steps=4))


def carried(agent: AgentConfig) -> AgentConfig:
    """The reward and end model sees pairs of two sampled latents, as in imagination."""
    return replace(
        agent, reward_end_learning=replace(agent.reward_end_learning, carry_sampled=True)
    )


def open_loop(agent: AgentConfig) -> AgentConfig:
    """Three of four segments for rewards and ends are imagined behind their first context."""
    return replace(
        agent,
        reward_end_learning=replace(agent.reward_end_learning, open_loop_share=0.75, length=12),
    )


def change(agent: AgentConfig) -> AgentConfig:
    """The reward and end model also reads what a step changes on the map."""
    return replace(agent, reward_end=replace(agent.reward_end, change_width=32))


def one_pass(agent: AgentConfig) -> AgentConfig:
    """One denoising pass per imagined step instead of three."""
    return replace(agent, sampler=replace(agent.sampler, steps=1))


VARIANTS: dict[str, Callable[[AgentConfig], AgentConfig]] = {
    variant.__name__: variant
    for variant in (
        base,
        noise,
        fine,
        context4,
        reward_end_gradient,
        no_hinge,
        four_steps,
        carried,
        open_loop,
        change,
        one_pass,
    )
}


def play(env: str, steps: int, seed: int) -> tuple[np.ndarray, ...]:
    """`steps` steps of random play: frames before and after, actions, rewards, ends, game over."""
    game, generator, rows = Atari(env, SIDE), np.random.default_rng(seed), []
    frame = game.reset(seed)
    for number in range(steps):
        action = int(generator.integers(game.num_actions))
        after = game.step(action)
        rows.append((frame, after.frame, action, after.reward, after.end, after.game_over))
        frame = game.reset(seed + number + 1) if after.game_over else after.frame
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def save_games(env: str, folder: Path, steps: int, seed: int) -> None:
    """Play at random, and save the play as episode files, one per life.

    Args:
      env: name of the game.
      folder: folder of the files.
      steps: agent steps in all.
      seed: seed of the play.
    """
    before, after, action, reward, end, over = play(env, steps, seed)
    first = 0
    for last in [*np.flatnonzero(end | over), steps - 1]:
        if last >= first:
            part = slice(first, last + 1)
            obs = np.concatenate([before[part], after[last : last + 1]])
            ends = np.append(np.zeros(last - first, bool), end[last])
            save_episode(folder, obs, action[part].astype(np.int32), reward[part], ends)
        first = last + 1


def fresh_games(env: str, games: int, steps: int) -> Record:
    """Games that nothing was learned from."""
    played = [play(env, steps, 10**6 + 1000 * number) for number in range(games)]
    before, after, action, reward, end, over = (
        np.stack(column) for column in zip(*played, strict=True)
    )
    done = end | over
    episode = np.cumsum(done, axis=1, dtype=np.int32) - done
    return Record(before, after, action.astype(np.int32), reward.astype(np.float32), end, episode)


def config_for(variant: str, data: Path, actions: int, epochs: int) -> OfflineConfig:
    """The run of a variant.

    Args:
      variant: name in VARIANTS.
      data: folder of episode files.
      actions: number of actions of the game.
      epochs: epochs of training.
    """
    tiny = OFFLINE_PRESETS["tiny"]("jedi")
    return replace(
        tiny,
        data=str(data),
        num_actions=actions,
        epochs=epochs,
        updates=Updates(100, 50, 0, 5),
        agent=VARIANTS[variant](tiny.agent),
    )


def measured(run: Path, games: Record, starts: int, horizon: int) -> dict:
    """Figures of a finished run in fresh games, by imagined step.

    Args:
      run: folder of a finished run.
      games: recorded play that the run was not trained on.
      starts: number of starts of imagination.
      horizon: imagined steps from each start.

    Returns:
      The figures in SHOWN, as lists and numbers.
    """
    import jax

    from jaxrl.jedi.report.recorded import restore

    begun = draw_starts(games, starts, seed=0)
    sums = count(
        restore(run), jax.tree.map(np.asarray, games), begun, jax.random.key(0), horizon, False
    )
    found = with_bands({name: np.asarray(value) for name, value in sums.items()})
    return {name: {k: plain(v) for k, v in found[name].items()} for name in SHOWN if name in found}


def claims_of(found: dict[str, dict], env: str) -> list[Claim]:
    """For each variant: is the mean gain of rewards over the horizon above zero?"""

    def mean(variant):
        gains = [g for g in found[variant]["reward_nats_gain"]["low"] if g is not None]
        return round(float(np.mean(gains)), 5) if gains else None

    what = "reward log-likelihood gain over the marginal, nats, mean over the imagined steps"
    return [
        Claim(
            f"{env}, {variant}: {what}, lower ends of the intervals",
            0.0,
            ">",
            mean(variant) if variant in found else None,
        )
        for variant in VARIANTS
    ]


def known(name: str, settings: dict) -> dict[str, dict]:
    """Runs that the record holds already.

    Raises:
      SystemExit: it is of other settings.
    """
    path = path_of(name, RESULTS)
    if not path.exists():
        return {}
    figures = json.loads(path.read_text())["figures"]
    if figures["settings"] != settings:
        raise SystemExit(f"{path} is of other settings: move it away to begin a new record")
    return figures["variants"]


def main() -> None:
    """Train what is missing, measure, record."""
    from jaxrl.jedi.offline.loop import learn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the recordings and runs")
    parser.add_argument("--env", default="UpNDown", help="an Atari game")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=32_000, help="recorded to learn from")
    parser.add_argument("--epochs", type=int, default=20, help="of 100 world-model updates")
    parser.add_argument("--horizon", type=int, default=15)
    parser.add_argument("--games", type=int, default=16, help="fresh ones, of 400 steps each")
    parser.add_argument("--starts", type=int, default=2048, help="of imagination, in all games")
    options = parser.parse_args()
    name = f"jedi_ablation_{options.env.lower()}"
    settings = {
        k: v for k, v in vars(options).items() if k not in ("folder", "variants") and k != "env"
    }
    data = options.folder / f"{options.env}-episodes"
    if not data.exists():
        unfinished = options.folder / f"{options.env}-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        save_games(options.env, unfinished, options.steps, seed=0)
        unfinished.rename(data)
    games, actions = None, Atari(options.env, SIDE).num_actions
    for variant in options.variants:
        if variant in known(name, settings):
            continue
        run = options.folder / f"{options.env}-{variant}"
        if not learn(config_for(variant, data, actions, options.epochs), run).finished:
            raise SystemExit("stopped; the same command resumes, what was finished is recorded")
        games = games or fresh_games(options.env, options.games, 400)
        found = known(name, settings)  # read anew: another process may have added its own
        found[variant] = measured(run, games, options.starts, options.horizon)
        print(variant, found[variant]["reward_nats_gain"]["mean"][:: options.horizon // 3 or 1])
        figures = {"settings": settings, "variants": dict(sorted(found.items()))}
        print(record(name, figures, claims_of(found, options.env)))


if __name__ == "__main__":
    main()
