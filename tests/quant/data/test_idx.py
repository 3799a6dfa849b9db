"""Files in MNIST's format, written here byte by byte, and Debian's Fashion-MNIST where it is."""

import gzip
import struct

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from quant.data import data_by_name, prepare
from quant.data.data_by_name import load
from quant.data.idx import read_idx

IMAGES = np.arange(6 * 4 * 5, dtype=np.uint8).reshape(6, 4, 5)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def write(file, array, kind=8):
    head = bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    data = head + array.astype(array.dtype.newbyteorder(">")).tobytes()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)
    return data


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "train-images-idx3-ubyte.gz", IMAGES)
    write(tmp_path / "train-labels.idx1-ubyte", LABELS)
    write(tmp_path / "t10k-images-idx3-ubyte.gz", IMAGES[:2])
    return tmp_path


def test_images_labels_and_the_split_are_those_of_the_files(folder):
    data = load(f"idx:{folder}", keep_bytes=True)
    np.testing.assert_array_equal(data.train.x[..., 0], IMAGES)
    np.testing.assert_array_equal(data.train.y, LABELS)
    np.testing.assert_array_equal(data.test.x[..., 0], IMAGES[:2])
    assert load(f"idx:{folder}").train.x.max() == np.float32(119 / 255)


def test_numbers_of_several_bytes_are_big_endian(tmp_path):
    write(tmp_path / "a", np.array([1, -500], np.int32), 12)
    np.testing.assert_array_equal(read_idx(tmp_path / "a"), [1, -500])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda data: data[:-1], "bytes of data, not those of"),
        (lambda data: data[:6], "ends within its header"),
        (lambda data: b"PNG!" + data, "is no IDX file"),
        (lambda data: gzip.compress(data)[:20], "cannot be read"),
        (lambda data: b"\x1f\x8b" + bytes(30), "cannot be read"),
    ],
)
def test_damaged_files_are_refused(tmp_path, change, sentence):
    data = write(tmp_path / "whole", IMAGES)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(change(data))
    with pytest.raises(UserError, match=sentence):
        load(f"idx:{tmp_path}")


def test_other_folders_are_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="is no folder"):
        load(f"idx:{tmp_path / 'nothing'}")
    with pytest.raises(UserError, match="holds no train-images"):
        load(f"idx:{tmp_path}")
    monkeypatch.setattr(data_by_name, "FASHION_MNIST", tmp_path / "nothing")
    with pytest.raises(UserError, match="apt-get install dataset-fashion-mnist"):
        load("fashion_mnist", tmp_path)


@pytest.mark.skipif(not data_by_name.FASHION_MNIST.is_dir(), reason="Debian's package is absent")
def test_fashion_mnist_of_debian():
    data = load("fashion_mnist", keep_bytes=True)
    assert data.train.x.shape == (60_000, 28, 28, 1) and data.test.x.shape == (10_000, 28, 28, 1)
    np.testing.assert_array_equal(np.bincount(data.train.y), np.full(10, 6000))


def test_a_folder_is_prepared_for_tensorflow_datasets_without_the_network(folder, tmp_path, capsys):
    pytest.importorskip("tensorflow_datasets")
    place = tmp_path / "tfds"
    words = ["--source", str(folder), "--data-dir", str(place), "--name"]
    assert prepare.main([*words, "six"]) == 2
    assert "labels for one of train and test only" in capsys.readouterr().err
    write(folder / "t10k-labels-idx1-ubyte", LABELS[:2])
    assert prepare.main([*words, "six"]) == 0
    assert capsys.readouterr().out.strip().endswith(str(place / "six" / "1.0.0"))
    data = load("six", place, keep_bytes=True)
    order = np.argsort(data.train.x[:, 0, 0, 0])
    np.testing.assert_array_equal(data.train.x[order][..., 0], IMAGES)
    np.testing.assert_array_equal(data.train.y[order], LABELS)
    assert len(data.test.x) == 2
    assert prepare.main([*words, "Six"]) == 2
    assert "lower-case" in capsys.readouterr().err
