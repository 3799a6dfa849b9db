"""The study without downloads: a tiny model, trained from nothing on chains of definitions, and
what plans are good for there.
"""
