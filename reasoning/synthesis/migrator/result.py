"""Options and results of a refactoring."""

from dataclasses import dataclass, field
from typing import Literal

from reasoning.synthesis.migrator.completion.sat_search import Effort
from reasoning.synthesis.migrator.correspondence.mapping import DataMapping
from reasoning.synthesis.migrator.correspondence.problem import Correspondence
from reasoning.synthesis.migrator.equivalence.results import Checked
from reasoning.synthesis.migrator.sql.program import Program
from reasoning.synthesis.migrator.sql.tables import Tables


@dataclass(frozen=True)
class Options:
    """Options of search and checks."""

    dialect: str = "sqlite"  # of schemas and program: one of `tables.DIALECTS`
    bound: int = 3  # updates before the query in the sequences compared at the end
    budget: float = 60.0  # seconds in all
    check_seconds: float = 20.0  # of these, at most so many for the sequences at the end
    seed: int = 0  # of test databases, and of ties in the solver
    keep_by_hand: bool = True
    """Pass functions outside the fragment through, marked, instead of refusing them."""
    verify: Literal["auto", "on", "off"] = "auto"
    """Bounded verification with Z3, for all arguments; auto: for small programs, if z3-solver is
    installed.
    """
    learning: Literal["mfi", "whole"] = "mfi"
    """Clause learned from a failing scenario: the choices in its functions, or the whole
    assignment.
    """
    ranked: bool = True
    """Likely options of a sketch first; else in an order drawn from the seed, to measure what
    learning is worth.
    """
    most_correspondences: int = 200  # most correspondences tried
    constants: tuple[str, ...] = ()
    """Constants of old tables that are merged into one, each "old_table=value"."""
    renumber: bool = False
    """Give rows of merged tables other keys where two have the same, though the program shows them
    or is given them.
    """

    keep_keys: bool = False
    """Give no row another key, so that there is a way back."""
    renames: tuple[str, ...] = ()
    """Places of old columns, each "table.column=new_table.new_column"."""
    drops: tuple[str, ...] = ()
    """Old columns to be dropped, each "table.column"."""


@dataclass(frozen=True)
class Refactoring:
    """The program for the new schema, and what is known of it."""

    old: Program  # as given
    new: Program  # the same functions over the new schema
    source: Tables  # old schema
    target: Tables  # new schema
    correspondence: Correspondence  # places of the columns
    mapping: DataMapping  # mapping of the data
    rewritten: tuple[str, ...]  # functions that had to be made anew; the others are as they were
    by_hand: tuple[str, ...]
    """Functions outside the fragment over tables that changed: left as they were, wrong until
    rewritten by hand.
    """
    checked: Checked  # sequences of calls compared
    related: int  # calls compared one by one from related databases
    verified: str  # claim of the solver for all arguments, or why it was not asked
    effort: Effort = field(default_factory=Effort)  # work of the synthesis
    differs: dict[str, str] = field(default_factory=dict)
    """Functions that differ where an argument is NULL, and nowhere else; how."""
    never: tuple[str, ...] = ()
    """Updates that failed on every try, so that nothing was seen of them."""
    idle: tuple[str, ...] = ()
    """Updates that succeeded and changed nothing on every try."""
    notes: tuple[str, ...] = ()
    """Sentences on calls that succeed in the new schema alone."""
    not_alone: tuple[str, ...] = ()
    """Rewritten functions that were tried in sequences only."""


@dataclass(frozen=True)
class NoProgram:
    """There is no equivalent program in the fragment, as far as was looked."""

    reason: str  # A sentence that names the function or column in the way
    effort: Effort  # work of the synthesis


@dataclass(frozen=True)
class OutOfTime:
    """The budget ran out."""

    best: Program | None  # functions made so far; those missing are as they were
    missing: tuple[str, ...]  # functions without a counterpart yet
    reason: str  # last obstacle
    effort: Effort  # work done
