"""One update of the world model: the objective of JEDI, and those of its two baselines.

They share the denoising loss and differ in where the latents come from:

  jedi      from the denoising loss itself (papers 2505.19698, 2605.13013: no reconstruction, no
            pretrained encoder). How exactly is not known to us; what follows is our choice, after
            DIAMOND's loss and the measurements in docs/jedi.md:

              z_t   = E(o_t)                          context latents, with gradient
              zbar  = stop_gradient(E_ema(o_{t+1}))   targets
              F     = U(c_in (zbar + sigma e), z_context / sigma_data, actions, c_noise)
              L     = mean (F - (zbar - c_skip noisy) / c_out)^2
                                                      averaged over the autoregressive steps
                      + w mean_j relu(floor - std_batch(z_j))
                                                      variance hinge: without it they collapse

  separate  from reconstruction alone, L = mean |decode(E(o)) - o|^2; the denoiser learns on them
            and cannot change them
  pixel     nowhere: the latent is the frame (DIAMOND, arXiv 2405.12399)
"""

import jax
import jax.numpy as jnp

from jaxrl.diffusion import noise
from jaxrl.diffusion.loss import DenoisingSteps, autoregressive_loss
from jaxrl.jedi.agent import AgentSpec, AgentState, networks, optimizers, reward_end_memory
from jaxrl.jedi.learn.reward_end import classification_loss
from jaxrl.jedi.nets.encoder import encode, fix_scale
from jaxrl.replay.segment import Segment, frame_to_float
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients, ema


