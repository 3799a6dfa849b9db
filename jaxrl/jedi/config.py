"""Everything that can be set, composed from the parts. The presets are in presets.py.

Marks in the docstrings: DIAMOND = value of the pixel baseline (arXiv 2405.12399, code commit
5bcd159), which JEDI is compared with;
"our choice" = not known from the JEDI papers (2505.19698, 2605.13013), chosen and measured here.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from jaxrl.app.old_names import attributes, fields
from jaxrl.diffusion.precondition import EDM
from jaxrl.diffusion.sample import Churn
from jaxrl.jedi.nets.actor_critic import ActorCriticConfig
from jaxrl.jedi.nets.denoiser import DenoiserConfig
from jaxrl.jedi.nets.encoder import EncoderConfig
from jaxrl.jedi.nets.reward_end import RewardEndConfig
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.train.optim import OptimConfig

Mode = Literal["jedi", "pixel", "separate"]
"""Space of the world model: latents that the denoising loss shapes ("jedi"); frames, without
latents ("pixel", as DIAMOND); or latents trained apart, by reconstruction ("separate").
"""


@dataclass(frozen=True)
class SamplerConfig:
    """Sampling of the next latent (DIAMOND)."""

    steps: int = 3
    """Denoising passes per imagined frame."""
    sigma_min: float = 2e-3
    """Last noise level before 0."""
    sigma_max: float = 5.0
    """First noise level; the start is N(0, 1) all the same."""
    rho: float = 7.0
    """Curvature of the schedule."""
    order: Literal[1, 2] = 1
    """1 Euler, 2 Heun."""
    churn: Churn = Churn(s_max=1e9)
    """Noise put back while sampling (EDM, algorithm 2). Off, as in DIAMOND; a finite s_max keeps
    config.json plain JSON.
    """


@fields
@dataclass(frozen=True)
class WorldModelLearning:
    """Training of encoder and denoiser together, by the denoising loss."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-4, weight_decay=1e-2, clip_norm=1.0)
    """One optimizer for both (DIAMOND's values for its denoiser)."""
    batch: int = 32
    """Segments per update."""
    autoregressive_steps: int = 2
    """Targets per segment; from the second on, the context holds the model's own denoised latents.
    """
    target: Literal["ema", "sg", "grad"] = "ema"
    """Encoder of the targets: a moving average without gradient, the encoder itself without
    gradient, or with (collapses).
    """
    ema_decay: float = 0.99
    """Decay of the moving average, per update. Our choice."""
    hinge_weight: float = 0.1
    """Weight of the variance hinge; 0 lets the latents collapse. Our choice."""
    hinge_floor: float = 0.25
    """Standard deviation over the batch below which a latent dimension is pushed apart. Our choice:
    half of the latents' RMS.
    """
    reconstruction_weight: float = 1.0
    """Weight of the squared error of pixels in mode "separate", where it alone trains encoder and
    decoder. Our choice.
    """
    reward_end_gradient: float = 0.0
    """Weight of the (frozen) reward and end model's loss in the encoder's gradient; 0: latents
    learn from denoising alone.
    """

    OLD_NAMES: ClassVar[dict[str, str]] = {"heads_gradient": "reward_end_gradient"}


@dataclass(frozen=True)
class RewardEndLearning:
    """Training of the reward and end model."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-4, weight_decay=1e-2, clip_norm=100.0)
    """DIAMOND's values."""
    batch: int = 32
    """Segments per update."""
    length: int = 19
    """Frames per segment (DIAMOND: horizon + context)."""
    sampled_share: float = 0.5
    """Share of the steps whose next latent is sampled by the current denoiser instead of encoded.
    Our choice; see learn/reward_end.py.
    """
    noise: float = 0.15
    """Largest standard deviation of the noise on the current latent. Our choice."""
    open_loop_share: float = 0.0
    """Share of the segments whose latents behind the first context are all imagined, each from
    those before it; `sampled_share` and `noise` then do nothing. 0: none.
    Our choice.
    """
    candidates: int = 1
    """Segments drawn for each that is learned from; above 1, those with a reward or an end are
    preferred (replay/eventful.py).
    """
    preference: float = 16.0
    """Factor by which such a segment is likelier to be chosen from the candidates; its losses count
    the less (their sum is unbiased, a batch divides it by its weights). At least 1. Our choice.
    """

    REMOVED: ClassVar[dict[str, bool]] = {"carry_sampled": False}  # in 0.2


