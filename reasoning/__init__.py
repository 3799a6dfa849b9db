"""Reasoning systems: plan-then-execute language models, program synthesis, compositionality. No code has landed here yet."""
