"""References that may be NULL and that the new schema keeps in association tables: `find` puts them
back, `rewrite` changes functions that were found without the association tables.
"""
