"""The agent: its networks, its state, how it sees and how it acts. All functions are pure;
`AgentState.spec` is static under jit.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from jaxrl.app.old_names import attributes, warn_once
from jaxrl.jedi.config import AgentConfig
from jaxrl.jedi.nets import encoder as seeing
from jaxrl.jedi.nets.actor_critic import ActorCritic, PolicyOutput, PooledActorCritic
from jaxrl.jedi.nets.denoiser import Denoiser
from jaxrl.jedi.nets.dense import DenseActorCritic, DenseDenoiser, DenseRewardEnd
from jaxrl.jedi.nets.reward_end import END_CLASSES, PooledRewardEnd, RewardEnd
from jaxrl.jedi.nets.reward_values import REWARD_CLASSES
from jaxrl.nn.encoder import RMS, ConvDecoder, FoldDecoder
from jaxrl.nn.recurrent import LSTMState
from jaxrl.rl import categorical
from jaxrl.train.optim import adamw
from jaxrl.train.parallel import compute_dtype, example_keys
from jaxrl.train.state import Learner, init_learner


@dataclass(frozen=True)
class AgentSpec:
    """Sizes that fix all shapes: the configuration and the game's sizes."""

    config: AgentConfig
    num_actions: int
    frame_shape: tuple[int, int, int]
    """H, W, channels of a frame."""

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """h, w, channels of a latent."""
        shrink = 2 ** len(self.config.encoder.widths)
        return (
            self.frame_shape[0] // shrink,
            self.frame_shape[1] // shrink,
            self.config.encoder.channels,
        )


class Networks(NamedTuple):
    """The modules, without parameters."""

    encoder: seeing.Encoder
    denoiser: Denoiser
    reward_end: RewardEnd
    actor_critic: ActorCritic
    decoder: ConvDecoder | FoldDecoder
    """Latents to pictures: trained by the probe, or in mode "separate" by the world model. Not used
    in mode "pixel".
    """


DENOISERS = {"conv": Denoiser, "dense": DenseDenoiser}
REWARD_ENDS = {"conv": RewardEnd, "dense": DenseRewardEnd, "pooled": PooledRewardEnd}
ACTOR_CRITICS = {"conv": ActorCritic, "dense": DenseActorCritic, "pooled": PooledActorCritic}
DECODERS = {"conv": ConvDecoder, "fold": FoldDecoder}
"""By the `kind` in the configuration of each."""


@functools.cache
def networks(spec: AgentSpec) -> Networks:
    """The modules of `spec`."""
    config, dtype = spec.config, compute_dtype(spec.config.precision)
    return Networks(
        seeing.Encoder(config.encoder, dtype),
        DENOISERS[config.denoiser.kind](config.denoiser, spec.num_actions, dtype),
        REWARD_ENDS[config.reward_end.kind](config.reward_end, spec.num_actions, dtype),
        ACTOR_CRITICS[config.actor_critic.kind](config.actor_critic, spec.num_actions, dtype),
        DECODERS[config.probe.kind](config.probe.widths, spec.frame_shape[-1], dtype),
    )


class Optimizers(NamedTuple):
    """One per learner."""

    world: optax.GradientTransformation
    reward_end: optax.GradientTransformation
    policy: optax.GradientTransformation
    probe: optax.GradientTransformation


@functools.cache
def optimizers(spec: AgentSpec) -> Optimizers:
    """The optimizers of `spec`."""
    config = spec.config
    parts = (config.world_model, config.reward_end_learning, config.behavior, config.probe)
    return Optimizers(*(adamw(part.optim) for part in parts))


@flax.struct.dataclass
class AgentState:
    """All that the agent has learned, and its optimizers."""

    world: Learner
    """Parameters {"encoder", "denoiser"}, in mode "separate" also "decoder"."""
    target: dict
    """Moving average of the encoder. Rewards, ends, policy and start states see the world through
    it, because it is what the denoiser learns to predict: imagined and real latents are then of the
    same kind. Our choice.
    """
    reward_end: Learner
    """Reward and end model."""
    policy: Learner
    """Policy and value."""
    probe: Learner
    """Decoder for pictures, in mode "jedi"; the others need none, its parameters are then {}."""
    spec: AgentSpec = flax.struct.field(pytree_node=False)

    @property
    def heads(self) -> Learner:
        """The old name of `reward_end`, until 0.3."""
        warn_once("AgentState.heads", "AgentState.reward_end")
        return self.reward_end


