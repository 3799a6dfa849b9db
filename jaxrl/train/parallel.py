"""Devices: the only file that knows of them.

A training step is written once, `step(state, batch, key, axis_name=None) -> (state, metrics)`, and
becomes a program on N devices in two forms: `jit` with the batch axis sharded over a mesh (the
default), or `pmap` with a named axis. For both to equal the single-device step on the whole batch,
  * random numbers are drawn per example, from keys made by `example_keys` (never one draw for a
    whole batch);
  * statistics and losses over the batch go through `mean` and `masked_mean` with the `axis_name`
    they were given;
  * gradients go through `mean` before the optimizer.
"""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "data"
"""Name of the batch axis over devices."""


def example_keys(key: jax.Array, count: int, axis_name: str | None = None) -> jax.Array:
    """One key per example of the local batch, `[count]`; example i of the global batch gets the
    same key on any device count.
    """
    offset = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(offset + jnp.arange(count))


def mean(tree, axis_name: str | None = None):
    """Mean over devices (identity on one)."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def total(tree, axis_name: str | None = None):
    """Sum over devices (identity on one)."""
    return tree if axis_name is None else jax.lax.psum(tree, axis_name)


def masked_mean(
    x: jax.Array, mask: jax.Array, axis=None, axis_name: str | None = None
) -> jax.Array:
    """Mean of `x` where `mask` (same shape) is true, over `axis` and devices; 0 where nothing is. A
    float mask, >= 0, weighs.

    Args:
      x: float array.
      mask: bool or float weights, of the shape of `x`.
      axis: axis or axes to reduce, as for `sum`; None: all.
      axis_name: device axis to reduce too, under pmap; None otherwise.

    Returns:
      `x` without the reduced axes.
    """
    weight = mask.astype(x.dtype)
    weights = total(weight.sum(axis), axis_name)
    return total((x * weight).sum(axis), axis_name) / jnp.where(weights > 0, weights, 1)


def platform() -> str:
    """Kind of this machine's devices: "cpu", "gpu" or "tpu"."""
    return jax.default_backend()


def device_name() -> str:
    """Name of the first device."""
    return jax.devices()[0].device_kind


def device_memory() -> int | None:
    """Bytes that one device can hold; None where it does not report them."""
    return (jax.local_devices()[0].memory_stats() or {}).get("bytes_limit")


