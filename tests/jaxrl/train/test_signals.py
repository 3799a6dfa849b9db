"""Leaving in good order: the first signal asks, the second stops, and afterwards all is
as before.
"""

import os
import signal
import threading

import pytest

from jaxrl.train.signals import stop_on_signals

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])


@SIGNALS
def test_the_first_signal_only_asks(number):
    with stop_on_signals() as stop:
        assert not stop and stop.signal is None
        os.kill(os.getpid(), number)
        assert stop and stop.signal is number


@SIGNALS
def test_the_second_signal_stops_at_once(number):
    with pytest.raises(KeyboardInterrupt), stop_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), number)
        pytest.fail("went on after the second signal")


@SIGNALS
def test_the_handlers_of_before_are_put_back(number):
    seen = []
    previous = signal.signal(number, lambda *args: seen.append(args))
    try:
        with stop_on_signals():
            pass
        os.kill(os.getpid(), number)
        with pytest.raises(ZeroDivisionError), stop_on_signals():
            raise ZeroDivisionError
        os.kill(os.getpid(), number)
    finally:
        signal.signal(number, previous)
    assert len(seen) == 2


def test_outside_the_main_thread_nothing_is_caught():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work():
        with stop_on_signals() as stop:
            found.append((bool(stop), signal.getsignal(signal.SIGTERM)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(False, before)]
