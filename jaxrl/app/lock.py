"""A lock on a run folder, or on any file that one process writes at a time, with the owner's
process and host.

On one machine the kernel holds the lock (flock), so it ends with its process, however that dies,
and a file that was left behind is stale. File
systems between machines may not share such locks: there the file's owner and the age of its last
heartbeat decide.
"""

import contextlib
import errno
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jaxrl.app.errors import UserError, is_remote, reaching, writing

HEARTBEAT = 30.0
"""Seconds between signs of life of an owner."""
STALE = 300.0
"""Seconds without a sign of life after which the lock of another machine counts as left behind."""

_held: dict[str, int] = {}
"""Locks of this process by path, and how often each was entered."""
_guard = threading.Lock()


def lock_run(folder: Path):
    """Hold the lock of a run folder (from `resolve_path`) while the context lasts; see `locked`."""
    return locked(folder / ".lock", f"{folder}")


@contextlib.contextmanager
def locked(
    path: Path, what: str, remedy: str = "wait for it, stop it, or choose another folder"
) -> Iterator[None]:
    """Hold a lock file while the context lasts. The same process may enter it again.

    Args:
      path: of the lock file; it is removed at the end.
      what: what is locked, for the sentence, for example the folder's path.
      remedy: what the user can do if another process holds it.

    Raises:
      UserError: another process holds it (the sentence names its number and host), or the file
        cannot be written.
    """
    name = str(path) if is_remote(path) else os.path.realpath(path)
    with _guard:
        entered = _held.get(name, 0)
        if not entered:
            release = (
                _take_remote(path, what, remedy)
                if is_remote(path)
                else _take(Path(name), what, remedy)
            )
            _release[name] = release
        _held[name] = entered + 1
    try:
        yield
    finally:
        with _guard:
            _held[name] -= 1
            if not _held[name]:
                del _held[name]
                _release.pop(name)()


_release: dict[str, Any] = {}


def owner_of(path: Path) -> dict[str, Any]:
    """Owner as a lock file records it: pid, host, started; empty if it records none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _me() -> dict[str, Any]:
    started = time.strftime("%Y-%m-%d %H:%M:%S %z")
    return {"pid": os.getpid(), "host": socket.gethostname(), "started": started}


def _busy(what: str, owner: dict[str, Any], remedy: str, seen: str = "") -> UserError:
    by = f"process {owner.get('pid', 'unknown')} on {owner.get('host', 'an unknown host')}"
    since = f" since {owner['started']}" if "started" in owner else ""
    return UserError(f"{what} is in use by {by}{since}{seen}: {remedy}")


def _take(path: Path, what: str, remedy: str):
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _flock(descriptor, path, what, remedy)
            # Between opening and locking, the last owner may have removed the file: then this is
            # another one.
            if _same_file(descriptor, path):
                _refuse_living_elsewhere(path, what, remedy)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(_me()).encode(), 0)
                break
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
    stop = _heartbeat(lambda: os.utime(path))

    def release() -> None:
        stop()
        with contextlib.suppress(OSError):
            if _same_file(descriptor, path):
                path.unlink()
        os.close(descriptor)

    return release


def _flock(descriptor: int, path: Path, what: str, remedy: str) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise _busy(what, owner_of(path), remedy) from None
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        _refuse_living_here(path, what, remedy)  # this file system has no such locks


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _refuse_living_here(path: Path, what: str, remedy: str) -> None:
    owner = owner_of(path)
    if owner.get("host") != socket.gethostname() or owner.get("pid") == os.getpid():
        return
    try:
        os.kill(int(owner["pid"]), 0)
    except (ProcessLookupError, KeyError, TypeError, ValueError, OverflowError):
        return
    except PermissionError:
        pass  # it lives, and belongs to somebody else
    raise _busy(what, owner, remedy)


def _refuse_living_elsewhere(path: Path, what: str, remedy: str) -> None:
    owner = owner_of(path)
    if not owner or owner.get("host") == socket.gethostname():
        return
    age = time.time() - os.stat(path).st_mtime
    if age < STALE:
        note = f" (last sign of life {max(age, 0):.0f} s ago)"
        raise _busy(what, owner, f"{remedy}, or delete {path} if that process is gone", note)


def _take_remote(path: Path, what: str, remedy: str):
    """A bucket has no locks: an object with the owner and the time of its last sign of life stands
    for one.
    """
    with reaching(path):
        try:
            owner = json.loads(path.read_text())
            age = time.time() - float(owner["beat"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            owner, age = {}, STALE
    mine = _me()
    same = (owner.get("pid"), owner.get("host")) == (mine["pid"], mine["host"])
    if age < STALE and not same:
        note = f" (last sign of life {max(age, 0):.0f} s ago)"
        raise _busy(what, owner, f"{remedy}, or delete {path} if that process is gone", note)

    def beat() -> None:
        path.write_text(json.dumps({**mine, "beat": time.time()}))

    with writing(path):
        beat()
    stop = _heartbeat(beat)

    def release() -> None:
        stop()
        with contextlib.suppress(Exception):  # the object goes stale by itself
            path.unlink()

    return release


def _heartbeat(beat):
    """Call `beat` every `HEARTBEAT` seconds in a thread; returns a function that ends it."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(HEARTBEAT):
            with contextlib.suppress(Exception):  # the next beat may succeed
                beat()

    thread = threading.Thread(target=run, name="lock-heartbeat", daemon=True)
    thread.start()

    def stop() -> None:
        ended.set()
        thread.join(timeout=5)

    return stop
