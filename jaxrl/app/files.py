"""Files and folders that are written whole or not at all, names that stay in their folder, and
paths of run folders, local or in a bucket.
"""

import contextlib
import hashlib
import importlib.util
import io
import json
import logging
import math
import os
import re
import shutil
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxrl.app.errors import UserError, is_remote, reaching, writing
from jaxrl.app.lock import lock_run, locked

__all__ = [
    "inside",
    "is_remote",
    "lock_run",
    "locked",
    "new_folder",
    "npz_bytes",
    "read_json",
    "read_npz",
    "resolve_path",
    "slug",
    "slugs",
    "write_atomic",
    "write_json",
    "write_npz",
]

_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)
"""Everything that zipfile and NumPy raise for damaged files."""
MAX_ARRAY_BYTES = 16 << 30
"""Default limit of `read_npz`: no file of ours holds more, and a header may claim anything."""


def resolve_path(path: str | Path) -> Path:
    """Absolute path: pathlib's on this machine; for gs://, etils' with the same methods.

    Raises:
      UserError: another kind of address, or the library for buckets is not installed.
    """
    if "\0" in str(path):
        raise UserError(f"{str(path)!r} is no path: it holds a NUL character")
    if not is_remote(path):
        try:
            return Path(path).expanduser().resolve()
        except RuntimeError as error:  # "~" of nobody, or a loop of links
            raise UserError(f"{path} cannot be resolved ({error}): name another folder") from None
    if not str(path).startswith("gs://") or len(str(path)) == len("gs://"):
        raise UserError(
            f"{path} is no run folder: name a folder of this machine, or gs://bucket/folder"
        )
    if any(importlib.util.find_spec(name) is None for name in ("etils", "gcsfs")):
        raise UserError(
            f"{path} lies in a bucket, and the library that reads buckets is not installed: "
            "pip install 'latentax[gcs]'"
        )
    # Failures are raised; gcsfs prints them as well, with tracebacks.
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)
    from etils import epath

    return epath.Path(str(path))  # type: ignore[return-value]


def write_atomic(path: Path | str, content: str | bytes, mode: int | None = None) -> None:
    """Write a whole file or nothing: to a temporary name in the same folder, then rename.

    An object of a bucket is whole anyway. A link is followed. Devices and pipes (/dev/stdout) are
    written to as they are, because renaming would replace them.

    Args:
      path: of the file; its folder is made.
      content: text is encoded as UTF-8.
      mode: permissions, for example 0o600; by default those of any new file.

    Raises:
      UserError: it cannot be written.
    """
    data = content.encode() if isinstance(content, str) else content
    if is_remote(path):
        target = resolve_path(path) if isinstance(path, str) else path
        with writing(path):
            target.write_bytes(data)
        return
    with writing(path):
        target = Path(os.path.realpath(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            kind = os.stat(target).st_mode
        except FileNotFoundError:
            kind = stat.S_IFREG
        if stat.S_ISDIR(kind):
            raise UserError(f"{path} is a folder: give the path of a file")
        if not stat.S_ISREG(kind):
            with open(target, "wb") as file:
                file.write(data)
            return
        # The temporary name is short, so that it exists wherever the name itself does.
        digest = hashlib.sha256(target.name.encode(errors="surrogateescape")).hexdigest()[:12]
        temporary = target.with_name(f".{digest}.{os.getpid()}.tmp")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            descriptor = os.open(temporary, flags, 0o666 if mode is None else mode)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, mode)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: Path | str) -> Iterator[Path]:
    """Fill a folder of this machine with everything or nothing: the body writes into a temporary
    one next to it, which is renamed at the end.

    After an exception nothing is left, the folder and those above it neither if they were made
    here.

    Args:
      path: of the folder; does not exist, or is empty.

    Yields:
      The temporary folder.

    Raises:
      UserError: it holds files, or cannot be written.
    """
    folder = resolve_path(path)
    temporary = folder.with_name(f".{folder.name[:40]}.{os.getpid()}.tmp")
    made: list[Path] = []
    try:
        with writing(folder):
            made += [one for one in (folder, *folder.parents) if not one.exists()]
            folder.mkdir(parents=True, exist_ok=True)
            if held := min(folder.iterdir(), default=None):
                raise UserError(f"{folder} holds files already ({held.name}): name a new folder")
            temporary.mkdir()
        yield temporary
        with writing(folder):
            os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        for one in made:  # the innermost first
            with contextlib.suppress(OSError):
                one.rmdir()
        raise


def write_json(path: Path | str, value: Any, indent: int | None = 2) -> None:
    """Write a value as JSON; see `write_atomic`.

    Raises:
      UserError: it cannot be written.
      TypeError: JSON cannot hold the value.
    """
    write_atomic(path, json.dumps(value, indent=indent, ensure_ascii=False) + "\n")


