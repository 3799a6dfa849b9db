"""A world model of recorded episodes: `dataset` reads them, `loop` trains, `held_out` measures."""
