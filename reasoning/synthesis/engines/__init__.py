"""Engines that run Datalog programs: a reference in memory, SQLite, DuckDB, and SQL text for
PostgreSQL and Spark.

All take a program, the two schemas and source facts, and return the target's data flattened
(`facts.flatten`), as sets.
"""
