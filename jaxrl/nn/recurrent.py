"""LSTM in PyTorch's parametrization (gate order i, f, g, o; two bias vectors), one step and a scan
over time.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxrl.nn import initializers
from jaxrl.nn.activations import sigmoid
from jaxrl.nn.mlp import per_feature


class LSTMState(NamedTuple):
    """Hidden and cell state, both `[..., D]`; float32 whatever the compute dtype."""

    hidden: jax.Array
    cell: jax.Array

    @classmethod
    def zeros(cls, leading: tuple[int, ...], features: int) -> "LSTMState":
        """A state of zeros with the given leading axes."""
        return cls(jnp.zeros((*leading, features)), jnp.zeros((*leading, features)))


def _forget_bias(key, shape, dtype=jnp.float32):
    """Zero but for the forget slice, which is 1 (DIAMOND; only on the input bias)."""
    quarter = shape[0] // 4
    return jnp.zeros(shape, dtype).at[quarter : 2 * quarter].set(1.0)


def _xavier_rows(key, shape, dtype=jnp.float32):
    """Xavier uniform on the whole [in, 4D] matrix."""
    return initializers.xavier_uniform(key, shape, dtype)


def _orthogonal_rows(key, shape, dtype=jnp.float32):
    """Orthogonal on the whole [4D, D] matrix, stored as [D, 4D]."""
    return initializers.orthogonal(key, shape[::-1], dtype).T


class LSTM(nn.Module):
    """Long short-term memory with `features` units. Input weights Xavier uniform, recurrent weights
    orthogonal.
    """

    features: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        state: LSTMState,
        x: jax.Array,
        reset: jax.Array | None = None,
        restart: LSTMState | None = None,
    ):
        """Run over time: `x [..., T, F]` from `state [..., D]` gives `(last state, hidden [..., T,
        D], states)`.

        Args:
          state: state before the first step.
          x: inputs.
          reset: bool `[..., T]`; where true the state is replaced *before* that step is taken.
          restart: replacement states `[..., T, D]`, zeros when None.

        Returns:
          The state after the last step and the states after every step, `LSTMState` of `[..., T,
          D]`; `.hidden` is the output.
        """
        width = 4 * self.features
        kernel_ih = self.param("kernel_ih", _xavier_rows, (x.shape[-1], width))
        kernel_hh = self.param("kernel_hh", _orthogonal_rows, (self.features, width))
        bias_ih = self.param("bias_ih", _forget_bias, (width,))
        bias_hh = self.param("bias_hh", initializers.zeros, (width,))

        # The input product of all steps is one matrix product outside the scan.
        drive = (x.astype(self.dtype) @ kernel_ih.astype(self.dtype)).astype(jnp.float32)
        drive = drive + per_feature(bias_ih + bias_hh, drive)
        kernel_hh = kernel_hh.astype(self.dtype)

        def step(state, inputs):
            drive, reset, restart = inputs
            if reset is not None:
                state = jax.tree.map(
                    lambda new, old: jnp.where(reset[..., None], new, old), restart, state
                )
            recurrent = (state.hidden.astype(self.dtype) @ kernel_hh).astype(jnp.float32)
            state = _gates(drive + recurrent, state.cell)
            return state, state

        if reset is not None and restart is None:
            restart = LSTMState.zeros(x.shape[:-1], self.features)
        inputs = (
            jnp.moveaxis(drive, -2, 0),
            None if reset is None else jnp.moveaxis(reset, -1, 0),
            None if reset is None else jax.tree.map(lambda a: jnp.moveaxis(a, -2, 0), restart),
        )
        last, states = jax.lax.scan(step, state, inputs)
        return last, jax.tree.map(lambda a: jnp.moveaxis(a, 0, -2), states)


def _gates(preactivation, cell):
    i, f, g, o = jnp.split(preactivation, 4, axis=-1)
    cell = sigmoid(f) * cell + sigmoid(i) * jnp.tanh(g)
    return LSTMState(sigmoid(o) * jnp.tanh(cell), cell)