@fields
@dataclass(frozen=True)
class BehaviorLearning:
    """Training of policy and value in imagination."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-4, weight_decay=0.0, clip_norm=100.0)
    """DIAMOND's values."""
    batch: int = 32
    """Imagined trajectories per update."""
    horizon: int = 15
    """Imagined steps per trajectory."""
    gamma: float = 0.985
    """Discount per step."""
    lambda_: float = 0.95
    """Trace decay of the returns."""
    value_weight: float = 1.0
    """Weight of the squared value error."""
    entropy_weight: float = 0.001
    """Weight of the entropy bonus, per nat."""
    normalize: bool = False
    """Divide advantages by their standard deviation over the imagined batch, and the squared value
    error by its square: with rare rewards they are otherwise far smaller than the entropy bonus.
    With `lookahead` the policy's are divided by how far the returns of the actions differ.
    DreamerV3 (arXiv 2301.04104) divides by a running range of the returns instead. Our choice.
    """
    replay_weight: float = 0.0
    """Weight of the value error on real segments of the replay, with their real rewards, next to
    that of the imagined ones (DreamerV3's replay critic loss). 0: the value learns from imagination
    alone.
    """
    replay_length: int = 16
    """Real steps before each start of imagination from which the value learns, if `replay_weight`
    is above 0.
    """
    replay_every: int = 1
    """The value learns from those of every so many trajectories; more than 1 saves time."""
    lookahead: bool = False
    """Imagine every action at each imagined step, not only the one taken. The policy learns from
    the expected return of each (reward, and discounted value of the state reached), the value from
    expected rewards and ends. So the actions are compared where they matter, instead of being met
    by chance. An imagined step costs as much as A steps, A being the number of actions. Our choice.
    """
    gradient_steps: int = 1
    """Gradient steps from each imagined batch, each part of the compiled program; warm-up counts
    them. More than one only with `lookahead`, whose returns stay those of the actions while the
    policy changes; imagining is then the larger part of an update. Our choice.
    """
    candidates: int = 1
    """Starts drawn for each that is imagined from; above 1, those with a reward or an end within
    the next `horizon` steps of the replay are preferred (replay/eventful.py). The metrics
    `behavior/imagined_...` are then means over such starts, not rates of usual play.
    """
    preference: float = 16.0
    """Factor by which such a start is likelier to be chosen from the candidates. At least 1. What
    is imagined is not weighted; real segments of the value count the less. Our choice.
    """
    num_reset_starts: int = 1
    """Start states prepared per trajectory beyond the first, to continue from after an imagined
    end. Our choice.
    """

    OLD_NAMES: ClassVar[dict[str, str]] = {"spare_starts": "num_reset_starts"}  # old name


