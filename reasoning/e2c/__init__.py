"""Explore-Execute Chain: stochastic planning, deterministic execution (arXiv 2509.23946).

Pure functions: `masks`, `losses`, `format`, `answers`, `adherence`, `rewards`. Asking models:
`asking`, `policies`, `backends`, `datagen`,
`benchmarks`, `evaluate`. Training: `chain` (a tiny model), `llm` (real ones). `study` measures;
docs/e2c.md explains.
"""