def read_json(path: Path | str, remedy: str = "restore it or choose another file") -> Any:
    """Read a JSON file.

    Args:
      path: of the file.
      remedy: what the user can do if it is damaged.

    Raises:
      FileNotFoundError: there is none.
      UserError: it is damaged, or its bucket cannot be reached.
    """
    file = resolve_path(path) if isinstance(path, str) else path
    try:
        with reaching(path):
            return json.loads(file.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({error}): {remedy}") from None


def write_npz(path: Path | str, arrays: Mapping[str, Any], compress: bool = False) -> None:
    """Write named arrays as one .npz file; see `write_atomic`.

    Args:
      path: of the file.
      arrays: by name; see `npz_bytes`.
      compress: deflate them.

    Raises:
      UserError: it cannot be written.
      ValueError: an array holds objects.
    """
    write_atomic(path, npz_bytes(arrays, compress))


def npz_bytes(arrays: Mapping[str, Any], compress: bool = False) -> bytes:
    """Contents of a .npz file.

    Args:
      arrays: by name. Arrays of objects are refused, because reading them would run code.
      compress: deflate them.

    Raises:
      ValueError: an array holds objects.
    """
    held = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in held.items():
        if array.dtype.hasobject:
            raise ValueError(f"array {name!r} holds Python objects")
    buffer = io.BytesIO()
    (np.savez_compressed if compress else np.savez)(buffer, **held)  # type: ignore[arg-type]
    return buffer.getvalue()


def read_npz(
    path: Path | str, max_bytes: int = MAX_ARRAY_BYTES, names: Iterable[str] | None = None
) -> dict[str, np.ndarray]:
    """Read all arrays of a .npz file, or those of some names that it holds.

    The sizes that the headers claim are checked before anything is allocated.

    Args:
      path: of the file.
      max_bytes: of all arrays together that are read.
      names: of the arrays to read; all if absent.

    Raises:
      FileNotFoundError: there is none.
      UserError: it is damaged, too large, or something else.
    """
    file = resolve_path(path) if isinstance(path, str) else path
    try:
        with reaching(path):
            data = io.BytesIO(file.read_bytes()) if is_remote(path) else file.open("rb")
        with data, zipfile.ZipFile(data) as archive:
            wanted = None if names is None else {f"{name}.npy" for name in names}
            entries = [e for e in archive.infolist() if wanted is None or e.filename in wanted]
            sizes = [_declared_bytes(archive, entry) for entry in entries]
            if sum(sizes) > max_bytes:
                raise UserError(
                    f"{path} claims {sum(sizes):,} bytes of arrays, more than the {max_bytes:,} "
                    "that are read: it is damaged or not meant for this"
                )
            data.seek(0)
            with np.load(data, allow_pickle=False) as held:
                chosen = held.files if names is None else [n for n in names if n in held.files]
                return {name: held[name] for name in chosen}
    except (FileNotFoundError, UserError):
        raise
    except _UNREADABLE as error:
        reason = str(error) or type(error).__name__
        raise UserError(f"{path} is no whole .npz file ({reason}): restore or remake it") from None


def _declared_bytes(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Size of an array as its header claims it; of another entry as the archive does."""
    if not entry.filename.endswith(".npy"):
        return entry.file_size
    with archive.open(entry) as file:
        major, _ = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if major == 1
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{entry.filename} holds Python objects, which are not read")
    size = math.prod(shape) * dtype.itemsize
    if size > entry.file_size:
        raise ValueError(f"{entry.filename} claims {size:,} bytes and holds {entry.file_size:,}")
    return max(size, entry.file_size)


_SAFE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HASHED = re.compile(r".*-[0-9a-f]{10}")
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)
"""Names of devices on Windows, with any ending; archives of run folders are opened there too."""


def slug(name: str, length: int = 100) -> str:
    """File name for any text: the text itself if it is harmless, else what is left of it with a
    hash.

    The result has only letters, digits, "_", "." and "-" (ASCII), does not begin with "." or "-",
    and has at most `length` characters, so it
    cannot leave a folder. Different texts give different names; where a file system ignores case,
    use `slugs` for names of one folder.
    """
    harmless = (
        _SAFE.fullmatch(name)
        and len(name) <= length
        and not name.endswith(".")
        and name.split(".")[0].lower() not in _RESERVED
        and not _HASHED.fullmatch(name)  # else it could equal the result for another text
    )
    return name if harmless else _with_hash(name, length)


def _with_hash(name: str, length: int) -> str:
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", plain).strip("-.")[: length - 11].strip("-.")
    if plain.split(".")[0].lower() in _RESERVED:
        plain = f"_{plain}"[: length - 11]
    return f"{plain or 'unnamed'}-{digest}"


def slugs(names: Iterable[str], length: int = 100) -> dict[str, str]:
    """File names of texts that share a folder; different also where case is ignored.

    Returns:
      File name by text.
    """
    found = {name: slug(name, length) for name in names}
    lower: dict[str, list[str]] = {}
    for name, file in found.items():
        lower.setdefault(file.lower(), []).append(name)
    for twins in lower.values():
        if len(twins) > 1:
            found |= {name: _with_hash(name, length) for name in twins}
    return found


def inside(folder: Path | str, name: str) -> Path:
    """Path of `name` below `folder`, also through links.

    Raises:
      UserError: it would leave the folder (an absolute path, "..", a link that leads elsewhere).
    """
    if "\0" in name:
        raise UserError(f"{name!r} is no file name: it holds a NUL character")
    root = Path(folder).resolve()
    found = (root / name).resolve()
    if found == root or not found.is_relative_to(root):
        raise UserError(f"{name!r} would leave {folder}: use a name without path parts")
    return found
