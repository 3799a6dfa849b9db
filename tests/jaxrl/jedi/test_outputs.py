"""What leaves a run: videos, exported agents, Weights & Biases."""

import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from jaxrl.jedi.__main__ import main
from jaxrl.jedi.config import JediConfig
from jaxrl.jedi.report.video import write_video
from jaxrl.train.config import to_dict
from jaxrl.train.metrics import MetricsLog
from jaxrl.train.wandb_log import WandbLog
from tests.jaxrl.jedi import small_run, untrained_run

FRAMES = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.full((5, 15, 17, 3), 50, np.uint8)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # imageio's reader of .mp4
@pytest.mark.filterwarnings("ignore:.*os.fork:RuntimeWarning")  # the same
@pytest.mark.parametrize("ending", ["gif", "mp4"])
def test_a_video_shows_every_frame(tmp_path, ending):
    path = write_video(FRAMES, tmp_path / f"game.{ending}")
    if ending == "gif":
        with Image.open(path) as shown:
            assert shown.n_frames == 5 and shown.size == (17 * 18, 15 * 18)
    else:
        ffmpeg = pytest.importorskip("imageio_ffmpeg")
        found = ffmpeg.read_frames(str(path))
        assert next(found)["source_size"] == (306, 270)
        levels = [np.frombuffer(frame, np.uint8).mean() for frame in found]
        np.testing.assert_allclose(levels, [0, 50, 100, 150, 200], atol=6)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_videos_of_other_kinds_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"must end in \.mp4 or \.gif"):
        write_video(FRAMES, tmp_path / "game.avi")
    with pytest.raises(UserError, match="lies in a folder that does not exist"):
        write_video(FRAMES, tmp_path / "no" / "game.gif")


@pytest.mark.slow
def test_commands_take_an_exported_agent(tmp_path, capsys):
    run, out = untrained_run.write(tmp_path / "run", small_run.CONFIG), tmp_path / "agent"
    assert main(["export", "--run-dir", str(run), "--out", str(out)]) == 0
    assert "agent.safetensors: " in capsys.readouterr().out
    said = []
    for place, video in ((run, "a.gif"), (out, "b.gif")):
        games = ["--episodes", "2", "--video", str(tmp_path / video)]
        assert main(["evaluate", "--run-dir", str(place), *games]) == 0
        said.append(capsys.readouterr().out)
    assert all("over 2 games" in line for line in said)
    assert all((tmp_path / name).stat().st_size > 500 for name in ("a.gif", "b.gif"))
    shown = ["--steps", "3", "--out", str(tmp_path / "x.npz")]
    assert main(["imagine", "--run-dir", str(out), *shown]) == 0


@pytest.mark.slow
def test_weights_and_biases_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    log = MetricsLog(tmp_path, None, WandbLog(tmp_path, to_dict(JediConfig())))
    log.write(3, {"loss-of-test": 0.5, "note": None})
    log.close()
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    until = time.monotonic() + 20  # wandb's own process writes a little later
    while b"loss-of-test" not in file.read_bytes():
        assert time.monotonic() < until
        time.sleep(0.2)
    assert (tmp_path / "metrics.jsonl").is_file()


@pytest.mark.parametrize("begun", [False, True])
def test_a_folder_keeps_its_run_of_weights_and_biases(begun, tmp_path, monkeypatch):
    """A new folder at the same place is another run."""
    wandb = pytest.importorskip("wandb")
    ids = []
    monkeypatch.setattr(wandb, "init", lambda **given: ids.append(given["id"]))
    for folder in (tmp_path / "run", tmp_path / "run", tmp_path / "kept"):
        folder.mkdir(exist_ok=True)
        if begun:
            (folder / "wandb").mkdir(exist_ok=True)
        WandbLog(folder, {})
    (tmp_path / "run").rename(tmp_path / "moved")
    (tmp_path / "run").mkdir()
    WandbLog(tmp_path / "run", {})
    WandbLog(tmp_path / "moved", {})
    first, again, other, anew, moved = ids
    assert first == again == moved and other not in (first, anew) and anew != first


def test_weights_and_biases_without_login_are_refused(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")

    def no_login(**_):
        raise wandb.errors.UsageError("api_key not configured (no-tty)")

    monkeypatch.setattr(wandb, "init", no_login)
    with pytest.raises(UserError, match="api_key not configured.*WANDB_MODE=offline"):
        WandbLog(tmp_path, {})


def test_help_does_not_load_what_the_extras_bring():
    code = (
        "import sys, jaxrl.jedi.cli.options; print({'wandb', 'minari', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
