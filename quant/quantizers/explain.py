"""One sentence on what is wrong with parameters, state or configuration, made only after something
failed: what works costs nothing more.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp

from quant.errors import QuantError
from quant.quantizers.dispatch import functions_of

ANSWER = "give what init or the last step returned for this configuration"


@contextmanager
def explaining(
    params: Any, state: Any, config: Any, functions: str | None = None
) -> Iterator[None]:
    """Run a block that works with these three; a failure that comes of them says so.

    Args:
      params: parameters of a quantizer, as given.
      state: its state, as given.
      config: its configuration.
      functions: name of the module whose function was called; that of the configuration if absent.

    Raises:
      QuantError: the block failed, and one of the three is not what `init` gives; else what the
        block raised.
    """
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        why = mismatch(params, state, config, functions)
        if why is None:
            raise
        raise QuantError(why) from error


def mismatch(params: Any, state: Any, config: Any, functions: str | None = None) -> str | None:
    """The first difference from what `init` gives for the configuration, as a sentence; None if
    there is none.

    Args:
      params: as given.
      state: as given.
      config: the configuration.
      functions: see `explaining`.

    Raises:
      QuantError: the configuration is none of a quantizer.
    """
    own = functions_of(config)
    if functions is not None and functions in sys.modules and own is not sys.modules[functions]:
        kind = type(config).__name__
        return f"{kind} belongs to {own.__name__}, not to {functions}: call the functions there"
    rows = jax.ShapeDtypeStruct((2, config.dim), jnp.float32)
    wanted = jax.eval_shape(lambda sample: own.init(jax.random.key(0), config, sample), rows)
    for name, given, expected in zip(("params", "state"), (params, state), wanted, strict=True):
        have = _shapes(given)
        for path, shape in _shapes(expected).items():
            if path not in have:
                return f"{name}{path} is missing: {ANSWER}"
            if have[path] != shape:
                return f"{name}{path} has shape {have[path]}, not {shape}: {ANSWER}"
    return None


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    paths = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in paths}