@dataclass(frozen=True)
class ProbeLearning:
    """Training of the decoder that turns latents into pictures. It never touches the encoder."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-3, weight_decay=0.0, clip_norm=1.0)
    """Our choice."""
    batch: int = 32
    """Frames per update."""
    widths: tuple[int, ...] = (64, 32, 32)
    """Channels per level, from the latent outwards."""
    kind: Literal["conv", "fold"] = "conv"
    """Convolutions at every level, or pointwise layers of the first of `widths` from each latent to
    its own square of the picture: cheap, and enough for encoder kind "fold".
    """


@fields
@dataclass(frozen=True)
class AgentConfig:
    """One agent: its networks, its diffusion and the training of its parts. Static under jit."""

    mode: Mode = "jedi"
    """The world model: "jedi", or one of the baselines. The sizes must fit, so choose it by
    `--mode`, which brings its preset.
    """
    context: int = 4
    """Past latents and actions that the denoiser sees (DIAMOND)."""
    encoder: EncoderConfig = EncoderConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    reward_end: RewardEndConfig = RewardEndConfig()
    actor_critic: ActorCriticConfig = ActorCriticConfig()
    edm: EDM = EDM()
    sampler: SamplerConfig = SamplerConfig()
    world_model: WorldModelLearning = WorldModelLearning()
    reward_end_learning: RewardEndLearning = RewardEndLearning()
    behavior: BehaviorLearning = BehaviorLearning()
    probe: ProbeLearning = ProbeLearning()
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Arithmetic of convolutions and linear layers; parameters, statistics, softmax, losses and
    LSTM state stay float32. "auto": bfloat16 on accelerators, float32 on CPUs.
    """
    encode_chunk: int = 0
    """Frames that are encoded together where no gradient is needed; 0: all. Else the encoder's
    finest maps, of all frames of a batch, are the largest memory of the update of rewards and ends.
    Our choice.
    """

    OLD_NAMES: ClassVar[dict[str, str]] = {
        "heads": "reward_end_learning",
        "behaviour": "behavior",  # old name
    }


@dataclass(frozen=True)
class GameConfig:
    """Settings of play."""

    frame_size: int = 64
    """Side of the square RGB frames, pixels."""
    num_envs: int = 1
    """Games played side by side."""
    frame_skip: int = 4
    """Emulator frames for which an Atari game holds an action (Atari 100k: 4). With more, an action
    has a larger effect and a reward is fewer steps away, and play is coarser.
    """
    epsilon: float = 0.01
    """Probability of a random action while collecting (DIAMOND)."""
    temperature: float = 1.0
    """Divides the policy's logits while collecting: above 1 explores more, below 1 less (IRIS).
    Evaluation does not use it. Our choice.
    """
    action_repeat_epsilon: float = 0.0
    """Probability that a step of collecting repeats the action before it, within a game: longer
    walks in one direction for games with rare rewards. Our choice.
    """
    image_key: str | None = None
    """The image among the observations of a Gymnasium environment that observes dictionaries.
    Absent: the only image.
    """
    restart_on_error: int = 0
    """Times that a game outside JAX that raises or returns something unusable is made anew, in one
    session. After that the run saves and stops.
    """


@fields
@dataclass(frozen=True)
class Updates:
    """Updates of each part in one epoch."""

    world_model: int = 400
    reward_end: int = 400
    behavior: int = 400
    probe: int = 40
    """The decoder for pictures; 0 if none are wanted. Our choice."""

    OLD_NAMES: ClassVar[dict[str, str]] = {
        "heads": "reward_end",
        "behaviour": "behavior",  # old name
    }


@fields
@dataclass(frozen=True)
class Schedule:
    """When to play and when to learn. Steps are counted over all games together
    (DIAMOND's values).
    """

    env_steps: int = 100_000
    """Environment steps of the whole run."""
    initial_steps: int = 5_000
    """Steps with random actions before the first update."""
    initial_extra: int = 100
    """More such steps, again and again, while the two rarest of the rewards -1, 0, +1 were seen
    fewer than 10 times together.
    """
    initial_limit: int = 10_000
    """But never more than this in all."""
    steps_per_epoch: int = 100
    """Steps between updates."""
    first_epoch: Updates = Updates(10_000, 10_000, 5_000, 1_000)
    """Updates of the first epoch; for behavior, of the epoch in which its gate opens."""
    per_epoch: Updates = Updates()
    """Updates of every other epoch."""
    final_epochs: int = 50
    """Epochs without play at the end."""

    OLD_NAMES: ClassVar[dict[str, str]] = {"first": "first_epoch", "steady": "per_epoch"}


