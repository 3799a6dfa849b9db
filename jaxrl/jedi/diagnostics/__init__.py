"""Measurements of a trained world model: collapse of latents, open-loop errors, horizon,
sampler.
"""
