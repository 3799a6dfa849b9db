"""Several processes, one per machine, as one training: the only file that knows of them.

All processes run the same program in step: they hold the same replay, and share every batch among
all devices. Each steps its own share of games outside JAX and hears from the others what came of
theirs; games in JAX run on all. What depends on a clock or a signal is therefore agreed on here.
Only the first process writes the run folder and speaks. Every function is the identity, or nothing,
in a single process.
"""

import io
import os
import signal
from collections.abc import Mapping
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxrl.app.errors import UserError, first_line
from jaxrl.app.files import npz_bytes

When = Literal["auto", "on", "off"]


def wanted(when: When, environment: Mapping[str, str] = os.environ) -> bool:
    """Choice to join other processes; "auto": if the environment names a coordinator, or Slurm or
    Open MPI started several.
    """
    tasks = (environment.get("SLURM_NTASKS", "1"), environment.get("OMPI_COMM_WORLD_SIZE", "1"))
    several = "JAX_COORDINATOR_ADDRESS" in environment or any(
        task.isdigit() and int(task) > 1 for task in tasks
    )
    return when == "on" or (when == "auto" and several)


def join(when: When = "auto") -> None:
    """Meet the other processes, if there are to be any. Before anything touches a device.

    With JAX_COORDINATOR_ADDRESS ("host:port" of the first process), JAX_NUM_PROCESSES and
    JAX_PROCESS_ID in the environment, those hold. Without them JAX finds out by itself on Cloud
    TPU, Slurm and Open MPI.

    Raises:
      UserError: they cannot be found.
    """
    if not wanted(when) or jax.distributed.is_initialized():
        return
    named = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    given = [name for name in named if name in os.environ]
    try:
        if len(given) == len(named):
            address, count, number = (os.environ[name] for name in named)
            jax.distributed.initialize(address, int(count), int(number))
        else:
            jax.distributed.initialize()
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"the other processes were not found ({first_line(error)}): set "
            f"{', '.join(named)} in each, or choose --distributed off"
        ) from error


def several() -> bool:
    """Return True if other processes train with this one."""
    return jax.distributed.is_initialized() and jax.process_count() > 1


def is_first() -> bool:
    """Return True if this process writes and prints for all."""
    return not several() or jax.process_index() == 0


PATIENCE = 3600
"""Seconds that a process waits for the others: one may compile while the rest is ready."""


def meet() -> None:
    """Wait until every process is here. Collectives between CPUs give up after 30 s by themselves,
    and the late process then waits for the others.
    """
    if not several():
        return
    from orbax.checkpoint import multihost

    multihost.get_barrier_sync_fn()(key="latentax", timeout_ms=1000 * PATIENCE)


def connect(mesh: Mesh) -> None:
    """Let the devices of all processes reduce one number: where they are CPUs, they find each other
    at their first reduction, within 30 s, which a process that compiles for longer would miss.
    """
    if not several():
        return
    meet()
    shared = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    ones = jax.make_array_from_callback((mesh.size,), shared, lambda _: np.ones(1, np.float32))
    whole = NamedSharding(mesh, PartitionSpec())
    jax.block_until_ready(jax.jit(jnp.sum, out_shardings=whole)(ones))


def from_first(number: int) -> int:
    """The first process's value of an int below 2**31."""
    if not several():
        return number
    meet()
    from jax.experimental import multihost_utils

    return int(multihost_utils.broadcast_one_to_all(np.int32(number)))


def any_of(flag: bool) -> bool:
    """Return True if it is true in any process."""
    if not several():
        return bool(flag)
    meet()
    from jax.experimental import multihost_utils

    return bool(multihost_utils.process_allgather(np.bool_(flag)).any())


def my_share(count: int) -> list[bool]:
    """Return, for each of `count` games, True if this process plays it: every game is one's."""
    if not several():
        return [True] * count
    return [i % jax.process_count() == jax.process_index() for i in range(count)]


SIZES = 4096
"""Bytes: messages between processes are padded to a multiple of it, so that few programs serve."""


def arrays_from_all(own: dict[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Named arrays of every process, in the order of the processes; a meeting of all."""
    if not several():
        return [own]
    meet()
    from jax.experimental import multihost_utils

    sent = npz_bytes(own)
    lengths = multihost_utils.process_allgather(np.int32(len(sent)))
    padded = np.zeros(-(-int(lengths.max()) // SIZES) * SIZES, np.uint8)
    padded[: len(sent)] = np.frombuffer(sent, np.uint8)
    found = []
    for row, length in zip(multihost_utils.process_allgather(padded), lengths, strict=True):
        with np.load(io.BytesIO(row[:length].tobytes())) as arrays:
            found.append(dict(arrays))
    return found


class SharedStop:
    """A stop request (jaxrl/train/signals.py) that is true as soon as any process has got its own;
    asking it is a meeting of all.
    """

    def __init__(self, own):
        self.own, self.agreed = own, False

    def __bool__(self):
        self.agreed = self.agreed or any_of(bool(self.own))
        return self.agreed

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that came here, or SIGTERM if it came to another process; None if to none."""
        return self.own.signal or (signal.SIGTERM if self.agreed else None)
