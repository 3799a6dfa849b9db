"""Fashion-MNIST with a planted mark: files of the IDX layout become images, labels and sides."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from sae.data.folder import folder
from sae.data.sets import fashion
from sae.data.sets.fashion import CLASSES, FashionConfig, main, marked_image, read_idx, write


def written(path, array, packed=True):
    """Write an array in the IDX layout."""
    head = bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    data = head + array.tobytes()
    target = path.with_name(path.name + ".gz") if packed else path
    target.write_bytes(gzip.compress(data) if packed else data)


@pytest.fixture
def source(tmp_path):
    """A small set of noise."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 300), ("t10k", 200)):
        images = generator.integers(0, 200, (count, 28, 28), np.uint8)
        written(tmp_path / f"{part}-images-idx3-ubyte", images, part == "train")
        labels = generator.integers(0, 10, count, np.uint8)
        written(tmp_path / f"{part}-labels-idx1-ubyte", labels)
    return tmp_path


def test_the_mark_accompanies_its_class_in_training_and_no_class_in_the_test(source):
    config = FashionConfig(str(source / "out"), str(source), 200, 100, 200, with_mark=1.0)
    table = write(config)
    cases, paths = folder(table, CLASSES, ("mark",))
    assert len(cases) == 500 and len(set(cases.patients)) == 500
    split, mark = np.array(cases.split), cases.acquisition["mark"] == 1
    coat = cases.labels[:, CLASSES.index("Coat")] == 1
    trained = split != "test"
    assert mark[trained & coat].all() and 0 < mark[trained & ~coat].mean() < 0.2
    assert 0.35 < mark[~trained].mean() < 0.65
    assert (cases.labels.sum(1) == 1).all()
    images = read_idx(source / "train-images-idx3-ubyte", (28, 28))
    labels = read_idx(source / "train-labels-idx1-ubyte", ())
    for row in np.flatnonzero(trained)[:20]:
        number = int(Path(paths[row]).stem.split("-")[1])
        wanted = marked_image(images[number]) if mark[row] else images[number]
        np.testing.assert_array_equal(cases.read(int(row)), wanted)
        assert cases.labels[row, labels[number]] == 1
    again = write(FashionConfig(str(source / "b"), str(source), 200, 100, 200, with_mark=1.0))
    assert again.read_text() == table.read_text()


def test_other_files_and_sizes_are_refused(source, capsys):
    with pytest.raises(UserError, match="500 of 10 classes are asked for"):
        write(FashionConfig(str(source / "out"), str(source), 400, 100))
    with pytest.raises(UserError, match="there is no class Hat"):
        write(FashionConfig(str(source / "out"), str(source), marked="Hat"))
    with pytest.raises(UserError, match="holds no bytes of shape"):
        read_idx(source / "train-images-idx3-ubyte", (14, 14))
    file = source / "t10k-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="is cut"):
        read_idx(file, (28, 28))
    assert main(["--path", str(source / "none"), "--out", str(source / "out")]) == 2
    assert "dataset-fashion-mnist" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not Path(fashion.DEBIAN).is_dir(), reason="dataset-fashion-mnist is missing")
def test_the_planted_mark_is_found_in_a_real_network(tmp_path):
    from benchmarks import sae_fashion

    found = sae_fashion.measure(sae_fashion.Settings(), tmp_path)
    assert found["largest_gap"] <= 1e-5
    assert found["mark"]["patterns"] >= 1 and found["mark"]["auroc"] >= 0.7
    assert found["mark"]["change"] < found["mark"]["change_unmarked"]
    assert "lower left" in found["mark"]["places"]
    text = (tmp_path / "images" / "table.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert len(rows) == 18_000
