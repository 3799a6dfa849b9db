"""One update of the reward and end model, on real latents and on latents that the current denoiser
made.

In imagination the model judges sampled latents. Trained on encoded ones only it reads them poorly,
and the policy then optimizes a wrong reward; so part of its training pairs get a next latent
sampled from the real context (label from the real transition), and the current latent gets some
noise. Our choice.
"""

import jax
import jax.numpy as jnp

from jaxrl.jedi.agent import AgentState, encode, networks, optimizers, reward_end_memory
from jaxrl.jedi.imagination import draw_noise, predict
from jaxrl.jedi.nets.encoder import fix_scale
from jaxrl.jedi.nets.reward_values import RewardValues, class_logits, reward_class, reward_nats
from jaxrl.replay.segment import Segment
from jaxrl.rl.categorical import cross_entropy
from jaxrl.train import parallel
from jaxrl.train.state import apply_gradients


def update_reward_end(
    state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None
) -> tuple[AgentState, dict[str, jax.Array]]:
    """One gradient step on a batch of segments `[B, reward_end_learning.length]`.

    Args:
      state: the agent.
      batch: segments `[B, reward_end_learning.length]` from the replay.
      key: PRNG key of sampled latents and noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      The agent with a new reward and end model, and float32 scalar metrics: "loss", "reward_loss",
      "end_loss" (nats), "reward_accuracy", "end_accuracy" (means by the weights of the draw),
      "gradient_norm".
    """
    z, z_next = training_pairs(state, batch, key, axis_name)
    steps = batch.window(0, batch.action.shape[1] - 1)

    def loss_of(params):
        memory, model = reward_end_memory(state.spec, (len(z),)), networks(state.spec).reward_end
        _, reward, end = model.apply(
            {"params": params}, memory, z, z_next, steps.action, steps.step_mask
        )
        values = state.spec.config.reward_end.values
        losses = classification_loss(reward, end, steps, axis_name, values)
        signs = class_logits(values, reward)
        return sum(losses), (losses, accuracies(signs, end, steps, axis_name))

    (loss, (losses, accuracy)), grads = jax.value_and_grad(loss_of, has_aux=True)(
        state.reward_end.params
    )
    learner, norm = apply_gradients(
        state.reward_end, parallel.mean(grads, axis_name), optimizers(state.spec).reward_end
    )
    metrics = {
        "loss": loss,
        "reward_loss": losses[0],
        "end_loss": losses[1],
        "reward_accuracy": accuracy[0],
        "end_accuracy": accuracy[1],
        "gradient_norm": norm,
    }
    return state.replace(reward_end=learner), metrics


def training_pairs(state: AgentState, batch: Segment, key: jax.Array, axis_name: str | None = None):
    """Latents before and after each of the T - 1 steps of segments `[B, T]`, partly sampled, partly
    noisy; no gradient.

    Args:
      state: the agent, whose encoder and denoiser are used.
      batch: segments `[B, T]`.
      key: PRNG key of the choice of steps, of sampled latents and of noise.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      `(z_before, z_after)`, each `[B, T - 1, h, w, C]`.
    """
    spec, learning = state.spec, state.spec.config.reward_end_learning
    z = encode(state, batch.frame, batch.frame_mask)
    keys = jax.vmap(lambda k: jax.random.split(k, 3))(parallel.example_keys(key, len(z), axis_name))
    z_next = z[:, 1:]
    if learning.open_loop_share > 0:
        rolled = open_loop(state, z, batch, keys[:, 1])
        use = jax.vmap(lambda k: jax.random.bernoulli(k, learning.open_loop_share))(keys[:, 0])
        z = jnp.where(use[:, None, None, None, None], rolled, z)
        return jax.lax.stop_gradient((z[:, :-1], z[:, 1:]))
    chosen = round(learning.sampled_share * (z.shape[1] - spec.config.context))
    if chosen > 0:
        z_next = replace_by_sampled(state, z, z_next, batch, keys[:, :2], chosen)
    z_before = z[:, :-1]
    if learning.noise > 0:
        noisy = jax.vmap(lambda k, z: add_random_noise(k, z, learning.noise))(keys[:, 2], z_before)
        z_before = jnp.where(
            batch.frame_mask[:, :-1, None, None, None], fix_scale(spec.config.encoder, noisy), 0.0
        )
    return jax.lax.stop_gradient((z_before, z_next))


