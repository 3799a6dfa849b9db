"""Failures of writing become sentences; other failures stay what they are."""

import errno

import pytest

from jaxrl.train.errors import Refusal, writing


@pytest.mark.parametrize(
    "code, sentence",
    [
        (errno.ENOSPC, "no space is left to write place: free some and run the same command to resume"),
        (errno.EDQUOT, "no space is left to write place"),
        (errno.EACCES, "place cannot be written .*: choose another --run-dir or its permissions"),
        (errno.EPERM, "place cannot be written"),
        (errno.EROFS, "place cannot be written"),
        (errno.ENOTDIR, "place cannot be created .*: choose another --run-dir"),
        (errno.EEXIST, "place cannot be created"),
        (errno.ENOENT, "place cannot be created"),
    ],
)
def test_what_a_user_can_mend_is_said_in_one_sentence(code, sentence):
    with pytest.raises(Refusal, match=sentence) as refusal, writing("place"):
        raise OSError(code, "the system's words")
    assert "\n" not in str(refusal.value)
    assert refusal.value.__cause__.errno == code


@pytest.mark.parametrize("error", [OSError(errno.EIO, "broken disk"), ValueError("a bug"), Refusal("already said")])
def test_everything_else_passes(error):
    with pytest.raises(type(error)) as raised, writing("place"):
        raise error
    assert raised.value is error


def test_nothing_happens_where_nothing_fails():
    with writing("place"):
        done = True
    assert done
