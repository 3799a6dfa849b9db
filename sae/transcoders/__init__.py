"""Transcoders: `model` (encode, decode), `activations`, `losses`, `train_step`, and `ensemble`,
which trains a hundred at once; `baselines` names published settings.
"""