@dataclass(frozen=True)
class GateConfig:
    """Behavior is learned only once imagination is worth it: it must end where the real game
    ended. Our choice.
    """

    end_recall: float = 0.9
    """Share of real ends that open-loop imagination must predict at the right step. 0 opens the
    gate at once.
    """
    false_alarms: float = 0.1
    """Largest share of imagined steps that end although the real game continued."""
    horizon: int = 8
    """Imagined steps up to the end."""
    segments: int = 64
    """Endings that are tried."""
    latest_epoch: int = 10
    """The gate opens in this epoch at the latest (the log says so)."""


@dataclass(frozen=True)
class MonitorConfig:
    """Watching for collapse, once an epoch."""

    segments: int = 128
    """Segments for the statistics of latents and the context gain."""
    probe_states: int = 512
    """States of a toy game for the linear probe of its true variables."""


@dataclass(frozen=True)
class EvaluationConfig:
    """Playing whole games with the learned policy: sampled actions, no random ones."""

    every: int = 10
    """Epochs between evaluations; 0 for only one at the end (DIAMOND: 10)."""
    episodes: int = 4
    """Games each time (DIAMOND: 4)."""
    final_episodes: int = 100
    """Games after the last epoch (DIAMOND: 100)."""
    max_steps: int = 27_000
    """Steps after which a game counts as over (108 000 emulator frames)."""


@dataclass(frozen=True)
class CheckpointConfig:
    """Saving, besides at the end and on request (SIGTERM, Ctrl-C)."""

    minutes: float = 10.0
    """Time between checkpoints, at the end of an epoch; 0 saves after every epoch."""
    keep: int = 2
    """Latest checkpoints that stay; the best evaluated one stays too."""


@dataclass(frozen=True)
class JediConfig:
    """A whole run."""

    env: str = "Breakout"
    """A toy (catch, catch-drift, bricks), an Atari game (Breakout, MsPacman, ...), any Gymnasium
    id, gymnax:Breakout-MinAtar and its like, or my_package.my_game:make.
    """
    seed: int = 0
    """Fixes all randomness of the run."""
    devices: int = 0
    """Devices that share every batch; 0 for all accelerators (one on CPU), and for all devices if
    several processes train.
    """
    parallel: Literal["jit", "pmap"] = "jit"
    """Form in which they share it: one program over sharded arrays, or one program per device with
    a named axis. The results are the same but for rounding; on one device there is no difference.
    """
    program: Literal["auto", "run", "epoch", "phase"] = "auto"
    """Extent of one compiled call: the learning of a whole epoch (auto: on accelerators), or part
    of one phase, 1 to 2 seconds long, so that progress shows and Ctrl-C answers (auto: on CPU, and
    in the long first epoch); or, for games in JAX, play and learning from one evaluation to the
    next, of all seeds. The results are the same but for rounding.
    """
    log: Literal["files", "wandb"] = "files"
    """Destination of metrics: metrics.jsonl and TensorBoard's files, or also Weights & Biases
    (extra `wandb`; WANDB_MODE=offline without network).
    """
    game: GameConfig = GameConfig()
    agent: AgentConfig = AgentConfig()
    replay: ReplayConfig = ReplayConfig()
    schedule: Schedule = Schedule()
    gate: GateConfig = GateConfig()
    monitor: MonitorConfig = MonitorConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()


MAY_CHANGE = (
    "schedule.env_steps",
    "schedule.final_epochs",
    "evaluation.",
    "checkpoint.",
    "devices",
    "parallel",
    "program",
    "log",
    "replay.storage",
    "game.restart_on_error",
)
"""Fields (or their beginnings) that a resumed run may set anew: none of them touches what was
learned so far.
"""


__getattr__ = attributes(
    __name__,
    {
        "BehaviourLearning": f"{__name__}:BehaviorLearning",  # old name
        "HeadsLearning": f"{__name__}:RewardEndLearning",
    },
)
