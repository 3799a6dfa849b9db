"""Checks of the arguments of the Flax modules: a quantizer's functions and its configuration."""

import importlib
from types import ModuleType
from typing import Any, get_type_hints

from quant.errors import QuantError, require


def name_of(functions: ModuleType | str, config: Any) -> str:
    """Name of the module of a quantizer, for `importlib`.

    Args:
      functions: the module, or its whole name.
      config: its configuration.

    Raises:
      QuantError: no such module, one without `init` and `quantize`, or a configuration of another
        quantizer.
    """
    module = _module(functions)
    wanted = get_type_hints(module.init).get("config", object)  # of one's own: perhaps unsaid
    if isinstance(wanted, type):
        given = (
            f"the class {config.__name__}" if isinstance(config, type) else type(config).__name__
        )
        require(
            isinstance(config, wanted),
            f"the configuration of {module.__name__} is a {wanted.__name__}, not {given}",
        )
    return module.__name__


def _module(functions):
    if not isinstance(functions, str):
        found = functions
    else:
        try:
            found = importlib.import_module(functions)
        except ImportError as error:
            raise QuantError(
                f"there is no module {functions!r}: give the module itself, as in "
                "Quantizer(vq, vq.VQConfig(512, 64))"
            ) from error
    require(
        isinstance(found, ModuleType) and hasattr(found, "init") and hasattr(found, "quantize"),
        f"{getattr(found, '__name__', found)} is no module of a quantizer: it needs the functions "
        "init and quantize, as vq has",
    )
    return found
