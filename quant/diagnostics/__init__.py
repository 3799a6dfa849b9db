"""Is a codebook alive? Usage, spread and fit of codes and embeddings, and rules that say what
collapses.
"""

from quant.diagnostics.alerts import Alert, Rules, Signs, alerts
from quant.diagnostics.fit import affine_mismatch, drift, relative_error, token_modes
from quant.diagnostics.spread import (
    Moments,
    code_margin,
    effective_rank,
    embedding_summary,
    mean_cosine_distance,
    mean_euclidean_distance,
    moments_init,
    moments_update,
    participation_ratio,
    singular_values,
)
from quant.diagnostics.usage import Usage, gini, perplexity, summary, usage_init, usage_update

__all__ = [
    "Alert",
    "Moments",
    "Rules",
    "Signs",
    "Usage",
    "affine_mismatch",
    "alerts",
    "code_margin",
    "drift",
    "effective_rank",
    "embedding_summary",
    "gini",
    "mean_cosine_distance",
    "mean_euclidean_distance",
    "moments_init",
    "moments_update",
    "participation_ratio",
    "perplexity",
    "relative_error",
    "singular_values",
    "summary",
    "token_modes",
    "usage_init",
    "usage_update",
]
