"""Metrics of a run in Weights & Biases (extra `wandb`), next to metrics.jsonl and TensorBoard.

Without network set WANDB_MODE=offline; `wandb sync` sends what was written later.
"""

import hashlib
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError, need


class WandbLog:
    """A run of Weights & Biases that belongs to a run folder: a resumed run continues it."""

    def __init__(self, folder: Path, config: dict[str, Any]):
        """Open it.

        Raises:
          UserError: wandb is not installed, or refuses (no login and not offline).
        """
        wandb = need("wandb", "wandb")
        digest = hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
        try:
            self._run = wandb.init(
                project="latentax",
                name=folder.name,
                id=digest,
                resume="allow",
                dir=str(folder),
                config=config,
                settings=wandb.Settings(silent=True, console="off"),
            )
        except Exception as error:  # wandb raises its own kinds
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"wandb does not begin a run ({reason}): log in with `wandb login`, or set "
                "WANDB_MODE=offline"
            ) from error

    def add(self, step: int, values: dict[str, Any]) -> None:
        """The numbers among `values`; `step` is the horizontal axis."""
        numbers = {k: v for k, v in values.items() if isinstance(v, int | float)}
        self._run.log({"step": step, **numbers})

    def close(self) -> None:
        """Finish."""
        self._run.finish()
