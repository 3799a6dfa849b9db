"""Everything that can be set, composed from the parts; and the presets.

Marks in the docstrings: DIAMOND = value of the pixel baseline (arXiv 2405.12399, code commit 5bcd159), which JEDI is compared with;
"our choice" = not known from the JEDI papers (2505.19698, 2605.13013), chosen and measured here.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from jaxrl.diffusion.precondition import EDM
from jaxrl.jedi.actor_critic import ActorCriticConfig
from jaxrl.jedi.denoiser import DenoiserConfig
from jaxrl.jedi.encoder import EncoderConfig
from jaxrl.jedi.reward_end import RewardEndConfig
from jaxrl.replay.buffer import ReplayConfig
from jaxrl.train.optim import OptimConfig


@dataclass(frozen=True)
class SamplerConfig:
    """How the next latent is sampled (DIAMOND)."""

    steps: int = 3
    """Denoising passes per imagined frame."""
    sigma_min: float = 2e-3
    """Last noise level before 0."""
    sigma_max: float = 5.0
    """First noise level; the start is N(0, 1) all the same."""
    rho: float = 7.0
    """Curvature of the schedule."""
    order: int = 1
    """1 Euler, 2 Heun."""


@dataclass(frozen=True)
class WorldModelLearning:
    """Training of encoder and denoiser together, by the denoising loss."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-4, weight_decay=1e-2, clip_norm=1.0)
    """One optimiser for both (DIAMOND's values for its denoiser)."""
    batch: int = 32
    """Segments per update."""
    autoregressive_steps: int = 2
    """Targets per segment; from the second on, the context holds the model's own denoised latents."""
    target: Literal["ema", "sg", "grad"] = "ema"
    """Encoder of the targets: a moving average without gradient, the encoder itself without gradient, or with (collapses)."""
    ema_decay: float = 0.99
    """Decay of the moving average, per update. Our choice."""
    hinge_weight: float = 0.1
    """Weight of the variance hinge; 0 lets the latents collapse. Our choice."""
    hinge_floor: float = 0.25
    """Standard deviation over the batch below which a latent dimension is pushed apart. Our choice: half of the latents' RMS."""
    heads_gradient: float = 0.0
    """Weight of the (frozen) reward and end model's loss in the encoder's gradient; 0: latents learn from denoising alone."""


@dataclass(frozen=True)
class HeadsLearning:
    """Training of the reward and end model."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-4, weight_decay=1e-2, clip_norm=100.0)
    """DIAMOND's values."""
    batch: int = 32
    """Segments per update."""
    length: int = 19
    """Frames per segment (DIAMOND: horizon + context)."""
    sampled_share: float = 0.5
    """Share of the steps whose next latent is sampled by the current denoiser instead of encoded. Our choice; see learn_heads.py."""
    noise: float = 0.15
    """Largest standard deviation of the noise on the current latent. Our choice."""


@dataclass(frozen=True)
class BehaviourLearning:
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
    spare_starts: int = 1
    """Start states prepared per trajectory beyond the first, for going on after an imagined end. Our choice."""


@dataclass(frozen=True)
class ProbeLearning:
    """Training of the decoder that turns latents into pictures. It never touches the encoder."""

    optim: OptimConfig = OptimConfig(learning_rate=1e-3, weight_decay=0.0, clip_norm=1.0)
    """Our choice."""
    batch: int = 32
    """Frames per update."""
    widths: tuple[int, ...] = (64, 32, 32)
    """Channels per level, from the latent outwards."""


@dataclass(frozen=True)
class AgentConfig:
    """One agent: its networks, its diffusion and the training of its parts. Static under jit."""

    context: int = 4
    """Past latents and actions that the denoiser sees (DIAMOND)."""
    encoder: EncoderConfig = EncoderConfig()
    denoiser: DenoiserConfig = DenoiserConfig()
    reward_end: RewardEndConfig = RewardEndConfig()
    actor_critic: ActorCriticConfig = ActorCriticConfig()
    edm: EDM = EDM()
    sampler: SamplerConfig = SamplerConfig()
    world_model: WorldModelLearning = WorldModelLearning()
    heads: HeadsLearning = HeadsLearning()
    behaviour: BehaviourLearning = BehaviourLearning()
    probe: ProbeLearning = ProbeLearning()
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of convolutions and linear layers; parameters, statistics, softmax, losses and LSTM state stay float32."""
