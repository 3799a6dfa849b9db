"""RLDS datasets that the test itself prepares with tensorflow-datasets, without TensorFlow."""

import sys
from pathlib import Path

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.replay.rlds import Rlds, aligned, is_rlds
from tests.pictures import png

tfds = pytest.importorskip("tensorflow_datasets")

LENGTHS = (4, 1, 6, 3)
"""Steps as RLDS counts them, the last one of each without an action; the second episode holds no
transition.
"""


def steps(episode):
    """The steps of an episode; what lies in the last one's action and reward must never be seen."""
    n, rng = LENGTHS[episode], np.random.default_rng(episode)
    for t in range(n):
        last = t == n - 1
        frame = rng.integers(0, 256, (8, 6, 3), np.uint8)
        yield {
            "observation": {"image": frame, "other": t},
            "action": 99 if last else (episode + t) % 3,
            "reward": -7.0 if last else float(t),
            "is_first": t == 0,
            "is_last": last and episode != 3,
            "is_terminal": last and episode == 2,
            "discount": 1.0,
        }


class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    code_path = None  # there are no checksums next to this file

    def _info(self):
        feature = tfds.features
        step = {
            "observation": feature.FeaturesDict(
                {"image": feature.Image(shape=(8, 6, 3)), "other": np.int32}
            ),
            "action": np.int32,
            "reward": np.float32,
            "is_first": np.bool_,
            "is_last": np.bool_,
            "is_terminal": np.bool_,
            "discount": np.float32,
        }
        features = feature.FeaturesDict({"steps": feature.Dataset(step)})
        return tfds.core.DatasetInfo(builder=self, description="tiny", features=features)

    def _split_generators(self, downloads):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for episode in range(len(LENGTHS)):

            def encode(step):
                return step | {
                    "observation": step["observation"]
                    | {"image": png(step["observation"]["image"])}
                }

            yield episode, {"steps": [encode(step) for step in steps(episode)]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    builder = Tiny(data_dir=tmp_path_factory.mktemp("tfds"), file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    return builder.data_dir


def test_episodes_come_back_aligned(folder):
    data = Rlds(folder, "train", "image")
    assert sorted(data.lengths) == [2, 3, 5] and len(data) == 3 and is_rlds(Path(folder))
    for number, length in enumerate(data.lengths):
        episode = {3: 0, 5: 2, 2: 3}[length]
        truth = list(steps(episode))
        obs, act, rew, end, trunc = data.read(number)
        np.testing.assert_array_equal(obs, [step["observation"]["image"] for step in truth])
        np.testing.assert_array_equal(act, [(episode + t) % 3 for t in range(length)])
        np.testing.assert_array_equal(rew, np.arange(length))
        assert (
            end.tolist() == [False] * (length - 1) + [episode == 2]
            and trunc[-1] == (episode != 2)
            and not trunc[:-1].any()
        )
    assert "tensorflow" not in sys.modules


def test_frames_that_are_not_square_are_refused_where_nobody_resizes_them(folder):
    with pytest.raises(UserError, match="episode 0: frames are 8x6, not square"):
        Rlds(folder, "train", "image")[0]


def test_the_image_must_be_named_if_there_are_several(folder):
    with pytest.raises(UserError, match="hold image, other: name the image with --observation"):
        Rlds(folder)


@pytest.mark.parametrize("split", ["validation", "train[:x]"])
def test_a_split_that_does_not_exist_is_refused(folder, split):
    with pytest.raises(UserError, match="split '"):
        Rlds(folder, split, "image")


def test_another_kind_of_dataset_is_refused(tmp_path):
    class Plain(Tiny):
        def _info(self):
            features = tfds.features.FeaturesDict({"x": np.int32})
            return tfds.core.DatasetInfo(builder=self, description="plain", features=features)

        def _generate_examples(self):
            yield 0, {"x": 1}

    builder = Plain(data_dir=tmp_path, file_format="array_record")
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
    )
    with pytest.raises(
        UserError, match="no RLDS dataset: its examples have no steps with observation"
    ):
        Rlds(builder.data_dir)


def test_an_end_in_the_middle_is_refused():
    broken = list(steps(0))
    broken[1]["is_last"] = True
    with pytest.raises(
        UserError, match="here: is_last or is_terminal is True before the last step"
    ):
        aligned(broken, "image", "here")


def test_actions_of_several_numbers_are_refused():
    broken = [step | {"action": np.zeros(2)} for step in steps(0)]
    with pytest.raises(UserError, match="only single discrete actions"):
        aligned(broken, "image", "here")


def test_without_the_library_the_extra_is_named(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(UserError, match=r'pip install "latentax\[data\]"'):
        Rlds(folder)


def test_learning_reads_it_resized(folder):
    from jaxrl.jedi.offline.config import OfflineConfig, data_name
    from jaxrl.jedi.offline.dataset import open_dataset, read_all

    config = OfflineConfig(data=str(folder), observation="image", frame_size=4)
    contents = read_all(open_dataset(config), config)
    assert (
        contents.found.episodes + contents.found.held_out == 3 and contents.found.num_actions == 3
    )
    assert contents.frames.shape[1:] == (4, 4, 3) and data_name(config.data) == "tiny"
