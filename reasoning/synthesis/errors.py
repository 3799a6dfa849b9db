"""Errors shown to users of the symbolic systems; free of JAX, unlike
`jaxrl.train.errors`.
"""

import contextlib
import errno
import importlib
from collections.abc import Sequence
from pathlib import Path

from jaxrl.app.errors import UserError

Refusal = UserError  # old name


class ConnectionLost(UserError):
    """A database went away in the middle of a migration: what is done is kept, and the same command
    continues.
    """


def need(module: str, extra: str = "synthesis"):
    """Import an optional library.

    Args:
      module: its dotted name, e.g. "duckdb".
      extra: the extra of latentax, or the package, that brings it.

    Raises:
      UserError: it is not installed; the sentence names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        what = f'"latentax[{extra}]"' if extra in ("synthesis", "servers") else extra
        raise UserError(
            f"{module.split('.')[0]} is needed here and not installed: pip install {what}"
        ) from error


@contextlib.contextmanager
def writing(path):
    """Turn the failures of writing below `path` into a `UserError` that names it and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(
                f"no space is left to write {path}: free some and run the same command with "
                "--resume"
            ) from error
        raise UserError(
            f"{path} cannot be written ({error.strerror}): choose another place or its permissions"
        ) from error


def write_whole(path: str | Path, text: str):
    """Write a small file whole or not at all, under another name first. Raises UserError if the
    place cannot be written.
    """
    write_all([(path, text)])


def write_all(texts: Sequence[tuple[str | Path, str]]):
    """Write small files, all of them or none: under other names first.

    Raises:
      UserError: a place cannot be written; then all files are as they were.
    """
    places = [(Path(path), text) for path, text in texts]
    for path, _ in places:
        if path.is_dir() or not path.name:
            raise UserError(f"{path} is a folder: give the path of a file")
    partials = [path.with_name(path.name + ".partial") for path, _ in places]
    before: list[tuple[Path, bytes | None]] = []
    try:
        for (path, text), partial in zip(places, partials, strict=True):
            with writing(path):
                partial.write_text(text, encoding="utf-8")
        for (path, _), partial in zip(places, partials, strict=True):
            with writing(path):
                kept = path.read_bytes() if path.exists() else None
                partial.replace(path)
                before.append((path, kept))
    except BaseException:
        for path, kept in reversed(before):
            with contextlib.suppress(OSError):
                path.unlink() if kept is None else path.write_bytes(kept)
        raise
    finally:
        for partial in partials:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)
