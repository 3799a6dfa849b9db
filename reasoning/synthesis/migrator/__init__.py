"""Migrator (arXiv 1904.05498): a database program rewritten for a new schema."""
