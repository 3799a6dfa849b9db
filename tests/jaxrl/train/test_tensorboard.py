"""Event files next to the metrics, read back record by record."""

import errno

import pytest

from jaxrl.train.metrics import MetricsLog, read_metrics
from jaxrl.train.tensorboard import EventFile

event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")


def events(folder):
    """The records of the only file: length (8 bytes), its checksum (4), the message, its checksum
    (4).
    """
    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        size = int.from_bytes(data[:8], "little")
        found.append(event_pb2.Event.FromString(data[12 : 12 + size]))
        data = data[16 + size :]
    return found


def test_the_finite_numbers_of_a_line_become_scalars(tmp_path):
    log = MetricsLog(tmp_path)
    log.write(5, {"loss": 0.5, "games": 2, "bad": float("nan"), "phase": "reward_end"})
    log.close()
    found = [
        (e.step, e.summary.value[0].tag, e.summary.value[0].simple_value)
        for e in events(tmp_path / "tensorboard")[1:]
    ]
    assert found == [(5, "loss", 0.5), (5, "games", 2.0)]


def test_what_a_resumed_run_will_write_again_is_hidden(tmp_path):
    log = MetricsLog(tmp_path)
    for step in (10, 20, 30):
        log.write(step, {"loss": 1.0})
    log.close()
    for file in (tmp_path / "tensorboard").iterdir():
        file.unlink()  # event files are named by the second they were opened in
    MetricsLog(tmp_path, 1).close()
    starts = [e for e in events(tmp_path / "tensorboard") if e.HasField("session_log")]
    assert [(e.step, e.session_log.status) for e in starts] == [(11, event_pb2.SessionLog.START)]


def test_a_full_disk_does_not_stop_the_metrics(tmp_path, monkeypatch):
    log = MetricsLog(tmp_path)
    log.write(1, {"loss": 1.0})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter.flush", full)
    log.write(2, {"loss": 2.0})
    log.write(3, {"loss": 3.0})
    log.close()
    assert [row["loss"] for row in read_metrics(tmp_path)] == [1.0, 2.0, 3.0]


def test_a_folder_that_cannot_be_made_is_left_alone(tmp_path):
    (tmp_path / "file").write_text("")
    board = EventFile(tmp_path / "file" / "below")
    board.add(1, {"loss": 1.0})
    board.close()
