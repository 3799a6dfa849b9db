"""Leaving in good order: SIGTERM (preemption) and Ctrl-C ask the loop to save and stop; a second
one stops at once.
"""

import contextlib
import signal
import threading


class StopRequest:
    """Request to stop the loop, and by which signal."""

    def __init__(self):
        self.signal: signal.Signals | None = None

    def __bool__(self):
        return self.signal is not None


@contextlib.contextmanager
def stop_on_signals():
    """A `StopRequest` that SIGTERM and SIGINT set within the block. Outside the main thread nothing
    is caught.
    """
    request = StopRequest()

    def handle(number, frame):
        if request:
            raise KeyboardInterrupt
        request.signal = signal.Signals(number)

    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
