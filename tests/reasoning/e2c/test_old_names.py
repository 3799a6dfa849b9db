"""Names of version 0.1: they warn and give what has the code now."""

import importlib
import sys

import pytest


@pytest.mark.parametrize(
    "old, new",
    [("votes", "policies.votes"), ("loops", "policies.loops"), ("scores", "evaluate.scores")],
)
def test_moved_modules_warn_and_are_the_new_ones(old, new):
    sys.modules.pop(f"reasoning.e2c.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"reasoning.e2c.{new} now"):
        found = importlib.import_module(f"reasoning.e2c.{old}")
    assert found is importlib.import_module(f"reasoning.e2c.{new}")


def test_moved_functions_warn():
    from jaxrl.app import stats
    from reasoning.e2c.evaluate import scores

    with pytest.warns(DeprecationWarning, match=r"stats\.paired"):
        assert scores.paired is stats.paired
    with pytest.raises(AttributeError):
        _ = scores.nothing
