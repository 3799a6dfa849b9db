"""Reasoning systems: plan-then-execute language models, program synthesis, compositionality. So
far: `e2c`, `synthesis`.
"""
