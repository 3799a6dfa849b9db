"""The one exception that users are meant to see."""

import contextlib
import errno


class Refusal(Exception):
    """A sentence for the user: what was wrong, where, and what to do. Command lines print it and
    leave with exit code 2.
    """


@contextlib.contextmanager
def writing(path):
    """Turn the failures of writing below `path` into a `Refusal` that names it and the remedy."""
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
            raise Refusal(_full(path)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Refusal(
                f"{path} cannot be written ({error.strerror}): choose another folder or its "
                "permissions"
            ) from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise Refusal(
                f"{path} cannot be created ({error.strerror}): choose another folder"
            ) from error
        raise
    except Exception as error:  # storage libraries raise their own kinds
        if "No space left on device" in str(error):
            raise Refusal(_full(path)) from error
        raise


def is_remote(path) -> bool:
    """Whether a path lies in a bucket (gs://...)."""
    return "://" in str(path)


@contextlib.contextmanager
def reaching(path):
    """Turn all failures of a bucket, but for files that are not there, into a `Refusal`; local
    paths are let through.
    """
    try:
        yield
    except (Refusal, FileNotFoundError):
        raise
    except Exception as error:  # gcsfs, google.auth, aiohttp and tensorstore raise their own kinds
        if not is_remote(path):
            raise
        raise _unreachable(path, error) from error


def _unreachable(path, error) -> Refusal:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return Refusal(
        f"{path} cannot be reached ({reason}): check the bucket's name, the network and your "
        "credentials (gcloud auth "
        "application-default login), then run the same command again"
    )


def _full(path) -> str:
    return f"no space is left to write {path}: free some and run the same command to resume"
