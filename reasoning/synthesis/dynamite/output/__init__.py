"""Explanations of a mapping: sentences, lineage and a page."""
