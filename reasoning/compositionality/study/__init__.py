"""The sweep: depth x connectivity x pruner x seed, and what it says."""
