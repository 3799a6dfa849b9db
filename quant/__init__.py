"""Discrete representations: quantizers, gradient estimators and their diagnostics. No code has landed here yet."""
