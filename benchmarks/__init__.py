"""One script per claim: `python -m benchmarks.NAME` measures and writes
`results/NAME[-HARDWARE].json`.
"""
