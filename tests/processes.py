"""Several processes on this machine that train as one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_together(count: int, devices: int, *arguments, **more: str) -> list[subprocess.Popen]:
    """Python with these arguments, and `more` in its environment, in `count` processes with so many
    CPU devices each.
    """
    address, started = f"127.0.0.1:{free_port()}", []
    for number in range(count):
        settings = {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": str(devices),
            "JAX_DEFAULT_MATMUL_PRECISION": "highest",
            "JAX_COORDINATOR_ADDRESS": address,
            "JAX_NUM_PROCESSES": str(count),
            "JAX_PROCESS_ID": str(number),
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **more,
        }
        started.append(
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                env=os.environ | settings,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    return started


def finish(processes: list[subprocess.Popen]) -> list[str]:
    """Output of each; the test fails if any of them did, or one waits for ever."""
    try:
        outcomes = [process.communicate(timeout=1500) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    if any(process.returncode for process in processes):
        pytest.fail(
            "\n\n".join(
                f"status {p.returncode}\n{err[-3000:]}"
                for p, (_, err) in zip(processes, outcomes, strict=True)
            )
        )
    said = [
        [line for line in out.splitlines() if not line.startswith("[Gloo]")] for out, _ in outcomes
    ]
    return ["\n".join(lines).strip() for lines in said]
