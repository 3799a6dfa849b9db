"""Keeping compiled programs on disk, so that the second start of a command compiles nothing anew.

JAX does the keeping. A program is found again by its contents, the compiler's version and options
and the kind of device, so a warm start runs the same machine code as a cold one. Whoever can write
to the folder can run code in later processes: keep it private.
"""

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

FOLDER, SHORTEST = "JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"


def keep_programs() -> str | None:
    """Let every program of this process be kept, however small; call it before the first is
    compiled.

    The folder is latentax/programs in the user's cache directory (XDG_CACHE_HOME, or ~/.cache).
    JAX's own variables have the last word: JAX_COMPILATION_CACHE_DIR names another folder (gs://
    with the extra "gcs"), and empty switches the keeping off;
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS leaves out programs that took less.

    Returns:
      The folder; None if nothing is kept.
    """
    if SHORTEST not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    if FOLDER in os.environ:
        return os.environ[FOLDER] or None
    folder = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "latentax" / "programs"
    )
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            jax.config.update("jax_compilation_cache_dir", str(folder))
            return str(folder)
    return None


def for_cpus(options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The argument of `jax.jit` that gives the compiler these options, where the default device is
    a CPU.

    An option that XLA_FLAGS names is left to XLA_FLAGS: whoever sets it there means every program,
    and options of `jax.jit` would overrule it.

    Args:
      options: of XLA's compiler, by name.

    Returns:
      Empty on other devices, or if XLA_FLAGS names all of them.
    """
    named = os.environ.get("XLA_FLAGS", "")
    left = {option: value for option, value in options.items() if option not in named}
    return {"compiler_options": left} if left and jax.default_backend() == "cpu" else {}


class JitOnCpu:
    """`jax.jit` with options of the compiler for CPUs (see `for_cpus`); elsewhere without them.

    Which device there is is asked at the first call, not when the module is imported.
    """

    def __init__(self, function: Callable, compiler_options: dict[str, Any], **options):
        """Compile `function` when it is first called; `options` are those of `jax.jit`."""
        self._function, self._on_cpu, self._options = function, compiler_options, options

    @functools.cached_property
    def _jitted(self):
        return jax.jit(self._function, **self._options, **for_cpus(self._on_cpu))

    def __call__(self, *arguments):
        """Call it."""
        return self._jitted(*arguments)

    def lower(self, *arguments):
        """Trace it, as `jax.jit(...).lower` does."""
        return self._jitted.lower(*arguments)


QUICKLY = {"xla_backend_optimization_level": 1}
"""Options of the compiler for programs whose time is spent in library calls, such as convolutions
and matrix products: these are the same, and the rest compiles in half the time.
"""
ONCE = {"xla_backend_optimization_level": 0}
"""Options of the compiler for a program that runs a single time."""


def jit_once(function: Callable, **options) -> Callable:
    """`jax.jit` for a program that runs once, such as drawing the first parameters.

    On a CPU it is compiled without optimization: the initialization of an agent is thousands of
    small operations, which take seconds to optimize and no time to run. Elsewhere it is `jax.jit`.

    Args:
      function: what to compile.
      **options: of `jax.jit`.
    """

    def call(*arguments, **named):
        return jax.jit(function, **options, **for_cpus(ONCE))(*arguments, **named)

    return call
