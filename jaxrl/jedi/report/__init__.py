"""Pages, figures and films of runs: `run` for one, `seeds` for several, `offline` for a world model
of recorded data, `horizon` and `imagine` for what the model imagines.
"""
