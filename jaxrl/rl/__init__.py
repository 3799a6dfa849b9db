"""Formulas of reinforcement learning, written for one trajectory; batch them with `jax.vmap`."""
