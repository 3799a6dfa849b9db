"""Recordings of Minari and DIAMOND become episode files that can be read back."""

import json
import os
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.__main__ import main
from jaxrl.jedi.offline.dataset import open_dataset, read_all
from jaxrl.jedi.offline.import_recordings import ImportConfig, import_recordings
from jaxrl.replay.episode_files import load_episodes
from tests.jaxrl.jedi import small_data


def hdf5(path, deaths=(), frames=6):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for i in range(frames):
            picture = np.zeros((4, 8, 3), np.uint8)
            picture[..., 0] = 10 * i  # blue, since these files are BGR
            file[f"frame_{i}_x"] = picture
            file[f"frame_{i}_y"] = np.eye(5)[min(i, 2)]
            file[f"frame_{i}_helperarr"] = np.array([i == 4, i in deaths], float)


def test_hdf5_frames_actions_and_deaths(tmp_path):
    hdf5(tmp_path / "hdf5_dm_july2021_1.hdf5", deaths=(3,))
    said = import_recordings(ImportConfig(str(tmp_path), tmp_path / "out", frame_size=4))
    assert "2 episodes with 5 steps; 3 actions, 100.0% of the steps" in said
    first, second = load_episodes(tmp_path / "out")
    assert first.obs[:, 0, 0].tolist() == [[0, 0, 10 * i] for i in range(4)]
    assert first.end.tolist() == [False, False, True] and not first.trunc.any()
    assert second.end.tolist() == [False, False] and second.trunc.tolist() == [False, True]
    written = json.loads((tmp_path / "out" / "actions.json").read_text())
    table = np.array(written["actions"])
    assert written["num_actions"] == len(table) == 3 and written["share"] == 1
    assert table[first.act].tolist() == np.eye(5)[[0, 1, 2]].tolist()
    assert first.rew.tolist() == [0, 0, 0] and second.rew.tolist() == [1, 0]


def test_rare_actions_take_the_nearest(tmp_path):
    hdf5(tmp_path / "a_1.hdf5")
    config = ImportConfig(str(tmp_path / "a_1.hdf5"), tmp_path / "out", 4, most_actions=1)
    assert "1 actions, 66.7% of the steps" in import_recordings(config)
    assert next(load_episodes(tmp_path / "out")).act.tolist() == [0] * 5


