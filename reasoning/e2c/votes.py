"""Old place of `reasoning.e2c.policies.votes`, until version 0.3."""

import sys
import warnings

from reasoning.e2c.policies import votes

warnings.warn(
    "reasoning.e2c.votes is reasoning.e2c.policies.votes now; the old name ends with version 0.3",
    DeprecationWarning,
    stacklevel=2,
)
sys.modules[__name__] = votes
