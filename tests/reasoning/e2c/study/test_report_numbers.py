"""Numbers of the report's tables and figures."""

import pytest

from reasoning.e2c.study.figures import _band
from reasoning.e2c.study.report import _mean_pm


def test_two_draws_are_shown_and_three_have_an_interval():
    # Student's t for two degrees of freedom, 4.303, times 0.1 / sqrt(3)
    assert _mean_pm([0.1, 0.2, 0.3]) == "0.200 ± 0.248"
    assert _mean_pm([0.1, 0.3]) == "0.200 (0.100, 0.300)" and _mean_pm([0.1]) == "0.100"
    assert _band([0.1, 0.2, 0.3]) == pytest.approx((0.2, -0.048, 0.448), abs=1e-3)
    assert _band([0.3, 0.1]) == pytest.approx((0.2, 0.1, 0.3))
