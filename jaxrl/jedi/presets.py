"""Whole configurations by name, game and mode: `tiny` for toys, MinAtar and the first minutes,
`cpu` for an Atari game on one CPU core, `small` for one modest GPU, `atari100k` for the benchmark.

The modes of one preset share schedule, batches, horizon and optimizers; they differ in the
networks' sizes, which must fit frames or latents.
"""

from dataclasses import replace

from jaxrl.diffusion.precondition import EDM
from jaxrl.envs.atari100k import PROTOCOL
from jaxrl.envs.gymnax_env import PREFIX as GYMNAX
from jaxrl.envs.make import TOYS, names_atari
from jaxrl.jedi.config import (
    AgentConfig,
    BehaviorLearning,
    CheckpointConfig,
    EvaluationConfig,
    GameConfig,
    GateConfig,
    JediConfig,
    Mode,
    ProbeLearning,
    RewardEndLearning,
    SamplerConfig,
    Schedule,
    Updates,
    WorldModelLearning,
)
from jaxrl.jedi.nets.actor_critic import ActorCriticConfig
from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.jedi.nets.reward_end import RewardEndConfig
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.train.config import differences, to_dict
from jaxrl.train.optim import OptimConfig

FRAMES = EncoderConfig("identity", (), channels=3, norm="quantize")
"""Pixel mode: a frame is its own latent."""
OFFSET = EDM(sigma_offset=0.3)
"""DIAMOND's noise for frames."""
FROM_ALL_ACTIONS = BehaviorLearning(
    OptimConfig(1e-3, 0.0, 10.0),
    batch=512,
    horizon=1,
    value_weight=0.02,
    entropy_weight=0.1,
    normalize=True,
    replay_weight=0.1,
    replay_every=16,
    lookahead=True,
    gradient_steps=4,
    candidates=8,
)
"""The policy learns from the imagined return of every action, one step from many real states, more
of them before events, four gradient steps each. The value also learns from real segments; its
weight is small, since it moves the same features. Our choice, measured on Asterix and UpNDown
(docs/lab/jedi.md).
"""


def for_small_objects(agent: AgentConfig) -> AgentConfig:
    """Use what kept the ball of bricks in imagination, and its rewards (docs/lab/jedi.md,
    "Ablation"): latents that see exactly their own square of the frame, each scaled for itself;
    higher noise levels, since redundant latents are readable through little noise; and rewards and
    ends learned on open-loop imagination. Our choice, measured with the small networks of `cpu`
    only.
    """
    widths = agent.encoder.widths
    return replace(
        agent,
        encoder=replace(agent.encoder, kind="fold", norm="position"),
        edm=replace(agent.edm, log_sigma_mean=1.0),
        reward_end_learning=replace(agent.reward_end_learning, open_loop_share=0.5),
        probe=replace(agent.probe, widths=(128,) * len(widths), kind="fold"),
    )


def as_separate(agent: AgentConfig) -> AgentConfig:
    """The same sizes, latents trained by reconstruction."""
    return replace(agent, mode="separate")


def as_pixel(
    agent: AgentConfig,
    denoiser: DenoiserConfig,
    reward_end: RewardEndConfig,
    actor_critic: ActorCriticConfig,
) -> AgentConfig:
    """The same agent on frames, with networks that fit them; rewards and ends are learned from real
    frames only, as in DIAMOND.

    Args:
      agent: the agent on latents.
      denoiser: sizes of a denoiser of frames.
      reward_end: sizes of a reward and end model that reads frames.
      actor_critic: sizes of a policy that reads frames.
    """
    learning = replace(agent.reward_end_learning, sampled_share=0.0, noise=0.0, open_loop_share=0.0)
    frames = replace(agent, mode="pixel", encoder=FRAMES, edm=OFFSET, reward_end_learning=learning)
    return replace(frames, denoiser=denoiser, reward_end=reward_end, actor_critic=actor_critic)


