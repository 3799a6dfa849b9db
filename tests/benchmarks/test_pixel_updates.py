"""The comparison with PyTorch: turns, ratios, and the peer itself where PyTorch is installed."""

import dataclasses

import pytest

from benchmarks.pixel_updates import PARTS, Settings, claims_of, ours, processor_seconds, theirs


def test_ways_take_turns_and_the_first_call_does_not_count():
    called = []
    ways = {
        way: {part: lambda way=way, part=part: called.append((way, part)) for part in PARTS}
        for way in ("a", "b")
    }
    seconds = processor_seconds(ways, repeats=2)
    assert called[:4] == [("a", PARTS[0]), ("b", PARTS[0])] * 2
    assert len(called) == 3 * 2 * len(PARTS)
    assert set(seconds["a"]) == set(PARTS) and all(t >= 0 for t in seconds["b"].values())


def test_ratios_are_those_of_processor_times():
    seconds = {
        "pytorch": dict.fromkeys(PARTS, 2.0),
        "pixel": dict.fromkeys(PARTS, 4.0),
        "jedi": dict.fromkeys(PARTS, 0.5),
    }
    claims = claims_of(seconds)
    assert [claim.measured for claim in claims] == [0.5] * len(PARTS) + [4.0] * len(PARTS)
    assert [claim.holds for claim in claims] == [False] * len(PARTS) + [True] * len(PARTS)


@pytest.mark.slow
def test_the_peer_has_the_same_parameters_and_both_run():
    pytest.importorskip("torch")
    tiny = Settings(batch=1, horizon=1, length=6, repeats=1)
    peers, mine = theirs(tiny), ours(dataclasses.replace(tiny), "pixel")
    assert set(peers) == set(mine) == set(PARTS)
    peers["world_model"]()
    mine["world_model"]()
