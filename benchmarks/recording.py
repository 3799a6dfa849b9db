"""Records of measurements: figures and claims with the hardware, date, commit and
versions they belong to.
"""

import datetime
import json
import math
import operator
import os
import platform
import re
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from jaxrl.train.rundir import write_atomically

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(os.environ.get("LATENTAX_RESULTS") or ROOT / "benchmarks" / "results")
VERSIONED = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

SIDES = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
"""Comparison of a measured figure with its goal, by sign."""


@dataclass(frozen=True)
class Claim:
    """One sentence that a measurement supports or refutes."""

    claim: str
    """The sentence, e.g. "world-model sampling is faster than the pixel baseline, times"."""
    goal: float
    """The figure to reach, in the unit that the sentence names."""
    direction: Literal[">=", "<=", ">", "<"]
    """Side of the goal on which the measured figure should be."""
    measured: float | None
    """Measured figure; None: not run."""
    seeds: int = 1
    """Independent runs behind the figure."""

    @property
    def holds(self) -> bool | None:
        """True if the goal was reached; None where nothing was run."""
        if self.measured is None:
            return None
        return SIDES[self.direction](self.measured, self.goal)


def record(name: str, figures: dict[str, Any], claims: list[Claim], folder: Path = RESULTS) -> Path:
    """Write `folder/NAME.json`, or `NAME-DEVICE.json` if JAX computes on an accelerator; returns
    the path.

    Args:
      name: the benchmark, in small letters, digits, "_" and "-".
      figures: everything that was measured, JSON-ready and finite.
      claims: what the figures say.
      folder: created if missing.

    Raises:
      ValueError: a bad name, an unknown direction, or a figure that is NaN or infinite.
    """
    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(f"benchmark name {name!r}: use small letters, digits, '_' and '-'")
    for claim in claims:
        _check(claim)
    machine, path = hardware(), path_of(name, folder)
    result = {
        "name": name,
        "date": datetime.date.today().isoformat(),
        "commit": commit(),
        "hardware": machine,
        "versions": versions(),
        "figures": figures,
        "claims": [asdict(claim) | {"holds": claim.holds} for claim in claims],
    }
    text = json.dumps(result, indent=2, allow_nan=False) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text)
    return path


def path_of(name: str, folder: Path = RESULTS) -> Path:
    """Path to which `record` writes measurements on this machine's device."""
    machine = hardware()
    suffix = "" if machine["platform"] == "cpu" else "-" + slug(machine["device"])
    return folder / f"{name}{suffix}.json"


def _check(claim: Claim):
    if claim.direction not in SIDES:
        raise ValueError(
            f"claim {claim.claim!r}: direction is {claim.direction!r}, not one of "
            f"{', '.join(SIDES)}"
        )
    if claim.measured is not None and not math.isfinite(claim.measured):
        raise ValueError(f"claim {claim.claim!r}: the measured figure is {claim.measured}")


def hardware() -> dict[str, Any]:
    """Hardware of this process: CPU model, cores it may use, and the kind, platform and number
    of JAX devices.
    """
    import jax

    device = jax.devices()[0]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu_model(),
        "cores": cores,
        "device": device.device_kind,
        "platform": device.platform,
        "devices": jax.device_count(),
    }


def cpu_model(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name, from Linux or else from Python."""
    if cpuinfo.exists():
        named = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text(), re.MULTILINE)
        if named:
            return " ".join(named[1].split())
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Python and the packages that decide what is computed; those not installed are left out."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in VERSIONED:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit(root: Path = ROOT) -> str:
    """The checked-out commit, with "+changes" if tracked files differ; LATENTAX_COMMIT where there
    is no git; else "unknown".
    """
    try:
        head = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(
            root,
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--",
            ".",
            ":!benchmarks/results",
            ":!README.md",
        )
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("LATENTAX_COMMIT", "unknown")
    return f"{head}+changes" if changed else head


def _git(root, *arguments):
    done = subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def slug(text: str) -> str:
    """A device's name as part of a file name: "NVIDIA H200" becomes "nvidia-h200"."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
