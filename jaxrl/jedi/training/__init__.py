"""The training loop around the algorithm: `loop` is the order of things, `run` what it works on,
`setup` and `validate` its beginning, `checkpoints` and `replay_store` what lies on disk.
"""
