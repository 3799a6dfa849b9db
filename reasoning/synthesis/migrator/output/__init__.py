"""Results for readers and databases: the data migration, Alembic and Datalog exports,
counterexamples as SQL, explanations and the report page.
"""
