"""Comparison of temperatures and estimators: four tasks with discrete choices inside (after
Shah et al. 2024, arXiv 2410.13331).
"""
