"""Files are written all or none."""

from pathlib import Path

import pytest

from reasoning.synthesis.errors import UserError, write_all


def test_a_rename_that_fails_leaves_all_files_as_they_were(tmp_path, monkeypatch):
    old, new, last = (tmp_path / name for name in ("old.sql", "new.sql", "last.sql"))
    old.write_text("before")
    real = Path.replace

    def replace(self, target):
        if Path(target) == last:
            raise OSError(13, "denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(UserError, match="last.sql cannot be written"):
        write_all([(old, "after"), (new, "after"), (last, "after")])
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old.sql": "before"}
