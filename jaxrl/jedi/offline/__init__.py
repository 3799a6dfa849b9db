"""A world model of recorded episodes: `import_recordings` turns recordings of others into episode
files, `dataset` reads them, `loop` trains, `held_out` measures.
"""
