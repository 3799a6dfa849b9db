"""Packages whose names are imported when they are used, so that help is printed without JAX."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from jaxrl.app.old_names import warn_once


def attributes(
    package: str, places: Mapping[str, tuple[str, ...]], renamed: Mapping[str, str]
) -> Callable[[str], Any]:
    """Make the `__getattr__` of a package (PEP 562).

    Args:
      package: its name.
      places: public names by the module inside the package that defines them.
      renamed: successors by old name, "module:name"; these warn, until 0.3.

    Returns:
      The function; what it found under a present name becomes an attribute of the package.
    """
    module_of = {name: f"{package}.{place}" for place, names in places.items() for name in names}

    def __getattr__(name: str) -> Any:
        if name in renamed:
            place, new = renamed[name].split(":")
            warn_once(f"{package}.{name}", f"{place}.{new}")
            return getattr(importlib.import_module(place), new)
        if name not in module_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module_of[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__