def init(
    config: AgentConfig, num_actions: int, frame_shape: tuple[int, int, int], key: jax.Array
) -> AgentState:
    """A fresh agent for a game with `num_actions` actions and uint8 frames of `frame_shape` (H, W,
    3).

    Args:
      config: sizes, mode and learning settings of the agent.
      num_actions: number of the game's actions, A.
      frame_shape: (H, W, 3) of its uint8 frames.
      key: PRNG key of the parameters.

    Raises:
      ValueError: sizes, shares or modes that do not go together (`check_shapes` names the field),
        such as a frame that cannot be halved as often as the encoder has levels.
    """
    spec = AgentSpec(config, num_actions, tuple(frame_shape))
    check_shapes(spec)
    nets, optim = networks(spec), optimizers(spec)
    keys = jax.random.split(key, 5)
    n, latent = config.context, jnp.zeros(spec.latent_shape)
    frame = jnp.zeros(spec.frame_shape)
    sequence = jnp.zeros((1, *spec.latent_shape))
    action = jnp.zeros(1, jnp.int32)

    encoder = nets.encoder.init(keys[0], frame).get("params", {})
    past = jnp.zeros((n, *spec.latent_shape))
    denoiser = nets.denoiser.init(keys[1], latent, jnp.zeros(()), past, jnp.zeros(n, jnp.int32))[
        "params"
    ]
    reward_end = nets.reward_end.init(
        keys[2], reward_end_memory(spec, ()), sequence, sequence, action
    )["params"]
    policy = nets.actor_critic.init(keys[3], policy_memory(spec, ()), sequence)["params"]
    decoder = nets.decoder.init(keys[4], latent)["params"] if config.mode != "pixel" else {}
    world = {"encoder": encoder, "denoiser": denoiser} | (
        {"decoder": decoder} if config.mode == "separate" else {}
    )
    return AgentState(
        world=init_learner(world, optim.world),
        target=jax.tree.map(jnp.copy, encoder),
        reward_end=init_learner(reward_end, optim.reward_end),
        policy=init_learner(policy, optim.policy),
        probe=init_learner(decoder if config.mode == "jedi" else {}, optim.probe),
        spec=spec,
    )


def check_shapes(spec: AgentSpec) -> None:
    """Refuse sizes that do not fit together, with one sentence."""
    config = spec.config
    levels = len(config.encoder.widths)
    if (config.mode == "pixel") != (config.encoder.kind == "identity"):
        raise ValueError(
            f"agent.mode {config.mode} does not go with encoder.kind {config.encoder.kind} "
            '("identity" belongs to pixel, and only to '
            "it): choose the mode by --mode, which brings the sizes that fit"
        )
    if config.mode == "pixel" and (levels or config.encoder.channels != spec.frame_shape[-1]):
        raise ValueError(
            "in mode pixel encoder.widths must be empty and encoder.channels "
            f"{spec.frame_shape[-1]}, as in the frames"
        )
    if any(side % 2**levels for side in spec.frame_shape[:2]):
        raise ValueError(
            f"frames of {spec.frame_shape[0]}x{spec.frame_shape[1]} cannot be halved {levels} "
            "times; choose a frame size that is "
            f"a multiple of {2**levels} or fewer encoder.widths"
        )
    if config.mode != "pixel" and len(config.probe.widths) != levels:
        raise ValueError(
            f"probe.widths needs as many levels as encoder.widths ({levels}), has "
            f"{len(config.probe.widths)}"
        )
    for name in ("denoiser", "reward_end"):
        net = getattr(config, name)
        if net.kind == "conv" and len(net.depths) != len(net.widths):
            raise ValueError(
                f"{name}.depths and {name}.widths need as many levels, have {len(net.depths)} and "
                f"{len(net.widths)}"
            )
        if net.kind != "conv" and any(net.attention):
            raise ValueError(
                f"{name}.attention must be empty with {name}.kind {net.kind}, which never attends"
            )
    policy = config.actor_critic
    if policy.kind != "dense" and len(policy.pool) != len(policy.widths):
        raise ValueError(
            f"actor_critic.pool needs one True or False for each of actor_critic.widths "
            f"({len(policy.widths)}), has {len(policy.pool)}"
        )
    if config.behavior.gradient_steps < 1:
        raise ValueError(
            f"behavior.gradient_steps must be at least 1, is {config.behavior.gradient_steps}"
        )
    if config.behavior.gradient_steps > 1 and not config.behavior.lookahead:
        raise ValueError(
            f"behavior.gradient_steps must be 1 without behavior.lookahead, is "
            f"{config.behavior.gradient_steps}: returns of the actions taken are those of the "
            "policy that took them"
        )
    learning = config.reward_end_learning
    if learning.length < config.context + 1:
        raise ValueError(
            f"reward_end_learning.length must exceed context ({config.context}), is "
            f"{learning.length}"
        )
    if config.encoder.norm in ("rms", "position") and config.edm.sigma_data != RMS:
        raise ValueError(
            f"edm.sigma_data must be {RMS}, the scale that encoder.norm {config.encoder.norm} "
            f"gives, is {config.edm.sigma_data}"
        )
    for part in ("reward_end_learning", "behavior"):
        drawn = getattr(config, part)
        if drawn.candidates < 1 or not 1 <= drawn.preference < math.inf:
            raise ValueError(
                f"{part}.candidates ({drawn.candidates}) and its preference "
                f"({drawn.preference}) must be at least 1, and finite"
            )
    if not 0 <= learning.open_loop_share <= 1:
        raise ValueError(
            "reward_end_learning.open_loop_share must be from 0 to 1, is "
            f"{learning.open_loop_share}"
        )
    if not 0 <= learning.sampled_share <= 1 or not 0 <= learning.noise < math.inf:
        raise ValueError(
            f"reward_end_learning.sampled_share ({learning.sampled_share}) must be from 0 to 1, "
            f"its noise ({learning.noise}) 0 or more"
        )
    for name, classes in (("reward_prior", REWARD_CLASSES), ("end_prior", END_CLASSES)):
        prior = getattr(config.reward_end, name)
        if prior and (
            len(prior) != classes
            or not all(share > 0 for share in prior)
            or not abs(sum(prior) - 1) < 0.01
        ):
            raise ValueError(
                f"reward_end.{name} must be empty or {classes} shares above 0 that sum to 1, is "
                f"{prior}"
            )
    if config.reward_end.change_width < 0:
        raise ValueError(
            f"reward_end.change_width must be 0 or more, is {config.reward_end.change_width}"
        )
    if config.reward_end.change_width and config.reward_end.kind != "conv":
        raise ValueError(
            "reward_end.change_width must be 0 with reward_end.kind "
            f"{config.reward_end.kind}, which has no second reading, is "
            f"{config.reward_end.change_width}; a stored run with it learned without it: write 0 "
            "into its config.json"
        )
    if config.reward_end.lstm_width and config.reward_end.kind == "pooled":
        raise ValueError(
            "reward_end.lstm_width must be 0 with reward_end.kind pooled, which remembers nothing, "
            f"is {config.reward_end.lstm_width}"
        )
    if config.reward_end.lstm_width < 1 and config.reward_end.kind == "conv":
        raise ValueError(
            "reward_end.lstm_width must be above 0 with reward_end.kind conv, is "
            f"{config.reward_end.lstm_width}"
        )
    if config.denoiser.cond_width % (2 * config.context):
        raise ValueError(
            "denoiser.cond_width must be a multiple of 2 x context, is "
            f"{config.denoiser.cond_width}"
        )


