"""Play inside the world model: `world.py` steps it, `session.py` holds one player's game,
`server.py` and `page.html` are the local web page.
"""
