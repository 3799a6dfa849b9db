"""Dynamite (arXiv 2003.01331): a Datalog program that migrates data, synthesised from one small
example.
"""

from reasoning.synthesis.dynamite.ambiguity import Question, alternatives, next_question
from reasoning.synthesis.dynamite.mapping import Mapping, Options, load_mapping, save_mapping
from reasoning.synthesis.dynamite.migrate import Plan, migrate
from reasoning.synthesis.dynamite.synthesize import Timeout, Unsat, synthesize_mapping
from reasoning.synthesis.dynamite.verify import verify

__all__ = [
    "Mapping",
    "Options",
    "Plan",
    "Question",
    "Timeout",
    "Unsat",
    "alternatives",
    "load_mapping",
    "migrate",
    "next_question",
    "save_mapping",
    "synthesize_mapping",
    "verify",
]
