"""Compiled programs are kept on disk, and found again by the next process."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxrl.train.compiled import FOLDER, QUICKLY, SHORTEST, JitOnCpu, jit_once, keep_programs

PROGRAM = """
import jax, jax.numpy as jnp
from jaxrl.train.compiled import keep_programs
from jaxrl.train.metrics import CompileCounter
folder = keep_programs()
counter = CompileCounter()
result = jax.jit(lambda x: jnp.sort(jnp.sin(x) @ jnp.cos(x).T))(jnp.ones((8, 8)))
print(folder, counter.count, counter.cached, float(result.sum()))
"""


def child(**environment) -> list[str]:
    """What a fresh process prints that compiles one program."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JAX_COMPILATION", "JAX_PERSISTENT", "XDG"))
    }
    settings = {"JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[3])}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | settings | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_the_second_process_compiles_nothing_and_gets_the_same(tmp_path):
    folder, count, cached, result = child(XDG_CACHE_HOME=str(tmp_path))
    assert Path(folder) == tmp_path / "latentax" / "programs" and int(count) > 0 and cached == "0"
    assert any(Path(folder).iterdir())
    assert child(XDG_CACHE_HOME=str(tmp_path)) == [folder, count, count, result]
    assert child(XDG_CACHE_HOME=str(tmp_path), **{FOLDER: ""})[:3] == ["None", count, "0"]


@pytest.fixture
def settings(monkeypatch):
    """What is set on the configuration of JAX, without setting it."""
    found = {}
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    for name in (FOLDER, SHORTEST, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return found


def test_the_folder_is_the_users_cache(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".cache" / "latentax" / "programs"
    assert keep_programs() == str(expected) and expected.stat().st_mode & 0o077 == 0
    assert settings == {
        "jax_compilation_cache_dir": str(expected),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }


def test_the_variables_of_jax_have_the_last_word(settings, monkeypatch):
    monkeypatch.setenv(SHORTEST, "5")
    for value in ("gs://bucket/programs", ""):
        monkeypatch.setenv(FOLDER, value)
        assert keep_programs() == (value or None)
    assert settings == {}


def test_a_home_that_cannot_be_written_does_without(settings, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert keep_programs() is None
    assert "jax_compilation_cache_dir" not in settings


def test_a_program_that_runs_once_gives_the_same_numbers():
    def draw(shape, key):
        x = jax.random.uniform(key, shape)
        return jnp.linalg.qr(x)[0], jnp.sin(x).sum(0)

    arguments = ((5, 5), jax.random.key(3))
    once = jit_once(draw, static_argnums=0)(*arguments)
    usual = jax.jit(draw, static_argnums=0)(*arguments)
    for a, b in zip(once, usual, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.fixture
def seen(monkeypatch):
    """Options with which anything is jitted; nothing is compiled, and XLA_FLAGS are not set."""
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    options_seen = []

    def fake(function, **options):
        options_seen.append(options)
        return function

    monkeypatch.setattr(jax, "jit", fake)
    return options_seen


def test_options_for_cpus_are_asked_at_the_first_call_and_kept(monkeypatch, seen):
    for platform in ("cpu", "gpu"):
        program = JitOnCpu(lambda x: x + 1, QUICKLY, donate_argnums=0)
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: platform)
        assert program(1) == 2 and program(2) == 3
    assert seen == [{"donate_argnums": 0, "compiler_options": QUICKLY}, {"donate_argnums": 0}]


def test_a_quickly_compiled_program_gives_the_same_numbers_and_can_be_lowered():
    def loop(x, count):
        return jax.lax.fori_loop(0, count, lambda i, x: jnp.sin(x @ x.T) + i, x)

    x = jax.random.normal(jax.random.key(4), (7, 7))
    quick = JitOnCpu(loop, QUICKLY)
    np.testing.assert_allclose(quick(x, 3), jax.jit(loop)(x, 3), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(quick.lower(x, 3).compile()(x, 3), quick(x, 3))


def test_a_program_that_runs_once_is_compiled_without_optimization_on_a_cpu(monkeypatch, seen):
    for platform in ("cpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: platform)
        assert jit_once(lambda x: x + 1, static_argnums=())(1) == 2
    level = {"xla_backend_optimization_level": 0}
    assert seen == [{"static_argnums": (), "compiler_options": level}, {"static_argnums": ()}]


def test_an_option_that_the_environment_names_is_left_to_it(monkeypatch, seen):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setenv("XLA_FLAGS", "--xla_other=1 --xla_backend_optimization_level=3")
    jit_once(lambda x: x)(1)
    JitOnCpu(lambda x: x, {"xla_second": True} | QUICKLY)(1)
    assert seen == [{}, {"compiler_options": {"xla_second": True}}]
