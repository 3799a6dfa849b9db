"""Tables of cases kept as TOML next to the tests that run them: text without Python's escapes."""

import tomllib
from pathlib import Path


def rows(test_file: str, table: str) -> list[tuple]:
    """Rows of the file `cases.toml` in the folder of a test.

    Args:
      test_file: the test's `__file__`.
      table: a name in the file, whose value is a list of lists of the same length.
    """
    path = Path(test_file).with_name("cases.toml")
    found = [tuple(row) for row in tomllib.loads(path.read_text(encoding="utf-8"))[table]]
    assert found and len({len(row) for row in found}) == 1, f"{path}: {table}"
    return found
