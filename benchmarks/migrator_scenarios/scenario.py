"""The refactoring scenario, and files of many."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

S = TypeVar("S")


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


def load(file: str) -> dict[str, Any]:
    """A TOML file in this folder."""
    return tomllib.loads((Path(__file__).parent / file).read_text(encoding="utf-8"))


def read(file: str, kind: type[S]) -> dict[str, S]:
    """The tables of a file in this folder, by their names there."""
    return {name: kind(**fields) for name, fields in load(file).items()}
