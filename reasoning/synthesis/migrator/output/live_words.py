"""Words on what only the live database has, and on what a table loses."""

from reasoning.synthesis.migrator.output.migration_plan import Plan, kept_columns
from reasoning.synthesis.migrator.sql.unparse import literal

TABLE = "which is rebuilt or dropped"
COLUMNS = "which loses columns of it"
CHANGED = "which is renamed or loses columns"


def going(plan: Plan, name: str) -> list[str]:
    """Columns that a table altered in place loses."""
    kept = kept_columns(plan, name)
    return [column for column in plan.mapping.source[name].types if column not in kept]


def renamed_in(plan: Plan, name: str) -> list[str]:
    """Names that a table altered in place has no more: its own, and those of renamed columns."""
    table = [name] * (plan.in_place[name] != name)
    return table + [old for old, new in kept_columns(plan, name).items() if old != new]


def words_of(plan: Plan, name: str, why: str = TABLE) -> str:
    """The end of a sentence on something of a table, as a literal."""
    return literal(f" on {name}, {why}, is not in the schema before: add it there", plan.dialect)
