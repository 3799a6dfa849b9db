"""Sources and targets of data: files and databases behind two small protocols.

A *source* loads every relation of a schema into tables of a DuckDB database (`sources.load`). A
*sink* takes ranges of rows of finished tables and remembers how far it got (`sinks.Sink`).
"""
