"""Watching the latents: have they collapsed, and does the world model use its context?

The denoising loss does not show it: it falls when the latents collapse. Neither can a linear probe
alone, which rescales what is left.
Standard deviation misses a loss of rank, which the participation ratio shows; and the context gain
shows whether the past is used.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxrl.diffusion.precondition import conditioners, network_target, over_space
from jaxrl.envs.protocol import JaxEnv
from jaxrl.jedi.agent import AgentState, encode, networks
from jaxrl.replay.segment import Segment
from jaxrl.train.parallel import masked_mean

GAIN_SIGMA = 5.0
"""Noise level of the context gain: high, so that the noisy latent says little and the context
must.
"""


def latent_statistics(state: AgentState, batch: Segment) -> dict[str, jax.Array]:
    """Standard deviation and effective rank of the target latents of segments `[B, T]`.

    Returns:
      "latent_std": mean over dimensions of the standard deviation over frames (0 = collapsed; at
      most about 0.5). "participation_ratio": (sum of eigenvalues)^2 / sum of their squares, of the
      latents' covariance: how many directions carry the variance.
    """
    z = encode(state, batch.frame, batch.frame_mask).reshape(batch.action.size, -1)
    weight = batch.frame_mask.reshape(-1, 1).astype(z.dtype)
    count = jnp.maximum(weight.sum(), 1)
    centered = (z - (z * weight).sum(0, keepdims=True) / count) * weight
    variance = jnp.square(centered).sum(0) / count
    gram = (
        centered @ centered.T / count
    )  # has the eigenvalues of the covariance, and fewer rows than latents may have dimensions
    ratio = jnp.square(variance.sum()) / jnp.maximum(jnp.square(gram).sum(), 1e-12)
    return {"latent_std": jnp.sqrt(variance).mean(), "participation_ratio": ratio}


def context_gain(state: AgentState, batch: Segment, key: jax.Array) -> dict[str, jax.Array]:
    """Gain from knowing the past: denoising loss at `GAIN_SIGMA` with the contexts of other
    examples, minus with its own.

    Segments are `[B, context + 1 or more]`. The result has "context_gain" (> 0 if the past is
    used) and "denoising_at_5".
    """
    spec = state.spec
    n = spec.config.context
    z = encode(state, batch.frame[:, : n + 1], batch.frame_mask[:, : n + 1])
    past, target = z[:, :n], z[:, n]
    action, mask = batch.action[:, :n], batch.frame_mask[:, :n]
    sigma = jnp.full(len(target), GAIN_SIGMA)
    noisy = target + GAIN_SIGMA * jax.random.normal(key, target.shape)
    c = conditioners(sigma, spec.config.edm)
    wanted = network_target(target, noisy, c)
    weight = jnp.broadcast_to(
        (batch.frame_mask[:, n] & batch.frame_mask[:, n - 1])[:, None, None, None], target.shape
    )

    def loss(past, action, mask):
        output = networks(spec).denoiser.apply(
            {"params": state.world.params["denoiser"]},
            over_space(c.c_in) * noisy,
            c.c_noise,
            past / spec.config.edm.sigma_data,
            action,
            mask,
        )
        return masked_mean(jnp.square(output.astype(jnp.float32) - wanted), weight)

    def other(a):
        return jnp.roll(a, 1, axis=0)

    own = loss(past, action, mask)
    return {
        "context_gain": loss(other(past), other(action), other(mask)) - own,
        "denoising_at_5": own,
    }


class Exam(NamedTuple):
    """Frames of a toy game with its true variables."""

    frame: jax.Array
    """uint8 `[N, H, W, 3]`."""
    truth: jax.Array
    """float32 `[N, D]`."""


def make_exam(env: JaxEnv, count: int, key: jax.Array) -> Exam:
    """`count` states of random play, one per game, each after a random number of steps below 8
    (games that end begin anew).
    """

    def one(key):
        key_reset, key_length, key_play = jax.random.split(key, 3)
        length = jax.random.randint(key_length, (), 0, 8)
        state, frame = env.reset(key_reset)

        def step(carry, inputs):
            state, frame = carry
            t, key = inputs
            key_action, key_step, key_again = jax.random.split(key, 3)
            after, transition = env.step(
                state, jax.random.randint(key_action, (), 0, env.num_actions), key_step
            )
            fresh = env.reset(key_again)

            def pick(new, old):
                return jnp.where(transition.game_over, new, old)

            after = jax.tree.map(pick, fresh, (after, transition.frame))
            return jax.tree.map(
                lambda new, old: jnp.where(t < length, new, old), after, (state, frame)
            ), None

        (state, frame), _ = jax.lax.scan(
            step, (state, frame), (jnp.arange(8), jax.random.split(key_play, 8))
        )
        return Exam(frame, env.truth(state))

    return jax.vmap(one)(jax.random.split(key, count))


def linear_probe(state: AgentState, exam: Exam) -> jax.Array:
    """R^2 `[D]` of a ridge regression from latents to the true variables, fitted on one half of the
    exam, scored on the other.
    """
    z = encode(state, exam.frame).reshape(len(exam.frame), -1)
    half = len(z) // 2
    mean = z[:half].mean(0, keepdims=True)
    x, y = z - mean, exam.truth - exam.truth[:half].mean(0, keepdims=True)
    scale = jnp.square(x[:half]).mean()
    kernel = x[:half] @ x[:half].T / (scale * z.shape[1]) + 1e-3 * jnp.eye(half)
    predicted = x[half:] @ x[:half].T / (scale * z.shape[1]) @ jnp.linalg.solve(kernel, y[:half])
    residual = jnp.square(y[half:] - predicted).sum(0)
    spread = jnp.square(y[half:] - y[half:].mean(0, keepdims=True)).sum(0)
    return 1 - residual / jnp.maximum(spread, 1e-6)
