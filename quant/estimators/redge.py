"""Straight-through with Gaussian noise in the backward pass: the denoiser of a diffusion process
over one-hot vectors, which is known in closed form (ReDGE).
"""

import jax

from quant.estimators import sample


def redge(key: jax.Array, logits: jax.Array, time: float | jax.Array = 0.5) -> sample.Sample:
    """Draw D from p = softmax(l), and noise it, x = (1 - t) D + t n with standard normal n; the
    gradient is that of the denoiser at x, (I + c^2 J(p)) J(m) G with c = (1 - t) / t (Gourevitch et
    al. 2026, arXiv 2601.00781).

    The density of x given the category k is that of a normal around (1 - t) e_k, so the mean of D
    given x is m = softmax(l + (1 - t) x / t^2). One deterministic step from pure noise to the time
    t is x = (1 - t) p + t n, which moves x with the logits by (1 - t) J(p): hence the first factor.
    With t = 1 it is `ste_softmax`; for linear losses the bias is of order c^4.

    Our choice: one step, whatever the number of the paper's; and D is drawn first, so that it
    follows softmax(l) exactly, and x the law that the denoiser is made for. In the paper x comes
    from noise by deterministic steps, and the draw made of it follows softmax(l) only nearly.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      time: t, above 0 and at most 1. Lower ones have the backward pass know more of the draw: less
        bias for curved losses at first, and more variance.

    Raises:
      ValueError: a time outside (0, 1].
    """
    sample.check_positive(time=time)
    found = sample.known("time", time)
    if found is not None and (found > 1).any():
        raise ValueError(f"time must be at most 1, not {time}")
    wide = sample.widened(logits)
    key_draw, key_noise = jax.random.split(key)
    index = sample.argmax(wide + sample.gumbel(key_draw, wide))
    fixed = jax.lax.stop_gradient(wide)
    noise = jax.random.normal(key_noise, wide.shape, wide.dtype)
    noised = (1 - time) * sample.one_hot(index, wide) + time * noise
    scores = sample.below_largest(fixed) + (1 - time) / time**2 * noised
    denoised = jax.nn.softmax(scores, axis=-1)
    probs = sample.tempered_softmax(fixed, 1.0)
    moved = sample.zero_with_softmax_jacobian(probs, wide) * ((1 - time) / time) ** 2
    gradient = sample.zero_with_softmax_jacobian(denoised, wide) + denoised * (
        moved - (denoised * moved).sum(-1, keepdims=True)
    )
    return sample.assemble(logits, wide, index, gradient, denoised)
