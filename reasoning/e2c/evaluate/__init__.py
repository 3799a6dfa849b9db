"""Policies on benchmarks: `run` evaluates and resumes, `scores` are accuracies with intervals."""

from jaxrl.app.old_names import attributes
from reasoning.e2c.evaluate.run import Evaluation, asked_for, evaluate, summarize

__all__ = ["Evaluation", "asked_for", "evaluate", "summarize"]


_OLD = {"summarise": "reasoning.e2c.evaluate.run:summarize"}  # old name
__getattr__ = attributes(__name__, _OLD)
