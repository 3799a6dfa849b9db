"""Names that 0.1 had, until 0.3: each warns once where it is used and gives its successor."""

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def aliases(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module.

    Args:
      module: its name.
      names: successors by old name, "module:name".

    Returns:
      The function.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place, new = names[name].split(":")
        warnings.warn(
            f"{module}.{name} is called {place}.{new} now; the old name works until 0.3",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(place), new)

    return __getattr__
