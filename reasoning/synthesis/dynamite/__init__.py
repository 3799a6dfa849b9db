"""Dynamite (arXiv 2003.01331): a Datalog program that migrates data, synthesised from one small example."""
