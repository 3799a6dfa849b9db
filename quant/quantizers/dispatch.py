"""From a configuration to the functions that go with it."""

import sys
from types import ModuleType
from typing import Any

from quant.errors import require


def functions_of(config: Any) -> ModuleType:
    """The module that defines a configuration's class, which has its `init`, `quantize`, `encode`
    and `decode`.

    Raises:
      QuantError: it is no quantizer's configuration.
    """
    module = sys.modules.get(type(config).__module__)
    require(
        all(hasattr(module, name) for name in ("init", "quantize", "decode")),
        f"{type(config).__name__} is no quantizer's configuration: give one such as VQConfig",
    )
    assert module is not None
    return module


def index_axes(config: Any) -> int:
    """Axes that a row's indices have: 0 for one index, 1 for heads or levels."""
    return getattr(config, "index_axes", 0)
