"""Module paths of version 0.1, until 0.3: they work, and warn once."""

from jaxrl.app import old_names

PACKAGE = "reasoning.synthesis.dynamite"
MOVED = """
ambiguity questions.ambiguity
asking cli.asking
blocking completion.blocking
candidate completion.candidate
commands cli.commands
correspondence sketch.correspondence
encode completion.encode
explain output.explain
flat_rows migration.flat_rows
lessons completion.lessons
migrate migration.migrate
nesting migration.nesting
page output.page
report migration.report
samples questions.samples
search completion.search
verify migration.verify
"""
"""Module, and where it is now."""
MODULES = dict(line.split() for line in MOVED.strip().splitlines())


def install() -> None:
    """Make the old paths importable."""
    old_names.modules({f"{PACKAGE}.{old}": f"{PACKAGE}.{new}" for old, new in MODULES.items()})
