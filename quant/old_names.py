"""Module paths of version 0.1, until 0.3: imported by their old name they warn once and give the
module that has the code now.
"""

import importlib
import importlib.abc
import importlib.util
import sys
import warnings
from types import ModuleType

SHORT = {
    "flax_module": "quant.quantizers.flax_module",
    "fsq": "quant.quantizers.fsq",
    "gmvq": "quant.quantizers.gmvq",
    "gumbel_vq": "quant.quantizers.gumbel_vq",
    "lfq": "quant.quantizers.lfq",
    "nnx_module": "quant.quantizers.nnx_module",
    "presets": "quant.quantizers.presets",
    "random_projection": "quant.quantizers.random_projection",
    "rvq": "quant.quantizers.rvq",
    "simvq": "quant.quantizers.simvq",
    "sqvae": "quant.quantizers.sqvae",
    "vq": "quant.quantizers.vq",
}
"""Names that `from quant import ...` gives without a warning."""

OLD = {
    "affine": "quant.codebooks.affine",
    "autoencoder": "quant.models.autoencoder",
    "bounds": "quant.studies.gmvq.elbo",
    "checks": "quant.codebooks.finite_checks",
    "codebook": "quant.codebooks.updates",
    "data_by_name": "quant.data.data_by_name",
    "deferred": "quant.quantizers.deferred",
    "fidelity": "quant.estimators.bias_variance",
    "gradients": "quant.codebooks.straight_through",
    "initialize": "quant.codebooks.init",
    "interop": "quant.quantizers.import_codebooks",
    "lookup_free": "quant.quantizers.lfq",  # old name
    "mixture": "quant.codebooks.soft_assignment",
    "modules": "quant.quantizers.flax_module",
    "nearest": "quant.codebooks.nearest",
    "nearest_pallas": "quant.codebooks.nearest_pallas",
    "oracle": "quant.estimators.exact",
    "regularize": "quant.codebooks.regularizers",
    "residual": "quant.quantizers.rvq",
    "rows": "quant.codebooks.rows",
    "scalar": "quant.quantizers.fsq",
}
"""Modules that had another name or place, by their name in `quant`."""

PATHS = {f"quant.{name}": target for name, target in (SHORT | OLD).items()} | {
    "quant.studies.estimators.fidelity": "quant.studies.estimators.gradient_quality"
}
_warned: set[str] = set()


def warn_once(old: str, new: str, level: int = 3) -> None:
    """Warn of an old name, the first time that it is used."""
    if old not in _warned:
        _warned.add(old)
        warnings.warn(
            f"{old} is {new} now; the old name ends with version 0.3", DeprecationWarning, level
        )


def attribute(name: str) -> ModuleType:
    """The module that `quant.<name>` means.

    Raises:
      AttributeError: no module has or had that name.
    """
    if name in OLD:
        warn_once(f"quant.{name}", OLD[name], 4)
    elif name not in SHORT:
        raise AttributeError(f"module 'quant' has no attribute {name!r}")
    return importlib.import_module((SHORT | OLD)[name])


def renamed(module: str, names: dict[str, str]):
    """A `__getattr__` for a module whose functions have other names now."""

    def find(name: str):
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_once(f"{module}.{name}", names[name], 3)
        return getattr(sys.modules[module], names[name])

    return find


def attribute_of(module: str, target: str):
    """A `__getattr__` for a folder that was a file: its names are those of `target`."""

    def find(name: str):
        if name.startswith("_") or not hasattr(importlib.import_module(target), name):
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_once(f"{module}.{name}", f"{target}.{name}", 4)
        return getattr(importlib.import_module(target), name)

    return find


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports of old paths: `import quant.vq`, `from quant.vq import VQConfig`."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname not in PATHS:
            return None
        warn_once(fullname, PATHS[fullname], 3)
        return importlib.util.spec_from_loader(fullname, self)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        # The import system hands out what sys.modules holds after this: the module itself, so that
        # classes are the same under both names.
        sys.modules[module.__name__] = importlib.import_module(PATHS[module.__name__])


def install() -> None:
    """Make the old paths importable."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
