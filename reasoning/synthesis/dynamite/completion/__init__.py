"""Sketch completion: the solver's encoding, the loop over candidates, and clauses from mistakes."""
