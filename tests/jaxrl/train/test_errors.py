"""Failures of writing become sentences; other failures stay what they are."""

import errno

import pytest

from jaxrl.app.errors import UserError, writing


@pytest.mark.parametrize(
    "code, sentence",
    [
        (
            errno.ENOSPC,
            "no space is left to write place: free some and run the same command to resume",
        ),
        (errno.EDQUOT, "no space is left to write place"),
        (errno.EACCES, "place cannot be written .*: choose another folder or its permissions"),
        (errno.EPERM, "place cannot be written"),
        (errno.EROFS, "place cannot be written"),
        (errno.ENOTDIR, "place cannot be created .*: choose another folder"),
        (errno.EEXIST, "place cannot be created"),
        (errno.ENOENT, "place cannot be created"),
    ],
)
def test_what_a_user_can_mend_is_said_in_one_sentence(code, sentence):
    with pytest.raises(UserError, match=sentence) as refusal, writing("place"):
        raise OSError(code, "the system's words")
    assert "\n" not in str(refusal.value)
    assert refusal.value.__cause__.errno == code


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken disk"), ValueError("a bug"), UserError("already said")]
)
def test_everything_else_passes(error):
    with pytest.raises(type(error)) as raised, writing("place"):
        raise error
    assert raised.value is error


def test_nothing_happens_where_nothing_fails():
    with writing("place"):
        done = True
    assert done


def test_a_full_disk_is_recognised_in_what_storage_libraries_raise():
    with pytest.raises(UserError, match="no space is left to write place"), writing("place"):
        raise ValueError(
            "RESOURCE_EXHAUSTED: Error writing file: [OS error 28: No space left on device]"
        )
    with pytest.raises(ValueError, match="another"), writing("place"):
        raise ValueError("another trouble")
