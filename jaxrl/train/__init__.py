"""Running an experiment: config, optimizer, devices, checkpoints, metrics, run folders. Knows
pytrees, no method.
"""
