"""Old place of `reasoning.e2c.policies.loops`, until version 0.3."""

import sys
import warnings

from reasoning.e2c.policies import loops

warnings.warn(
    "reasoning.e2c.loops is reasoning.e2c.policies.loops now; the old name ends with version 0.3",
    DeprecationWarning,
    stacklevel=2,
)
sys.modules[__name__] = loops
