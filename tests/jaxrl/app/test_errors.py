import errno
import tomllib
from pathlib import Path

import pytest

from jaxrl.app.errors import EXTRAS, UserError, is_remote, need, reaching, writing


def test_the_extras_are_those_of_the_distribution():
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) == EXTRAS


def test_need_imports_and_names_the_extra_or_the_package():
    assert need("json", "synthesis").dumps([]) == "[]"
    with pytest.raises(UserError, match=r'no_such_lib is needed .*pip install "latentax\[llm\]"'):
        need("no_such_lib.inner", "llm")
    with pytest.raises(UserError, match=r"pip install no-such-lib$"):
        need("no_such_lib", "no-such-lib")


def test_need_says_when_a_library_is_there_but_broken(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import missing_dependency_of_it\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"half_there .* cannot be imported .*missing_dependency"):
        need("half_there", "eval")


@pytest.mark.parametrize(
    "number, words",
    [
        (errno.ENOSPC, "no space is left to write /x: free some"),
        (errno.EDQUOT, "no space is left"),
        (errno.EACCES, "cannot be written"),
        (errno.EROFS, "cannot be written"),
        (errno.ENOENT, "cannot be created"),
        (errno.ENAMETOOLONG, "cannot be created"),
    ],
)
def test_failures_of_writing_become_one_sentence(number, words):
    with pytest.raises(UserError, match=words), writing("/x"):
        raise OSError(number, "reason")


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken disk"), ValueError("a bug"), UserError("already said")]
)
def test_other_errors_pass_unchanged(error):
    with pytest.raises(type(error)) as caught, writing("/x"):
        raise error
    assert caught.value is error


def test_a_bucket_that_cannot_be_reached_is_named():
    with (
        pytest.raises(UserError, match=r"gs://b/x cannot be reached \(no route\)"),
        reaching("gs://b/x"),
    ):
        raise ConnectionError("no route\nmore")
    with pytest.raises(FileNotFoundError), reaching("gs://b/x"):
        raise FileNotFoundError
    with pytest.raises(ConnectionError), reaching("/local"):
        raise ConnectionError
    with pytest.raises(UserError, match="cannot be reached"), writing("gs://b/x"):
        raise FileNotFoundError("no bucket")
    assert is_remote("gs://b") and not is_remote("/b")
