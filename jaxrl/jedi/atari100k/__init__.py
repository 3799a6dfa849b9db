"""Atari 100k as a benchmark: many runs as one suite, their scores, and the comparison with
published ones.
"""
