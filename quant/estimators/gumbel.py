"""Gumbel-softmax, its straight-through form, and the form with separate temperatures for the two
passes.

Where the noise is added matters. "inside", softmax((l + g) / tau): the draw argmax does not depend
on tau, which is why a temperature of the forward pass does nothing there. "after", softmax(l / tau
+ g): the draw follows softmax(l / tau).
"""

from typing import Literal

import jax
import jax.numpy as jnp

from quant.estimators.sample import (
    Sample,
    argmax,
    assemble,
    below_largest,
    check_positive,
    gumbel,
    tempered_softmax,
    widened,
    zero_with_softmax_jacobian,
)

Form = Literal["after", "inside"]
"""Noise after the division by the temperature (arXiv 2410.13331), or inside it (arXiv 1611.01144).
"""


def gumbel_softmax(key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0) -> Sample:
    """The relaxation softmax((l + g) / tau) itself (Jang et al. 2017, arXiv 1611.01144; Maddison et
    al. 2017, arXiv 1611.00712).

    `value` is not one-hot, and its gradient is exact for the relaxed objective. `index` is its
    largest entry.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature, above 0.
    """
    check_positive(tau=tau)
    wide = widened(logits)
    scores = wide + gumbel(key, wide)
    soft = tempered_softmax(scores, tau)
    hard = assemble(logits, wide, argmax(scores), jnp.zeros_like(wide), soft)
    return hard._replace(value=hard.soft)


def st_gs(
    key: jax.Array, logits: jax.Array, tau: float | jax.Array = 1.0, form: Form = "inside"
) -> Sample:
    """Straight-through Gumbel-softmax (Jang et al. 2017, arXiv 1611.01144, section 2.2): one-hot
    forward, relaxation backward.

    With z the relaxed value, the gradient is J(z) G / tau.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau: temperature, above 0; with form "after" it also tempers the law of the draw.
      form: see `Form`.
    """
    return decoupled_st_gs(key, logits, tau, tau, form=form)


def decoupled_st_gs(
    key: jax.Array,
    logits: jax.Array,
    tau_f: float | jax.Array = 1.0,
    tau_b: float | jax.Array = 1.0,
    backward_noise: Literal["gumbel", "none"] = "gumbel",
    normalize_backward: bool | jax.Array = False,
    form: Form = "after",
) -> Sample:
    """Straight-through Gumbel-softmax with one temperature per pass (Shah et al. 2024, arXiv
    2410.13331, algorithm 1).

    Forward argmax(l / tau_f + g), which follows softmax(l / tau_f); backward J(z) G / tau_b with z
    = softmax(l / tau_b + g).

    Our choice: both passes share the noise, since without it the relaxed value says nothing about
    the draw.

    Args:
      key: typed PRNG key.
      logits: floating `[..., K]`.
      tau_f: temperature of the forward pass, above 0. Towards 0 the draw becomes argmax l, towards
        infinity uniform.
      tau_b: temperature of the backward pass, above 0.
      backward_noise: "gumbel" as above, or "none": z = softmax(l / tau_b), as readers describe the
        paper's second version.
      normalize_backward: multiply the gradient by tau_b. Our choice, offered because its size falls
        with 1 / tau_b, so that a sweep over tau_b is one over the learning rate too. May be traced.
      form: see `Form`; with "inside" tau_f has no effect on the draw.

    Raises:
      ValueError: a temperature is not above 0, or an option is unknown.
    """
    check_positive(tau_f=tau_f, tau_b=tau_b)
    if form not in ("after", "inside") or backward_noise not in ("gumbel", "none"):
        raise ValueError(
            f'form is "after" or "inside", backward_noise "gumbel" or "none", not {form!r} and '
            f"{backward_noise!r}"
        )
    wide = widened(logits)
    noise = gumbel(key, wide)
    low = below_largest(wide)
    law = low / tau_f if form == "after" else wide
    scale = 1.0 if form == "after" else tau_b
    scores = low / tau_b + noise / scale if backward_noise == "gumbel" else low / tau_b
    soft = jax.nn.softmax(scores, axis=-1)
    gradient = zero_with_softmax_jacobian(soft, wide / tau_b) * jnp.where(
        normalize_backward, tau_b, 1.0
    ).astype(wide.dtype)
    return assemble(logits, law, argmax(law + noise), gradient, soft)
