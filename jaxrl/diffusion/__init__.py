"""EDM diffusion (arXiv 2206.00364) as pure functions: preconditioning, noise, training loss,
samplers.
"""