def update_world_model(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """One gradient step on a batch of segments `[B, context + autoregressive_steps]`; also moves
    the target encoder.

    Args:
      state: the agent.
      batch: segments `[B, context + autoregressive_steps]` from the replay.
      key: PRNG key of noise levels and noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      The agent with a new world model and target encoder, and float32 scalar metrics: "loss",
      "denoising", "latent_std" (mean over dimensions), "gradient_norm", and by mode "hinge" or
      "reconstruction"; also "reward_end" (nats), if the reward and end model's loss shapes the
      latents.
    """
    compute = jax.value_and_grad(OBJECTIVES[state.spec.config.mode], has_aux=True)
    (_, metrics), grads = compute(state.world.params, state, batch, key, axis_name)
    state, norm = step_world_model(state, parallel.mean(grads, axis_name))
    return state, {**metrics, "gradient_norm": norm}


def step_world_model(state: AgentState, grads) -> tuple[AgentState, jax.Array]:
    """Take one step of the world model's optimizer along gradients of its parameters, and move the
    target encoder; returns the agent and the gradient's norm.
    """
    world, norm = apply_gradients(state.world, grads, optimizers(state.spec).world)
    learning = state.spec.config.world_model
    if learning.target == "ema":
        target = ema(state.target, world.params["encoder"], learning.ema_decay)
    else:
        target = jax.tree.map(jnp.copy, world.params["encoder"])
    return state.replace(world=world, target=target), norm


def jedi_loss(
    params, state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
):
    """Denoising shapes the latents, for parameters {"encoder", "denoiser"}: `(loss, metrics)`.

    Args:
      params: {"encoder", "denoiser"}; the gradient is with respect to them.
      state: the agent, for sizes, target encoder and reward and end model.
      batch: segments `[B, context + autoregressive_steps]`.
      key: PRNG key of noise levels and noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.
    """
    spec, learning = state.spec, state.spec.config.world_model
    n = spec.config.context
    z = encode_context(spec, params, batch.window(0, n))
    targets = encode_targets(state, params, batch.window(n, n + learning.autoregressive_steps))
    denoising = denoising_loss(spec, params["denoiser"], z, targets, batch, key, axis_name)
    std = batch_std(z, batch.frame_mask[:, :n], axis_name)
    hinge = jax.nn.relu(learning.hinge_floor - std).mean()
    loss = denoising + learning.hinge_weight * hinge
    metrics = {"denoising": denoising, "hinge": hinge, "latent_std": std.mean()}
    if learning.reward_end_gradient > 0:
        shared = frozen_reward_end_loss(state, z, targets, batch, axis_name)
        loss, metrics = (
            loss + learning.reward_end_gradient * shared,
            {**metrics, "reward_end": shared},
        )
    return loss, {"loss": loss, **metrics}


def separate_loss(
    params, state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
):
    """Reconstruction shapes the latents, for parameters {"encoder", "decoder", "denoiser"}: `(loss,
    metrics)`.

    Args:
      params: {"encoder", "decoder", "denoiser"}; the gradient is with respect to them.
      state: the agent, for sizes and target encoder.
      batch: segments `[B, context + autoregressive_steps]`.
      key: PRNG key of noise levels and noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.
    """
    spec, learning = state.spec, state.spec.config.world_model
    n = spec.config.context
    z = encode_context(spec, params, batch)
    reconstruction = reconstruction_loss(spec, params["decoder"], z, batch, axis_name)
    targets = encode_targets(state, params, batch.window(n, n + learning.autoregressive_steps))
    past = jax.lax.stop_gradient(z[:, :n])
    denoising = denoising_loss(
        spec, params["denoiser"], past, jax.lax.stop_gradient(targets), batch, key, axis_name
    )
    loss = denoising + learning.reconstruction_weight * reconstruction
    std = batch_std(past, batch.frame_mask[:, :n], axis_name)
    return loss, {
        "loss": loss,
        "denoising": denoising,
        "reconstruction": reconstruction,
        "latent_std": std.mean(),
    }


def pixel_loss(
    params, state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
):
    """Denoising of frames, for parameters {"denoiser"} (and an empty "encoder"): `(loss,
    metrics)`.

    Args:
      params: {"encoder", "denoiser"}, the first empty; the gradient is with respect to them.
      state: the agent, for sizes.
      batch: segments `[B, context + autoregressive_steps]`.
      key: PRNG key of noise levels and noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.
    """
    n = state.spec.config.context
    frames = encode_context(state.spec, params, batch)
    denoising = denoising_loss(
        state.spec, params["denoiser"], frames[:, :n], frames[:, n:], batch, key, axis_name
    )
    std = batch_std(frames[:, :n], batch.frame_mask[:, :n], axis_name)
    return denoising, {"loss": denoising, "denoising": denoising, "latent_std": std.mean()}


OBJECTIVES = {"jedi": jedi_loss, "separate": separate_loss, "pixel": pixel_loss}
"""By `AgentConfig.mode`."""


def denoising_loss(
    spec: AgentSpec, denoiser_params, z, targets, batch: Segment, key, axis_name=None
) -> jax.Array:
    """Mean denoising error over examples and autoregressive steps; steps into or out of padding do
    not count.

    Args:
      z: context latents `[B, n, h, w, C]`.
      targets: `[B, S, h, w, C]`.
      batch: the segments `[B, n + S]`, for actions and masks.
      key: PRNG key for noise levels and noise.
    """
    keys = parallel.example_keys(key, len(z), axis_name)
    outcome, real = denoising_steps(spec, denoiser_params, z, targets, batch, keys)
    return parallel.masked_mean(outcome.loss, real, axis=1, axis_name=axis_name).mean()


def denoising_steps(
    spec: AgentSpec, denoiser_params, z, targets, batch: Segment, keys
) -> tuple[DenoisingSteps, jax.Array]:
    """Denoise the targets one after the other, the context holding what was denoised before.

    Args:
      spec: sizes of the agent.
      denoiser_params: parameters of the denoiser.
      z: context latents `[B, n, h, w, C]`.
      targets: `[B, S, h, w, C]`.
      batch: the segments `[B, n + S]`, for actions and masks.
      keys: PRNG keys `[B]` for noise levels and noise.

    Returns:
      The steps, axes `[S, B, ...]`, and bool `[S, B]`: the step counts, it leads neither into nor
      out of padding.
    """
    n, steps = z.shape[1], targets.shape[1]
    denoiser = networks(spec).denoiser
    keys = jax.vmap(lambda k: jax.random.split(k, steps))(keys)
    draws = jax.vmap(jax.vmap(lambda k: noise.draw(k, spec.latent_shape)))(keys)
    windows = [batch.window(i, i + n) for i in range(steps)]
    conditions = (
        jnp.stack([w.action for w in windows]),
        jnp.stack([w.frame_mask for w in windows]),
    )

    def network(noisy, c_noise, context, condition):
        return denoiser.apply(
            {"params": denoiser_params}, noisy, c_noise, jnp.moveaxis(context, 0, 1), *condition
        )

    def time_first(tree):
        return jax.tree.map(lambda a: jnp.moveaxis(a, 1, 0), tree)

    outcome = autoregressive_loss(
        network,
        time_first(z),
        time_first(targets),
        conditions,
        time_first(draws),
        spec.config.edm,
        lambda d: fix_scale(spec.config.encoder, d),
    )
    return outcome, time_first(batch.frame_mask[:, n:] & batch.frame_mask[:, n - 1 : -1])


def encode_context(spec: AgentSpec, params, context: Segment) -> jax.Array:
    """Latents `[B, T, h, w, C]` of segments `[B, T]`, with gradient to the encoder; zero in
    padding.
    """
    return encode(networks(spec).encoder, params["encoder"], context.frame, context.frame_mask)


def encode_targets(state: AgentState, params, future: Segment) -> jax.Array:
    """Latents `[B, S, h, w, C]` that the denoiser should find, by the kind of target that the
    configuration names.
    """
    encoder, kind = networks(state.spec).encoder, state.spec.config.world_model.target
    if kind == "ema":
        return encode(encoder, state.target, future.frame, future.frame_mask)
    z = encode(encoder, params["encoder"], future.frame, future.frame_mask)
    return jax.lax.stop_gradient(z) if kind == "sg" else z


def reconstruction_loss(
    spec: AgentSpec, decoder_params, z: jax.Array, batch: Segment, axis_name: str | None = None
) -> jax.Array:
    """Mean squared error of the decoded latents `[B, T, h, w, C]` against the real frames, in [-1,
    1]; padding does not count.

    Args:
      spec: sizes of the agent.
      decoder_params: parameters of the decoder.
      z: `[B, T, h, w, C]`.
      batch: segments `[B, T]`, with the real frames.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      float32 scalar.
    """
    picture = networks(spec).decoder.apply({"params": decoder_params}, z).astype(jnp.float32)
    error = jnp.square(picture - frame_to_float(batch.frame)).mean((-3, -2, -1))
    return parallel.masked_mean(error, batch.frame_mask, axis_name=axis_name)


def batch_std(z: jax.Array, mask: jax.Array, axis_name: str | None = None) -> jax.Array:
    """Standard deviation `[h, w, C]` of every latent dimension over the frames `[B, n]` of the
    batch that are real.
    """
    weight = jnp.broadcast_to(mask[..., None, None, None], z.shape)
    average = parallel.masked_mean(z, weight, (0, 1), axis_name)
    variance = parallel.masked_mean(jnp.square(z - average[None, None]), weight, (0, 1), axis_name)
    return jnp.sqrt(variance + 1e-8)


def frozen_reward_end_loss(
    state: AgentState, z, targets, batch: Segment, axis_name=None
) -> jax.Array:
    """Loss of the reward and end model, its parameters fixed, as a function of the
    context latents.

    Args:
      state: the agent, for the reward and end model.
      z: `[B, n, h, w, C]`, context latents, with gradient.
      targets: `[B, S, h, w, C]`, of which the first follows the context; without gradient.
      batch: segments `[B, n + S]`, with actions, rewards and ends.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      float32 scalar, nats: the sum of both losses, rewards by sign.
    """
    n = z.shape[1]
    sequence = jnp.concatenate([z, jax.lax.stop_gradient(targets[:, :1])], axis=1)
    memory, model = reward_end_memory(state.spec, (len(z),)), networks(state.spec).reward_end
    params = jax.lax.stop_gradient(state.reward_end.params)
    steps = batch.window(0, n)
    _, reward, end = model.apply(
        {"params": params}, memory, sequence[:, :-1], sequence[:, 1:], steps.action, steps.step_mask
    )
    return sum(classification_loss(reward, end, steps, axis_name))
