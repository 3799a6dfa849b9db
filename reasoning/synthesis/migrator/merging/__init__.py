"""Two and more old tables whose rows go into one new table, kept apart by a constant in one of its
columns. `find` sees them, `split_schema` writes the new schema with a table for each of them,
`rewrite` puts them together in functions, and `rules` in the data mapping.
"""
