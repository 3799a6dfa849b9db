"""Running an experiment: config, optimiser, devices, checkpoints, metrics, run folders. Knows
pytrees, no method.
"""
