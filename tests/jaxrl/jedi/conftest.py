"""A finished run that the tests of a process share."""

from pathlib import Path
from typing import NamedTuple

import pytest

from tests.jaxrl.jedi.command import SMALL, inside


class Finished(NamedTuple):
    """A run of tests/jaxrl/jedi/small_run.py, trained by the command to its end."""

    folder: Path
    """Only to be read: copy it to change it."""
    printed: str


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """Train it, once for all tests of this process."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    status, out, err = inside("train", *SMALL, "--run-dir", folder)
    assert status == 0, err
    return Finished(folder, out)
