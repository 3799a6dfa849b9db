"""Optional checks of what goes into a quantizer: numbers that are not finite would reach the codes
and stay there.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.experimental import checkify

from quant.errors import require


def require_finite(x: jax.Array, mask: jax.Array | None = None, name: str = "x") -> None:
    """Inside `jax.experimental.checkify.checkify`, where it may be traced: an error that names the
    first bad row of `x [..., D]`.

    Rows that are masked out are not checked.
    """
    bad = ~jnp.isfinite(x).all(-1).reshape(-1)
    if mask is not None:
        bad &= mask.reshape(-1)
    message = (
        f"{name} {x.shape}: row {{row}} holds numbers that are not finite, as do {{count}} "
        "rows in all"
    )
    checkify.check(~bad.any(), message, row=bad.argmax(), count=bad.sum())


def checked(quantize: Callable) -> Callable:
    """Make a compiled `quantize` that checks its input first.

        out, state = checked(vq.quantize)(params, state, x, config, key=key)

    It waits for the result, so keep it for finding out. In a jitted step of your own, call
    `require_finite` and wrap the step by checkify.

    Raises:
      QuantError: by the function that is returned, naming the first row with a number that is not
        finite; and all that `quantize` raises.
    """

    @functools.partial(jax.jit, static_argnames=("config", "train"))
    def run(params, state, x, config, train, more):
        def body(params, state, x, more):
            require_finite(x, more.get("mask"))
            return quantize(params, state, x, config, train=train, **more)

        return checkify.checkify(body)(params, state, x, more)

    def call(params, state, x, config, *, train: bool = True, **more):
        error, result = run(params, state, x, config, train, more)
        message = error.get()
        require(message is None, str(message).partition(" (`check` failed)")[0])
        return result

    return call
