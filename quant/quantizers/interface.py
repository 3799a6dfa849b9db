"""The interface that all quantizers share: the options of a call, the batch as rows, and the result
in the shape of the input.

Each quantizer writes one function `core(params, state, batch, config) -> (Found, state)` of rows;
`call` and `call_soft` check what comes in, make the `Batch`, and make a `Quantized` of the result.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.sharding import AxisType, PartitionSpec

from jaxrl.train.parallel import example_keys, masked_mean
from quant.codebooks.extremes import bounded, narrowed
from quant.codebooks.rows import flatten, lookup
from quant.codebooks.updates import count_rows, usage_metrics
from quant.errors import QuantError, require
from quant.quantizers.explain import explaining
from quant.quantizers.inputs import as_array, check_input
from quant.types import Quantized


class Options(TypedDict, total=False):
    """Keyword arguments of every `quantize`."""

    key: jax.Array | None
    """PRNG key for draws; the same on every device."""
    train: bool
    """Learn (default True). With False, the state is returned as it came."""
    mask: jax.Array | None
    """bool `[...]`, rows that count. Others keep their value, have index -1 and change nothing."""
    axis_name: str | None
    """Devices that hold the other rows of the batch; not needed where jit finds them."""


class SoftOptions(Options, total=False):
    """Keyword arguments of a quantizer that draws codes."""

    temperature: jax.Array | float | None
    """Temperature of the relaxed choice; it is usually lowered in training."""


@struct.dataclass
class Batch:
    """Rows to quantize, with the options of the call."""

    rows: jax.Array
    """`[N, D]`, as they came."""
    usable: jax.Array
    """bool `[N]`, rows that count."""
    z: jax.Array
    """float32 `[N, D]`, within `LARGEST`; zero where not usable, since a masked row may hold NaN.
    """
    key: jax.Array | None = None
    temperature: jax.Array | float | None = None
    train: bool = struct.field(pytree_node=False, default=True)
    axis_name: str | None = struct.field(pytree_node=False, default=None)

    def mean(self, values: jax.Array) -> jax.Array:
        """Mean of `[N]` or `[N, F]` over usable rows of all devices; 0 if there are none."""
        usable = self.usable.reshape(-1, *[1] * (values.ndim - 1))
        weight = jnp.broadcast_to(usable, values.shape)
        return masked_mean(values.astype(jnp.float32), weight, None, self.axis_name)

    def usage(self, index: jax.Array, codes: int) -> dict[str, jax.Array]:
        """Metrics "perplexity" and "usage" of indices `[N]`."""
        return usage_metrics(count_rows(index, codes, self.usable, self.axis_name))

    def row_keys(self) -> jax.Array:
        """A key for every row `[N]`, the same however the rows lie on devices."""
        return example_keys(self.key, self.rows.shape[0], self.axis_name)


class Found(NamedTuple):
    """Result of a quantizer's core, by row."""

    value: jax.Array
    """float `[N, F]`."""
    index: jax.Array
    """int32 `[N]`, or `[N, heads]` or `[N, levels]`."""
    losses: dict[str, jax.Array]
    metrics: dict[str, jax.Array]
    otherwise: jax.Array | None = None
    """Value of masked rows `[N, F]`; the rows themselves if absent."""


class _Call(NamedTuple):
    """Options with their defaults; another keyword is a TypeError that names it."""

    key: jax.Array | None = None
    train: bool = True
    mask: jax.Array | None = None
    axis_name: str | None = None


class _SoftCall(NamedTuple):
    key: jax.Array | None = None
    train: bool = True
    mask: jax.Array | None = None
    axis_name: str | None = None
    temperature: jax.Array | float | None = None


Encode = Callable[[Any, Any, jax.Array, Any], jax.Array]


def encode_by(quantize: Callable[..., tuple[Quantized, Any]]) -> Encode:
    """A quantizer's `encode`: the indices that its `quantize` finds, without training.

    Args:
      quantize: the quantizer's function.

    Returns:
      `encode(params, state, x, config)`: parameters and state from `init` or the last step, x float
      `[..., D]`, the configuration of `init`; gives int32 indices `[...]`, with an axis for heads,
      groups or levels where there are several. It raises QuantError as `quantize` does: another
      number of features, no rows, or numbers that are not floating.
    """

    def encode(params: Any, state: Any, x: jax.Array, config: Any) -> jax.Array:
        """Indices only, int32 `[...]`; see `encode_by`."""
        return quantize(params, state, x, config, train=False)[0].indices

    encode.__module__, encode.__qualname__ = quantize.__module__, "encode"
    return encode


LARGEST_INDEX = 2**31 - 1
"""Largest number of an int32."""
Decode = Callable[[Any, Any, jax.Array, Any], jax.Array]


def decoding(decode: Decode) -> Decode:
    """A quantizer's `decode` with its checks: indices must be whole numbers, of any type, and
    parameters, state and configuration go together.
    """

    @functools.wraps(decode)
    def checked(params: Any, state: Any, indices: jax.Array, config: Any) -> jax.Array:
        if not isinstance(indices, jax.Array):  # JAX would cut 64 bits to 32 unseen
            try:
                indices = np.asarray(indices)
            except ValueError as error:
                raise QuantError(f"indices are no array ({error})") from None
        require(
            jnp.issubdtype(indices.dtype, jnp.integer),
            f"indices have dtype {indices.dtype}: give whole numbers, as encode does",
        )
        limits = jnp.iinfo(indices.dtype)
        if limits.max > LARGEST_INDEX:
            indices = indices.clip(max(limits.min, -2), LARGEST_INDEX)
        # Files keep indices as uint8 or int16, which cannot hold the number of codes itself.
        indices = jnp.asarray(indices.astype(jnp.int32))
        with explaining(params, state, config):
            return decode(params, state, indices, config)

    return checked


