"""A world model of recorded episodes: `import_recordings` turns recordings of others into episode
files, `dataset` reads them, `loop` trains, `held_out` measures.
"""

from jaxrl.app.old_names import attributes

LOOP = ("NoGame", "NoPlayers", "announce", "check", "game_for", "learn", "no_game", "open_offline")
"""Names that this module had when it was a file."""
__getattr__ = attributes(__name__, {name: f"{__name__}.loop:{name}" for name in LOOP})
