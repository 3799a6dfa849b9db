"""The SQL that is printed for PostgreSQL, run by a real server."""

from collections import Counter

from reasoning.synthesis.connect import sqlite_sink
from reasoning.synthesis.datalog import Program
from reasoning.synthesis.engines.compile import Output, compile_program
from reasoning.synthesis.facts import Facts
from reasoning.synthesis.names import quoted
from reasoning.synthesis.schema import Schema


def bags(base, program: Program, source: Schema, target: Schema, facts: Facts) -> dict:
    """The flattened target records of flat source tables.

    Args:
      base: a connection; nothing of what is done on it stays.
      program: rules from `source` to `target`.
      source: schema of the tables, flat and without edges.
      target: schema of the records.
      facts: rows of the tables.

    Returns:
      For every target collection a Counter of its records, as `memory.bags`.
    """
    with base.transaction(force_rollback=True):
        for collection in source.collections:
            table = quoted(collection.name)
            base.execute(sqlite_sink.create_table(collection, f"pg_temp.{table}").encode())
            with base.cursor() as cursor, cursor.copy(f"COPY pg_temp.{table} FROM STDIN") as copy:
                for fact in facts.get(collection.name, ()):
                    copy.write_row(fact)
        queries = compile_program(program, source, target, "postgres", Output(str, str))
        return {
            path: Counter(base.execute(query.encode()).fetchall())
            for path, query in queries.items()
        }
