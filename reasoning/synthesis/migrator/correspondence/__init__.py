"""Which new columns hold an old column's values: `problem` states it, `search` and `maxsat`
enumerate the likeliest answers, `mapping` and `join_trees` apply one.
"""
