"""A thin Flax module around any quantizer: parameters in "params", what it learns by itself in
"codebook".
"""

from types import ModuleType
from typing import Any

import flax.linen as nn
import jax

from quant.types import Quantized


class Quantizer(nn.Module):
    """`[..., D]` -> `Quantized`, by one of the modules `vq`, `rvq`, `fsq`, `lfq`,
    `simvq`, `gmvq`, ....

        quantizer = Quantizer(vq, vq.VQConfig(512, 64))
        variables = quantizer.init(key, x)
        out, changed = quantizer.apply(variables, x, train=True, key=key, mutable=["codebook"])

    Attributes:
      functions: the module whose `init` and `quantize` are meant.
      config: its configuration.
    """

    functions: ModuleType
    config: Any

    @nn.compact
    def __call__(
        self,
        x: jax.Array,
        *,
        train: bool = False,
        key: jax.Array | None = None,
        mask=None,
        axis_name=None,
        **more,
    ) -> Quantized:
        """See the `quantize` of `functions`, which also takes `more`, such as a temperature. The
        state changes only if "codebook" is mutable.

        At initialization `x` is the sample for inits that look at data.
        """

        def make():
            return self.functions.init(self.make_rng("params"), self.config, x)

        made = make() if self.is_initializing() else (None, None)
        params = {
            name: self.param(name, lambda _, n=name: made[0][n]) for name in self._names(made[0])
        }
        state = self.variable("codebook", "state", lambda: made[1])
        more |= {"mask": mask, "axis_name": axis_name}
        out, after = self.functions.quantize(
            params,
            state.value,
            x,
            self.config,
            key=key,
            train=train and not self.is_initializing(),
            **more,
        )
        if train and not self.is_initializing() and self.is_mutable_collection("codebook"):
            state.value = after
        return out

    def _names(self, made: dict | None) -> list[str]:
        return list(made if made is not None else self.variables.get("params", {}))
