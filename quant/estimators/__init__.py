"""Gradients through discrete choices: one estimator per function, all with one signature
(docs/estimators.md).
"""

from quant.estimators.bernoulli import (
    as_bernoulli,
    bernoulli_decoupled_st_gs,
    bernoulli_reinmax,
    bernoulli_ste_identity,
    bernoulli_ste_sigmoid,
)
from quant.estimators.control_variates import control_variate_loss, rebar, relax
from quant.estimators.gapped import gst
from quant.estimators.gumbel import decoupled_st_gs, gumbel_softmax, st_gs
from quant.estimators.gumbel_rao import conditional_scores, gr_mck
from quant.estimators.hard_concrete import hard_concrete, hard_concrete_at_rest
from quant.estimators.redge import redge
from quant.estimators.reinmax import reinmax, reinmax_rao
from quant.estimators.sample import Sample
from quant.estimators.score_function import (
    Estimate,
    ScoreFunction,
    ema_baseline,
    estimate_gradient,
    reinforce,
    rloo,
)
from quant.estimators.straight_through import ste_identity, ste_softmax

__all__ = [
    "Estimate",
    "Sample",
    "ScoreFunction",
    "as_bernoulli",
    "bernoulli_decoupled_st_gs",
    "bernoulli_reinmax",
    "bernoulli_ste_identity",
    "bernoulli_ste_sigmoid",
    "conditional_scores",
    "control_variate_loss",
    "decoupled_st_gs",
    "ema_baseline",
    "estimate_gradient",
    "gr_mck",
    "gst",
    "gumbel_softmax",
    "hard_concrete",
    "hard_concrete_at_rest",
    "rebar",
    "redge",
    "reinforce",
    "reinmax",
    "reinmax_rao",
    "relax",
    "rloo",
    "st_gs",
    "ste_identity",
    "ste_softmax",
]
