"""Stacks of masked layers, of which a number decides how many are used: one program for
all depths.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

Params = dict[str, jax.Array]
"""{"win": [n, W], "wh": [L - 1, W, W], "wo": [W, m], "b": [L, W], "bo": [m]}; masks have the first
three.
"""
Masks = dict[str, jax.Array]
WEIGHTS = ("win", "wh", "wo")


@dataclass(frozen=True)
class Shape:
    """Sizes of a network."""

    inputs: int
    """n."""
    outputs: int = 1
    """m."""
    width: int = 12
    """W, units of every hidden layer."""
    layers: int = 6
    """L, the most hidden layers; how many are used is an argument of `forward`."""


class Maps(NamedTuple):
    """Evaluate a network on a batch."""

    y: jax.Array
    """Outputs, `[B, m]`."""
    z: jax.Array
    """Sums before the activation, `[L, B, W]`."""
    h: jax.Array
    """After it; layers that are not used repeat the last used one, `[L, B, W]`."""


def init(key: jax.Array, shape: Shape) -> Params:
    """Normal weights of variance 1 / fan-in, and small biases (Our choice: standard deviation 0.1,
    so that units differ).
    """
    keys = jax.random.split(key, 4)
    n, m, width, layers = shape.inputs, shape.outputs, shape.width, shape.layers
    return {
        "win": jax.random.normal(keys[0], (n, width)) * n**-0.5,
        "wh": jax.random.normal(keys[1], (layers - 1, width, width)) * width**-0.5,
        "wo": jax.random.normal(keys[2], (width, m)) * width**-0.5,
        "b": jax.random.normal(keys[3], (layers, width)) * 0.1,
        "bo": jnp.zeros(m),
    }


def full(shape: Shape) -> Masks:
    """Masks that keep every weight, float32."""
    n, m, width, layers = shape.inputs, shape.outputs, shape.width, shape.layers
    return {
        "win": jnp.ones((n, width)),
        "wh": jnp.ones((layers - 1, width, width)),
        "wo": jnp.ones((width, m)),
    }


def masked(params: Params, masks: Masks) -> Params:
    """Weights times masks; biases as they are."""
    return params | {
        name: params[name] * masks[name].astype(params[name].dtype) for name in WEIGHTS
    }


def forward(
    params: Params,
    x: jax.Array,
    depth: jax.Array | int,
    activation: Callable = jnp.tanh,
    codes=None,
) -> Maps:
    """A network of `depth` hidden layers on a batch.

    Args:
      params: with masks already applied.
      x: `[B, n]`.
      depth: 1 to L; may be traced, and mapped over.
      activation: of `[..., W]`, or of that and the codes of a layer, if there are `codes`.
      codes: int32 `[L, W]`, a function per unit (see `activations.by_code`).
    """
    act = (lambda z, c: activation(z)) if codes is None else activation
    codes = jnp.zeros(params["b"].shape, jnp.int32) if codes is None else codes

    def add(h, w, b):
        return h @ w + b[None, :]

    z = [add(x, params["win"], params["b"][0])]
    h = [act(z[0], codes[0])]
    for number, (weights, bias, c) in enumerate(
        zip(params["wh"], params["b"][1:], codes[1:], strict=True), 1
    ):
        z.append(add(h[-1], weights, bias))
        h.append(jnp.where(number < depth, act(z[-1], c), h[-1]))
    return Maps(add(h[-1], params["wo"], params["bo"]), jnp.stack(z), jnp.stack(h))


def outputs(params: Params, x: jax.Array, depth: jax.Array | int) -> jax.Array:
    """Only the outputs, `[B, n] -> [B, m]`: what training needs.

    The layers are written out and not scanned: on a CPU a scan inside the loop of updates made them
      a third slower (measured: 64
    networks, 4 layers of 12 units).
    """
    h = jnp.tanh(x @ params["win"] + params["b"][0][None, :])
    for number, (weights, bias) in enumerate(zip(params["wh"], params["b"][1:], strict=True), 1):
        h = jnp.where(number < depth, jnp.tanh(h @ weights + bias[None, :]), h)
    return h @ params["wo"] + params["bo"][None, :]


UNROLLED = 32
"""Widths up to which products of many networks are written out on a CPU."""


def outputs_of_all(params: Params, x: jax.Array, depth: jax.Array) -> jax.Array:
    """`outputs` of many networks, each on its own batch, with the examples on the last axis.

    On a CPU this is half as fast again as `outputs` under vmap: a batch of small products is a loop
    of calls, and the sum over 12 inputs, written out, is one loop over examples that the compiler
    turns into vector instructions (measured: 64 networks, 4 layers of 12 units).

    Args:
      params: with masks already applied, `[C, ...]`.
      x: `[C, n, B]`.
      depth: `[C]`.

    Returns:
      `[C, m, B]`.
    """
    return _affine(hidden_of_all(params, x, depth)[-1], params["wo"], params["bo"])


def hidden_of_all(params: Params, x: jax.Array, depth: jax.Array) -> list[jax.Array]:
    """Units of every hidden layer of many networks, each `[C, W, B]`; layers that are not used
    repeat the last used one. Arguments as those of `outputs_of_all`.
    """
    maps = [jnp.tanh(_affine(x, params["win"], params["b"][:, 0]))]
    for number in range(1, params["b"].shape[1]):
        h = jnp.tanh(_affine(maps[-1], params["wh"][:, number - 1], params["b"][:, number]))
        maps.append(jnp.where((number < depth)[:, None, None], h, maps[-1]))
    return maps


def _affine(h: jax.Array, weights: jax.Array, bias: jax.Array) -> jax.Array:
    """`[C, I, B]`, `[C, I, J]` and `[C, J]` to `[C, J, B]`."""
    return products(h, weights) + bias[:, :, None]


def products(h: jax.Array, weights: jax.Array) -> jax.Array:
    """Weights of every network times its batch: `[C, I, B]`, `[C, I, J]` to `[C, J, B]`."""
    if max(weights.shape[1:]) <= UNROLLED and jax.default_backend() == "cpu":
        return _written_out(h, weights)
    return jnp.einsum("cij,cib->cjb", weights, h)


@jax.custom_vjp
def _written_out(h: jax.Array, weights: jax.Array) -> jax.Array:
    return sum(weights[:, i, :, None] * h[:, i, None, :] for i in range(weights.shape[1]))


def _written_out_forwards(h, weights):
    return _written_out(h, weights), (h, weights)


def _written_out_backwards(kept, slope):
    h, weights = kept
    below = sum(weights[:, :, j, None] * slope[:, None, j] for j in range(weights.shape[2]))
    return below, jnp.einsum("cib,cjb->cij", h, slope)


_written_out.defvjp(_written_out_forwards, _written_out_backwards)


def used_layers(depth: jax.Array | int, layers: int) -> jax.Array:
    """True for the layers in use, bool `[L]`."""
    return jnp.arange(layers) < depth


def inputs_of_layers(maps: Maps, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Inputs of the input, hidden and output weights: `[B, n]`, `[L - 1, B, W]`, `[B, W]`."""
    return x, maps.h[:-1], maps.h[-1]


