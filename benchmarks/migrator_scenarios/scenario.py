"""The refactoring scenario."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Scenario:
    """A program, its old schema and a new one."""

    name: str
    """Its number and the refactoring."""
    source: str
    """DDL of the old schema."""
    target: str
    """DDL of the new one."""
    program: str
    """Named queries over the old schema."""
    golden: str = ""
    """Named queries over the new schema, written by hand; empty: none was written."""
    refused: str = ""
    """Text that the reason must mention if there is no equivalent program; empty: there is one."""
