"""Dynamite (arXiv 2003.01331): a Datalog program that migrates data, synthesized from one small
example.

Open `synthesize.py` first. Folders by step: `sketch/` (attribute mapping, rule sketches),
`completion/` (solver, candidates, clauses), `questions/` (what an example leaves open),
`migration/` (run, report, verify), `output/` (sentences, page) and `cli/` (the commands).
"""

from reasoning.synthesis.dynamite import old_names
from reasoning.synthesis.dynamite.mapping import Mapping, Options, load_mapping, save_mapping
from reasoning.synthesis.dynamite.migration.migrate import Plan, migrate
from reasoning.synthesis.dynamite.migration.verify import verify
from reasoning.synthesis.dynamite.output.explain import explain
from reasoning.synthesis.dynamite.questions.ambiguity import Question, alternatives, next_question
from reasoning.synthesis.dynamite.synthesize import Timeout, Unsat, synthesize_mapping

__all__ = [
    "Mapping",
    "Options",
    "Plan",
    "Question",
    "Timeout",
    "Unsat",
    "alternatives",
    "explain",
    "load_mapping",
    "migrate",
    "next_question",
    "save_mapping",
    "synthesize_mapping",
    "verify",
]

old_names.install()
