"""JAX building blocks for world-model reinforcement learning; the flagship is `jaxrl.jedi`.

Packages, lowest layer first: `nn` and `train` (shared by all packages), `diffusion`, `rl`, `envs`,
`replay`, and on them `jedi`.
Importing this package imports nothing else.
"""
