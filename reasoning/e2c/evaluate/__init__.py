"""Policies on benchmarks: `run` evaluates and resumes, `scores` are accuracies with intervals."""

from reasoning.e2c.evaluate.run import Evaluation, asked_for, evaluate, summarise

__all__ = ["Evaluation", "asked_for", "evaluate", "summarise"]