def tiny(env: str = "catch", mode: Mode = "jedi") -> JediConfig:
    """A few minutes on two CPU cores (mode "pixel": longer; MinAtar's games: `of_cells`). All
    values are our choice, measured on `catch` (docs/jedi.md).
    """
    if env.startswith(GYMNAX) and env.endswith("-MinAtar"):
        return of_cells(env, mode)
    toy = env in TOYS
    agent = AgentConfig(
        context=2,
        encoder=EncoderConfig("local", (32, 64, 64), channels=16, norm="position"),
        denoiser=DenoiserConfig((1,), (32,), cond_width=64),
        reward_end=RewardEndConfig((1,), (32,), cond_width=64, lstm_width=256),
        actor_critic=ActorCriticConfig((32,), (False,) if toy else (True,), lstm_width=128),
        world_model=WorldModelLearning(OptimConfig(3e-3, 1e-2, 1.0)),
        reward_end_learning=RewardEndLearning(OptimConfig(1e-3, 1e-2, 100.0), length=8),
        behavior=BehaviorLearning(
            OptimConfig(1e-3, 0.0, 100.0), horizon=10, entropy_weight=0.03, num_reset_starts=2
        ),
        probe=ProbeLearning(widths=(32, 32, 16)),
        precision="float32",
    )
    if mode == "pixel":
        agent = as_pixel(
            agent,
            DenoiserConfig((1, 1, 1), (16, 32, 32), cond_width=64),
            RewardEndConfig((1, 1, 1, 1), (16, 16, 32, 32), cond_width=64, lstm_width=256),
            ActorCriticConfig((16, 32, 32), (True, True, True), lstm_width=128),
        )
    elif mode == "separate":
        agent = as_separate(agent)
    if env == "bricks":
        # a game is longer and its rewards rarer: three times the play of `catch`, measured to be
        # enough; and with patches of 8 pixels the latents lose the ball (return 4.6 instead of 20),
        # so frames are small and halved once
        if mode != "pixel":
            agent = replace(
                agent,
                encoder=replace(agent.encoder, widths=(64,)),
                probe=replace(agent.probe, widths=(32,)),
            )
        first, per_epoch = Updates(3000, 1000, 200, 100), Updates(60, 30, 80, 10)
        schedule = Schedule(14_336, 6_144, 256, 8_192, 256, first, per_epoch, 0)
        gate, evaluate_every = GateConfig(latest_epoch=6), 4
    else:
        schedule = Schedule(
            4_608, 2_048, 256, 4_096, 256, Updates(1000, 300, 100, 100), Updates(60, 30, 80, 10), 0
        )
        gate, evaluate_every = GateConfig(latest_epoch=4), 1
    if toy:
        return JediConfig(
            env,
            game=GameConfig(frame_size=12 if env == "bricks" else 32, num_envs=8),
            agent=agent,
            replay=ReplayConfig(capacity=20_000, episodes=4_000),
            schedule=schedule,
            gate=gate,
            evaluation=EvaluationConfig(
                every=evaluate_every, episodes=100, final_episodes=100, max_steps=500
            ),
            checkpoint=CheckpointConfig(minutes=1.0),
        )
    return JediConfig(
        env,
        game=GameConfig(frame_size=48, num_envs=4),
        agent=agent,
        replay=ReplayConfig(capacity=50_000, episodes=4_000),
        schedule=Schedule(
            3_072, 2_048, 256, 4_096, 256, Updates(600, 150, 60, 150), Updates(80, 40, 40, 20), 0
        ),
        gate=GateConfig(latest_epoch=1),
        evaluation=EvaluationConfig(every=2, episodes=4, final_episodes=8, max_steps=1_000),
        checkpoint=CheckpointConfig(minutes=1.0),
    )


