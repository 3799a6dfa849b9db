"""The benchmark of convolutions: all ways compute the same, and the claims are the worst of the
figures.
"""

import jax
import numpy as np
import pytest

from benchmarks.conv_in_scan import WAYS, Settings, Size, claims, made_up, measure

SMALL = Size(2, 4, 3, 3, 2)


@pytest.mark.parametrize("name", WAYS)
def test_all_ways_take_the_same_steps(name):
    kernels, x = made_up(SMALL)
    after = WAYS[name](kernels, x, 3)
    np.testing.assert_allclose(after, WAYS["plain_outside"](kernels, x, 3), rtol=1e-5, atol=1e-6)
    moved = jax.numpy.abs(after - kernels).max((1, 2, 3, 4))
    assert (moved > 1e-6).all()


def test_ratios_are_those_of_the_times():
    row = measure(SMALL, Settings(steps=2, rounds=1))
    ms = row["ms_per_step"]
    assert set(ms) == set(WAYS) and min(ms.values()) > 0
    assert row["plain_in_scan_over_conv2d"] == pytest.approx(
        ms["plain_in_scan"] / ms["conv2d_in_scan"]
    )
    assert row["conv2d_in_scan_over_outside"] == pytest.approx(
        ms["conv2d_in_scan"] / ms["plain_outside"]
    )
    assert row["plain_in_scan_over_outside"] == pytest.approx(
        ms["plain_in_scan"] / ms["plain_outside"]
    )


def test_claims_take_the_worst_size():
    keys = (
        "conv2d_in_scan_over_outside",
        "plain_in_scan_over_conv2d",
        "plain_in_scan_over_outside",
    )
    rows = [dict(zip(keys, values, strict=True)) for values in ((1.2, 4.0, 30.0), (1.4, 50.0, 9.0))]
    assert [(claim.measured, claim.holds) for claim in claims(rows, "cpu")] == [
        (1.4, True),
        (4.0, False),
        (9.0, False),
    ]
    assert [claim.measured for claim in claims(rows, "gpu")] == [1.4]
