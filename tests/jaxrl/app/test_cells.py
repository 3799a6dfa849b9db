import numpy as np
import pytest

from jaxrl.app.cells import Cells, run_cells
from jaxrl.app.errors import UserError


def test_only_missing_cells_are_computed(tmp_path, capsys):
    computed = []

    def compute(name):
        computed.append(name)
        if name == "c" and computed.count("c") == 1:
            raise RuntimeError("the power went out")
        return {"name": name}, {"x": np.arange(3)}

    names = ["a", "b", "c"]
    with pytest.raises(RuntimeError):
        run_cells(Cells(tmp_path / "results", names), compute)
    capsys.readouterr()
    found = run_cells(Cells(tmp_path / "results", names), compute, "5 seeds")
    assert computed == ["a", "b", "c", "c"]
    assert found == {name: {"name": name} for name in names}
    assert capsys.readouterr().out == "3/3 c, 5 seeds\n"
    np.testing.assert_array_equal(
        Cells(tmp_path / "results", names).read_arrays("b")["x"], [0, 1, 2]
    )


def test_a_damaged_result_is_computed_again(tmp_path, capsys):
    cells = Cells(tmp_path, ["a"])
    assert cells.get("a", lambda: [1, 2]) == [1, 2]
    cells.path("a").write_text("[1,")
    assert cells.missing() == ["a"]
    assert "a.json is damaged" in (said := capsys.readouterr().err) and said.count("\n") == 1
    with pytest.raises(UserError, match=r"a\.json is damaged .*: delete it"):
        cells.read("a")
    assert cells.get("a", lambda: [3]) == [3]


def test_arrays_without_numbers_are_no_result(tmp_path):
    cells = Cells(tmp_path, ["a"])
    cells.keep("a", 1, {"x": np.zeros(2)})
    cells.path("a").unlink()
    assert not cells.finished("a") and cells.path("a", "npz").exists()
    with pytest.raises(UserError, match=r"a\.json is missing: run"):
        cells.read("a")


def test_names_from_data_stay_in_the_folder_and_apart(tmp_path):
    names = ["../x", "A", "a", "b c", "b/c"]
    cells = Cells(tmp_path / "results", names)
    for number, name in enumerate(names):
        cells.keep(name, number)
    assert list(cells.read_all().values()) == [0, 1, 2, 3, 4]
    assert len(list((tmp_path / "results").iterdir())) == 5
    assert len({p.name.lower() for p in (tmp_path / "results").iterdir()}) == 5


def test_a_name_that_comes_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two cells are named a"):
        Cells(tmp_path, ["a", "b", "a"])
