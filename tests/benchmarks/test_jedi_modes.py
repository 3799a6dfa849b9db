"""The comparison of the three modes on bricks, on curves written by hand."""

from benchmarks.jedi_modes import claims_of, draw, return_at


def curve(*points):
    return [
        {"env_steps": steps, "minutes": minutes, "return": score}
        for steps, minutes, score in points
    ]


CURVES = {
    "jedi": {
        0: curve((100, 2.0, 0.0), (200, 4.0, 3.0)),
        1: curve((100, 2.0, 1.0), (200, 6.0, 5.0)),
    },
    "pixel": {
        0: curve((100, 4.0, 2.0), (200, 9.0, 6.0)),
        1: curve((100, 6.0, 0.5), (200, 12.0, 0.0)),
    },
    "separate": {
        0: curve((100, 1.0, 4.0), (200, 5.0, 4.5)),
        1: curve((100, 1.0, 4.0), (200, 5.0, 5.5)),
    },
}


def test_return_is_that_of_the_last_evaluation_in_time():
    found = curve((100, 2.0, 0.0), (200, 4.0, 3.0))
    assert [return_at(found, "minutes", limit, -2.0) for limit in (1.0, 2.0, 3.9, 4.0, 9.0)] == [
        -2.0,
        0.0,
        0.0,
        3.0,
        3.0,
    ]


def test_claims():
    figures, claims = claims_of(CURVES, -2.0, seeds=2)
    assert figures["minutes"] == {"jedi": 5.0, "pixel": 10.5, "separate": 5.0}
    assert figures["return_after_jedis_time"] == {
        "jedi": [3.0, 1.0],
        "pixel": [2.0, -2.0],
        "separate": [4.5, 5.5],
    }
    measured = {claim.claim: (claim.measured, claim.holds) for claim in claims}
    assert measured == {
        "bricks, mode jedi: seeds whose return ends at least 2.0 above random play": (2, True),
        "bricks, mode pixel: seeds whose return ends at least 2.0 above random play": (2, True),
        "bricks, mode separate: seeds whose return ends at least 2.0 above random play": (2, True),
        "bricks: mean return of jedi minus that of pixel after equal environment steps": (
            1.0,
            True,
        ),
        "bricks: mean return of jedi minus that of pixel after equal processor time": (2.0, True),
        "bricks: mean return of jedi minus that of separate after equal environment steps": (
            -1.0,
            False,
        ),
        "bricks: mean return of jedi minus that of separate after equal processor time": (
            -3.0,
            False,
        ),
    }


def test_nothing_is_claimed_before_all_runs_are_there():
    some = CURVES | {"pixel": {0: CURVES["pixel"][0]}, "separate": {}}
    figures, claims = claims_of(some, -2.0, seeds=2, several=True)
    assert figures["return_after_all_steps"] == {"jedi": [3.0, 5.0], "pixel": [6.0], "separate": []}
    assert [claim.measured for claim in claims] == [2, None, None, None, None, None, None]
    assert sum("of several machines or commits" in claim.claim for claim in claims) == 2


def test_picture(tmp_path):
    draw(CURVES, -2.0, tmp_path / "modes.png")
    assert (tmp_path / "modes.png").stat().st_size > 10_000