def compute_dtype(precision: str) -> jnp.dtype:
    """The dtype that a precision names: "float32", "bfloat16", or "auto", which is bfloat16 on
    accelerators and float32 on CPUs.

    Raises:
      ValueError: another name.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise ValueError(f"precision is {precision!r}: choose auto, float32 or bfloat16")
    if precision == "auto":
        precision = "float32" if platform() == "cpu" else "bfloat16"
    return jnp.dtype(precision)


def over_members(function: Callable, how: str = "auto") -> Callable:
    """`function` for many independent members at once: every argument and result gets a leading
    axis of members.

    Args:
      function: of arrays and trees of arrays.
      how: "vmap": one batched computation. "map": one after the other inside the program. "auto":
        vmap on accelerators, map on CPUs, where a convolution with one kernel per member takes five
        to ten times as long as one after the other.
    """
    if how == "auto":
        how = "map" if platform() == "cpu" else "vmap"
    return (
        jax.vmap(function)
        if how == "vmap"
        else lambda *args: jax.lax.map(lambda one: function(*one), args)
    )


def data_mesh(count: int = 0) -> Mesh:
    """A mesh of `count` devices with the one axis "data".

    0: all accelerators, but one device where there are only CPUs. Several processes share all
      devices of all of them.

    Raises:
      ValueError: there are fewer, or several processes and not all devices were asked for.
    """
    devices = jax.devices()
    together = jax.process_count() > 1
    count = count or (1 if devices[0].platform == "cpu" and not together else len(devices))
    if count > len(devices):
        raise ValueError(
            f"{count} devices were asked for, but there are only {len(devices)}: set devices to at "
            "most that"
        )
    if together and count < len(devices):
        raise ValueError(
            f"devices is {count}, but {jax.process_count()} processes have {len(devices)}: set "
            "devices to 0, all take part"
        )
    return Mesh(np.array(devices[:count]), (AXIS,), axis_types=(AxisType.Auto,))


def check_shares(batches: Mapping[str, float], mesh: Mesh) -> None:
    """Refuse batches, by name, that the devices cannot share equally.

    Raises:
      ValueError: naming the first such batch, its size and the number of devices.
    """
    for name, size in batches.items():
        if mesh.size > 1 and size % mesh.size:
            raise ValueError(
                f"{name} is {size:g}, which {mesh.size} devices cannot share equally: make it a "
                "multiple, or set devices"
            )


def replicate(tree, mesh: Mesh | None):
    """The tree on every device of the mesh. Identity on one device. Of several processes, each
    gives the same values.
    """
    if mesh is None or mesh.size == 1:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())
    if jax.process_count() == 1:
        return jax.device_put(tree, sharding)

    def put(a):
        return jax.make_array_from_process_local_data(
            sharding, np.asarray(a), np.shape(a)
        )  # device_put would compare them

    return jax.tree.map(put, tree)


def local(array):
    """This process's copy of an array that lies on every device; others are returned as
    they are.
    """
    several = isinstance(array, jax.Array) and not array.is_fully_addressable
    return array.addressable_data(0) if several else array


def together(tree, mesh: Mesh | None):
    """Inside jit: every device holds all of the tree. Identity on one device."""
    if mesh is None or mesh.size == 1:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, sharding), tree)


def spread(batch, mesh: Mesh | None):
    """Inside jit: let every device compute its share of the leading axis of `batch`. Identity on
    one device.
    """
    if mesh is None or mesh.size == 1:
        return batch
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    return jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, sharding), batch)


def share(tree, axis_name: str | None):
    """Inside pmap: this device's part of the leading axis of every array. Identity
    without an axis.
    """
    if axis_name is None:
        return tree
    count, here = jax.lax.psum(1, axis_name), jax.lax.axis_index(axis_name)

    def part(a):
        return jax.lax.dynamic_slice_in_dim(a, here * (a.shape[0] // count), a.shape[0] // count)

    return jax.tree.map(part, tree)


def on_each(function: Callable, mesh: Mesh) -> Callable:
    """The pmap form of `function(*arguments, axis_name=None)`: every device is given all, and takes
    its `share` by itself.

    Results must be equal on all devices (reduced over the axis); they are returned once, on every
    device of the mesh.
    """
    devices, ours = list(mesh.devices.flat), len(mesh.local_devices)
    mapped = jax.pmap(
        lambda _, arguments: function(*arguments, axis_name=AXIS),
        AXIS,
        in_axes=(0, None),
        out_axes=None,
        devices=devices,
    )
    return lambda *arguments: _joined(mapped(np.arange(ours), arguments), mesh)


def _joined(tree, mesh: Mesh):
    """Results of pmap in each of several processes on its own devices, as arrays on the whole
    mesh; nothing is copied.
    """
    if jax.process_count() == 1:
        return tree
    sharding = NamedSharding(mesh, PartitionSpec())

    def parts(a):
        return [shard.data for shard in a.addressable_shards]

    return jax.tree.map(
        lambda a: jax.make_array_from_single_device_arrays(a.shape, sharding, parts(a)), tree
    )


def data_parallel(step: Callable, mesh: Mesh, form: str = "jit") -> Callable:
    """A program `(state, batch, key) -> (state, metrics)` that shares the batch among the devices
    of `mesh`.

    Args:
      step: the step of one device, `(state, batch, key, axis_name=None)`.
      mesh: see `data_mesh`; its size must divide the leading axis of every array of the batch.
      form: "jit": the whole batch is one sharded array and XLA finds the communication. "pmap":
        every device runs the step on its share, with the named axis.

    Returns:
      The compiled-on-first-use program. It takes and returns the state once, not a copy per device;
      "jit" donates it.
    """
    if form == "jit":
        everywhere, shared = (
            NamedSharding(mesh, PartitionSpec()),
            NamedSharding(mesh, PartitionSpec(AXIS)),
        )
        return jax.jit(
            lambda state, batch, key: step(state, batch, key),
            in_shardings=(everywhere, shared, everywhere),
            out_shardings=everywhere,
            donate_argnums=0,
        )
    if form != "pmap":
        raise ValueError(f'form is "jit" or "pmap", not {form!r}')
    mapped = jax.pmap(
        functools.partial(step, axis_name=AXIS),
        AXIS,
        in_axes=(None, 0, None),
        out_axes=None,
        devices=list(mesh.devices.flat),
    )

    def split(a):
        return a.reshape(mesh.size, a.shape[0] // mesh.size, *a.shape[1:])

    return lambda state, batch, key: mapped(state, jax.tree.map(split, batch), key)


def members_parallel(step: Callable, mesh: Mesh | None, form: str = "jit") -> Callable:
    """A program `(state, own, given) -> (state, trace)` that shares the members of an ensemble
    among the devices of `mesh`.

    Args:
      step: of any number of members: `state` and `own` have a leading axis of members, `given` is
        the same for all; the arrays of the `trace` it returns have the members on their second
        axis, behind one of time.
      mesh: see `data_mesh`; its size must divide the number of members. None: one device.
      form: "jit": arrays sharded along the members; `state` is donated. "pmap": every device runs
        the step on its share.
    """
    if form == "jit":
        if mesh is None or mesh.size == 1:
            return jax.jit(step, donate_argnums=0)
        members, everywhere = (
            NamedSharding(mesh, PartitionSpec(AXIS)),
            NamedSharding(mesh, PartitionSpec()),
        )
        results = (members, NamedSharding(mesh, PartitionSpec(None, AXIS)))
        return jax.jit(
            step,
            in_shardings=(members, members, everywhere),
            out_shardings=results,
            donate_argnums=0,
        )
    if form != "pmap":
        raise ValueError(f'form is "jit" or "pmap", not {form!r}')
    devices = list(mesh.devices.flat) if mesh is not None else jax.devices()[:1]
    mapped = jax.pmap(step, AXIS, in_axes=(0, 0, None), out_axes=(0, 1), devices=devices)

    def split(a):
        return a.reshape(len(devices), a.shape[0] // len(devices), *a.shape[1:])

    def run(state, own, given):
        state, trace = mapped(jax.tree.map(split, state), jax.tree.map(split, own), given)

        def whole(a):
            return a.reshape(-1, *a.shape[2:])

        return jax.tree.map(whole, state), jax.tree.map(
            lambda a: a.reshape(a.shape[0], -1, *a.shape[3:]), trace
        )

    return run
