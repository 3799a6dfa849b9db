"""The one exception that users are meant to see, and how failures of files, buckets and imports
become one.
"""

import contextlib
import errno
import importlib
from collections.abc import Iterator
from types import ModuleType

EXTRAS = frozenset(
    (
        *("all", "atari", "bench", "cuda", "data", "dev", "docs", "eval", "films", "gcs", "llm"),
        *("gymnax", "minari", "offline", "play", "servers", "synthesis", "tpu", "video", "wandb"),
    )
)
"""Optional dependency groups of the distribution; `need` names anything else as a package of its
own.
"""


class UserError(Exception):
    """Something that the user can correct, in one sentence: what was wrong, where, and what to do.

    Command lines print it and exit with code 2.
    """


def need(module: str, extra: str) -> ModuleType:
    """Import an optional library inside the function that needs it.

    Args:
      module: dotted name of the module, for example "duckdb".
      extra: the extra of latentax that installs it, or the name of its package on PyPI.

    Returns:
      The module.

    Raises:
      UserError: it is not installed; the sentence names what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.split(".")[0]
        if error.name is not None and error.name.split(".")[0] != library:
            missing = f"{library} is needed here and cannot be imported ({error})"
        else:
            missing = f"{library} is needed here and not installed"
        what = f'"latentax[{extra}]"' if extra in EXTRAS else extra
        raise UserError(f"{missing}: pip install {what}") from error


def first_line(error: BaseException) -> str:
    """The beginning of an error's message, for a sentence; its type if it has no message."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


@contextlib.contextmanager
def writing(path, resume: str = "run the same command to resume") -> Iterator[None]:
    """Turn the failures of writing below `path` into a `UserError` that names it and the remedy.

    Args:
      path: file or folder, on this machine or in a bucket.
      resume: what to do after freeing space on a full disk.
    """
    if is_remote(path):
        try:
            with reaching(path):
                yield
        except FileNotFoundError as error:  # there is no such bucket
            raise _unreachable(path, error) from error
        return
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UserError(_full(path, resume)) from error
        if error.errno == errno.EFBIG:
            raise UserError(_too_large(path)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            reason = f"{path} cannot be written ({error.strerror})"
            raise UserError(f"{reason}: choose another folder or its permissions") from error
        if error.errno in (
            errno.ENOTDIR,
            errno.EEXIST,
            errno.ENOENT,
            errno.EISDIR,
            errno.ENAMETOOLONG,
            errno.ENOTEMPTY,
            errno.EBUSY,
            errno.EXDEV,
        ):
            reason = f"{path} cannot be created ({error.strerror})"
            raise UserError(f"{reason}: choose another folder") from error
        raise
    except UserError:
        raise
    except Exception as error:  # storage libraries raise their own kinds
        if "No space left on device" in str(error):
            raise UserError(_full(path, resume)) from error
        if "File too large" in str(error):
            raise UserError(_too_large(path)) from error
        raise


def is_remote(path) -> bool:
    """True for a path in a bucket (gs://...)."""
    return "://" in str(path)


@contextlib.contextmanager
def reaching(path) -> Iterator[None]:
    """Turn all failures of a bucket, but for files that are not there, into a `UserError`.

    Failures of local paths pass unchanged, but for files that may not be read.
    """
    try:
        yield
    except (UserError, FileNotFoundError):
        raise
    except Exception as error:  # gcsfs, google.auth, aiohttp and tensorstore raise their own kinds
        if isinstance(error, PermissionError) and not is_remote(path):
            raise UserError(
                f"{path} cannot be read ({error.strerror}): choose another or its permissions"
            ) from error
        if not is_remote(path):
            raise
        raise _unreachable(path, error) from error


def _unreachable(path, error) -> UserError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return UserError(
        f"{path} cannot be reached ({reason}): check the bucket's name, the network and your "
        "credentials (gcloud auth application-default login), then run the same command again"
    )


def _full(path, resume: str) -> str:
    return f"no space is left to write {path}: free some and {resume}"


def _too_large(path) -> str:
    return (
        f"the system allows no file as large as one of {path}: raise the limit (ulimit -f) or "
        "choose another disk, and run the same command again"
    )