def live_units(masks: Masks, depth: jax.Array | int) -> jax.Array:
    """Units with a path from some input and to some output through the masks, bool `[L, W]`; none
    in layers that are not used.
    """
    layers = masks["wh"].shape[0] + 1
    hidden = masks["wh"] > 0

    def onwards(reached, row):
        mask, number = row
        reached = jnp.where(number < depth, (reached[:, None] & mask).any(0), reached)
        return reached, reached

    start = (masks["win"] > 0).any(0)
    _, rest = jax.lax.scan(onwards, start, (hidden, jnp.arange(1, layers)))
    forwards = jnp.concatenate([start[None], rest])

    def backwards(needed, row):
        mask, number = row
        below = jnp.where(number < depth, (mask & needed[None, :]).any(1), needed)
        return below, needed

    first, above = jax.lax.scan(
        backwards, (masks["wo"] > 0).any(1), (hidden, jnp.arange(1, layers)), reverse=True
    )
    needed = jnp.concatenate([first[None], above])
    return forwards & needed & used_layers(depth, layers)[:, None]


def effective_fan_in(masks: Masks, depth: jax.Array | int) -> jax.Array:
    """Mean number of live weights into a live hidden unit, inputs and live units below counted:
    `[]`; 0 if all are dead.
    """
    live = live_units(masks, depth).astype(jnp.float32)
    into_first = (masks["win"] > 0).sum(0) * live[0]
    into_rest = (
        jnp.einsum("li,lij->lj", live[:-1], (masks["wh"] > 0).astype(jnp.float32)) * live[1:]
    )
    return (into_first.sum() + into_rest.sum()) / jnp.maximum(live.sum(), 1.0)
