"""Sizes of the word problems' study. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class WordStudyConfig:
    """Sizes. The defaults take about two hours of one core for two seeds."""

    model: Literal["smollm2"] = "smollm2"
    """Model that is trained, as `fetch` names it."""
    path: Path | None = None
    """Its folder, if it was fetched before; None: it is fetched into the run folder."""
    seeds: int = 2
    """Trainings from the published weights, each with data and a seed of its own."""
    families: int | None = 3
    """Kinds of stories in each domain, from the first; None: all."""
    rows: int = 480
    """Word problems of the first training."""
    more_rows: int = 96
    """Word problems of the further trainings: causal and post-hoc data, and both methods in the new
    domain.
    """
    epochs: int = 1
    """Times that all rows are trained on."""
    ef_updates: float = 0.5
    """Updates of EF-SFT, as a share of full SFT's: plans are a quarter of these rows' tokens, and
    EF-SFT should train on at most 15 % of full SFT's.
    """
    batch: int = 8
    """Rows of an update."""
    micro_batch: int = 8
    """Rows whose gradients are computed at once."""
    max_length: int = 104
    """Tokens of a training row; longer ones are left out, and counted. The first three families
    have at most 97, all of them 114.
    """
    lora_rank: int = 16
    """Rank of the adapters, which alone are trained."""
    learning_rate: float = 2e-3
    """Learning rate of the adapters in the first training."""
    more_learning_rate: float = 5e-4
    """Learning rate of the further trainings, which begin with the first one's adapters. At the
    first one's rate six updates took away nearly all that it had taught (docs/lab/e2c.md).
    """
    rl_updates: int = 8
    """Updates of each of two stages of reinforcement learning, which begin with the first seed's
    model; 0: none. One takes a minute of one core, or two.
    """
    rl_learning_rate: float = 2e-4
    """Learning rate of the adapters there, constant."""
    problems: int = 48
    """Test problems, the same for all seeds."""
    k: int = 4
    """Plans of the policies."""
    chains: int = 8
    """Chains of self-consistency, with which selection is compared."""
    temperature: float = 0.9
    """Temperature of plans and chains."""
    wrong_plans: float = 0.3
    """Share of post-hoc rows whose plan is another one."""
