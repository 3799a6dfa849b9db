"""JAX building blocks for world-model reinforcement learning; the flagship is `jaxrl.jedi`.

Rooms, from the ground up: `nn` and `train` (shared by the whole house), `diffusion`, `rl`, `envs`,
`replay`, and on them `jedi`.
Importing this package imports nothing else.
"""
