"""Progress: heartbeat lines off a terminal, a bar on one, durations as text."""

import io

import pytest

from jaxrl.app import progress
from jaxrl.app.progress import Progress


class Clock:
    now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(progress, "time", fake)
    return fake


def test_a_heartbeat_line_tells_what_how_far_how_fast_and_how_long(clock):
    stream = io.StringIO()
    with Progress("world model", 600, heartbeat=15, stream=stream) as bar:
        bar.advance(10)
        clock.now += 16
        bar.advance(40, loss=0.3, gain=1234.5)
    assert (
        stream.getvalue()
        == "  world model: 50/600, 2.5/s, 3 min 40 s left loss 0.3 gain 1.23e+03\n"
    )


def test_the_rate_leaves_out_what_came_before_the_first_report(clock):
    """Both the time of compiling and the units of an earlier run."""
    stream = io.StringIO()
    with Progress("epochs", 1000, start=900, heartbeat=1, stream=stream) as bar:
        clock.now += 500
        bar.advance(20)
        clock.now += 10
        bar.advance(20)
    assert stream.getvalue() == "  epochs: 920/1000\n  epochs: 940/1000, 2.0/s, 30 s left\n"


def test_between_heartbeats_it_is_silent(clock):
    stream = io.StringIO()
    with Progress("epochs", 100, heartbeat=15, stream=stream) as bar:
        for _ in range(40):
            clock.now += 1
            bar.advance(1)
    assert [line.split(",")[0] for line in stream.getvalue().splitlines()] == [
        "  epochs: 16/100",
        "  epochs: 32/100",
    ]


def test_a_terminal_gets_a_bar_and_no_lines(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    with Progress("epochs", 10, start=2, heartbeat=0, stream=stream) as bar:
        bar.advance(1)
        clock.now += 5
        bar.advance(3, loss=0.5)
        task = bar._rich.tasks[0]
        assert (task.completed, task.total) == (6, 10)
        assert task.fields == {"rate": "0.6/s", "info": "loss 0.5"}
    assert "  epochs: " not in stream.getvalue()
