"""Module paths of version 0.1, until 0.3: imported by their old name they warn once and give the
module that has the code now.
"""

import importlib
import sys
from types import ModuleType

from jaxrl.app.old_names import modules, warn_once

SHORT = {
    "flax_module": "quant.quantizers.flax_module",
    "fsq": "quant.quantizers.fsq",
    "gmvq": "quant.quantizers.gmvq",
    "gumbel_vq": "quant.quantizers.gumbel_vq",
    "grouped": "quant.quantizers.grouped",
    "latent": "quant.quantizers.latent",
    "lfq": "quant.quantizers.lfq",
    "nnx_module": "quant.quantizers.nnx_module",
    "presets": "quant.quantizers.presets",
    "random_projection": "quant.quantizers.random_projection",
    "rvq": "quant.quantizers.rvq",
    "simvq": "quant.quantizers.simvq",
    "sqvae": "quant.quantizers.sqvae",
    "stack": "quant.quantizers.stack",
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


def install() -> None:
    """Make the old paths importable."""
    modules(PATHS)
