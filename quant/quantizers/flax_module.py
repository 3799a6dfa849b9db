"""A thin Flax (linen) module around any quantizer: parameters in "params", what it learns by itself
in "codebook". See `nnx_module` for Flax NNX.
"""

import importlib
from types import ModuleType
from typing import Any

import flax.linen as nn
import jax

from quant.errors import require
from quant.old_names import warn_once
from quant.quantizers.flax_arguments import name_of
from quant.types import Quantized


class Quantizer(nn.Module):
    """`[..., D]` -> `Quantized`, by one of the modules `vq`, `rvq`, `fsq`, `lfq`, `simvq`, `gmvq`.

        quantizer = Quantizer(vq, vq.VQConfig(512, 64))
        variables = quantizer.init(key, x)
        out, changed = quantizer.apply(
            variables, x, True, rngs={"quantize": key}, mutable=["codebook"]
        )

    Attributes:
      functions: the module whose `init` and `quantize` are meant; kept by its name, so that the
        Flax module can be pickled.
      config: its configuration.
    """

    functions: ModuleType | str = ""
    config: Any = None
    init_from_x: bool = True
    """Give `x` to the quantizer's `init` as its sample. False where a variable must not depend on
    `x`: under `nn.scan` with broadcast variables.
    """
    room: ModuleType | str | None = None  # old name
    """Name of `functions` until 0.3."""

    def __post_init__(self):
        if self.room is not None:  # old name
            warn_once("Quantizer(room=)", "Quantizer(functions=)")  # old name
            object.__setattr__(self, "functions", self.room)  # old name
            object.__setattr__(self, "room", None)  # old name
        require(
            self.functions != "" and self.config is not None,
            "a Quantizer needs the functions and the configuration: Quantizer(vq, VQConfig(...))",
        )
        object.__setattr__(self, "functions", name_of(self.functions, self.config))
        super().__post_init__()

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        key: jax.Array | None = None,
        mask: jax.Array | None = None,
        axis_name: str | None = None,
        **more,
    ) -> Quantized:
        """Quantize; at initialization `x` is the sample for inits that need data (`init_from_x`).

        Args:
          x: float `[..., D]`.
          train: let the codes learn; the state changes only if "codebook" is mutable.
          key: for draws; the rng "quantize" if absent.
          mask: bool `[...]`, rows that count.
          axis_name: devices that hold the other rows.
          **more: as the `quantize` of `functions` takes, such as a temperature.
        """
        functions = importlib.import_module(self.functions)
        train = train and not self.is_initializing()
        if self.is_initializing():
            sample = x if self.init_from_x else None
            made, learned = functions.init(self.make_rng("params"), self.config, sample)
            params = {n: self.param(n, lambda _, v=v: v) for n, v in made.items()}
        else:
            learned = None
            params = dict(self.variables.get("params", {}))
        state = self.variable("codebook", "state", lambda: learned)
        if train and key is None and self.has_rng("quantize"):
            key = self.make_rng("quantize")
        out, after = functions.quantize(
            params,
            state.value,
            x,
            self.config,
            key=key,
            train=train,
            mask=mask,
            axis_name=axis_name,
            **more,
        )
        if train and self.is_mutable_collection("codebook"):
            state.value = after
        return out

    def decode(self, indices: jax.Array) -> jax.Array:
        """Values of indices, as the `decode` of `functions` gives them."""
        return importlib.import_module(self.functions).decode(
            dict(self.variables.get("params", {})),
            self.get_variable("codebook", "state"),
            indices,
            self.config,
        )
