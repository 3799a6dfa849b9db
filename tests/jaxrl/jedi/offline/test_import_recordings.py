"""Recordings of Minari and DIAMOND become episode files that can be read back."""

import json

import gymnasium
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.offline.import_recordings import ImportConfig, import_recordings
from jaxrl.replay.episode_files import load_episodes

RNG = np.random.default_rng(0)


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
    table = np.array(json.loads((tmp_path / "out" / "actions.json").read_text())["actions"])
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
    with pytest.raises(UserError, match=f"a_1.hdf5: .*{sentence}"):
        import_recordings(ImportConfig(str(tmp_path), tmp_path / "out", frame_size=4))


def test_data_sets_without_numbers_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    hdf5(tmp_path / "a_1.hdf5")
    with h5py.File(tmp_path / "a_1.hdf5", "a") as file:
        del file["frame_1_y"]
        file["frame_1_y"] = ["up", "down"]
    with pytest.raises(UserError, match="frame_1_y is not the array of numbers"):
        import_recordings(ImportConfig(str(tmp_path), tmp_path / "out", frame_size=4))


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
    with pytest.raises(UserError, match="holds episodes already"):
        import_recordings(config)
    with pytest.raises(UserError, match="no Minari data set 'nothing-v0' on this machine"):
        import_recordings(ImportConfig("minari:nothing-v0", tmp_path / "other"))


def test_refusals(tmp_path):
    with pytest.raises(UserError, match="there is no .hdf5 file"):
        import_recordings(ImportConfig(str(tmp_path / "no.hdf5"), tmp_path / "out"))
    (tmp_path / "bad.hdf5").write_bytes(b"no")
    with pytest.raises(UserError, match="damaged or of another format"):
        import_recordings(ImportConfig(str(tmp_path / "bad.hdf5"), tmp_path / "out"))
