"""Strictness for every test: four fake CPU devices (or JAX_NUM_CPU_DEVICES), exact products, no
rank promotion, warnings are errors.
"""

import gc
import os
import threading
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Compiled programs are shared by the processes of a test run, and found again by the next one.
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".pytest_cache" / "programs")
)
# Also the small ones: they are thousands, and each of them is compiled by several tests.
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

import jax
import pytest

if os.environ["JAX_PLATFORMS"] == "cpu":
    jax.config.update("jax_num_cpu_devices", int(os.environ.get("JAX_NUM_CPU_DEVICES", "4")))
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_numpy_rank_promotion", "raise")


def share_contexts(programs: int = 200) -> None:
    """Lower this many programs in one MLIR context instead of one in each: making contexts is a
    third of the time of tests whose operations are executed one by one, and they stay in memory.
    Every thread has its own, and so has a program that is lowered while another one is. A version
    of JAX that makes them elsewhere is left alone.
    """
    try:
        from jax._src.interpreters import mlir
        from jax._src.lib.mlir import ir

        make = mlir.make_ir_context
    except (ImportError, AttributeError):
        return
    own = threading.local()

    def lowering():
        try:
            return ir.Context.current is not None
        except ValueError:
            return False

    def shared():
        if lowering():
            return make()
        if getattr(own, "left", 0) <= 0:
            own.context, own.left = make(), programs
        own.left -= 1
        return own.context

    mlir.make_ir_context = shared


share_contexts()
QUICK = "--xla_backend_optimization_level=0"
if jax.__version_info__ < (0, 11):  # later ones do not know it, and end the process
    QUICK += " --xla_cpu_use_fusion_emitters=false"
"""Of XLA: quick to compile."""


def pytest_configure(config):
    """The default suite compiles far more than it computes, so its programs are compiled without
    optimization, and without the emitters that make a compiler's context for every fused loop: in a
    quarter of the time.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    quick = config.getoption("markexpr") == "not slow" and os.environ["JAX_PLATFORMS"] == "cpu"
    if quick and "xla_backend_optimization_level" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {QUICK}".strip()


def pytest_collection_modifyitems(items):
    """Refuse names that differ between the processes of a test run, which pytest-xdist cannot join
    (a local run without it would not show this).
    """
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: its name holds an address; give it an id")


@pytest.fixture
def key():
    """A fresh typed PRNG key."""
    return jax.random.key(0)


MOST_MAPS = 15_000
"""Linux lets a process map 65 530 regions of memory, and every compiled program takes several: a
test process that keeps thousands of programs aborts in the compiler.
"""


@pytest.fixture(autouse=True, scope="module")
def release_programs():
    """Compiled programs are released when they have become many; those needed again are found in
    the folder above.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()
        gc.collect()
