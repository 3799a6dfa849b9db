"""The one exception that users are meant to see."""

import contextlib
import errno


class Refusal(Exception):
    """A sentence for the user: what was wrong, where, and what to do. Command lines print it and leave with exit code 2."""


@contextlib.contextmanager
def writing(path):
    """Turn the failures of writing below `path` into a `Refusal` that names it and the remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Refusal(_full(path)) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise Refusal(f"{path} cannot be written ({error.strerror}): choose another folder or its permissions") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise Refusal(f"{path} cannot be created ({error.strerror}): choose another folder") from error
        raise
    except Exception as error:  # storage libraries raise their own kinds
        if "No space left on device" in str(error):
            raise Refusal(_full(path)) from error
        raise


def _full(path) -> str:
    return f"no space is left to write {path}: free some and run the same command to resume"
