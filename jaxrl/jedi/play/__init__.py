"""Acting in the real game: `collect` fills the replay, `evaluate` measures the return."""
