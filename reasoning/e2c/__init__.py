"""Explore-Execute Chain: stochastic planning, deterministic execution (arXiv 2509.23946). No code has landed here yet."""
