"""A thin Flax NNX module around any quantizer: `nnx.Param` for what the optimizer updates,
`Codebook` variables for what the quantizer learns by itself.
"""

import importlib
from types import ModuleType
from typing import Any

import jax
from flax import nnx

from quant.quantizers.flax_arguments import name_of
from quant.types import Params, Quantized


class Codebook(nnx.Variable):
    """State of a quantizer that training changes without the optimizer."""


class Quantizer(nnx.Module):
    """`[..., D]` -> `Quantized`, by one of the modules `vq`, `rvq`, `fsq`, `lfq`, `simvq`, `gmvq`.

    quantizer = Quantizer(vq, vq.VQConfig(512, 64), rngs=nnx.Rngs(0))
    out = quantizer(x, True, rngs=nnx.Rngs(quantize=1))
    """

    def __init__(
        self, functions: ModuleType, config: Any, *, rngs: nnx.Rngs, sample: jax.Array | None = None
    ):
        """Make parameters and state.

        Args:
          functions: the module whose `init` and `quantize` are meant.
          config: its configuration.
          rngs: its stream "params" (or the default one) is drawn from.
          sample: for inits that need data.

        Raises:
          QuantError: `functions` is no quantizer's module, or `config` of another one.
        """
        name = name_of(functions, config)
        params, state = functions.init(rngs.params(), config, sample)
        leaves, structure = jax.tree.flatten(state)
        self.functions, self.config, self.structure = name, config, structure
        self.params = _held(params)
        self.state = nnx.List([Codebook(leaf) for leaf in leaves])

    def __call__(
        self,
        x: jax.Array,
        train: bool = False,
        *,
        rngs: nnx.Rngs | None = None,
        key: jax.Array | None = None,
        **more,
    ) -> Quantized:
        """Quantize; with `train` the codes learn in place.

        Args:
          x: float `[..., D]`.
          train: let the codes learn.
          rngs: its stream "quantize" (or the default one) gives the key of training. A loss that
            `nnx.grad` differentiates takes it as an argument, since it counts what is drawn.
          key: instead of `rngs`.
          **more: as the `quantize` of the module takes: mask, axis_name, a temperature.
        """
        if train and key is None and rngs is not None:
            key = rngs.quantize()
        state = jax.tree.unflatten(self.structure, [leaf[...] for leaf in self.state])
        out, after = importlib.import_module(self.functions).quantize(
            _values(self.params), state, x, self.config, key=key, train=train, **more
        )
        if train:
            for variable, leaf in zip(self.state, jax.tree.leaves(after), strict=True):
                variable[...] = leaf
        return out

    def decode(self, indices: jax.Array) -> jax.Array:
        """Values of indices, as the `decode` of the quantizer's module gives them."""
        state = jax.tree.unflatten(self.structure, [leaf[...] for leaf in self.state])
        module = importlib.import_module(self.functions)
        return module.decode(_values(self.params), state, indices, self.config)


def _held(params: Params) -> nnx.Dict:
    """Parameters as `nnx.Param`, in dictionaries nested as those of composite quantizers are."""
    return nnx.Dict(
        {
            name: _held(value) if isinstance(value, dict) else nnx.Param(value)
            for name, value in params.items()
        }
    )


def _values(held: nnx.Dict) -> Params:
    """The arrays of `_held`, in plain dictionaries."""
    return {
        name: _values(value) if isinstance(value, nnx.Dict) else value[...]
        for name, value in held.items()
    }
