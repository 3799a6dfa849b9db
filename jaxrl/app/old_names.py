"""Names of version 0.1, until 0.3: modules and attributes that moved are found under their old
names, and each of those warns once.
"""

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeVar

C = TypeVar("C")

_warned: set[str] = set()
_moved: dict[str, str] = {}
_renamed: dict[str, Mapping[str, str]] = {}


def warn_once(old: str, new: str, level: int = 3) -> None:
    """Warn of an old name, the first time that it is used."""
    if old not in _warned:
        _warned.add(old)
        warnings.warn(
            f"{old} is {new} now; the old name ends with version 0.3", DeprecationWarning, level
        )


def attributes(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
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
        warn_once(f"{module}.{name}", f"{place}.{new}")
        return getattr(importlib.import_module(place), new)

    return __getattr__


def fields(cls: type[C]) -> type[C]:
    """Let a dataclass take and show its renamed fields under their old names, as a decorator.

    They are those of its attribute `OLD_NAMES`, present name by old one, by which
    `jaxrl.train.config.from_dict` reads old files.
    """
    begin, names = cls.__init__, vars(cls)["OLD_NAMES"]

    def warn(old: str) -> str:
        warn_once(f"{cls.__name__}.{old}", f"{cls.__name__}.{names[old]}", 4)
        return names[old]

    @functools.wraps(begin)
    def __init__(self, *values, **named):
        # Old names win: `dataclasses.replace` passes the present fields of the old object along.
        for name in names.keys() & named.keys():
            named[warn(name)] = named.pop(name)
        begin(self, *values, **named)

    cls.__init__ = __init__
    for old in names:
        setattr(cls, old, property(lambda self, old=old: getattr(self, warn(old))))
    return cls


class _Package(ModuleType):
    """A package whose public names stay what they are when an old module of the same name is
    imported: the import system would put that module in place of a function.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (isinstance(value, ModuleType) and name in vars(self).get("_kept", ())):
            super().__setattr__(name, value)


def _keep(parent: ModuleType, name: str) -> None:
    """Keep a public name of a package, if it is no module."""
    if name in getattr(parent, "__all__", ()):
        value = getattr(parent, name)
        if not isinstance(value, ModuleType):
            setattr(parent, name, value)
            parent.__dict__.setdefault("_kept", set()).add(name)
            parent.__class__ = _Package


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports of old paths: `import quant.vq`, `from quant.vq import VQConfig`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in _moved:
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module: ModuleType) -> None:
        warn_once(module.__name__, _moved[module.__name__])
        # The import system hands out what sys.modules holds after this: the module itself, so that
        # classes are the same under both names.
        present = importlib.import_module(_moved[module.__name__])
        sys.modules[module.__name__] = present
        if module.__name__ in _renamed and not hasattr(present, "__getattr__"):
            names = attributes(module.__name__, _renamed[module.__name__])
            vars(present)["__getattr__"] = names
        parent, _, name = module.__name__.rpartition(".")
        if parent in sys.modules:
            _keep(sys.modules[parent], name)


def modules(
    names: Mapping[str, str], renamed: Mapping[str, Mapping[str, str]] | None = None
) -> None:
    """Make old module paths importable.

    Args:
      names: the module that has the code now by old path, both with dots.
      renamed: by old path, attributes of it that have another name or place now, as `attributes`
        takes them.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        # In front, since a folder that was renamed would load its modules a second time.
        sys.meta_path.insert(0, _Finder())
    _moved.update(names)
    _renamed.update(renamed or {})