def of_cells(env: str, mode: Mode) -> JediConfig:
    """`tiny` for MinAtar's games: pictures of 10 x 10 cells, in which a player meets things. About
    twenty minutes of one CPU core.

    Our choice throughout, measured on Asterix (docs/lab/jedi.md, "MinAtar"). Unlike the other
    games of `tiny`:

      far more random play, which costs little in JAX: with less, the reward and end model
      memorizes events
      a latent for 2 x 2 cells, six past latents (things move every fifth step), higher noise levels
      rewards and ends, and the policy, are read from local features, wherever on the map they are
      the policy learns from the imagined return of every action, four gradient steps per imagined
      batch, with a small weight of the value's error: it moves the same features
      imagination is one step from many real states, not several from few, and begins more often
      before events: elsewhere the actions hardly differ, and with some seeds nothing was learned
    """
    agent = AgentConfig(
        context=6,
        encoder=EncoderConfig("fold", (64, 64), channels=16, norm="position"),
        denoiser=DenoiserConfig((1,), (32,), cond_width=96),
        reward_end=RewardEndConfig(
            (1,),
            (64,),
            cond_width=96,
            lstm_width=0,
            reward_prior=(0.001, 0.99, 0.009),
            end_prior=(0.985, 0.015),
            kind="pooled",
        ),
        actor_critic=ActorCriticConfig((32, 32), (False, False), lstm_width=128, kind="pooled"),
        edm=EDM(log_sigma_mean=1.0),
        sampler=SamplerConfig(steps=1),
        world_model=WorldModelLearning(OptimConfig(3e-3, 1e-2, 1.0)),
        reward_end_learning=RewardEndLearning(
            OptimConfig(2e-3, 1e-2, 100.0), batch=64, length=14, open_loop_share=0.75, candidates=8
        ),
        behavior=FROM_ALL_ACTIONS,
        probe=ProbeLearning(widths=(64, 64), kind="fold"),
        precision="float32",
    )
    if mode == "pixel":
        agent = as_pixel(
            agent,
            DenoiserConfig((1, 1, 1), (16, 32, 32), cond_width=96),
            RewardEndConfig((1, 1, 1), (16, 32, 32), cond_width=96, lstm_width=128),
            ActorCriticConfig((16, 32, 32), (True, True, True), lstm_width=128),
        )
    elif mode == "separate":
        agent = as_separate(agent)
    return JediConfig(
        env,
        game=GameConfig(frame_size=20, num_envs=64, action_repeat_epsilon=0.3),
        agent=agent,
        replay=ReplayConfig(capacity=200_000, episodes=16_000),
        schedule=Schedule(
            135_168,
            131_072,
            256,
            131_072,
            4_096,
            Updates(5_500, 1_000, 450, 400),
            Updates(60, 60, 150, 40),
            0,
        ),
        gate=GateConfig(end_recall=0.0),
        evaluation=EvaluationConfig(every=1, episodes=64, final_episodes=256, max_steps=1_000),
        checkpoint=CheckpointConfig(minutes=2.0),
    )


def cpu(env: str = "Freeway", mode: Mode = "jedi") -> JediConfig:
    """An Atari game in five to nine minutes of one CPU core.

    Our choice throughout, measured on Freeway (docs/lab/jedi.md). Unlike the paper and Atari 100k:

      an action is held for 16 emulator frames, not 4, so that an action has an effect worth
        learning and a reward lies few steps away; 25 000 steps would be as long a play as Atari
        100k's
      a step while collecting repeats the last action with probability 0.85, also in the first
        random play: a walk of single random steps never crosses a road
      frames of 48 pixels, an encoder without convolutions, dense networks on flattened latents, one
        denoising pass per imagined step: more updates in the same time
      the reward and end model learns on open-loop imagination and prefers segments with events
      the policy learns from the imagined return of every action (`FROM_ALL_ACTIONS`), and its heads
        read the features next to the LSTM
      it ends after one epoch: four more, with `--schedule.env-steps 16384`, lowered the return of
        UpNDown to two thirds, and only Road Runner gained
      the gate is open from the beginning: many games end too rarely to test it
    """
    agent = AgentConfig(
        context=2,
        encoder=EncoderConfig("fold", (64, 64, 64), channels=16, norm="position"),
        denoiser=DenoiserConfig((2,), (384,), cond_width=64, kind="dense"),
        reward_end=RewardEndConfig(
            widths=(256,),
            cond_width=64,
            lstm_width=0,
            reward_prior=(0.01, 0.97, 0.02),
            end_prior=(0.99, 0.01),
            kind="dense",
        ),
        actor_critic=ActorCriticConfig(
            (256,), lstm_width=128, kind="dense", heads_read_features=True
        ),
        sampler=SamplerConfig(steps=1),
        world_model=WorldModelLearning(OptimConfig(3e-3, 1e-2, 1.0)),
        reward_end_learning=RewardEndLearning(
            OptimConfig(1e-3, 1e-2, 100.0), length=12, open_loop_share=0.75, candidates=8
        ),
        behavior=FROM_ALL_ACTIONS,
        probe=ProbeLearning(widths=(128, 128, 128), kind="fold"),
        precision="float32",
    )
    if mode == "pixel":
        agent = as_pixel(
            agent,
            DenoiserConfig((1, 1, 1), (16, 32, 32), cond_width=64),
            RewardEndConfig((1, 1, 1, 1), (16, 16, 32, 32), cond_width=64, lstm_width=256),
            ActorCriticConfig((16, 32, 32), (True, True, True), lstm_width=128),
        )
    elif mode == "separate":
        agent = as_separate(agent)
    first, per_epoch = Updates(1_600, 450, 300, 1_000), Updates(20, 40, 150, 200)
    return JediConfig(
        env,
        game=GameConfig(
            frame_size=48,
            num_envs=4,
            frame_skip=16 if names_atari(env) else PROTOCOL.frame_skip,
            action_repeat_epsilon=0.85,
        ),
        agent=agent,
        replay=ReplayConfig(capacity=60_000, episodes=12_000, age_weights=(0.25, 0.25, 0.25, 0.25)),
        schedule=Schedule(12_288, 12_288, 1_024, 16_384, 1_024, first, per_epoch, 0),
        gate=GateConfig(end_recall=0.0),
        evaluation=EvaluationConfig(every=1, episodes=4, final_episodes=30, max_steps=2_000),
        checkpoint=CheckpointConfig(minutes=2.0),
    )


