"""Sizes of the word problems' study. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class WordStudyConfig:
    """Sizes. The defaults take about forty minutes of one free core for two seeds."""

    model: Literal["smollm2"] = "smollm2"
    """Model that is trained, as `fetch` names it."""
    path: Path | None = None
    """Its folder, if it was fetched before; None: it is fetched into the run folder."""
    seeds: int = 2
    """Trainings from the published weights, each with data and a seed of its own."""
    rows: int = 240
    """Word problems of the first training."""
    more_rows: int = 64
    """Word problems of the further trainings: causal and post-hoc data, and both methods in the new
    domain.
    """
    epochs: int = 2
    """Times that all rows are trained on."""
    batch: int = 16
    """Rows of an update."""
    micro_batch: int = 8
    """Rows whose gradients are computed at once."""
    lora_rank: int = 16
    """Rank of the adapters, which alone are trained."""
    learning_rate: float = 2e-3
    """Learning rate of the adapters."""
    problems: int = 32
    """Test problems, the same for all seeds."""
    k: int = 4
    """Plans of the policies."""
    chains: int = 8
    """Chains of self-consistency, with which selection is compared."""
    temperature: float = 0.9
    """Temperature of plans and chains."""
    wrong_plans: float = 0.3
    """Share of post-hoc rows whose plan is another one."""
