"""math-verify with a deadline: one worker process, ended and started anew when a pair hangs it."""

import atexit
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

SECONDS = 3.0
"""Time of one comparison; a pair that takes longer counts as unequal."""
START_SECONDS = 180.0
"""Time for importing sympy."""
PATIENCE = 60.0
"""Time of one comparison at most, on a machine so busy that the process is not given its share."""
LONGEST = 4000
"""Characters of an answer that is compared by value."""


class Unavailable(Exception):
    """math-verify is not installed, or cannot be started."""


class Worker:
    """The process and its pipes. One comparison at a time."""

    def __init__(self, seconds: float = SECONDS):
        self.seconds = seconds
        self.process: subprocess.Popen | None = None
        self._lock = threading.Lock()
        self._lines: queue.Queue[str] = queue.Queue()

    def same(self, gold: str, candidate: str) -> bool:
        """True if math-verify finds both equal within the deadline.

        Raises:
          Unavailable: math-verify is missing.
        """
        if max(len(gold), len(candidate)) > LONGEST:
            return False
        with self._lock:
            if self.process is None or self.process.poll() is not None:
                self._start()
            try:
                self.process.stdin.write(json.dumps([gold, candidate]) + "\n")
                self.process.stdin.flush()
                return bool(json.loads(self._reply())["same"])
            except (queue.Empty, OSError, ValueError, KeyError):
                self._end()
                return False

    def _reply(self) -> str:
        """The next line. The deadline is one of wall time, but a process that got less than half
        of it from a busy machine is waited for: else a right answer would count as wrong there.

        Raises:
          queue.Empty: there is none in time.
        """
        began, used = time.monotonic(), processor_seconds(self.process.pid)
        while True:
            try:
                return self._lines.get(timeout=self.seconds)
            except queue.Empty:
                now = processor_seconds(self.process.pid)
                late = time.monotonic() - began > max(PATIENCE, self.seconds)
                if late or used is None or now is None or now - used >= self.seconds / 2:
                    raise

    def close(self) -> None:
        """End the process, if there is one."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        self._end()
        self._lines = queue.Queue()
        script = Path(__file__).with_name("worker.py")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )
        threading.Thread(target=_pump, args=(self.process.stdout, self._lines), daemon=True).start()
        try:
            first = json.loads(self._lines.get(timeout=START_SECONDS))
        except (queue.Empty, ValueError):
            first = {"missing": "a worker that starts"}
        if "ready" not in first:
            self._end()
            raise Unavailable(first["missing"])

    def _end(self) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()


def processor_seconds(pid: int) -> float | None:
    """Processor time that a process has used; None where the system does not say (not Linux)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def _pump(pipe, lines: queue.Queue) -> None:
    """Put all lines of a pipe into a queue; an empty one at its end wakes whoever waits."""
    try:
        for line in pipe:
            lines.put(line)
    except (OSError, ValueError):
        pass
    lines.put("")


WORKER = Worker()
"""The one that checkers share."""
atexit.register(WORKER.close)