def small(env: str = "Breakout", mode: Mode = "jedi") -> JediConfig:
    """For one modest GPU: half the width and a tenth of the updates of `atari100k`; `plan` says
    how long. Our choice, not run.
    """
    agent = AgentConfig(
        denoiser=DenoiserConfig((2, 2), (64, 64)),
        reward_end=RewardEndConfig((2,), (32,), lstm_width=512),
        actor_critic=ActorCriticConfig((64, 64), (True, False), lstm_width=256),
        world_model=WorldModelLearning(OptimConfig(3e-4, 1e-2, 1.0)),
        reward_end_learning=RewardEndLearning(OptimConfig(3e-4, 1e-2, 100.0)),
        behavior=BehaviorLearning(OptimConfig(3e-4, 0.0, 100.0), entropy_weight=0.003),
    )
    if mode != "pixel":
        agent = for_small_objects(agent)
    else:
        agent = as_pixel(
            agent,
            DenoiserConfig((1, 1, 1, 1), (32, 32, 32, 32)),
            RewardEndConfig((1, 1, 1, 1), (32, 32, 32, 32), lstm_width=512),
            ActorCriticConfig((32, 32, 64, 64), (True,) * 4, lstm_width=256),
        )
    if mode == "separate":
        agent = as_separate(agent)
    first, per_epoch = Updates(4_000, 4_000, 2_000, 500), Updates(160, 160, 160, 20)
    return JediConfig(
        env,
        game=GameConfig(num_envs=4),
        agent=agent,
        replay=ReplayConfig(capacity=60_000),
        schedule=Schedule(50_000, 5_000, 100, 10_000, 200, first, per_epoch, final_epochs=10),
        evaluation=EvaluationConfig(final_episodes=32),
    )


def atari100k(env: str = "Breakout", mode: Mode = "jedi") -> JediConfig:
    """The benchmark: 100 000 steps of one game, DIAMOND's schedule. Mode "pixel" has exactly
    DIAMOND's networks (4.4, 5.9 and 3.2 million parameters at 4 actions); the sizes for latents,
    and `for_small_objects`, are our choice.
    """
    agent = AgentConfig(reward_end_learning=RewardEndLearning(sampled_share=0.125), encode_chunk=64)
    if mode != "pixel":
        agent = for_small_objects(agent)
    else:
        agent = as_pixel(
            agent,
            DenoiserConfig((2, 2, 2, 2), (64, 64, 64, 64)),
            RewardEndConfig((2, 2, 2, 2), (32, 32, 32, 32)),
            ActorCriticConfig((32, 32, 64, 64), (True,) * 4),
        )
    if mode == "separate":
        agent = as_separate(agent)
    return JediConfig(env, agent=agent)


PRESETS = {"tiny": tiny, "cpu": cpu, "small": small, "atari100k": atari100k}
"""For the command line."""


def options_for(config: JediConfig) -> list[str]:
    """Options of `train` that give this configuration again: the nearest preset, and what differs
    from it.
    """
    mode = config.agent.mode
    changes = {
        name: differences(to_dict(preset(config.env, mode)), to_dict(config))
        for name, preset in PRESETS.items()
    }
    nearest = min(changes, key=lambda name: len(changes[name]))
    options = [
        "--preset",
        nearest,
        "--env",
        config.env,
        *(["--mode", mode] if mode != "jedi" else []),
    ]
    for name, (_, value) in changes[nearest].items():
        values = value if isinstance(value, list) else [value]
        options += ["--" + name.replace("_", "-"), *map(str, values)]
    return options
