"""Patterns: latents of many transcoders that mean the same. `matching` groups them, `catalogue`
keeps them, `attribution` divides a logit among them, `labels` and `exemplars` describe them.
"""
