"""Forty migrations after schemas that people have: `domains.py` has the sources, `tasks.py` what
becomes of them.
"""
