"""Lookup tables without repetitions: a column whose values move to a table of their own, once each.
`find` sees them in the new schema and takes them out of it, `rewrite` puts them back into functions
and data mapping.
"""
