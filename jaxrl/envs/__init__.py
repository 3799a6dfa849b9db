"""Games: pure-JAX toys, the Arcade Learning Environment, and any Gymnasium game with image
observations.
"""
