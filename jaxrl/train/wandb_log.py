"""Metrics of a run in Weights & Biases (extra `wandb`), next to metrics.jsonl and TensorBoard.

Without network set WANDB_MODE=offline; `wandb sync` sends what was written later.
"""

import hashlib
import secrets
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError, need
from jaxrl.app.files import write_atomic

ID = "wandb_id"
"""File of a run folder with the id of its run there."""


class WandbLog:
    """A run of Weights & Biases that belongs to a run folder: a resumed run continues it."""

    def __init__(self, folder: Path, config: dict[str, Any]):
        """Open it.

        Raises:
          UserError: wandb is not installed, or refuses (no login and not offline).
        """
        wandb = need("wandb", "wandb")
        try:
            self._run = wandb.init(
                project="latentax",
                name=folder.name,
                id=_id_of(folder),
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


def _id_of(folder: Path) -> str:
    """The id of the folder's run; a new one for a new folder, whatever its path."""
    file = folder / ID
    if not file.exists():
        old = hashlib.blake2b(str(folder).encode(), digest_size=6).hexdigest()
        begun = (folder / "wandb").exists()  # before ids were kept
        write_atomic(file, old if begun else secrets.token_hex(6))
    return file.read_text().strip()
