"""Datalog core of Dynamite (arXiv 2003.01331) and Migrator (arXiv 1904.05498); plain Python,
imports no JAX.

Schemas, facts, Datalog with its engines, a SAT encoding, and connectors to files and databases.
"""