class Pixels(gymnasium.Env):
    """Three steps of gray pictures."""

    observation_space = gymnasium.spaces.Box(0, 255, (8, 8, 1), np.uint8)
    action_space = gymnasium.spaces.Discrete(3, start=1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.t = 0
        return self._seen(), {}

    def _seen(self):
        return np.full((8, 8, 1), 40 * self.t, np.uint8)

    def step(self, action):
        self.t += 1
        return self._seen(), float(action), self.t == 3, False, {}


@pytest.mark.parametrize(
    ("name", "shape", "sentence"),
    [
        ("frame_1_x", (1 << 22, 1 << 25, 3), "frame_1_x declares"),
        ("frame_1_y", (1 << 40,), "frame_1_y declares"),
        ("frame_1_helperarr", (1 << 40,), "frame_1_helperarr declares"),
        ("frame_1_y", (7,), "keys or events of several lengths"),
        ("frame_1_y", (), "frame_1_y is not the array of numbers"),
        ("frame_1_x", (4, 8), "frame_1_x is not the array of numbers"),
        ("frame_1_x", (0, 8, 3), "frame_1_x is not the array of numbers"),
        ("frame_1_x", (3, 4, 8), r"frame_1_x has shape \[3, 4, 8\], not height x width x colors"),
        ("frame_1_y", (0,), "frame_1_y is not the array of numbers"),
        ("frame_1_helperarr", (0,), "frame_1_helperarr is not the array of numbers"),
        ("frame_1_helperarr", (), "frame_1_helperarr is not the array of numbers"),
    ],
)
def test_data_sets_that_declare_other_sizes_are_refused(name, shape, sentence, tmp_path):
    """Before anything is allocated: the file is small, whatever it says."""
    h5py = pytest.importorskip("h5py")
    hdf5(tmp_path / "a_1.hdf5")
    with h5py.File(tmp_path / "a_1.hdf5", "a") as file:
        del file[name]
        file.create_dataset(
            name,
            shape,
            "u1",
            chunks=(1 << 10,) * len(shape) if len(shape) == 1 and shape[0] > 7 else None,
        )
    refused(tmp_path, tmp_path, f"a_1.hdf5: .*{sentence}")


def test_data_sets_without_numbers_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    hdf5(tmp_path / "a_1.hdf5")
    with h5py.File(tmp_path / "a_1.hdf5", "a") as file:
        del file["frame_1_y"]
        file["frame_1_y"] = ["up", "down"]
    refused(tmp_path, tmp_path, "frame_1_y is not the array of numbers")


def overwrite(path, name, value):
    """Replace one data set of a file."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("frame_3_y", np.full(5, np.nan), "frame_3_y holds nan, but a key is 0 or 1"),
        ("frame_3_y", -np.eye(5)[1], "frame_3_y holds -1.0, but a key is 0 or 1"),
        ("frame_3_y", np.eye(5)[1] / 2, "frame_3_y holds 0.5, but a key is 0 or 1"),
        ("frame_3_helperarr", [0, np.nan], "frame_3_helperarr holds nan, but a kill or a death"),
        ("frame_3_helperarr", [-1, 0], "frame_3_helperarr holds -1.0, but a kill or a death"),
        ("frame_3_x", np.zeros((4, 8, 3)), "frame_3_x: observations are float64"),
        ("frame_3_x", np.zeros((4, 8, 4), np.uint8), r"frame_3_x has shape \[4, 8, 4\]"),
    ],
)
def test_damaged_numbers_are_refused_by_frame(name, value, sentence, tmp_path):
    hdf5(tmp_path / "a.hdf5")
    hdf5(tmp_path / "b.hdf5")
    overwrite(tmp_path / "b.hdf5", name, value)
    refused(tmp_path, tmp_path, f"b.hdf5: {sentence}")


def test_keys_of_0_and_255_are_keys(tmp_path):
    hdf5(tmp_path / "a.hdf5")
    for i in range(6):
        overwrite(tmp_path / "a.hdf5", f"frame_{i}_y", np.eye(5)[i % 2].astype(np.uint8) * 255)
    import_recordings(ImportConfig(str(tmp_path), tmp_path / "out", frame_size=4))
    assert next(load_episodes(tmp_path / "out")).act.tolist() == [0, 1, 0, 1, 0]


def test_events_of_one_number_are_refused(tmp_path):
    hdf5(tmp_path / "a.hdf5")
    for i in range(6):
        overwrite(tmp_path / "a.hdf5", f"frame_{i}_helperarr", [0.0])
    refused(tmp_path, tmp_path, "frame_0_helperarr holds one number, not a kill and a death")


def test_files_with_other_keys_are_refused(tmp_path):
    hdf5(tmp_path / "a.hdf5")
    hdf5(tmp_path / "b.hdf5")
    for i in range(6):
        overwrite(tmp_path / "b.hdf5", f"frame_{i}_y", np.eye(7)[0])
    refused(tmp_path, tmp_path, "b.hdf5 has 7 keys a frame and .*a.hdf5 has 5")


def test_a_broken_second_file_leaves_nothing_and_the_next_import_works(tmp_path):
    hdf5(tmp_path / "a.hdf5")
    hdf5(tmp_path / "b.hdf5")
    whole = (tmp_path / "b.hdf5").read_bytes()
    os.truncate(tmp_path / "b.hdf5", len(whole) // 2)
    refused(tmp_path, tmp_path, "b.hdf5 is damaged or of another format")
    (tmp_path / "b.hdf5").write_bytes(whole)
    overwrite(tmp_path / "b.hdf5", "frame_5_x", np.zeros((4, 8, 3)))  # after a.hdf5 was written
    refused(tmp_path, tmp_path, "b.hdf5: frame_5_x")
    (tmp_path / "b.hdf5").write_bytes(whole)
    said = import_recordings(ImportConfig(str(tmp_path), tmp_path / "out", frame_size=4))
    assert "2 episodes with 10 steps" in said


def test_frames_that_cannot_be_read_are_damage(tmp_path):
    """Pixels whose checksum is wrong: the file opens, and its keys are whole."""
    h5py = pytest.importorskip("h5py")
    hdf5(tmp_path / "a.hdf5")
    picture = np.random.default_rng(0).integers(0, 256, (4, 8, 3), np.uint8)
    with h5py.File(tmp_path / "a.hdf5", "a") as file:
        del file["frame_2_x"]
        file.create_dataset("frame_2_x", data=picture, chunks=picture.shape, fletcher32=True)
    whole = (tmp_path / "a.hdf5").read_bytes()
    assert whole.count(picture.tobytes()) == 1
    (tmp_path / "a.hdf5").write_bytes(whole.replace(picture.tobytes(), bytes(picture.size)))
    refused(tmp_path, tmp_path, "a.hdf5 is damaged or of another format")


def refused(place, source, sentence, **settings):
    """Import to `place / "out"`, expect a refusal of one line, and nothing new in `place`."""
    before = sorted(place.rglob("*"))
    settings = {"frame_size": 4} | settings
    with pytest.raises(UserError, match=sentence) as error:
        import_recordings(ImportConfig(str(source), place / "out", **settings))
    assert "\n" not in str(error.value) and sorted(place.rglob("*")) == before


@pytest.fixture
def minari_set(tmp_path, monkeypatch):
    """Makes Minari data sets of three episodes of four steps; see `make`."""
    minari = pytest.importorskip("minari")
    from minari.data_collector import EpisodeBuffer

    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "data"))

    def make(actions=(0, 1, 0, 1), space=None, observations=None, **changes):
        """Write a data set `small-v0`.

        Args:
          actions: of every episode; their number is that of the steps.
          space: of the actions.
          observations: of every episode.
          **changes: other arrays of every episode.

        Returns:
          Its HDF5 file, its metadata.json and the name of the source.
        """
        steps = len(actions)
        if observations is None:
            observations = np.zeros((steps + 1, 8, 8, 3), np.uint8)
        last = [step == steps - 1 for step in range(steps)]
        arrays = {"rewards": [1.0] * steps, "terminations": last, "truncations": [False] * steps}
        arrays |= {"observations": list(observations), "actions": list(actions)} | changes
        minari.create_dataset_from_buffers(
            "small-v0",
            [EpisodeBuffer(id=number, **arrays) for number in range(3)],
            observation_space=gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8),
            action_space=space or gymnasium.spaces.Discrete(3),
            algorithm_name="x",
            author="x",
            author_email="x@x.x",
            code_permalink="x",
            description="x",
        )
        folder = tmp_path / "data" / "small-v0" / "data"
        return SimpleNamespace(
            file=folder / "main_data.hdf5",
            metadata=folder / "metadata.json",
            name="minari:small-v0",
        )

    return make


EARLY = [False, True, False, False]
"""Flags that are true before the last of four steps."""


@pytest.mark.filterwarnings("ignore::UserWarning:minari")  # of a data set without an environment
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"terminations": EARLY}, "terminations are true at step 1 of 4, before the last one"),
        ({"truncations": EARLY}, "truncations are true at step 1 of 4, before the last one"),
        ({"terminations": [0.0, 0.0, 0.0, 2.0]}, "terminations are float64.*true or false"),
        ({"truncations": [0.0, 0.0, 0.0, np.nan]}, "truncations are float64.*true or false"),
        ({"terminations": [True]}, r"terminations are bool \[1\].*each of the 4 steps"),
        ({"actions": [0.0, 0.5, 1.0, 1.5]}, "the action at step 1 is 0.5, but .* from 0 to 2"),
        ({"actions": [0.0, np.nan, 1.0, np.inf]}, "the action at step 1 is nan"),
        ({"actions": [0, 1, 2, 3]}, "the action at step 3 is 3, but .* from 0 to 2"),
        ({"actions": [0, 1, -1, 2]}, "the action at step 2 is -1"),
        ({"actions": [0, 2**32, 1, 2]}, "the action at step 1 is 4294967296"),
        (
            {"actions": np.array([[0], [1], [0], [1]])},
            r"actions are int64 \[4, 1\]: they must be whole",
        ),
        (
            {"space": gymnasium.spaces.Discrete(3, start=2), "actions": [2, 4, 5, 2]},
            "the action at step 2 is 5, but .* from 2 to 4",
        ),
        (
            {"space": gymnasium.spaces.MultiBinary(2), "actions": np.zeros((4, 2), np.int8)},
            r"has actions MultiBinary\(2\): only numbered ones",
        ),
        ({"space": gymnasium.spaces.Discrete(2**17)}, "declares 131072 actions: at most 65536"),
        ({"rewards": [1.0, np.nan, 0.0, 0.0]}, "rew is float64.*NaN or infinity"),
        ({"rewards": [1.0, 1e300, 0.0, 0.0]}, "rew is float64.*NaN or infinity"),
        ({"rewards": [1.0]}, r"rew is float64 \[1\]: it must be 4 finite numbers"),
        ({"observations": np.zeros((4, 8, 8, 3), np.uint8)}, "obs has 4 frames for 4 steps"),
        ({"observations": np.zeros((5, 8, 8, 3))}, "observations are float64"),
        ({"observations": np.zeros((5, 8))}, "observations are no images"),
    ],
)
def test_minari_data_that_do_not_fit_are_refused(changes, sentence, minari_set, tmp_path):
    source = minari_set(**changes)
    refused(tmp_path, source.name, f"minari:small-v0(, episode 0:)? {sentence}")


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_minari_flags_and_actions_as_whole_numbers_are_taken(minari_set, tmp_path):
    source = minari_set(
        actions=[0.0, 1.0, 0.0, 1.0], terminations=[0, 0, 0, 1], rewards=[False, True, False, False]
    )
    import_recordings(ImportConfig(source.name, tmp_path / "out", frame_size=4))
    episode = next(load_episodes(tmp_path / "out"))
    assert episode.act.tolist() == [0, 1, 0, 1] and episode.rew.tolist() == [0, 1, 0, 0]
    assert episode.end.tolist() == [False] * 3 + [True] and not episode.trunc.any()


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_minari_declares_the_number_of_actions(minari_set, tmp_path):
    """Also of those that nobody took."""
    source = minari_set(space=gymnasium.spaces.Discrete(7, start=-2), actions=[-2, -1, 0, -2])
    import_recordings(ImportConfig(source.name, tmp_path / "out", frame_size=16))
    assert json.loads((tmp_path / "out" / "actions.json").read_text()) == {"num_actions": 7}
    config = small_data.on(tmp_path / "out")
    contents = read_all(open_dataset(config), config)
    assert contents.found.num_actions == 7 and contents.held_out[0].act.tolist() == [0, 1, 2, 0]


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
@pytest.mark.parametrize(
    "key", ["rewards", "terminations", "truncations", "actions", "observations"]
)
def test_a_minari_episode_that_lacks_an_array_leaves_nothing(key, minari_set, tmp_path):
    h5py, source = pytest.importorskip("h5py"), minari_set()
    with h5py.File(source.file, "a") as file:
        del file["episode_1"][key]
    refused(tmp_path, source.name, f"small-v0, episode 1, is damaged or lacks an array .*{key}")


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_a_minari_episode_without_steps_is_left_out(minari_set, tmp_path):
    h5py, source = pytest.importorskip("h5py"), minari_set()
    with h5py.File(source.file, "a") as file:
        for key in ("rewards", "terminations", "truncations", "actions"):
            file["episode_1"][key].resize((0,))
    config = ImportConfig(source.name, tmp_path / "out", frame_size=4)
    assert "2 episodes with 8 steps" in import_recordings(config)
    with h5py.File(source.file, "a") as file:
        file["episode_1"]["rewards"].resize((4,))
    refused(tmp_path / "data", source.name, "episode 1: .*(actions|terminations|it has no step)")


@pytest.mark.filterwarnings("ignore::UserWarning:minari")
def test_a_damaged_minari_data_set_is_refused(minari_set, tmp_path):
    source = minari_set()
    whole = source.metadata.read_text()
    for text in ("", "{}", "[]", '{"data_format": 3}', whole[:50], whole.replace("0.5", "0.1")):
        source.metadata.write_text(text)
        refused(tmp_path, source.name, "data set 'small-v0' cannot be read.*: download or record")
    source.metadata.write_text(whole.replace('"total_episodes": 3', '"total_episodes": 5'))
    refused(tmp_path, source.name, "episode 3, is damaged or lacks an array")
    source.metadata.write_text(whole)
    os.truncate(source.file, source.file.stat().st_size // 2)
    refused(tmp_path, source.name, "small-v0 is damaged .*truncated file")


@pytest.mark.filterwarnings("ignore::UserWarning:minari")  # of a data set without descriptions
# Minari leaves the temporary folder of a recording to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_minari(tmp_path, monkeypatch):
    minari = pytest.importorskip("minari")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "data"))
    recorder = minari.DataCollector(Pixels(), record_infos=False)
    for actions in ((1, 2, 3), (3, 3)):
        recorder.reset(seed=0)
        for action in actions:
            recorder.step(action)
    recorder.create_dataset("pixels/test-v0", algorithm_name="x", author="x", author_email="x@x.x")
    recorder.close()
    recorder._tmp_dir._finalizer.detach()  # Minari has removed the folder already
    config = ImportConfig("minari:pixels/test-v0", tmp_path / "out", frame_size=4)
    assert "2 episodes with 5 steps" in import_recordings(config)
    first, second = load_episodes(tmp_path / "out")
    assert first.act.tolist() == [0, 1, 2] and first.rew.tolist() == [1, 2, 3]
    assert first.end.tolist() == [False, False, True] and second.trunc.tolist() == [False, True]
    assert first.obs.shape == (4, 4, 4, 3) and first.obs[:, 0, 0, 0].tolist() == [0, 40, 80, 120]
    with pytest.raises(UserError, match=r"out holds files already \(actions.json\)"):
        import_recordings(config)
    with pytest.raises(UserError, match="no Minari data set 'nothing-v0' on this machine"):
        import_recordings(ImportConfig("minari:nothing-v0", tmp_path / "other"))


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="there is no .hdf5 file"):
        import_recordings(ImportConfig(str(tmp_path / "no.hdf5"), tmp_path / "out"))
    (tmp_path / "bad.hdf5").write_bytes(b"no")
    with pytest.raises(UserError, match="damaged or of another format"):
        import_recordings(ImportConfig(str(tmp_path / "bad.hdf5"), tmp_path / "out"))


@pytest.mark.parametrize("size", [0, -4, 1 << 20])
def test_settings_out_of_range_are_refused(size, tmp_path):
    hdf5(tmp_path / "a.hdf5")
    refused(tmp_path, tmp_path, f"--frame-size is {size}: name a number", frame_size=size)
    most = min(size, 0)
    refused(tmp_path, tmp_path, f"--most-actions is {most}: it must be", most_actions=most)


def test_the_command_refuses_with_status_2_and_one_line(tmp_path, capsys):
    hdf5(tmp_path / "a.hdf5")
    overwrite(tmp_path / "a.hdf5", "frame_1_y", np.full(5, np.nan))
    arguments = ("--source", str(tmp_path), "--out", str(tmp_path / "new" / "out"))
    assert main(["import-episodes", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.hdf5"]
