"""A trace of one epoch, to see where its time went."""

from pathlib import Path

import jax

from jaxrl.app.errors import UserError, is_remote


class EpochTrace:
    """Records one epoch with jax.profiler.

    In the folder lie afterwards `plugins/profile/<time>/`: `*.xplane.pb` for TensorBoard's or
    XProf's profile page, and `perfetto_trace.json.gz` for https://ui.perfetto.dev.
    """

    def __init__(self, number: int, folder: str | Path):
        """Epoch `number`, from 1 as the progress lines count; `folder` is on this machine.

        Raises:
          UserError: no such epoch, or a folder in a bucket.
        """
        if number < 1:
            raise UserError(f"--profile {number}: epochs are numbered from 1")
        if is_remote(folder):
            raise UserError(
                f"--profile writes to this machine, not to {folder}: choose a local --run-dir"
            )
        self._number, self.folder, self._running = number, Path(folder), False
        self.made = False
        """Whether the epoch was traced, or a part of it."""

    def before(self, epoch: int) -> None:
        """Call it before anything is done for an epoch (from 1)."""
        if epoch == self._number and not self._running:
            jax.profiler.start_trace(self.folder, create_perfetto_trace=True)
            self._running = self.made = True

    def after(self, epoch: int) -> bool:
        """Call it with the epoch that is next; True if that ended the trace."""
        if not self._running or epoch == self._number:
            return False
        jax.profiler.stop_trace()
        self._running = False
        return True

    def close(self) -> None:
        """End the trace wherever it is."""
        self.after(self._number + 1)
