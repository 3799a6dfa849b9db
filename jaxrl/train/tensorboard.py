"""TensorBoard event files. They are a convenience: where one cannot be written (a full disk, say),
it stays as it is, and work continues.

tensorboardX's own writer hands events to a thread, which dies of a full disk and then hangs or
spoils the exit of the process; so its record files are written here directly, once per line of
metrics.
"""

import contextlib
import math
import socket
import time
from pathlib import Path
from typing import Any


class EventFile:
    """A new event file in a folder."""

    def __init__(self, folder: Path, forget_from: int | None = None):
        """Open it; TensorBoard hides what earlier files of the folder hold from step `forget_from`
        on.

        Raises:
          ImportError: tensorboardX is not installed.
        """
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.record_writer import RecordWriter

        self._event, self._records, now = Event, None, time.time()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._records = RecordWriter(
                str(folder / f"events.out.tfevents.{int(now)}.{socket.gethostname()}")
            )
        except OSError:
            return
        events = [Event(wall_time=now, file_version="brain.Event:2")]
        if forget_from is not None:
            events.append(
                Event(
                    wall_time=now, step=forget_from, session_log=SessionLog(status=SessionLog.START)
                )
            )
        self._put(events)

    def add(self, step: int, values: dict[str, Any]) -> None:
        """The finite numbers among `values`, as scalars."""
        from tensorboardX.summary import scalar

        finite = {
            name: value
            for name, value in values.items()
            if isinstance(value, int | float) and math.isfinite(value)
        }
        now = time.time()
        self._put(
            [
                self._event(wall_time=now, step=step, summary=scalar(name, value))
                for name, value in finite.items()
            ]
        )

    def _put(self, events: list) -> None:
        if self._records is None:
            return
        try:
            for event in events:
                self._records.write(event.SerializeToString())
            self._records.flush()
        except OSError:
            self.close()

    def close(self) -> None:
        """Nothing can be added any more."""
        records, self._records = self._records, None
        if records is not None:
            with contextlib.suppress(OSError):
                records.close()
