"""Depth of a function: predictors from the function, or from a network that was
trained on it.
"""

from reasoning.compositionality.depth.interaction import (
    depth_by_inputs,
    interactions,
    predict_by_interactions,
)
from reasoning.compositionality.depth.predict import MOST_INPUTS, Prediction, predict_depth
from reasoning.compositionality.depth.separability import separability
from reasoning.compositionality.depth.tree import Tree

__all__ = [
    "MOST_INPUTS",
    "Prediction",
    "Tree",
    "depth_by_inputs",
    "interactions",
    "predict_by_interactions",
    "predict_depth",
    "separability",
]
