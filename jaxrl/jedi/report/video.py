"""Frames of a game as a video file: .mp4 by imageio-ffmpeg (extra `video`), or .gif."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np

from jaxrl.app.errors import UserError, need, writing
from jaxrl.app.files import write_atomic
from jaxrl.app.plots import frames_to_gif

ENDINGS = (".mp4", ".gif")
LEAST_SIZE = 256
"""Pixels of the shorter side of a video; smaller frames are enlarged by a whole number."""


def check_video(path: Path) -> None:
    """Refuse a file of another kind, or without what writes it, before a game is played.

    Raises:
      UserError: naming the path and what to do.
    """
    if path.suffix not in ENDINGS:
        raise UserError(f"--video {path} must end in .mp4 or .gif")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--video {path} lies in a folder that does not exist: make it first")
    if path.suffix == ".mp4":
        need("imageio_ffmpeg", "video")


def write_video(frames: np.ndarray, path: Path, fps: int = 15) -> Path:
    """Write frames, uint8 `[T, H, W, 3]`, whole or not at all; returns the path.

    Raises:
      UserError: see `check_video`; or the file cannot be written.
    """
    check_video(path)
    scale = max(1, -(-LEAST_SIZE // min(frames.shape[1:3])))
    frames = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    if path.suffix == ".gif":
        write_atomic(path, frames_to_gif(frames, 1000 // fps))
        return path
    height, width = (size - size % 2 for size in frames.shape[1:3])  # H.264 wants even numbers
    temporary = path.with_name(f".{path.stem}-{os.getpid()}.mp4")
    with writing(path):
        try:
            _encode(frames[:, :height, :width], temporary, fps)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path


def _encode(frames: np.ndarray, path: Path, fps: int) -> None:
    """Run ffmpeg. imageio-ffmpeg's own writer forks, which JAX warns of because its threads may
    hold locks; a new session, which keeps Ctrl-C from it as well, needs no fork.
    """
    _, height, width, _ = frames.shape
    taken = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {fps} -i - -an"
    made = "-c:v libx264 -pix_fmt yuv420p -crf 16"
    command = [need("imageio_ffmpeg", "video").get_ffmpeg_exe(), "-loglevel", "error", "-y"]
    done = subprocess.run(
        [*command, *taken.split(), *made.split(), str(path)],
        input=frames.tobytes(),
        capture_output=True,
        start_new_session=True,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        full = any(os.strerror(errno.ENOSPC) in line for line in said)
        raise OSError(errno.ENOSPC if full else errno.EIO, f"ffmpeg: {said[-1][:200]}")
