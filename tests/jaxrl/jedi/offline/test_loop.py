"""Learning from recorded episodes: exact resume, held-out measures that mean what they say, the
report, refusals.
"""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from jaxrl.app.errors import UserError
from jaxrl.jedi.__main__ import main
from jaxrl.jedi.offline import dataset as datasets
from jaxrl.jedi.offline.config import OFFLINE_PRESETS, read_offline, shared
from jaxrl.jedi.offline.held_out import make_exam, set_aside
from jaxrl.jedi.offline.loop import learn, open_offline
from jaxrl.jedi.training import run as sessions
from jaxrl.jedi.training import stages
from jaxrl.train.config import from_dict, to_dict
from jaxrl.train.metrics import read_metrics
from tests.jaxrl.jedi import small_agent, small_data
from tests.jaxrl.jedi.compare import assert_same
from tests.jaxrl.jedi.training.test_loop import silent


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_data.record(tmp_path_factory.mktemp("data") / "my game")


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A finished run: folder, metrics, final agent."""
    folder = tmp_path_factory.mktemp("offline")
    result = learn(small_data.on(data), folder, say=silent)
    assert result.finished
    return folder, read_metrics(folder), final(small_data.on(data), folder)


def final(config, folder):
    """The agent at the end of a run, as host arrays by name."""
    session = open_offline(config, datasets.read_all(datasets.open_dataset(config), config), folder)
    sessions.close(session)
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.tree.map(np.asarray, session.agent))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def test_it_measures_what_was_held_out(whole):
    _, rows, agent = whole
    assert [row["world_model/updates"] for row in rows] == [3, 3, 3] and rows[-1]["updates"] == 18
    assert agent[".policy.updates"] == 0
    for row in rows:
        assert {
            "held_out/denoising",
            "held_out/reward_recall",
            "imagined/end_recall",
            "monitor/context_gain",
        } <= row.keys()
        assert {"monitor/probe x", "monitor/probe y", "monitor/probe p"} <= row.keys()
        assert 0 <= row["held_out/reward_accuracy"] <= 1 and row["monitor/latent_std"] > 0
    assert rows[0]["held_out/denoising"] != rows[-1]["held_out/denoising"]
    assert [row["compile/count"] for row in rows[2:]] == [0]


@pytest.mark.slow
def test_stopping_anywhere_changes_nothing(whole, data, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "call_size", lambda session, phase: 2)
    original = stages.learn

    def stopping(session, phase, stop):
        before = session.counters.done

        class AfterOne:
            """True once one call was made."""

            def __bool__(self):
                return session.counters.done > before

        stop.signal = 15
        return original(session, phase, AfterOne())

    monkeypatch.setattr(stages, "learn", stopping)
    needed = 0
    while not learn(small_data.on(data), tmp_path, say=silent).finished:
        needed += 1
        assert needed < 40
    assert needed > 6
    assert_same(whole[2], final(small_data.on(data), tmp_path))

    def looked_at(rows):
        return [
            {k: v for k, v in row.items() if k.startswith(("held_out/", "imagined/", "monitor/"))}
            for row in rows
        ]

    assert looked_at(read_metrics(tmp_path)) == looked_at(whole[1])


def test_more_epochs_go_on_where_fewer_ended_and_the_data_may_have_moved(whole, data, tmp_path):
    learn(small_data.on(data, epochs=1), tmp_path / "run", say=silent)
    moved = shutil.copytree(data, tmp_path / "moved")
    assert learn(small_data.on(moved), tmp_path / "run", say=silent).finished
    assert_same(whole[2], final(small_data.on(data), tmp_path / "run"))
    assert not list((tmp_path / "run").glob("replay/*"))  # the frames stay where they are


def test_a_finished_run_says_so_and_takes_only_another_place_of_the_data(whole, data, tmp_path):
    folder = shutil.copytree(whole[0], tmp_path / "run")
    moved, said = shutil.copytree(data, tmp_path / "moved"), []
    assert learn(small_data.on(moved, epochs=2), folder, say=said.append).finished
    assert said == [
        f"{folder} is already finished at 3 epochs; epochs has no effect, and config.json stays: "
        "--epochs above 3 continues it"
    ]
    config, _ = read_offline(folder)
    assert config == small_data.on(moved)


def test_other_data_or_settings_in_the_same_folder_are_refused(whole, data, tmp_path):
    fewer = shutil.copytree(data, tmp_path / "fewer")
    (fewer / "episode-000011.npz").unlink()
    with pytest.raises(UserError, match=r"found.fingerprint is '\w+' there and"):
        learn(small_data.on(fewer), whole[0], say=silent)
    with pytest.raises(
        UserError, match="holds a run of another configuration .seed is 0 there and 1 here"
    ):
        learn(small_data.on(data, seed=1), whole[0], say=silent)


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda c: replace(c, epochs=0), "epochs is 0: it must be at least 1"),
        (
            lambda c: replace(c, updates=replace(c.updates, reward_end=-1)),
            "updates.reward_end is -1",
        ),
        (lambda c: replace(c, monitor=replace(c.monitor, segments=0)), "monitor.segments is 0"),
        (lambda c: replace(c, frame_size=18), "cannot be halved 2 times"),
        (lambda c: replace(c, devices=9), "only 4"),
        (
            lambda c: replace(c, devices=3),
            "agent.world_model.batch is 4, which 3 devices cannot share equally",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_written(
    change, sentence, data, tmp_path
):
    with pytest.raises(UserError, match=sentence):
        learn(change(small_data.on(data)), tmp_path / "run", say=silent)
    assert not (tmp_path / "run").exists()


def test_held_out_segments_hold_nothing_else(data):
    config = small_data.on(data, held_out=0.3)
    contents = datasets.read_all(datasets.open_dataset(config), config)
    seen = set_aside(contents.held_out, shared(config, contents.found))
    known = {frame.tobytes() for episode in contents.held_out for frame in episode.obs}
    for segment in (seen.future, seen.around, seen.endings):
        mask = np.asarray(segment.frame_mask)
        assert mask.any() and all(
            frame.tobytes() in known for frame in np.asarray(segment.frame)[mask]
        )
    assert seen.usable.all() and np.asarray(seen.endings.end)[:, -2].all()


def test_the_exam_pairs_frames_with_their_truth(data):
    episodes = list(datasets.open_dataset(small_data.on(data)).episodes([0, 1]))
    exam = make_exam(episodes, 8)
    truth = np.concatenate([episode.truth for episode in episodes])
    scaled = (truth - truth.mean(0)) / truth.std(0)
    frames = [frame.tobytes() for episode in episodes for frame in episode.obs]
    for frame, row in zip(np.asarray(exam.frame), np.asarray(exam.truth), strict=True):
        np.testing.assert_allclose(scaled[frames.index(frame.tobytes())], row, atol=1e-4)
    assert make_exam([episode._replace(truth=None) for episode in episodes], 8) is None


def test_report_and_imagine_and_evaluate(whole, tmp_path, capsys):
    folder, _, _ = whole
    assert main(["report", "--run-dir", str(folder)]) == 0
    page = (folder / "report" / "index.html").read_text()
    assert (
        "JEDI on my game" in page
        and "On episodes it never saw" in page
        and page.count("data:image/") == 6
    )
    assert (
        main(
            ["imagine", "--run-dir", str(folder), "--out", str(tmp_path / "a.npz"), "--steps", "3"]
        )
        == 0
    )
    assert "steps of a held-out episode" in capsys.readouterr().out
    with np.load(tmp_path / "a.npz") as file:
        assert file["real"].shape == file["imagined"].shape and len(file["action"]) <= 3
    assert main(["evaluate", "--run-dir", str(folder)]) == 2
    assert "there is no game to play: name one with --env" in capsys.readouterr().err
    assert main(["evaluate", "--run-dir", str(folder), "--env", "catch"]) == 2
    assert "learned no policy" in capsys.readouterr().err
    assert main(["imagine", "--run-dir", str(folder), "--actions", "1", "--out", "x.gif"]) == 2
    assert "learned from data" in capsys.readouterr().err


def test_a_policy_learned_in_the_world_of_the_data_can_play_the_game(data, tmp_path, capsys):
    config = small_data.on(data, epochs=1, updates=replace(small_data.CONFIG.updates, behavior=2))
    learn(config, tmp_path, say=silent)
    assert read_metrics(tmp_path)[-1]["behavior/updates"] == 2
    assert main(["evaluate", "--run-dir", str(tmp_path), "--env", "catch", "--episodes", "8"]) == 0
    assert "catch: mean return" in capsys.readouterr().out
    wrong = [
        "evaluate",
        "--run-dir",
        str(tmp_path),
        "--env",
        "tests.jaxrl.envs.user_games:two_actions",
        "--episodes",
        "8",
    ]
    assert main(wrong) == 2
    assert "has 2 actions and the data of" in capsys.readouterr().err


def test_the_stored_configuration_comes_back(whole, data):
    config, found = read_offline(whole[0])
    assert config == small_data.on(data) and found.episodes == 11
    for preset in OFFLINE_PRESETS.values():
        assert from_dict(type(config), to_dict(preset())) == preset()
    with pytest.raises(UserError, match="holds no run"):
        read_offline(data)
    assert config.agent == small_agent.CONFIG
