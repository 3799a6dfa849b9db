import errno
import tomllib
from pathlib import Path

import pytest

from jaxrl.app.errors import EXTRAS, UserError, first_line, is_remote, need, reaching, writing


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
        (errno.ENAMETOOLONG, "place cannot be created"),
    ],
)
def test_what_a_user_can_fix_is_said_in_one_sentence(code, sentence):
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


def test_the_first_line_of_an_error_is_never_empty():
    assert first_line(ValueError("\none\ntwo")) == "one"
    assert first_line(ValueError()) == "ValueError"
    assert first_line(OSError("x" * 300)) == "x" * 200