def open_loop(state, z, batch: Segment, keys) -> jax.Array:
    """Latents `[B, T, h, w, C]` of which all behind the first context are imagined, each from those
    before it and the real actions; encoded ones where an episode begins.

    A model of rewards that was trained on them knows how far imagination can be trusted: where the
    ball is lost after five steps, it expects the usual rewards from there on, not none.
    EfficientZero (arXiv 2111.00210) trains its rewards along unrolled latents too.

    Args:
      state: the agent, whose denoiser is used.
      z: `[B, T, h, w, C]`, encoded latents.
      batch: segments `[B, T]`, for actions and masks.
      keys: PRNG keys `[B]` of the sampled latents.
    """
    n, denoiser = state.spec.config.context, state.world.params["denoiser"]

    def step(context, t):
        def past(values):
            return jax.lax.dynamic_slice_in_dim(values, t - n + 1, n, axis=1)

        noise = jax.vmap(lambda k: draw_noise(state.spec, jax.random.fold_in(k, t)))(keys)
        mask = past(batch.frame_mask)
        found = predict(state.spec, denoiser, context, past(batch.action), mask, noise)
        goes_on = jax.lax.dynamic_index_in_dim(batch.step_mask, t, 1, keepdims=False)
        real = jax.lax.dynamic_index_in_dim(z, t + 1, 1, keepdims=False)
        found = jnp.where(goes_on[:, None, None, None], found, real)
        return jnp.concatenate([context[:, 1:], found[:, None]], axis=1), found

    _, rolled = jax.lax.scan(step, z[:, :n], jnp.arange(n - 1, z.shape[1] - 1))
    return jnp.concatenate([z[:, :n], jnp.moveaxis(rolled, 0, 1)], axis=1)


def replace_by_sampled(state, z, z_next, batch: Segment, keys, chosen: int):
    """`z_next [B, T-1, ...]` with `chosen` random steps per segment (those with a whole context in
    it) sampled by the denoiser.

    `keys [B, 2]` are for the choice and for the noise.

    Args:
      state: the agent, whose denoiser is used.
      z: `[B, T, h, w, C]`, encoded latents, the contexts of the sampled ones.
      z_next: `[B, T - 1, h, w, C]`, latents after each step.
      batch: segments `[B, T]`, for actions and masks.
      keys: PRNG keys `[B, 2]`.
      chosen: sampled steps per segment, at most T - context (static).

    Returns:
      `[B, T - 1, h, w, C]`.
    """
    n = state.spec.config.context
    candidates = z.shape[1] - n  # steps n-1 .. T-2
    pick = jax.vmap(lambda k: jax.random.permutation(k, candidates)[:chosen])(keys[:, 0]) + n - 1
    rows = pick[..., None] + jnp.arange(-n + 1, 1)[None, None]  # [B, chosen, n]
    context = jax.vmap(lambda z, row: z[row])(z, rows)
    action = jax.vmap(lambda a, row: a[row])(batch.action, rows)
    mask = jax.vmap(lambda m, row: m[row])(batch.frame_mask, rows)
    noise = jax.vmap(lambda k: draw_noise(state.spec, k, (chosen,)))(keys[:, 1])
    sampled = predict(state.spec, state.world.params["denoiser"], context, action, mask, noise)
    return jax.vmap(lambda z_next, step, new: z_next.at[step].set(new))(z_next, pick, sampled)


def add_random_noise(key, z, largest: float):
    """Gaussian noise on each map of `z [T, h, w, C]`, of standard deviation U(0, largest)."""
    key_size, key_noise = jax.random.split(key)
    size = jax.random.uniform(key_size, (len(z), 1, 1, 1), maxval=largest)
    return z + size * jax.random.normal(key_noise, z.shape)


def classification_loss(
    reward_logits, end_logits, steps: Segment, axis_name=None, values: RewardValues = "sign"
):
    """Mean cross-entropies (reward class, end) over the real steps of segments `[B, T]`, each by
    its weight, in nats.

    Args:
      reward_logits: `[B, T, K]`, K as `values` asks for.
      end_logits: `[B, T, 2]`.
      steps: segments `[B, T]`, with the true rewards and ends.
      axis_name: device axis that examples are spread over under pmap; None otherwise.
      values: form in which rewards are learned.

    Returns:
      `(reward loss, end loss)`, float32 scalars.
    """
    reward = reward_nats(values, reward_logits, steps.reward)
    end = cross_entropy(end_logits, steps.end.astype(jnp.int32))
    return tuple(
        parallel.masked_mean(loss, steps.counted, axis_name=axis_name) for loss in (reward, end)
    )


def accuracies(reward_logits, end_logits, steps: Segment, axis_name=None):
    """Shares (by weight) of real steps whose most likely (reward class, end) is the true one.

    Args:
      reward_logits: `[B, T, 3]`, of the classes -1, 0, +1.
      end_logits: `[B, T, 2]`.
      steps: segments `[B, T]`, with the true rewards and ends.
      axis_name: device axis that examples are spread over under pmap; None otherwise.

    Returns:
      `(reward accuracy, end accuracy)`, float32 scalars from 0 to 1.
    """
    reward = jnp.argmax(reward_logits, -1) == reward_class(steps.reward)
    end = jnp.argmax(end_logits, -1) == steps.end
    return tuple(
        parallel.masked_mean(hit.astype(jnp.float32), steps.counted, axis_name=axis_name)
        for hit in (reward, end)
    )
