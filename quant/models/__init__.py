"""Small networks with discrete choices inside. The estimator is a function `(key, logits [..., K])
-> Sample`, given by the caller.
"""
