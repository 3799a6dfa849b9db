"""Playing inside the world model: what the buttons do."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from jaxrl.app.errors import UserError
from jaxrl.jedi.diagnostics.sampler import AS_TRAINED
from jaxrl.jedi.dream.session import MOST_PASSES, open_dream
from tests.jaxrl.jedi import small_run, untrained_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return untrained_run.write(tmp_path_factory.mktemp("play") / "run", small_run.CONFIG)


@pytest.fixture
def session(run):
    session, title = open_dream(run, AS_TRAINED, seed=0)
    assert title.startswith("catch, imagined by run")
    return session


def test_the_action_reaches_the_imagined_game(session):
    """An untrained denoiser ignores the action (its last layer is zero), so give it weights that
    do not.
    """
    import jax

    def shaken(agent):
        params = dict(agent.world.params)
        leaves, tree = jax.tree.flatten(params["denoiser"])
        keys = jax.random.split(jax.random.key(3), len(leaves))
        noisy = [
            leaf + 0.3 * jax.random.normal(key, leaf.shape)
            for leaf, key in zip(leaves, keys, strict=True)
        ]
        params["denoiser"] = tree.unflatten(noisy)
        return agent.replace(world=agent.world.replace(params=params))

    session.trained = shaken(session.trained)
    session._dreams.clear()
    paths = {}
    for action in (0, 2):
        session._number = 5  # the same situation and the same noise
        session.set_passes(session.passes)
        paths[action] = np.stack([session.step(action).frame for _ in range(3)])
    assert (paths[0] != paths[2]).any()


def test_reset_begins_anew(session):
    first = session.step(1)
    assert first.step == 1 and session.step(1).step == 2
    again = session.reset()
    assert again.step == 0 and again.total == 0
    assert len(session.film) == 1


def test_the_same_seed_gives_the_same_dream(run):
    shown = []
    for _ in range(2):
        session, _ = open_dream(run, AS_TRAINED, seed=7)
        shown.append([session.step(a).frame for a in (0, 1, 2)])
    np.testing.assert_array_equal(*map(np.stack, shown))


def test_the_real_game_follows_the_same_actions(session):
    view = session.set_real(True)
    assert view.real is not None and view.real.shape == view.frame.shape
    frames = [view.real]
    for _ in range(4):
        view = session.step(0)
        frames.append(view.real)
        if view.real_over:
            break
    assert any((a != b).any() for a, b in itertools.pairwise(frames))
    assert session.set_real(False).real is None


def test_after_the_real_end_the_real_game_stands_still(session):
    session.set_real(True)
    over, frames = [], []
    while len(over) < 300 and sum(over) < 4:
        view = session.step(0)
        over.append(view.real_over)
        frames.append(view.real)
    assert sum(over) == 4, "a small run's games of catch end within its 20 steps"
    stopped = frames[over.index(True) :]
    assert all((frame == stopped[0]).all() for frame in stopped)


def test_the_policy_takes_over_and_gives_back(session):
    session.by_policy = True
    names = {session.step(0).action for _ in range(20)}
    assert len(names) > 1, "an untrained policy is uniform"
    session.by_policy = False
    assert {session.step(2).action for _ in range(5)} == {session.names[2]}


def test_passes_change_the_sampler_and_are_bounded(session):
    session.set_passes(1)
    assert session._dream().agent.spec.config.sampler.steps == 1
    for bad in (0, MOST_PASSES + 1):
        with pytest.raises(ValueError, match="denoising passes"):
            session.set_passes(bad)
    assert session.passes == 1


def test_an_action_that_does_not_exist_is_refused(session):
    for bad in (-1, session.env.num_actions):
        with pytest.raises(ValueError, match="actions are 0 to"):
            session.step(bad)


def test_the_film_is_a_gif_of_what_was_seen(session):
    session.reset()
    for _ in range(3):
        session.step(0)
    picture = Image.open(io.BytesIO(session.gif(15)))
    # equal neighbors become one longer frame, so count time, not frames
    total = 0
    for number in range(picture.n_frames):
        picture.seek(number)
        total += picture.info["duration"]
    assert picture.format == "GIF" and total == pytest.approx(4 * 66, abs=24)


def test_a_run_whose_latents_cannot_be_shown_is_refused(tmp_path):
    folder = untrained_run.write(tmp_path / "blind", small_run.CONFIG, probe_updates=0)
    with pytest.raises(UserError, match="probe"):
        open_dream(folder, AS_TRAINED, 0)