def policy_memory(spec: AgentSpec, leading: tuple[int, ...]) -> LSTMState:
    """The policy's LSTM state at the beginning of an episode."""
    return LSTMState.zeros(leading, spec.config.actor_critic.lstm_width)


def reward_end_memory(spec: AgentSpec, leading: tuple[int, ...]) -> LSTMState:
    """The reward and end model's LSTM state at the beginning of an episode."""
    return LSTMState.zeros(leading, spec.config.reward_end.lstm_width)


def encode(state: AgentState, frame: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Latents `[..., h, w, C]` of uint8 frames `[..., H, W, 3]` by the target encoder; zero where
    `mask [...]` is False.

    Chunk by chunk, if the configuration has `encode_chunk`.
    """
    chunk = state.spec.config.encode_chunk
    return seeing.encode(networks(state.spec).encoder, state.target, frame, mask, chunk)


def decode(state: AgentState, z: jax.Array) -> jax.Array:
    """Pictures float `[..., H, W, 3]`, about [-1, 1], of latents by the decoder; no gradient flows
    to the latents.

    In mode "pixel" the latents themselves.
    """
    mode, z = state.spec.config.mode, jax.lax.stop_gradient(z)
    if mode == "pixel":
        return z
    params = state.world.params["decoder"] if mode == "separate" else state.probe.params
    return networks(state.spec).decoder.apply({"params": params}, z).astype(jnp.float32)


class Observation(NamedTuple):
    """Input of the policy at one step of B real environments."""

    memory: LSTMState
    """`[B, D]`, the policy's memory."""
    frame: jax.Array
    """uint8 `[B, H, W, 3]`."""
    first: jax.Array
    """bool `[B]`, True at the first frame of an episode: the memory is cleared before looking."""
    epsilon: jax.Array | float = 0.0
    """Probability of a uniformly random action, in [0, 1]."""
    temperature: jax.Array | float = 1.0
    """Divides the policy's logits; above 0."""


def act(
    state: AgentState, batch: Observation, key: jax.Array
) -> tuple[LSTMState, dict[str, jax.Array]]:
    """Read one frame per environment and choose actions.

    Returns:
      The new memory, and {"action" int32 [B], "logits" [B, A], "value" [B]}.
    """
    first = batch.first[:, None]
    memory = jax.tree.map(lambda m: jnp.where(first, 0.0, m), batch.memory)
    memory, out = policy_step(state, memory, encode(state, batch.frame))
    keys = example_keys(key, len(batch.first))
    logits = out.logits / batch.temperature
    action = jax.vmap(categorical.epsilon_sample, (0, 0, None))(keys, logits, batch.epsilon)
    return memory, {"action": action, "logits": out.logits, "value": out.value}


def policy_step(
    state: AgentState, memory: LSTMState, z: jax.Array
) -> tuple[LSTMState, PolicyOutput]:
    """Policy and value at latents `[..., h, w, C]`, with the memory after seeing them."""
    return networks(state.spec).actor_critic.apply(
        {"params": state.policy.params}, memory, z, method="step"
    )


__getattr__ = attributes(__name__, {"heads_memory": f"{__name__}:reward_end_memory"})  # old names
