"""When networks become compositional: similarity-based pruning and a depth predictor (arXiv 2606.19941).

No code has landed here yet.
"""
