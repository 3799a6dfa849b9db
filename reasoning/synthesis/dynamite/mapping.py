"""A learned mapping: the program with everything needed to explain, run, ask about and store it."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from reasoning.synthesis.datalog import Program, check_program
from reasoning.synthesis.describe import from_json
from reasoning.synthesis.engines.compile import NAMED, compile_program, key_names
from reasoning.synthesis.engines.nest import Flat, nested_queries
from reasoning.synthesis.errors import UserError, write_whole
from reasoning.synthesis.facts import Facts, from_facts, to_facts
from reasoning.synthesis.infer import Instance
from reasoning.synthesis.schema import Schema, to_json
from reasoning.synthesis.syntax import parse_program, show_program

FORMAT = "latentax dynamite mapping 1"


@dataclass(frozen=True)
class Options:
    """Options of the search."""

    budget: float = 60.0
    """Seconds in all."""
    seed: int = 0
    """Seed of the choice between programs of equal price."""
    constants: tuple[Any, ...] = ()
    """Values that a rule may compare a column with, apart from those of columns with few values, or
    fill a column without source with.
    """
    max_rules: int = 1
    """Rules for one target collection, where one is not enough; 1: as in the paper."""
    effort: float = 1.0
    """Work of the solver on one collection after which it counts as without a rule, as a multiple
    of the default.
    """
    learning: str = "directed"
    """Clauses learned from a mistake: "directed" (ours), "paper" (minimal distinguishing
    projections), "enumerate" (nothing).
    """


@dataclass(frozen=True)
class Mapping:
    """A program that makes every target example from its source example."""

    source: Schema
    """The schema of the data to migrate."""
    target: Schema
    """The schema of the migrated data."""
    program: Program
    """The rules."""
    examples: tuple[tuple[Instance, Instance], ...] = ()
    """Pairs of source and target that the program agrees with."""
    options: Options = Options()
    """The settings of the search that found the program."""
    statistics: dict[str, Any] = field(default_factory=dict)
    """Candidates tried, conflicts learned, seconds."""
    notes: tuple[str, ...] = ()
    """Decisions of the search on points that the examples left open, a sentence each."""

    @property
    def datalog(self) -> str:
        """The program as text."""
        return show_program(self.program)

    def source_facts(self) -> tuple[Facts, ...]:
        """The facts of the source examples."""
        return tuple(
            to_facts(self.source, one, "source example", loose=True) for one, _ in self.examples
        )

    def to_sql(self, dialect: str = "duckdb") -> dict[str, str]:
        """A SELECT for each target collection, nested ones inside their parents.

        Args:
          dialect: "duckdb", "sqlite", "postgres" or "spark".

        Raises:
          UserError: another dialect.
        """
        queries = compile_program(self.program, self.source, self.target, dialect, NAMED)
        flat = compile_program(
            self.program, self.source, self.target, dialect, replace(NAMED, keys=False)
        )
        queries |= {top.name: flat[top.name] for top in self.target.collections if not top.children}
        keys = {path: key_names(self.program, path, self.target) for path in queries}
        return nested_queries(Flat(self.target, queries, keys), dialect)

    def apply(self, instance: Instance) -> Instance:
        """The target instance of a small source instance, by the reference engine. Raises UserError
        if it does not fit the schema.
        """
        from reasoning.synthesis.engines.memory import evaluate

        return from_facts(
            self.target,
            evaluate(self.program, to_facts(self.source, instance, "source"), self.target),
        )


def save_mapping(mapping: Mapping, path: str | Path):
    """Write a mapping as JSON, whole or not at all. Raises UserError if the place cannot be
    written.
    """
    data = {
        "format": FORMAT,
        "datalog": mapping.datalog,
        "source_schema": to_json(mapping.source),
        "target_schema": to_json(mapping.target),
        "options": asdict(mapping.options),
        # Seconds differ from run to run: the file is for git.
        "statistics": {k: v for k, v in mapping.statistics.items() if k != "seconds"},
        "notes": list(mapping.notes),
        "examples": [{"source": source, "target": target} for source, target in mapping.examples],
    }
    write_whole(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def load_mapping(path: str | Path) -> Mapping:
    """Read what `save_mapping` wrote; the program may have been edited by hand.

    Raises:
      UserError: no such file, another format, or a program that does not fit its schemas.
    """
    try:
        data = json.loads(Path(path).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise KeyError("format")
        source = from_json(data["source_schema"], f"{path}: source_schema")
        target = from_json(data["target_schema"], f"{path}: target_schema")
        program = check_program(parse_program(data["datalog"], f"{path}: datalog"), source, target)
        options = Options(**data["options"] | {"constants": tuple(data["options"]["constants"])})
        examples = tuple((pair["source"], pair["target"]) for pair in data["examples"])
        return Mapping(
            source, target, program, examples, options, data["statistics"], tuple(data["notes"])
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is no mapping that `learn` wrote ({type(error).__name__}: {error}): give the "
            "path of its --out"
        ) from error
