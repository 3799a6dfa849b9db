"""Evidence that two programs agree: `bounded_test` runs both on invented databases, `z3_check` asks
a solver about all arguments, `results` holds what either found.
"""
