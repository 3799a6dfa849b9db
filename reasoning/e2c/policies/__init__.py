"""Test-time scaling: policies that turn one question into asks and replies into one answer."""
