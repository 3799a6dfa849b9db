"""Every source gives the same kind of arrays, the same split each time, and a sentence for what it
cannot read.
"""

import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from quant.data.data_by_name import load
from quant.data.loaders import (
    Split,
    array_file,
    as_shares,
    from_arrays,
    gaussian_mixture,
    image_folder,
    square,
)
from tests.pictures import png

X = np.arange(20 * 4 * 4 * 3, dtype=np.uint8).reshape(20, 4, 4, 3)


def together(data):
    return np.concatenate([data.train.x, data.test.x])


def test_a_split_loses_and_repeats_nothing():
    data = from_arrays(np.arange(50.0).reshape(50, 1), np.arange(50), test_share=0.3)
    assert (len(data.train.x), len(data.test.x)) == (35, 15)
    np.testing.assert_array_equal(np.sort(together(data)[:, 0]), np.arange(50))
    for split in (data.train, data.test):
        np.testing.assert_array_equal(split.x[:, 0], split.y)
        assert split.x.dtype == np.float32 and split.y.dtype == np.int32


def test_the_split_follows_its_seed_alone():
    first, again, other = (from_arrays(X, seed=seed).test.x for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_bytes_become_shares_and_other_numbers_stay():
    assert together(from_arrays(X)).max() <= 1
    np.testing.assert_allclose(
        np.sort(together(from_arrays(X)).reshape(-1)), np.sort(X.reshape(-1) / 255), rtol=1e-6
    )
    assert together(from_arrays(X.astype(float))).max() == X.max()
    assert from_arrays(X[..., 0]).train.x.shape[1:] == (4, 4, 1)


def test_bytes_stay_if_asked_and_become_shares_later(tmp_path):
    kept = from_arrays(X, keep_bytes=True)
    assert kept.train.x.dtype == np.uint8
    np.testing.assert_array_equal(as_shares(kept.train.x), from_arrays(X).train.x)
    np.savez(tmp_path / "set.npz", x=X)
    assert load(str(tmp_path / "set.npz"), keep_bytes=True).train.x.dtype == np.uint8
    assert from_arrays(np.ones((4, 2)), keep_bytes=True).train.x.dtype == np.float32


def test_a_square_is_the_middle_of_a_picture():
    wide = np.arange(6 * 10 * 3, dtype=np.uint8).reshape(6, 10, 3)
    image = Image.fromarray(wide)
    np.testing.assert_array_equal(square(image, 4, crop=4), wide[1:5, 3:7])
    np.testing.assert_array_equal(square(image, 6), wide[:, 2:8])
    assert square(image, 3, crop=100).shape == (3, 3, 3)


def test_a_mixture_has_the_spread_it_was_asked_for():
    data = gaussian_mixture(dim=3, modes=4, per_mode=500, std=0.3, spread=5.0)
    residual = data.train.x - data.centers[data.train.y]
    np.testing.assert_allclose(residual.std(), 0.3, rtol=0.05)
    assert np.abs(data.centers).max() <= 5 and data.centers.shape == (4, 3)
    np.testing.assert_array_equal(
        np.bincount(np.concatenate([data.train.y, data.test.y])), [500] * 4
    )


def test_digits_and_photos():
    pytest.importorskip("sklearn")
    data = load("digits")
    assert data.train.x.shape == (1437, 8, 8, 1) and data.test.x.shape == (360, 8, 8, 1)
    assert (
        together(data).min() == 0
        and together(data).max() == 1
        and set(data.train.y) == set(range(10))
    )
    patches = load("patches")
    assert (
        together(patches).shape == (2 * 53 * 80, 8, 8, 3)
        and 0 <= together(patches).min() < together(patches).max() <= 1
    )


def picture(path, color, size=(6, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)


def test_a_folder_of_images_is_cropped_and_labeled(tmp_path):
    for number in range(3):
        picture(tmp_path / "cat" / f"{number}.png", (255, 0, 0))
        picture(tmp_path / "dog" / f"{number}.jpg", (0, 0, 255))
    data = load(f"folder:{tmp_path}", size=4)
    x, y = together(data), np.concatenate([data.train.y, data.test.y])
    assert x.shape == (6, 4, 4, 3) and sorted(y) == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(x[y == 0, ..., 0], 1, atol=0.02)
    np.testing.assert_allclose(x[y == 1, ..., 2], 1, atol=0.02)


def test_a_folder_may_bring_its_own_split(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for number in range(count):
            picture(tmp_path / part / f"{number}.png", (number, 0, 0))
    data = image_folder(tmp_path, 4)
    assert (len(data.train.x), len(data.test.x), data.train.y) == (3, 2, None)


def test_a_file_of_arrays(tmp_path):
    np.savez(tmp_path / "mine.npz", x=X, y=np.arange(20), test_x=X[:3], test_y=np.arange(3))
    data = load(str(tmp_path / "mine.npz"))
    assert len(data.train.x) == 20 and len(data.test.x) == 3 and data.test.y[2] == 2


def test_a_data_set_that_tensorflow_datasets_prepared(tmp_path):
    tfds = pytest.importorskip("tensorflow_datasets")

    class Squares(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        code_path = None  # there are no checksums with this file

        def _info(self):
            features = tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 3)),
                    "label": tfds.features.ClassLabel(num_classes=5),
                }
            )
            return tfds.core.DatasetInfo(builder=self, description="squares", features=features)

        def _split_generators(self, _):
            return {"train": self._generate_examples(5), "test": self._generate_examples(2)}

        def _generate_examples(self, count):
            for i in range(count):
                yield i, {"image": png(X[i]), "label": i}

    builder = Squares(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    data = load("squares", tmp_path)
    assert (len(data.train.x), len(data.test.x)) == (5, 2)
    for split in (data.train, data.test):
        np.testing.assert_allclose(split.x, X[split.y] / np.float32(255), rtol=1e-6)
    middle = load("squares", tmp_path, size=2, crop=2, keep_bytes=True)
    np.testing.assert_array_equal(middle.train.x, X[middle.train.y][:, 1:3, 1:3])


@pytest.mark.parametrize(
    "call, complaint",
    [
        (lambda _: from_arrays(X[:1]), "holds 1 examples"),
        (lambda _: from_arrays(np.zeros(3)), r"shape \(3,\) are neither"),
        (lambda _: from_arrays(np.zeros((0, 3))), "neither images"),
        (
            lambda _: from_arrays(np.array([[0.0], [np.nan]])),
            "example 1 holds numbers that are not finite",
        ),
        (lambda _: from_arrays(X, np.zeros(3, int)), "labels must be 20 integers"),
        (lambda _: from_arrays(X, np.zeros(20)), "labels must be 20 integers, not float64"),
        (lambda _: from_arrays(X, test=Split(X[:, :2])), "examples to test on have shape"),
        (lambda _: gaussian_mixture(dim=0), "at least 1 dimension"),
        (lambda path: image_folder(path / "none"), "is no folder"),
        (lambda path: image_folder(path), "holds no images"),
        (lambda path: array_file(path / "none.npz"), "cannot be read"),
        (lambda path: load("no_such_set", path), "there is no data set 'no_such_set'"),
    ],
)
def test_what_cannot_be_read_is_refused(call, complaint, tmp_path):
    with pytest.raises(UserError, match=complaint):
        call(tmp_path)


def test_broken_files_are_named(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not an image")
    with pytest.raises(UserError, match=r"a\.png cannot be read as an image"):
        image_folder(tmp_path)
    np.savez(tmp_path / "b.npz", z=X)
    with pytest.raises(UserError, match="holds no array x, only z"):
        array_file(tmp_path / "b.npz")
