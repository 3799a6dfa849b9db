"""The updates, one file per network, and `loops`, which repeats one of them over the replay in a
compiled program; `gate` decides when the policy may learn.
"""
