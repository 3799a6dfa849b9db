"""Transcoders in the layouts of other libraries: written where exact, refused or approximated with
a measured mismatch where not.
"""
