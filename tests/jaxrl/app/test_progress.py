import io

import pytest

from jaxrl.app.progress import Progress, duration, log


def test_heartbeat_lines_without_a_terminal():
    stream = io.StringIO()
    with Progress("world model", 10, heartbeat=0, stream=stream) as bar:
        bar.advance(4, loss=0.25)
        bar.advance(2)
    first, second = stream.getvalue().splitlines()
    assert first == "  world model: 4/10 loss 0.25"
    assert second.startswith("  world model: 6/10, ") and second.endswith(" left")


def test_no_line_before_its_time():
    stream = io.StringIO()
    with Progress("x", 10, heartbeat=60, stream=stream) as bar:
        bar.advance(4)
    assert stream.getvalue() == ""


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    with Progress("world model", 10, start=3, stream=stream) as bar:
        bar.advance(4, loss=0.25)
    assert "world model" in stream.getvalue()


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 s"),
        (0.4, "0 s"),
        (45.2, "45 s"),
        (45.4, "45 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (3600, "1 h"),
        (7800, "2 h 10 min"),
        (7830, "2 h 10 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_log(capsys):
    log("a line")
    assert capsys.readouterr().out == "a line\n"