@decoding
def decode_codes(params: dict, state: dict, indices: jax.Array, config: Any) -> jax.Array:
    """Codes of indices, float32 `[..., D]`: the `decode` of quantizers whose output is a code.

    Args:
      params: from `init`; only "codes" `[K, D]` are used.
      state: empty.
      indices: int32 `[...]`; outside 0..K-1 the result is NaN.
      config: the same as at `init`.
    """
    return lookup(params["codes"], indices)


Core = Callable[[Any, Any, Batch, Any], tuple[Found, Any]]


def call(
    core: Core, params: Any, state: Any, x: jax.Array, config: Any, options: dict[str, Any]
) -> tuple[Quantized, Any]:
    """Quantize `x [..., D]` by `core`, with `Options`.

    Args:
      core: the quantizer's function of rows, `core(params, state, batch, config) -> (Found,
        state)`.
      params: its parameters.
      state: its state.
      x: float `[..., D]`.
      config: its configuration; D is `config.dim`.
      options: see `Options`.

    Returns:
      The result in the shape of `x`, and the state after.

    Raises:
      QuantError: another number of features, no rows, numbers that are not floating, or a mask of
        another shape.
    """
    return _call(core, params, state, x, config, _asked(_Call, options))


def call_soft(
    core: Core, params: Any, state: Any, x: jax.Array, config: Any, options: dict[str, Any]
) -> tuple[Quantized, Any]:
    """Quantize `x [..., D]` by `core`, with `SoftOptions`: training needs a key.

    Arguments and result as `call`, but for `options`, which are `SoftOptions`.

    Raises:
      QuantError: as `call`; training without a key.
    """
    asked = _asked(_SoftCall, options)
    require(not asked.train or asked.key is not None, "training draws codes: give quantize a key")
    return _call(core, params, state, x, config, asked)


def _asked(kind: type, options: dict[str, Any]) -> Any:
    unknown = [name for name in options if name not in kind._fields]
    if unknown:
        raise TypeError(
            f"quantize got an unexpected keyword argument {unknown[0]!r}: this quantizer takes "
            f"{', '.join(kind._fields)}"
        )
    return kind(**options)


def _call(core: Core, params, state, x, config, asked) -> tuple[Quantized, Any]:
    x = as_array(x)
    with explaining(params, state, config, core.__module__):
        return _checked_call(core, params, state, x, config, asked)


def _checked_call(core: Core, params, state, x, config, asked) -> tuple[Quantized, Any]:
    check_input(x, config.dim)
    mask = None if asked.mask is None else jnp.asarray(asked.mask)
    own = {name: value for name, value in asked._asdict().items() if name not in ("train", "mask")}
    static = {"train": bool(asked.train), "axis_name": own.pop("axis_name")}

    def run(params, state, x, mask, own):
        rows, usable = flatten(x, mask)
        clean = bounded(jnp.where(usable[:, None], rows, 0))
        found, after = core(params, state, Batch(rows, usable, clean, **own, **static), config)
        return closed(found, x, rows, usable), after

    return on_explicit_mesh(run, params, state, x, mask, own)


def closed(found: Found, x: jax.Array, rows: jax.Array, usable: jax.Array) -> Quantized:
    """The result in the shape and dtype of `x`; masked rows get index -1.

    Args:
      found: result by row.
      x: `[..., D]`, for its leading axes and dtype.
      rows: `[N, D]`, the rows of `x` as they came.
      usable: bool `[N]`, False for masked rows.
    """
    otherwise = rows if found.otherwise is None else found.otherwise.astype(x.dtype)
    value = jnp.where(usable[:, None], narrowed(found.value, x.dtype), otherwise)
    known = usable.reshape(-1, *[1] * (found.index.ndim - 1))
    index = jnp.where(known, found.index, -1).reshape(*x.shape[:-1], *found.index.shape[1:])
    value = value.reshape(*x.shape[:-1], value.shape[-1])
    return Quantized(value, index, found.losses, jax.lax.stop_gradient(found.metrics))


def on_explicit_mesh(run: Callable, params, state, x: jax.Array, mask, own):
    """Call `run` in a form that types where `x` lies on a mesh with explicit axes (the default of
    `jax.make_mesh`).

    Inside, the compiler finds the communication, as under jit with automatic axes; rows come out as
    those of `x` lie, everything else on every device.

    Args:
      run: `run(params, state, x, mask, own) -> (Quantized, state)`.
      params: parameters of the quantizer.
      state: its state.
      x: `[..., D]`; its sharding decides. Without explicit axes, `run` is called as it is.
      mask: bool `[...]`, or None.
      own: pytree of the options that may be traced (key, temperature).
    """
    sharding = jax.typeof(x).sharding
    mesh, spec = sharding.mesh, sharding.spec
    axes = tuple(
        name
        for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True)
        if kind == AxisType.Explicit
    )
    if not axes:
        return run(params, state, x, mask, own)
    inputs = (params, state, x, mask, own)
    plain = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), inputs)
    out, after = jax.tree.map(lambda _: PartitionSpec(), jax.eval_shape(run, *plain))
    lead = spec[: x.ndim - 1]
    out = out.replace(quantized=PartitionSpec(*lead), indices=PartitionSpec(*lead))

    def go(*inputs):
        return jax.sharding.auto_axes(run, axes=axes, out_sharding=(out, after))(*inputs)

    if jax.sharding.get_abstract_mesh().axis_names:
        return go(*inputs)
    with jax.sharding.use_abstract_mesh(mesh):
        return go(*inputs)
