"""Sketches: `build` makes one from a program and a correspondence, with holes for tables, joins and
conditions (`queries`, `inserts`, `updates`); `order` sorts the statements of a transaction.
"""
