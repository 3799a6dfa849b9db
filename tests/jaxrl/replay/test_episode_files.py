"""Episodes on disk: what was written comes back, and what cannot be an episode is refused with its
name.
"""

import io
import zipfile

import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.replay.episode_files import load_episodes, read_episode, save_episode
from tests.jaxrl.replay.test_episodes import arrays


@pytest.fixture
def folder(tmp_path):
    for episode in zip(*arrays(), strict=True):
        save_episode(tmp_path / "data", *episode)
    return tmp_path / "data"


def test_what_was_saved_comes_back_in_order(folder):
    assert [path.name for path in sorted(folder.iterdir())][:2] == [
        "episode-000000.npz",
        "episode-000001.npz",
    ]
    for ours, *theirs in zip(load_episodes(folder), *arrays(), strict=True):
        for a, b in zip(ours, theirs, strict=False):
            np.testing.assert_allclose(a, b, rtol=1e-6)
        assert (
            ours.obs.dtype == np.uint8
            and ours.act.dtype == np.int32
            and ours.rew.dtype == np.float32
            and ours.truth is None
        )


def test_the_format_is_the_documented_one(folder):
    with np.load(folder / "episode-000002.npz") as file:
        assert (
            set(file.files) == {"version", "obs", "act", "rew", "end", "trunc"}
            and file["version"] == 1
        )
        assert file["obs"].shape == (6, 4, 4, 3) and file["end"].dtype == bool


def test_true_variables_are_kept_with_their_names(tmp_path):
    obs, act, rew, end = (column[0] for column in arrays())
    with pytest.raises(UserError, match="2 columns and 1 truth_names"):
        save_episode(tmp_path, obs, act, rew, end, truth=np.ones((4, 2)), truth_names=("x",))
    with pytest.raises(
        UserError, match=r"truth is float64 \[3, 2\]: it must be finite numbers \[4, D\]"
    ):
        save_episode(tmp_path, obs, act, rew, end, truth=np.ones((3, 2)), truth_names=("x", "y"))
    assert not list(tmp_path.iterdir())
    path = save_episode(
        tmp_path, obs, act, rew, end, truth=np.ones((4, 2)), truth_names=("x", "y"), number=7
    )
    assert path.name == "episode-000007.npz" and next(load_episodes(tmp_path)).truth.shape == (4, 2)
    assert save_episode(tmp_path, obs, act, rew, end).name == "episode-000008.npz"


def rewrite(path, **changes):
    """The file again with other arrays; None removes one."""
    with np.load(path) as file:
        arrays = dict(file) | changes
    np.savez_compressed(
        path, **{name: value for name, value in arrays.items() if value is not None}
    )


@pytest.mark.parametrize(
    "damage, sentence",
    [
        (lambda path: rewrite(path, rew=None), "episode-000001.npz has no array rew"),
        (
            lambda path: rewrite(path, version=np.int32(2)),
            "episode-000001.npz is of another version",
        ),
        (
            lambda path: rewrite(path, obs=np.zeros((3, 4, 4, 3), np.uint8)),
            "episode-000001.npz: obs has 3 frames for 1 steps",
        ),
        (lambda path: rewrite(path, obs=np.array([None])), "damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "missing or damaged"),
        (lambda path: path.write_text(""), "missing or damaged"),
    ],
)
def test_a_bad_file_is_refused_by_name(folder, damage, sentence):
    damage(folder / "episode-000001.npz")
    with pytest.raises(UserError, match=sentence):
        list(load_episodes(folder))


def test_an_unreadable_file_behind_good_ones_is_only_met_when_its_turn_comes(folder):
    (folder / "episode-000003.npz").write_text("nothing")
    episodes = load_episodes(folder)
    for _ in range(3):
        next(episodes)
    with pytest.raises(UserError, match="episode-000003"):
        next(episodes)


def test_no_folder_and_no_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="there is no folder"):
        load_episodes(tmp_path / "nothing")
    with pytest.raises(UserError, match="holds no episodes"):
        load_episodes(tmp_path)


def test_a_file_that_claims_terabytes_is_refused_before_anything_is_allocated(folder):
    """A header is text; this one claims 3 TB of frames in a file of a few hundred bytes."""
    path = folder / "episode-000000.npz"
    crafted = folder / "crafted.npz"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(crafted, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "obs.npy":
                header = io.BytesIO()
                shape = (1_000_000, 1000, 1000, 3)
                fields = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(header, fields)
                data = header.getvalue()
            target.writestr(name, data)
    with pytest.raises(UserError, match="crafted.npz is missing or damaged .*claims 3,000,000,"):
        read_episode(crafted)
