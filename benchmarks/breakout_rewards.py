"""Does imagination know when Breakout rewards? `python -m benchmarks.breakout_rewards --folder
RUN`.

Plays Breakout with a script that follows the ball (it reads the emulator's memory; a share of its
actions is random), learns a world model from the recorded episodes without a policy (`python -m
jaxrl.jedi learn`, preset `tiny`, latents of 12 x 12), and imagines fresh games along their real
actions. What is claimed: the imagined reward's class costs fewer nats than the best constant answer
in hindsight, at every imagined step. Bands: 95 % of a bootstrap over games. A folder that was begun
is continued.
"""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.recording import Claim, record
from jaxrl.envs.atari import Atari
from jaxrl.jedi.diagnostics.horizon import Record, count, draw_starts, with_bands
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.jedi.offline.config import OFFLINE_PRESETS, OfflineConfig
from jaxrl.replay.episode_files import save_episode

REWARD_PRIOR, END_PRIOR = (0.001, 0.976, 0.023), (0.993, 0.007)
"""Shares of the classes in recorded play; no reward of Breakout is negative, but a class needs some
share.
"""
SIDE = 48
"""Pixels of a frame's side, as in preset `tiny`."""
RANDOM = 0.3
"""Share of random actions: not every ball is caught."""
PADDLE, BALL, HEIGHT = 72, 99, 101
"""Addresses in the emulator's memory of the paddle's and the ball's column, and of the ball's row
(0: there is no ball).
"""


def follow(game: Atari, generator: np.random.Generator) -> int:
    """An action: towards the ball, a serve if there is none, or any at all."""
    noop, fire, right, left = (
        game.action_names.index(name) for name in ("noop", "fire", "right", "left")
    )
    memory = game._ale.getRAM()
    if generator.random() < RANDOM:
        return int(generator.integers(game.num_actions))
    if memory[HEIGHT] == 0:
        return fire
    apart = int(memory[BALL]) - int(memory[PADDLE]) - 8
    return noop if abs(apart) < 4 else right if apart > 0 else left


def play(steps: int, seed: int) -> tuple[np.ndarray, ...]:
    """`steps` steps of one game after the other: frames before and after, actions, rewards, ends
    (of a life), game over.
    """
    game, generator, rows = Atari("Breakout", SIDE), np.random.default_rng(seed), []
    frame = game.reset(seed)
    for number in range(steps):
        action = follow(game, generator)
        after = game.step(action)
        rows.append((frame, after.frame, action, after.reward, after.end, after.game_over))
        frame = game.reset(seed + number + 1) if after.game_over else after.frame
    return tuple(np.stack(column) for column in zip(*rows, strict=True))


def save_games(folder: Path, steps: int, seed: int) -> None:
    """The same as episode files, one per life."""
    before, after, action, reward, end, over = play(steps, seed)
    first = 0
    for last in [*np.flatnonzero(end | over), steps - 1]:
        if last >= first:
            part = slice(first, last + 1)
            obs = np.concatenate([before[part], after[last : last + 1]])
            save_episode(
                folder,
                obs,
                action[part].astype(np.int32),
                reward[part],
                np.append(np.zeros(last - first, bool), end[last]),
            )
        first = last + 1


def lanes(games: int, steps: int, seed: int) -> Record:
    """Fresh games, as `horizon` wants them."""
    played = [play(steps, seed + 1000 * number) for number in range(games)]
    before, after, action, reward, end, over = (
        np.stack(column) for column in zip(*played, strict=True)
    )
    done = end | over
    episode = np.cumsum(done, axis=1, dtype=np.int32) - done
    return Record(before, after, action.astype(np.int32), reward.astype(np.float32), end, episode)


def plain(values: np.ndarray) -> list[float | None]:
    """For JSON; None where nothing was counted."""
    return [None if np.isnan(v) else round(float(v), 5) for v in values]


def config_for(data: Path, epochs: int) -> OfflineConfig:
    """Preset `tiny` with latents that keep the ball, which is about a pixel wide, and a reward and
    end model for rewards that come once in forty steps.

    It sees mostly segments with a reward, begins at the base rate and reads what a step changes
    (docs/jedi.md, "Rare rewards"); their gradient reaches the encoder.
    """
    from jaxrl.jedi.config import Updates

    tiny = OFFLINE_PRESETS["tiny"]("jedi")
    agent = replace(
        tiny.agent,
        encoder=EncoderConfig("local", (32, 64), channels=16, norm="position"),
        reward_end=replace(
            tiny.agent.reward_end,
            depths=(1, 1, 1),
            widths=(16, 32, 32),
            reward_prior=REWARD_PRIOR,
            end_prior=END_PRIOR,
            change_width=32,
        ),
        probe=replace(tiny.agent.probe, widths=(32, 32)),
        world_model=replace(tiny.agent.world_model, reward_end_gradient=0.5),
        reward_end_learning=replace(
            tiny.agent.reward_end_learning, batch=32, candidates=8, sampled_share=0.25, noise=0.05
        ),
    )
    return replace(
        tiny, data=str(data), epochs=epochs, updates=Updates(100, 100, 0, 10), agent=agent
    )


def main() -> None:
    """Play, learn, imagine, record."""
    import jax

    from jaxrl.jedi.offline.loop import learn
    from jaxrl.jedi.report.recorded import restore

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="of the recordings and the run")
    parser.add_argument("--steps", type=int, default=40_000, help="recorded to learn from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--horizon", type=int, default=15)
    parser.add_argument("--games", type=int, default=24, help="fresh ones, of 400 steps each")
    parser.add_argument(
        "--starts", type=int, default=4096, help="of imagination, in all games together"
    )
    options = parser.parse_args()
    data, run = options.folder / "episodes", options.folder / "run"
    if not data.exists():
        unfinished = options.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        save_games(unfinished, options.steps, seed=0)
        unfinished.rename(data)
    if not learn(config_for(data, options.epochs), run).finished:
        raise SystemExit("stopped; the same command continues, nothing is recorded")
    agent, games = restore(run), lanes(options.games, 400, seed=10**6)
    starts = draw_starts(games, options.starts, seed=0)
    sums = count(
        agent, jax.tree.map(np.asarray, games), starts, jax.random.key(0), options.horizon, False
    )
    found = with_bands({name: np.asarray(value) for name, value in sums.items()})
    shown = (
        "reward_nats_gain",
        "reward_recall",
        "reward_precision",
        "reward_rate",
        "reward_accuracy_gain",
        "end_nats_gain",
    )
    for name in shown:
        print(
            name,
            [f"{m:.4f} [{a:.4f}, {b:.4f}]" for m, a, b in zip(*found[name].values(), strict=True)],
        )
    table = {name: {k: plain(v) for k, v in found[name].items()} for name in shown}
    gains = found["reward_nats_gain"]["low"]
    if np.isnan(gains).any():
        raise SystemExit(
            f"not every one of {options.horizon} imagined steps was reached: take more --games or "
            "--starts"
        )
    what = (
        "Breakout, imagined rewards from recorded play: log-likelihood gain over the marginal, nats"
    )
    claims = [
        Claim(f"{what}, first imagined step, lower end of the interval", 0.0, ">", float(gains[0])),
        Claim(
            f"{what}, worst of {options.horizon} imagined steps, lower end of the interval",
            0.0,
            ">",
            float(gains.min()),
        ),
    ]
    record(
        "breakout_rewards",
        {"settings": {k: str(v) for k, v in vars(options).items() if k != "folder"}} | table,
        claims,
    )


if __name__ == "__main__":
    main()
