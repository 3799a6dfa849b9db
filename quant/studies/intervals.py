"""Mean and confidence interval over seeds, in words."""

from collections.abc import Sequence

import numpy as np

from jaxrl.app.stats import mean_and_half_width

FEWEST = 3
"""Seeds below which there is no interval: Student's t for two values is twelve times their
standard error, which says nothing.
"""
TOO_FEW = (
    "There are fewer than three seeds: numbers are means without intervals, and show that the "
    "study runs, not what it finds."
)


def mean_and_interval(values: Sequence[float]) -> str:
    """Format a mean, with the half-width of its 95 % interval if there are three seeds or more."""
    if len(values) < FEWEST:
        return f"{np.mean(values):.3g}"
    return mean_and_half_width(values)
