"""Old place of `reasoning.e2c.evaluate.scores`, until version 0.3."""

import sys
import warnings

from reasoning.e2c.evaluate import scores

warnings.warn(
    "reasoning.e2c.scores is reasoning.e2c.evaluate.scores now; the old name ends with version 0.3",
    DeprecationWarning,
    stacklevel=2,
)
sys.modules[__name__] = scores
