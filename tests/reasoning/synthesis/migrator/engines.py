"""An application before and after its refactoring, run on real databases with data: the answers
must be the same.
"""

import re
import sqlite3
from contextlib import closing

from reasoning.synthesis import migrator


def bodies(program: str) -> dict[str, list[str]]:
    """The statements of each function, without comments, new keys being numbers."""
    parts = re.split(r"^-- name: (\w+)[^\n]*\n", program, flags=re.MULTILINE)[1:]
    text = [re.sub(r"^--.*$", "", part, flags=re.MULTILINE) for part in parts[1::2]]
    text = [re.sub(r"FRESH\((\d+)\)", r"770\1", part) for part in text]
    return {
        name: [one for one in part.split(";") if one.strip()]
        for name, part in zip(parts[::2], text, strict=True)
    }


def answers(application, program: str, run, dialect: str = "sqlite") -> list:
    """The answers of all queries without arguments, at first and after every call."""
    functions = bodies(program)
    tables = migrator.read_tables(application.source, dialect)
    old = migrator.parse_program(application.program, tables, dialect)
    asked = [f.name for f in old.functions if f.is_query]
    found = [[run(functions[name], {}) for name in asked]]
    for name, arguments in application.calls:
        run(functions[name], arguments)
        found.append([run(functions[one], {}) for one in asked])
    return found


def both(application, dialect: str, run, fresh) -> None:
    """Compare before and after; `fresh` empties the database, `run` runs statements."""
    found = migrator.refactor(
        application.program,
        application.source,
        application.target,
        migrator.Options(dialect, bound=1, verify="off", budget=300),
    )
    assert isinstance(found, migrator.Refactoring) and not found.by_hand and not found.differs, (
        found
    )
    fresh([application.source, application.rows])
    old = answers(application, application.program, run, dialect)
    fresh([application.source, application.rows, migrator.migration_sql(found.mapping, dialect)])
    new = answers(application, migrator.show_program(found.new), run, dialect)
    assert old == new and len({str(one) for one in old}) > 2


def in_sqlite(application) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:

        def fresh(scripts):
            base.execute("PRAGMA foreign_keys = OFF")
            listed = base.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            for (name,) in listed.fetchall():
                base.execute(f'DROP TABLE "{name}"')
            for script in scripts:
                base.executescript(script)
            base.execute("PRAGMA foreign_keys = ON")

        def run(statements, arguments):
            base.execute("BEGIN")
            base.execute("PRAGMA defer_foreign_keys = ON")
            done = [base.execute(one, arguments).fetchall() for one in statements]
            base.execute("COMMIT")
            return done[-1]

        both(application, "sqlite", run, fresh)


def in_postgres(application, base) -> None:
    def fresh(scripts):
        base.execute("DROP SCHEMA public CASCADE")
        base.execute("CREATE SCHEMA public")
        for script in scripts:
            base.execute(script)

    def run(statements, arguments):
        with base.transaction():
            for one in statements:
                text = re.sub(r"(?<!:):(\w+)", r"%(\1)s", one.replace("%", "%%"))
                done = base.execute(text, arguments)
            return done.fetchall() if done.description else []

    both(application, "postgres", run, fresh)
