"""Whether two runs came to the same."""

import jax
import numpy as np
import pytest

from jaxrl.jedi.training import run as sessions
from jaxrl.jedi.training.setup import open_session


def final_state(config, folder):
    """All that a finished run holds, as host arrays by name."""
    session = open_session(config, folder)
    sessions.close(session)
    arrays = {
        "agent": session.agent,
        "index": session.store.index,
        "frames": session.store.frames,
        "games": session.players.save(),
    }
    leaves, _ = jax.tree_util.tree_flatten_with_path(jax.tree.map(np.asarray, arrays))
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}, session.counters


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


def assert_same_rows(ours, theirs):
    """The same metrics but for time and memory. Means over updates are summed call by call, and how
    long a call is depends on the clock, so they may differ by rounding; all else is equal bit for
    bit.
    """
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        a, b = (
            {k: v for k, v in row.items() if not k.startswith(("time/", "compile/", "memory/"))}
            for row in (a, b)
        )
        summed = [
            k for k in b if k.startswith(("world_model/", "reward_end/", "behavior/", "probe/"))
        ]
        assert {k: a.pop(k) for k in summed} == pytest.approx(
            {k: b.pop(k) for k in summed}, rel=1e-5
        )
        assert a == b
