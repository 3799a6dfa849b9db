"""Recorded episodes made ready: which are held out, resizing, colors, and what is refused."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.offline.config import OfflineConfig
from jaxrl.jedi.offline.dataset import open_dataset, read_all
from jaxrl.replay.episode_files import load_episodes, save_episode
from tests.jaxrl.jedi import small_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return small_data.record(tmp_path_factory.mktemp("data"))


def test_every_episode_is_either_learned_from_or_held_out(folder):
    config = small_data.on(folder, held_out=0.25)
    dataset = open_dataset(config)
    assert len(dataset.held_out) == 3 and sorted(dataset.held_out + dataset.learned_from) == list(
        range(12)
    )
    assert dataset.truth_names == ("x", "y", "p")
    contents, written = read_all(dataset, config), list(load_episodes(folder))
    frames = np.concatenate([written[i].obs for i in dataset.learned_from])
    np.testing.assert_array_equal(contents.frames, frames)
    for episode, number in zip(contents.held_out, dataset.held_out, strict=True):
        np.testing.assert_array_equal(episode.obs, written[number].obs)
    found = contents.found
    assert (found.episodes, found.held_out, found.num_actions, found.frame_size) == (9, 3, 3, 16)
    assert (
        found.steps
        == sum(len(written[i].act) for i in dataset.learned_from)
        == int(contents.index.steps)
    )
    assert open_dataset(replace(config, seed=5)).held_out == dataset.held_out


def test_a_changed_pixel_changes_the_fingerprint(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")

    def fingerprint(place):
        return read_all(open_dataset(small_data.on(place)), small_data.on(place)).found.fingerprint

    assert fingerprint(copy) == fingerprint(folder)
    with np.load(copy / "episode-000003.npz") as file:
        arrays = dict(file)
    arrays["obs"][0, 0, 0, 0] ^= 1
    np.savez_compressed(copy / "episode-000003.npz", **arrays)
    assert fingerprint(copy) != fingerprint(folder)


def raw(folder, shape, count=3):
    """Files with frames of any shape, which `save_episode` would refuse."""
    folder.mkdir()
    for number in range(count):
        obs = np.full((3, *shape), 40 * number, np.uint8)
        flags = np.array([False, True])
        np.savez(
            folder / f"{number}.npz",
            version=1,
            obs=obs,
            act=np.array([0, 2]),
            rew=np.zeros(2),
            end=flags,
        )
    return folder


@pytest.mark.parametrize("shape", [(8, 6), (8, 6, 1), (10, 20, 3)])
def test_gray_and_oblong_frames_become_square_and_colored(tmp_path, shape):
    config = OfflineConfig(data=str(raw(tmp_path / "gray", shape)), frame_size=4)
    contents = read_all(open_dataset(config), config)
    assert contents.frames.shape == (6, 4, 4, 3) and contents.found.num_actions == 3
    assert set(np.unique(contents.frames)) | set(np.unique(contents.held_out[0].obs)) == {0, 40, 80}
    with pytest.raises(UserError, match="not square: name a size with --frame-size"):
        open_dataset(replace(config, frame_size=None))


def test_what_is_no_dataset_is_refused(folder, tmp_path):
    with pytest.raises(UserError, match="with --data"):
        open_dataset(OfflineConfig())
    with pytest.raises(UserError, match="holds 1 episode: one is held out and one learned from"):
        open_dataset(OfflineConfig(data=str(raw(tmp_path / "one", (4, 4, 3), 1))))
    with pytest.raises(UserError, match="held_out is 1.0"):
        open_dataset(small_data.on(folder, held_out=1.0))
    for size in (0, -4, 1 << 20):
        with pytest.raises(UserError, match=f"--frame-size is {size}: name a number of pixels"):
            open_dataset(small_data.on(folder, frame_size=size))
    for number in (0, -1, 2**20):
        with pytest.raises(UserError, match=f"num_actions is {number}: name the number"):
            open_dataset(small_data.on(folder, num_actions=number))
    with pytest.raises(UserError, match="holds the action 2, but num_actions is 2"):
        read_all(
            open_dataset(small_data.on(folder, num_actions=2)), small_data.on(folder, num_actions=2)
        )


def test_a_float_frame_is_refused_by_name(tmp_path):
    place = raw(tmp_path / "float", (4, 4, 3))
    flags = np.array([False, True])
    np.savez(
        place / "1.npz",
        version=1,
        obs=np.zeros((3, 4, 4, 3)),
        act=np.array([0, 1]),
        rew=np.zeros(2),
        end=flags,
    )
    config = OfflineConfig(data=str(place))
    with pytest.raises(UserError, match="1.npz: frames are float64"):
        read_all(open_dataset(config), config)


def test_more_actions_than_were_taken_may_be_named(folder, tmp_path):
    config = small_data.on(folder, num_actions=5)
    assert read_all(open_dataset(config), config).found.num_actions == 5
    assert save_episode(tmp_path, *(next(load_episodes(folder))[:4])).exists()


def test_the_number_of_actions_is_the_one_stored_with_the_data(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")

    def number(**changes):
        config = small_data.on(copy, **changes)
        return read_all(open_dataset(config), config).found.num_actions

    stored = copy / "actions.json"
    stored.write_text('{"num_actions": 6}')
    assert number() == 6 and number(num_actions=6) == 6 and number(num_actions=9) == 9
    with pytest.raises(UserError, match=r"is 5, but actions.json of .*copy declares 6: name at le"):
        number(num_actions=5)
    stored.write_text('{"num_actions": 2}')
    with pytest.raises(UserError, match="holds the action 2, but num_actions is 2"):
        number()
    for text in ('{"actions": [[0, 1]]}', "[1, 2]"):  # of another program, or of an older import
        stored.write_text(text)
        assert number() == 3
    for text in ("0", "true", '"3"', "1e3", "65537", "null"):
        stored.write_text(f'{{"num_actions": {text}}}')
        with pytest.raises(UserError, match="actions.json declares .* it must be a whole number"):
            number()
    stored.write_text("{")
    with pytest.raises(UserError, match="actions.json is damaged .*: restore or remove it"):
        number()


@pytest.mark.parametrize("shape", [(0, 0, 3), (0, 8, 3)])
def test_frames_without_pixels_are_refused(tmp_path, shape):
    config = OfflineConfig(data=str(raw(tmp_path / "none", shape)), frame_size=4)
    with pytest.raises(UserError, match="npz: obs has shape .*it holds no pixel"):
        read_all(open_dataset(config), config)
